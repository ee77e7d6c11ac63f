"""Figures of experiments: one dot for each run, so that nothing hides behind a mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from identirep.experiments.experiment import Row
from identirep.report import INK, MARK, MUTED, VERDICT_COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["dots", "planned_and_needed", "predictions", "said_and_found"]


By = str | Callable[[Row], str]


def dots(rows: Sequence[Row], *, value: str, label: str, by: By, panel: By, where: Row | None = None) -> Figure:
    """Draw one dot for each row that has the value: a line for each method, a panel for each size.

    Lines and panels go by a value of the rows or a text made of some; rows that lack one are left out. The distance to
    the perfect value 1 is drawn on a logarithmic scale, so that 0.99 and 0.999 differ.
    """
    from matplotlib.figure import Figure

    rows = [row for row in rows if all(row.get(key) == wanted for key, wanted in (where or {}).items())]
    known = [(row[value], _text(row, by), _text(row, panel)) for row in rows if row.get(value) is not None]
    known = [dot for dot in known if None not in dot]
    lines, panels = (list(dict.fromkeys(dot[k] for dot in known)) for k in (1, 2))
    figure = Figure(figsize=(2.2 + 2.4 * max(len(panels), 1), 1.3 + 0.28 * max(len(lines), 1)), layout="constrained")
    axes = figure.subplots(1, max(len(panels), 1), sharex=True, sharey=True, squeeze=False)[0]
    floor = 1e-5
    for ax, name in zip(axes, panels, strict=False):
        for position, line in enumerate(lines):
            loss = np.array([1.0 - dot[0] for dot in known if dot[1:] == (line, name)])
            if len(loss):
                loss = np.maximum(loss, floor)
                ax.plot(loss, np.full(len(loss), position), "o", color=MARK, alpha=0.35, markersize=4, mew=0)
                ax.plot([loss.mean()], [position], "|", color=INK, markersize=12, mew=1.6)
        ax.set_title(f"{panel} = {name}" if isinstance(panel, str) else name, fontsize=9, color=INK, loc="left")
    for ax in axes:
        ax.set_xscale("log")
        ax.set_yticks(range(len(lines)), [str(line) for line in lines], fontsize=8)
        ax.tick_params(axis="x", labelsize=8, colors=MUTED)
        ax.grid(axis="x", color="#e8edf1")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    # Axes are shared: turning one turns all.
    axes[0].invert_xaxis()
    axes[0].invert_yaxis()
    figure.supxlabel(f"1 - {label} (further right is better; bar: mean)", fontsize=9, color=MUTED)
    return figure


def _text(row: Row, by: By) -> Any:
    """Return the value, or the text made of several; None if the row lacks one."""
    try:
        return row[by] if isinstance(by, str) else by(row)
    except KeyError:
        return None


def predictions(rows: Sequence[Row], *, predicted: str, actual: str, label: str, trusted: str) -> Figure:
    """Draw a predicted error against the actual one with the band of a factor 2, rings where it is not trusted."""
    from matplotlib.figure import Figure

    known = [row for row in rows if row.get(predicted) and row.get(actual) and row.get(trusted) is not None]
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    ax = figure.subplots()
    for holds, face, name in ((True, MARK, trusted), (False, "none", f"not {trusted}")):
        x, y = ([row[key] for row in known if bool(row[trusted]) is holds] for key in (predicted, actual))
        ax.plot(x, y, "o", mfc=face, mec=MARK, alpha=0.5, markersize=4, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ends = np.array([min((row[predicted] for row in known), default=0.1), 1.0])
    ax.plot(ends, ends, color=INK, lw=1)
    ax.fill_between(ends, ends / 2, ends * 2, color=MUTED, alpha=0.15, lw=0, label="within a factor 2")
    ax.set_xlabel(f"{label}, predicted", fontsize=9, color=MUTED)
    ax.set_ylabel(f"{label}, actual", fontsize=9, color=MUTED)
    ax.tick_params(labelsize=8, colors=MUTED)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False)
    return figure


def planned_and_needed(rows: Sequence[Row]) -> Figure:
    """Draw sizes as planned against as needed, a panel for each source and what is planned, with the factor 2."""
    from matplotlib.figure import Figure

    known = [row for row in rows if np.isfinite(row.get("needed", np.inf)) and np.isfinite(row.get("planned", np.inf))]
    panels = list(dict.fromkeys((row["from"], row["what"]) for row in known))
    figure = Figure(figsize=(3.0 * max(len(panels), 1), 3.2), layout="constrained")
    axes = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    for ax, (source, what) in zip(axes, panels, strict=False):
        those = [row for row in known if (row["from"], row["what"]) == (source, what)]
        for holds, face in ((True, MARK), (False, "none")):
            x, y = ([row[key] for row in those if row["told_apart"] is holds] for key in ("needed", "planned"))
            ax.plot(x, y, "o", mfc=face, mec=MARK, alpha=0.5, markersize=4)
        ends = np.array([2.0, max(max(row["needed"], row["planned"]) for row in those)])
        ax.plot(ends, ends, color=INK, lw=1)
        ax.fill_between(ends, ends / 2, ends * 2, color=MUTED, alpha=0.15, lw=0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_title(f"{what}, from {source}", fontsize=9, color=INK, loc="left")
        ax.set_xlabel("needed", fontsize=9, color=MUTED)
        ax.tick_params(labelsize=8, colors=MUTED)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("planned (rings: axes not told apart)", fontsize=9, color=MUTED)
    return figure


def said_and_found(rows: Sequence[Row], *, said: str, found: str, label: str, **where: Any) -> Figure:
    """Draw 1 - correlation as found against as said: a dot an axis in the colour of its verdict, band factor 3."""
    from matplotlib.figure import Figure

    known = [row for row in rows if row.get(said) is not None and row.get(found) is not None and not row.get("null")]
    known = [row for row in known if all(row[key] == value for key, value in where.items())]
    figure = Figure(figsize=(4.8, 4.4), layout="constrained")
    ax = figure.subplots()
    floor = 1e-4
    for verdict in dict.fromkeys(row["verdict"] for row in known):
        x, y = (
            np.maximum([1.0 - row[name] for row in known if row["verdict"] == verdict], floor) for name in (said, found)
        )
        colour = VERDICT_COLOURS.get(verdict, MUTED)
        ax.plot(x, y, "o", color=colour, alpha=0.45, markersize=4, mew=0, label=f"{verdict} ({len(x)})")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ends = np.array([floor, 1.0])
    ax.plot(ends, ends, color=INK, lw=1)
    ax.fill_between(ends, ends / 3, ends * 3, color=MUTED, alpha=0.15, lw=0, label="within a factor 3")
    ax.set_xlim(floor / 1.5, 1.5)
    ax.set_ylim(floor / 1.5, 1.5)
    ax.set_xlabel(f"1 - correlation with {label}, as said", fontsize=9, color=MUTED)
    ax.set_ylabel("as found (higher is worse)", fontsize=9, color=MUTED)
    ax.tick_params(labelsize=8, colors=MUTED)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False)
    return figure
