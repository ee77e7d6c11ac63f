"""The page of a comparison: what has become of each axis of one run in others, in one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from identirep.comparing import Comparison
from identirep.report.pages import write_page
from identirep.report.style import COMPARISON_SYMBOLS

__all__ = ["COMPARISON_MEANINGS", "comparison_headline", "write_comparison"]

# Colours of correlations above and below 0.
_SIGNS = ("--mark", "--against")

# What each word says of an axis of the old run, or of a new one.
COMPARISON_MEANINGS = {
    "kept": "has a partner with a correlation of 0.9 or more",
    "turned": "has become a mixture of several axes, within what both runs know",
    "split": "has become several axes, which know more than it did",
    "merged": "has become one axis with others: what told them apart is gone",
    "lost": "is carried by no axes of the other run",
    "new": "is carried by no axes of the old run",
}


def comparison_headline(found: Comparison) -> str:
    """Say in one sentence how many axes of the old run are kept, and what has become of the others."""
    n, others = len(found.verdict), [word for word in COMPARISON_MEANINGS if word != "kept"]
    counts = [f"{found.verdict.count(word)} {word}" for word in others if word in found.verdict]
    counts += [f"{found.new_verdict.count('new')} new"] if "new" in found.new_verdict else []
    kept = found.verdict.count("kept")
    return f"{kept} of {n} axes {'is' if kept == 1 else 'are'} kept{', ' + ', '.join(counts) if counts else ''}."


def write_comparison(path: str | Path, comparisons: Mapping[str, Comparison], *, old: str, data: str) -> None:
    """Write comparisons of one run with others, by name, to a page that needs no network."""
    words = {word for found in comparisons.values() for word in (*found.verdict, *found.new_verdict)}
    write_page(
        path,
        "comparison.html",
        kind="identirep comparison",
        title=f"Axes of {old}, compared",
        old=old,
        data=data,
        runs=[_run(name, found) for name, found in comparisons.items()],
        meanings={word: text for word, text in COMPARISON_MEANINGS.items() if word in words},
        symbols=COMPARISON_SYMBOLS,
    )


def _run(name: str, found: Comparison) -> dict[str, Any]:
    """What the page shows of one comparison."""
    return {
        "name": name,
        "headline": comparison_headline(found),
        "found": found,
        "axes": found.to_table().to_pylist(),
        "matrix": [[_shade(value) for value in row] for row in found.matrix.tolist()],
        "targets": _targets(found),
    }


def _shade(value: float) -> dict[str, Any]:
    """Return a correlation, and the colour of its cell: the stronger, the darker, but never so that ink is lost."""
    strength = round(45 * min(abs(value), 1.0) ** 2)
    return {"value": value, "colour": f"color-mix(in srgb, var({_SIGNS[value < 0]}) {strength}%, var(--raised))"}


def _targets(found: Comparison) -> str:
    """Say which targets the runs share."""
    parts = [f"{len(found.common_targets):,} targets in common"]
    for names, which in ((found.old_targets, "the old run"), (found.new_targets, "the new run")):
        if names:
            parts.append(f"{len(names):,} of {which} alone ({_listed(names)})")
    return "; ".join(parts) + "."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
