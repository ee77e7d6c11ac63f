"""Figures of the HTML report, in Plotly: the reader can hover for the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from identirep._typing import Array
from identirep.evaluation import Evaluation
from identirep.metrics import StabilityResult
from identirep.report.content import Findings
from identirep.report.drawing import colour_scale, escape, heat_map, label_margin, short_labels, styled
from identirep.report.style import DIVERGING, MARK, MUTED, SEQUENTIAL, THRESHOLD, VERDICT_COLOURS

__all__ = ["draw_figures"]

# With more tasks than this their names would be unreadable; they are shown on hovering.
_MOST_LABELLED = 120
# Correlations above 0.9995 look alike.
_LEAST_LOSS = 5e-4


def draw_figures(findings: Findings, evaluation: Evaluation | None) -> dict[str, go.Figure | None]:
    """Draw all figures by name, in the order of the page; None where there is nothing to show."""
    stability = None if evaluation is None else evaluation.stability
    scored = evaluation is not None and not np.isnan(evaluation.r2).all()
    mixed = findings.has_signal and any(findings.not_told_apart(i) for i in range(findings.n_latents))
    returns = _comes_back(findings, evaluation) if findings.has_signal else None
    return {
        "returns": returns if returns is not None and returns.data else None,
        "separation": _separation(findings) if mixed else None,
        "stability": None if stability is None or len(stability.matrix) < 3 else _stability(stability),
        "spectrum": _spectrum(findings) if findings.spectrum is not None and len(findings.spectrum) else None,
        "targets": _targets(findings, findings.correlation, "correlation", DIVERGING) if findings.has_signal else None,
        "scores": _scores(findings.task_names, evaluation.r2) if evaluation is not None and scored else None,
        "history": _history(findings.history) if findings.history else None,
        "roles": _targets(findings, findings.causal_probability, "probability", SEQUENTIAL, small=findings.shares_rows)
        if findings.has_signal
        else None,
    }


def _spectrum(findings: Findings) -> go.Figure:
    """Predictive spectrum, with the level that shuffled targets reach."""
    assert findings.spectrum is not None
    assert findings.threshold is not None
    # What follows far behind the last direction with signal is chance, and would only make the bars thin.
    shown = slice(0, max(2 * findings.n_latents, findings.n_signal + 10))
    spectrum, threshold = np.maximum(findings.spectrum[shown], 0.0), findings.threshold[shown]
    number = np.arange(1, len(spectrum) + 1)
    kept = number <= findings.n_latents
    figure = go.Figure()
    for chosen, name, colour in ((kept, "kept as latents", MARK), (~kept, "left out", "#b8c2cc")):
        figure.add_bar(
            x=number[chosen],
            y=spectrum[chosen],
            name=name,
            marker_color=colour,
            hovertemplate="direction %{x}<br>signal %{y:.4g}<extra></extra>",
        )
    figure.add_scatter(
        x=number,
        y=threshold,
        name="shuffled targets",
        mode="lines",
        line={"color": THRESHOLD, "width": 2, "dash": "dash", "shape": "hvh"},
        hovertemplate="shuffled targets %{y:.4g}<extra></extra>",
    )
    top, level = float(spectrum.max(initial=0.0)), float(threshold.min(initial=np.inf))
    figure.update_yaxes(title="signal / noise, mean over tasks")
    if 0 < level < top / 8:
        figure.update_yaxes(type="log", range=[np.log10(level / 5), np.log10(2 * top)], dtick=1)
    figure.update_xaxes(
        title="direction of the features, by falling signal", dtick=1 if len(number) <= 30 else None, showgrid=False
    )
    figure.update_layout(bargap=0.3)
    return styled(figure, 340)


def _targets(findings: Findings, values: Array, what: str, colours: list[str], *, small: bool = False) -> go.Figure:
    """Latents by targets, with targets in the order of the latent that correlates most with them."""
    order = findings.task_order()
    names = [findings.task_names[t] for t in order]
    labels = short_labels(names)
    latents = short_labels(findings.latent_labels)
    shown, small_print = len(order) <= _MOST_LABELLED and not small, len(order) > 50
    figure = go.Figure()
    figure.add_heatmap(
        x=np.arange(len(order)),
        y=latents,
        z=np.round(values[order].T, 4),
        customdata=np.broadcast_to(np.array([escape(name) for name in names]), (len(latents), len(order))),
        colorscale=colour_scale(colours),
        zmin=-1.0 if colours is DIVERGING else 0.0,
        zmax=1.0,
        xgap=1 if shown else 0,
        ygap=1,
        hovertemplate="%{customdata}<br>latent %{y}<br>" + what + " %{z:.3f}<extra></extra>",
        colorbar={"thickness": 10, "outlinewidth": 0, "tickfont": {"color": MUTED, "size": 11}},
    )
    figure.update_xaxes(
        tickvals=np.arange(len(order)),
        ticktext=labels,
        tickangle=-90,
        tickfont_size=8 if small_print else 10,
        showgrid=False,
        ticks="",
        showticklabels=shown,
    )
    figure.update_yaxes(title="latent", autorange="reversed", showgrid=False, ticks="", type="category")
    # Room is that of labels of 12 pixels.
    margin = int(label_margin(labels) * (0.72 if small_print else 0.85)) if shown else 24
    cell = float(np.clip((120 if small else 360) / max(len(latents), 1), 8, 14 if small else 30))
    height = int(50 + margin + cell * len(latents))
    return styled(figure, height, left=_left(latents, 70), bottom=margin, legend=False)


def _separation(findings: Findings) -> go.Figure:
    """How hard pairs of latents are to tell apart."""
    latents = short_labels(findings.latent_labels)
    values = findings.certificate.separation.copy()
    np.fill_diagonal(values, np.nan)
    # Shared inputs leave little room below 1, and the differences are what counts.
    low = np.floor(20 * np.nanmin(values)) / 20
    figure = heat_map(values, latents, latents, SEQUENTIAL, min(low, 0.95), 1.0)
    figure.update_traces(hovertemplate="latents %{y} and %{x}<br>separation %{z:.4f}<extra></extra>")
    figure.update_xaxes(title="latent")
    figure.update_yaxes(title="latent")
    return styled(figure, 430, left=_left(latents, 60))


def _left(latents: list[str], least: int) -> int:
    """Room for the labels of latents at the left."""
    return max(least, 24 + label_margin(latents))


def _comes_back(findings: Findings, evaluation: Evaluation | None) -> go.Figure:
    """Correlation of each axis with its partner in other fits, by its distance from 1 on a logarithmic scale."""
    back = findings.certificate.comes_back
    latents = np.array(short_labels(findings.latent_labels))
    colours = np.array([VERDICT_COLOURS[verdict] for verdict in findings.certificate.verdict])
    figure = go.Figure()
    lowest = 0.9
    for values, name, symbol in (
        (findings.trained_again(evaluation), "trained again", "circle-open"),
        (back.other_rows, "other rows", "diamond"),
        (findings.other_targets, f"other {findings.kind} (estimate)", "x-thin-open"),
    ):
        known = ~np.isnan(values)
        if not known.any():
            continue
        error = None
        if name == "other rows":
            ends = _loss(back.other_rows_interval[known])
            lowest = min(lowest, float(back.other_rows_interval[known].min()))
            error = {
                "type": "data",
                "symmetric": False,
                "array": ends[:, 0] - _loss(values[known]),
                "arrayminus": _loss(values[known]) - ends[:, 1],
                "thickness": 1.5,
                "width": 3,
                "color": "#9fb0bf",
            }
        lowest = min(lowest, float(values[known].min()))
        figure.add_scatter(
            x=latents[known],
            y=_loss(values[known]),
            error_y=error,
            customdata=values[known],
            name=name,
            mode="markers",
            marker={"symbol": symbol, "size": 10, "line": {"width": 2}, "color": colours[known]},
            hovertemplate="latent %{x}<br>" + name + " %{customdata:.4f}<extra></extra>",
        )
    ticks = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0 - _LEAST_LOSS)
    figure.update_xaxes(title="latent", type="category", categoryarray=list(latents), showgrid=False)
    figure.update_yaxes(
        title="correlation with its partner",
        type="log",
        range=[np.log10(1.2 * (1.0 - max(lowest, 0.0))), np.log10(_LEAST_LOSS / 1.3)],
        tickvals=[1.0 - tick for tick in ticks],
        ticktext=[f"{tick:g}" for tick in ticks[:-1]] + [f"{ticks[-1]:g}+"],
    )
    return styled(figure, 380)


def _loss(correlation: Array) -> Array:
    """Distance to 1, not less than what the scale ends with."""
    return np.asarray(np.maximum(1.0 - correlation, _LEAST_LOSS))


def _stability(stability: StabilityResult) -> go.Figure:
    """Agreement of all fits with each other."""
    fits = [f"fit {r + 1}" for r in range(len(stability.matrix))]
    figure = heat_map(stability.matrix, fits, fits, SEQUENTIAL, min(0.9, float(stability.matrix.min())), 1.0)
    figure.update_traces(hovertemplate="%{y} and %{x}<br>strong MCC %{z:.4f}<extra></extra>")
    if len(fits) <= 8:
        figure.update_traces(texttemplate="%{z:.3f}")
    return styled(figure, 340, legend=False)


def _scores(names: Sequence[str], r2: Array) -> go.Figure:
    """Held-out R^2 of each task, sorted."""
    known = np.flatnonzero(~np.isnan(r2))
    order = known[np.argsort(-r2[known], kind="stable")]
    labels = short_labels([names[t] for t in order])
    figure = go.Figure()
    figure.add_scatter(
        x=np.arange(len(order)),
        y=r2[order],
        mode="markers",
        marker={"color": MARK, "size": 8},
        customdata=[escape(names[t]) for t in order],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.zeros(len(order)),
            "arrayminus": r2[order],
            "width": 0,
            "thickness": 1.5,
            "color": "#c4d3e0",
        },
        hovertemplate="%{customdata}<br>R² %{y:.3f}<extra></extra>",
    )
    shown = len(order) <= _MOST_LABELLED
    lowest = float(r2[order].min()) if len(order) else 0.0
    figure.update_xaxes(
        tickvals=np.arange(len(order)),
        ticktext=labels,
        tickangle=-90,
        tickfont_size=10,
        showgrid=False,
        ticks="",
        range=[-0.8, len(order) - 0.2],
        showticklabels=shown,
    )
    figure.update_yaxes(title="held-out R²", range=[max(min(0.0, lowest * 1.1), -1.0), 1.03])
    return styled(
        figure, 300 + (label_margin(labels) if shown else 0), legend=False, bottom=label_margin(labels) if shown else 20
    )


def _history(history: list[dict[str, float]]) -> go.Figure:
    """Validation loss of each replicate over the epochs, and their mean, which chooses the epoch that is kept."""
    epochs = sorted({row["epoch"] for row in history})
    replicates = sorted({row["replicate"] for row in history})
    loss = {(row["replicate"], row["epoch"]): row["validation_loss"] for row in history}
    curves = np.array([[loss[replicate, epoch] for epoch in epochs] for replicate in replicates])
    figure = go.Figure()
    for r in range(len(replicates)):
        figure.add_scatter(
            x=epochs,
            y=curves[r],
            name="each network",
            showlegend=r == 0,
            mode="lines",
            line={"width": 1.2, "color": "#9cc4e0"},
            hovertemplate=f"network {r}, epoch %{{x}}<br>%{{y:.4f}}<extra></extra>",
        )
    mean = curves.mean(axis=0)
    best = int(mean.argmin())
    figure.add_scatter(
        x=epochs,
        y=mean,
        name="mean",
        mode="lines",
        line={"width": 2.5, "color": MARK},
        hovertemplate="mean, epoch %{x}<br>%{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=[epochs[best]],
        y=[mean[best]],
        name="kept",
        mode="markers",
        marker={"size": 11, "color": THRESHOLD, "symbol": "diamond"},
        hovertemplate="kept: epoch %{x}<br>%{y:.4f}<extra></extra>",
    )
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="validation loss")
    return styled(figure, 320)
