"""What each picture shows: the one source of data of the report and of the figures for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.describing import Axis, Cloud
from identirep.evaluation import Evaluation
from identirep.metrics import StabilityResult
from identirep.mtlcm import TURNED
from identirep.report.content import Findings

__all__ = [
    "Agreement",
    "Matrix",
    "Returns",
    "Scatter",
    "Scores",
    "Series",
    "Shares",
    "Spectrum",
    "Training",
    "agreement",
    "loss",
    "nice_ticks",
    "returns",
    "scatter",
    "scores",
    "separation",
    "shares",
    "spectrum",
    "targets",
    "training",
]

# Correlations above 0.9995 look alike.
LEAST_LOSS = 5e-4
_RETURN_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
# A frame this much wider than the middle 96% of its points shows little but its outliers.
_WIDE = 3.0


class Series(NamedTuple):
    """Values with a name, NaN where there is none."""

    name: str
    values: Array


@dataclass(frozen=True)
class Returns:
    """Correlation of each axis with its partner in other fits, by its distance from 1 on a logarithmic scale."""

    labels: Sequence[str]
    verdicts: Sequence[str]
    series: Sequence[Series]  # trained again, other rows, other targets: those that are known
    interval: Array  # (D, 2), that of other rows
    threshold: float  # where an axis has turned
    lowest: float  # what the scale begins with
    ticks: Sequence[float]


@dataclass(frozen=True)
class Spectrum:
    """Signal of each direction of the features, and the level that shuffled targets reach."""

    values: Array
    threshold: Array
    kept: BoolArray  # the directions that are axes
    logarithmic: bool
    n_left_out: int  # directions behind the last that is shown


@dataclass(frozen=True)
class Scatter:
    """Rows by an axis and its best target, in a frame; what lies beyond it stands on its edge."""

    axis: str
    cloud: Cloud
    x: tuple[float, float]
    y: tuple[float, float]
    n_beyond: int


@dataclass(frozen=True)
class Shares:
    """How much of an axis each of its inputs moves, with the interval that holds it with 90% probability."""

    names: Sequence[str]
    shares: Array
    interval: Array  # (n, 2)


@dataclass(frozen=True)
class Matrix:
    """Values by rows and columns, from `low` to `high`."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    low: float
    high: float
    order: IntArray  # of the rows: their places in the model


@dataclass(frozen=True)
class Agreement:
    """Strong MCC of each pair of fits, and of each axis of a fit with its partners in the others."""

    fits: Sequence[str]
    strong: Array
    per_axis: Array
    score: float


@dataclass(frozen=True)
class Scores:
    """R^2 on held-out rows, from the best to the worst target."""

    names: Sequence[str]
    values: Array
    low: float
    kind: str  # targets or tasks


@dataclass(frozen=True)
class Training:
    """Loss of each network on rows not trained on by epoch, and the mean, which chooses the epoch that is kept."""

    epochs: Array
    curves: Array  # (networks, epochs)
    mean: Array
    best: int


def returns(findings: Findings, evaluation: Evaluation | None) -> Returns | None:
    """Show how well each axis comes back; None if nothing was measured."""
    back = findings.certificate.comes_back
    every = (
        Series("trained again, same rows", findings.trained_again(evaluation)),
        Series("other rows", back.other_rows),
        Series(f"other {findings.kind}, an estimate", findings.other_targets),
    )
    known = [series for series in every if not np.isnan(series.values).all()]
    if not known or not findings.has_signal:
        return None
    least = [np.nanmin(series.values) for series in known]
    if not np.isnan(back.other_rows_interval).all():
        least.append(np.nanmin(back.other_rows_interval))
    lowest = float(min(0.85, max(0.0, min(least) - 0.05)))
    ticks = [tick for tick in _RETURN_TICKS if tick >= lowest]
    labels, verdicts = findings.latent_labels, findings.certificate.verdict
    return Returns(labels, verdicts, known, back.other_rows_interval, TURNED, lowest, ticks)


def loss(correlation: Array | float) -> Array:
    """Return the place of correlations on a scale of their distance to 1: 0 where it ends, larger further off."""
    return np.log10(np.maximum(1.0 - np.asarray(correlation), LEAST_LOSS) / LEAST_LOSS)


