"""The certificate as people read it: a table of axes, in text and for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from identirep.mtlcm.trust.comes_back import ComesBack
from identirep.mtlcm.trust.verdict import IDENTIFIED, NOT_CHECKED, REPRODUCIBLE, UNSTABLE, VERDICTS

__all__ = ["COLOURS", "SYMBOLS", "certificate_html", "certificate_text"]

# The verdict by form, for prints without colours.
SYMBOLS = {IDENTIFIED: "●", REPRODUCIBLE: "◐", UNSTABLE: "○", NOT_CHECKED: "□"}

# Of the symbols only; words have the colour of the page's own text. Each has a contrast of 3 or more, which is what
# symbols need, against white and against the dark pages of notebooks, and orange is told from blue by anyone.
COLOURS = {IDENTIFIED: "#3a7fc4", REPRODUCIBLE: "#2a8a8f", UNSTABLE: "#c8642a", NOT_CHECKED: "#7d8894"}

_MOST_ROWS = 20
_LONGEST_REASON = 64
_ROW = "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>"
_STYLE = """<style>
.identirep-certificate { color: inherit; max-width: 72em; overflow-x: auto; font-variant-numeric: tabular-nums; }
.identirep-certificate table { border-collapse: collapse; color: inherit; background: none; }
.identirep-certificate th, .identirep-certificate td {
  padding: 3px 14px 3px 0; text-align: left; vertical-align: top; color: inherit; background: none;
  border: none; border-bottom: 1px solid rgba(128, 128, 128, 0.35); overflow-wrap: anywhere;
}
.identirep-certificate td:nth-child(-n+3) { white-space: nowrap; }
</style>"""


def certificate_text(verdict: Sequence[str], reasons: Sequence[str], comes_back: ComesBack) -> str:
    """Return a table of axes as text; many axes and long reasons are cut."""
    n_shown = min(len(verdict), _MOST_ROWS)
    rows = [("axis", "verdict", "comes back", "reason")]
    for i in range(n_shown):
        rows.append((str(i), verdict[i], _comes_back(comes_back, i), _cut(reasons[i])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines = [f"Certificate of {_summary(verdict)}", *(lines if verdict else [])]
    if len(verdict) > n_shown:
        lines.append(f"and {len(verdict) - n_shown:,} more, in verdict and reasons")
    return "\n".join(lines)


def certificate_html(
    verdict: Sequence[str], reasons: Sequence[str], comes_back: ComesBack, names: Sequence[str] | None = None
) -> str:
    """Return a table of axes for a notebook, in the colours of its text; many axes are cut."""
    n_shown = min(len(verdict), _MOST_ROWS)
    rows = [
        _ROW.format(
            escape(str(i) if names is None else names[i]),
            f'<span aria-hidden="true" style="color: {COLOURS[verdict[i]]}">{SYMBOLS[verdict[i]]}</span> '
            f"{escape(verdict[i])}",
            escape(_comes_back(comes_back, i)),
            escape(reasons[i]),
        )
        for i in range(n_shown)
    ]
    head = _ROW.format("axis", "verdict", "comes back", "reason").replace("td>", "th>")
    table = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>" if verdict else ""
    more = f"<p>and {len(verdict) - n_shown:,} more</p>" if len(verdict) > n_shown else ""
    title = f"<p>Certificate of {escape(_summary(verdict))}</p>"
    return f'{_STYLE}<div class="identirep-certificate">{title}{table}{more}</div>'


def _summary(verdict: Sequence[str]) -> str:
    """Count the axes, and those with each verdict."""
    if not verdict:
        return "no axes: the targets carry no signal"
    counts = ", ".join(f"{verdict.count(word)} {word}" for word in VERDICTS if word in verdict)
    return f"{len(verdict):,} {'axis' if len(verdict) == 1 else 'axes'}: {counts}"


def _comes_back(comes_back: ComesBack, i: int) -> str:
    """Write the correlation with the partner in a fit to other rows, and its range; rounded down, never up."""
    value, (low, high) = comes_back.other_rows[i], comes_back.other_rows_interval[i]
    if np.isnan(value):
        return "not checked"
    if np.isnan(low):
        return _floored(value)
    return f"{_floored(value)} ({_floored(low)}-{_floored(high)})"


def _floored(value: float) -> str:
    return f"{int(1000 * value + 1e-6) / 1000:.3f}" if value > 0 else f"{value:.3f}"


def _cut(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 3].rstrip()}..."
