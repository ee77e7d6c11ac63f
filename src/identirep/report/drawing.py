"""Form that the figures of the report have in common: fonts, axes, labels, heat maps."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from numpy.typing import NDArray

from identirep.report.style import INK, MUTED

__all__ = ["colour_scale", "escape", "heat_map", "label_margin", "short_labels", "styled"]

_FONT = "Inter, 'Source Sans 3', 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif"
_LONGEST_LABEL = 30
_PIXELS_PER_CHARACTER = 6.3


def heat_map(
    values: NDArray[Any], columns: list[str], rows: list[str], colours: list[str], low: float, high: float
) -> go.Figure:
    """Draw a matrix with square cells, the first row on top."""
    figure = go.Figure()
    figure.add_heatmap(
        x=columns,
        y=rows,
        z=values,
        colorscale=colour_scale(colours),
        zmin=low,
        zmax=high,
        xgap=1,
        ygap=1,
        colorbar={"thickness": 10, "outlinewidth": 0, "tickfont": {"color": MUTED, "size": 11}},
    )
    figure.update_xaxes(type="category", showgrid=False, constrain="domain", ticks="")
    figure.update_yaxes(
        type="category", showgrid=False, scaleanchor="x", constrain="domain", autorange="reversed", ticks=""
    )
    return figure


def styled(figure: go.Figure, height: int, *, left: int = 70, bottom: int = 60, legend: bool = True) -> go.Figure:
    """Give a figure its height and margins in pixels, and the looks of all others."""
    axis: dict[str, Any] = {
        "gridcolor": "#e8edf1",
        "zeroline": False,
        "linecolor": "#c3ccd4",
        "tickcolor": "#c3ccd4",
        "title_font": {"size": 13, "color": MUTED},
        "title_standoff": 10,
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_annotations(font={"size": 13, "color": INK})
    figure.update_layout(
        height=height,
        font={"family": _FONT, "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": left, "r": 16, "t": 36, "b": bottom},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        hoverlabel={"font": {"family": _FONT, "size": 12}},
    )
    return figure


def colour_scale(colours: list[str]) -> list[list[Any]]:
    """Space colours evenly from 0 to 1."""
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def escape(name: str) -> str:
    """Plotly reads labels as a small subset of HTML: names are shown as they are."""
    return html.escape(name, quote=False)


def short_labels(names: Sequence[str]) -> list[str]:
    """Cut and escape names for the ticks of an axis."""
    cut = [name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…" for name in names]
    return [escape(name) for name in cut]


def label_margin(labels: list[str]) -> int:
    """Room for the longest label, in pixels."""
    longest = max((len(html.unescape(label)) for label in labels), default=0)
    return int(24 + _PIXELS_PER_CHARACTER * longest)