def spectrum(findings: Findings) -> Spectrum | None:
    """Show how many directions carry signal; None without stage one."""
    if findings.spectrum is None or findings.threshold is None or not len(findings.spectrum):
        return None
    # What follows far behind the last direction with signal is chance, and would only make the bars thin.
    n_shown = min(max(2 * findings.n_latents, findings.n_signal + 10), len(findings.spectrum))
    values, threshold = np.maximum(findings.spectrum[:n_shown], 0.0), findings.threshold[:n_shown]
    level = float(threshold.min(initial=np.inf))
    kept = np.arange(n_shown) < findings.n_latents
    logarithmic = bool(0 < level < values.max(initial=0.0) / 8)
    return Spectrum(values, threshold, kept, logarithmic, len(findings.spectrum) - n_shown)


def scatter(axis: Axis, label: str) -> Scatter | None:
    """Show an axis against its best target; None where no labels were given."""
    if axis.cloud is None:
        return None
    x, y = _frame(axis.cloud.latent), _frame(axis.cloud.values)
    beyond = _outside(axis.cloud.latent, x) | _outside(axis.cloud.values, y)
    return Scatter(label, axis.cloud, x, y, int(beyond.sum()))


def shares(axis: Axis) -> Shares:
    """Show what moves an axis."""
    interval = np.array([found.interval for found in axis.inputs]).reshape(-1, 2)
    return Shares([found.name for found in axis.inputs], np.array([found.share for found in axis.inputs]), interval)


def targets(findings: Findings, what: str = "correlation") -> Matrix:
    """Show targets by axes, in the order of the axis that goes with them best; `what` is of the findings."""
    order = findings.task_order()
    names = [findings.task_names[t] for t in order]
    low = -1.0 if what == "correlation" else 0.0
    return Matrix(names, findings.latent_labels, getattr(findings, what)[order], low, 1.0, order)


def separation(findings: Findings) -> Matrix:
    """Show how hard pairs of axes are to tell apart by the tasks, 1 for not at all."""
    values = findings.certificate.separation.copy()
    np.fill_diagonal(values, np.nan)
    return Matrix(findings.latent_labels, findings.latent_labels, values, 0.0, 1.0, np.arange(len(values)))


def agreement(stability: StabilityResult) -> Agreement:
    """Show how far fits with other seeds agree."""
    fits = [f"fit {r + 1}" for r in range(len(stability.matrix))]
    return Agreement(fits, stability.matrix, stability.per_latent, stability.score)


def scores(findings: Findings, evaluation: Evaluation | None) -> Scores | None:
    """Show the scores of all targets that have one."""
    if evaluation is None or np.isnan(evaluation.r2).all():
        return None
    known = np.flatnonzero(~np.isnan(evaluation.r2))
    order = known[np.argsort(-evaluation.r2[known], kind="stable")]
    values = evaluation.r2[order]
    # Scores far below 0 say no more than that they are.
    low = float(np.clip(values.min(), -1.0, 0.0))
    return Scores([findings.task_names[t] for t in order], values, low, findings.kind)


def training(findings: Findings) -> Training | None:
    """Show the training of the networks; None if there was none."""
    history = findings.history
    if not history:
        return None
    epochs = sorted({row["epoch"] for row in history})
    networks = sorted({row["replicate"] for row in history})
    found = {(row["replicate"], row["epoch"]): row["validation_loss"] for row in history}
    curves = np.array([[found[network, epoch] for epoch in epochs] for network in networks])
    mean = curves.mean(axis=0)
    return Training(np.array(epochs), curves, mean, int(mean.argmin()))


def nice_ticks(low: float, high: float, most: int = 5) -> Array:
    """Return round numbers between two ends."""
    from matplotlib.ticker import MaxNLocator

    ticks = np.asarray(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    slack = 1e-9 * (high - low)
    return ticks[(ticks >= low - slack) & (ticks <= high + slack)]


def _frame(values: Array) -> tuple[float, float]:
    """Return ends that hold the points; all but outliers if these would leave little room for the others."""
    low, high = float(values.min()), float(values.max())
    inner = np.quantile(values, [0.02, 0.98])
    width = float(inner[1] - inner[0])
    if 0 < _WIDE * width < high - low:
        low, high = max(low, float(inner[0]) - width / 2), min(high, float(inner[1]) + width / 2)
    margin = 0.04 * (high - low) if high > low else 0.5 * max(abs(high), 1.0)
    return low - margin, high + margin


def _outside(values: Array, ends: tuple[float, float]) -> BoolArray:
    return np.asarray((values < ends[0]) | (values > ends[1]))
