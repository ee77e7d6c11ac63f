"""Figures of the HTML report, in Plotly: the reader can hover for the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from identirep._typing import Array
from identirep.evaluation import Evaluation
from identirep.metrics import StabilityResult
from identirep.report.content import Findings
from identirep.report.drawing import colour_scale, escape, heat_map, label_margin, latent_labels, short_labels, styled
from identirep.report.style import DIVERGING, MARK, MUTED, SEQUENTIAL, THRESHOLD, VERDICT_COLOURS

__all__ = ["draw_figures"]

# With more tasks than this their names would be unreadable; they are shown on hovering.
_MOST_LABELLED = 160


def draw_figures(findings: Findings, evaluation: Evaluation | None) -> dict[str, go.Figure | None]:
    """Draw all figures by name, in the order of the page; None where there is nothing to show."""
    many = findings.has_signal and findings.n_latents > 1
    stability = None if evaluation is None else evaluation.stability
    scored = evaluation is not None and not np.isnan(evaluation.r2).all()
    return {
        "spectrum": _spectrum(findings) if findings.spectrum is not None and len(findings.spectrum) else None,
        "roles": _roles(findings) if findings.has_signal else None,
        "expected": _expected_mcc(findings) if findings.has_signal else None,
        "separation": _separation(findings) if many else None,
        "stability": None if stability is None else _stability(stability),
        "scores": _scores(findings.task_names, evaluation.r2) if evaluation is not None and scored else None,
        "history": _history(findings.history) if findings.history else None,
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


def _roles(findings: Findings) -> go.Figure:
    """Tasks by latents: correlation, and the probability that the latent is a cause."""
    order = findings.task_order()[::-1]
    labels = short_labels([findings.task_names[t] for t in order])
    latents = latent_labels(findings.n_latents)
    role = "being a cause" if not findings.shares_rows else "fitting the role of a cause"
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        subplot_titles=("Correlation of latent and target", f"Probability of {role}"),
    )
    hover = np.broadcast_to(
        np.array([escape(findings.task_names[t]) for t in order])[:, None], (len(order), len(latents))
    )
    rows = np.arange(len(order))
    for column, values, scale, low in (
        (1, findings.correlation[order], DIVERGING, -1.0),
        (2, findings.causal_probability[order], SEQUENTIAL, 0.0),
    ):
        what = "correlation" if column == 1 else "probability"
        figure.add_heatmap(
            x=latents,
            y=rows,
            z=np.round(values, 4),
            customdata=hover,
            colorscale=colour_scale(scale),
            zmin=low,
            zmax=1.0,
            xgap=1,
            ygap=1 if len(order) <= _MOST_LABELLED else 0,
            hovertemplate="%{customdata}<br>latent %{x}<br>" + what + " %{z:.3f}<extra></extra>",
            colorbar={
                "orientation": "h",
                "thickness": 10,
                "len": 0.42,
                "x": 0.245 if column == 1 else 0.755,
                "y": 0.0,
                "ypad": 20,
                "yref": "container",
                "yanchor": "bottom",
                "outlinewidth": 0,
                "tickfont": {"color": MUTED, "size": 11},
            },
            row=1,
            col=column,
        )
    shown = len(order) <= _MOST_LABELLED
    height = float(np.clip(900 / max(len(order), 1), 15, 30)) if shown else max(3.0, 1400 / len(order))
    figure.update_yaxes(
        tickvals=rows, ticktext=labels, tickfont_size=11, showgrid=False, ticks="", range=[-0.5, len(order) - 0.5]
    )
    figure.update_yaxes(showticklabels=shown, col=1)
    figure.update_xaxes(title="latent", showgrid=False, ticks="", type="category", tickfont_size=11)
    return styled(figure, int(164 + height * len(order)), left=label_margin(labels) if shown else 40, bottom=110)


def _separation(findings: Findings) -> go.Figure:
    """How hard pairs of latents are to tell apart."""
    latents = latent_labels(findings.n_latents)
    values = findings.certificate.separation.copy()
    np.fill_diagonal(values, np.nan)
    # Shared inputs leave little room below 1, and the differences are what counts.
    low = np.floor(20 * np.nanmin(values)) / 20
    figure = heat_map(values, latents, latents, SEQUENTIAL, min(low, 0.95), 1.0)
    figure.update_traces(hovertemplate="latents %{y} and %{x}<br>separation %{z:.4f}<extra></extra>")
    figure.update_xaxes(title="latent")
    figure.update_yaxes(title="latent")
    return styled(figure, 430, left=60)


def _expected_mcc(findings: Findings) -> go.Figure:
    """Agreement to expect of each axis with its partner in fits to other rows, and with other targets."""
    certificate = findings.certificate
    latents = latent_labels(findings.n_latents)
    figure = go.Figure()
    for values, name, symbol in (
        (certificate.comes_back.other_rows, "other rows", "diamond"),
        (certificate.bootstrap_mcc, "other targets", "circle-open"),
    ):
        figure.add_scatter(
            x=latents,
            y=values,
            name=name,
            mode="markers",
            marker={
                "symbol": symbol,
                "size": 10,
                "line": {"width": 2},
                "color": [VERDICT_COLOURS[verdict] for verdict in certificate.verdict],
            },
            hovertemplate="latent %{x}<br>" + name + " %{y:.4f}<extra></extra>",
        )
    figure.update_xaxes(title="latent", type="category", showgrid=False)
    lowest = np.fmin(certificate.comes_back.other_rows, certificate.bootstrap_mcc).min()
    figure.update_yaxes(title="expected correlation", range=[min(0.85, float(lowest) - 0.03), 1.01])
    return styled(figure, 430)


def _stability(stability: StabilityResult) -> go.Figure:
    """Agreement of each latent of this fit with other fits, and of all fits with each other."""
    latents = latent_labels(stability.per_latent.shape[1])
    fits = [f"fit {r + 1}" for r in range(len(stability.matrix))]
    figure = make_subplots(cols=2, column_widths=[0.62, 0.38], horizontal_spacing=0.12)
    figure.add_scatter(
        x=latents,
        y=stability.per_latent[0],
        mode="markers",
        marker={"color": MARK, "size": 11},
        hovertemplate="latent %{x}<br>correlation %{y:.4f}<extra></extra>",
        row=1,
        col=1,
    )
    square = heat_map(stability.matrix, fits, fits, SEQUENTIAL, min(0.9, float(stability.matrix.min())), 1.0)
    square.update_traces(hovertemplate="%{y} and %{x}<br>strong MCC %{z:.4f}<extra></extra>", showscale=False)
    if len(fits) <= 8:
        square.update_traces(texttemplate="%{z:.3f}")
    figure.add_trace(square.data[0], row=1, col=2)
    lowest = float(stability.per_latent[0].min())
    figure.update_xaxes(title="latent", type="category", showgrid=False, col=1)
    figure.update_yaxes(title="correlation with its partner", range=[min(0.9, lowest - 0.05), 1.005], col=1)
    figure.update_xaxes(title="strong MCC of fits", showgrid=False, constrain="domain", ticks="", col=2)
    figure.update_yaxes(autorange="reversed", showgrid=False, ticks="", col=2)
    return styled(figure, 360, legend=False)


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
