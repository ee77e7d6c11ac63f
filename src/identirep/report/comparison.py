"""The page of a comparison: what has become of each axis of one run in others, in one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from identirep.comparing import Comparison
from identirep.files import replaced_file

__all__ = ["COMPARISON_COLOURS", "COMPARISON_MEANINGS", "comparison_headline", "write_comparison"]

# What each word says of an axis of the old run, or of a new one.
COMPARISON_MEANINGS = {
    "kept": "has a partner with a correlation of 0.9 or more",
    "turned": "has become a mixture of several axes, within what both runs know",
    "split": "has become several axes, which know more than it did",
    "merged": "has become one axis with others: what told them apart is gone",
    "lost": "is carried by no axes of the other run",
    "new": "is carried by no axes of the old run",
}
COMPARISON_COLOURS = {
    "kept": "#1a7f4b",
    "turned": "#b7791f",
    "split": "#b7791f",
    "merged": "#b7791f",
    "lost": "#c0392b",
    "new": "#2a6fb0",
}


def comparison_headline(found: Comparison) -> str:
    """Say in one sentence how many axes of the old run are kept, and what has become of the others."""
    n, others = len(found.verdict), [word for word in COMPARISON_MEANINGS if word != "kept"]
    counts = [f"{found.verdict.count(word)} {word}" for word in others if word in found.verdict]
    counts += [f"{found.new_verdict.count('new')} new"] if "new" in found.new_verdict else []
    kept = found.verdict.count("kept")
    return f"{kept} of {n} axes {'is' if kept == 1 else 'are'} kept{', ' + ', '.join(counts) if counts else ''}."


def write_comparison(path: str | Path, comparisons: Mapping[str, Comparison], *, old: str, data: str) -> None:
    """Write comparisons of one run with others, by name, to a page that needs no network and no script."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: files("identirep.report").joinpath(name).read_text(encoding="utf-8"))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["fixed"] = lambda value: f"{value:.3f}".replace("-", "\u2212")
    words = {word for found in comparisons.values() for word in (*found.verdict, *found.new_verdict)}
    page = environment.get_template("comparison.html").render(
        old=old,
        data=data,
        runs=[_run(name, found) for name, found in comparisons.items()],
        meanings={word: text for word, text in COMPARISON_MEANINGS.items() if word in words},
        colours=COMPARISON_COLOURS,
        version=version("identirep"),
        date=datetime.now(timezone.utc).strftime("%d %B %Y"),
    )
    with replaced_file(Path(path)) as staging:
        # Names of files need not be in UTF-8.
        staging.write_text(page, encoding="utf-8", errors="backslashreplace")


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
    """Return a correlation, and the colour of its cell: the stronger, the darker."""
    strength = min(abs(value), 1.0)
    red, green, blue = (42, 111, 176) if value >= 0 else (192, 87, 43)
    mixed = [round(255 + (part - 255) * strength**2) for part in (red, green, blue)]
    return {"value": value, "colour": "#" + "".join(f"{part:02x}" for part in mixed), "dark": strength > 0.75}


def _targets(found: Comparison) -> str:
    """Say which targets the runs share."""
    parts = [f"{len(found.common_targets):,} targets in common"]
    for names, which in ((found.old_targets, "the old run"), (found.new_targets, "the new run")):
        if names:
            parts.append(f"{len(names):,} of {which} alone ({_listed(names)})")
    return "; ".join(parts) + "."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
