"""Figures of single axes, targets and checks for notebooks, in Matplotlib, from the same `pictures` as the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from identirep.evaluation import Evaluation
from identirep.report import pictures
from identirep.report.content import Findings
from identirep.report.descriptions import Description
from identirep.report.plots import new_axes, plain, plain_text
from identirep.report.style import INK, MARK, MUTED, VERDICT_COLOURS, VERDICT_SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_axis", "plot_inputs", "plot_returns", "plot_scores"]

_MARKERS = {"other rows": "D", "trained again, same rows": "o"}


def plot_returns(model: Any, ax: Axes | None = None, *, evaluation: Evaluation | None = None) -> Axes:
    """Plot how well each axis comes back, by the distance of its correlations from 1.

    Parameters
    ----------
    model : IdentifiableRegressor or MTLCM
        Fitted model.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.
    evaluation : Evaluation, optional
        With the agreement of fits to the same rows. Default: what the checks of the fit showed of it.

    Returns
    -------
    matplotlib.axes.Axes
        The axes: diamonds for fits to other rows with bars that hold 90% of these, rings for fits to the same rows,
        crosses for other targets.

    Raises
    ------
    ValueError
        If nothing was measured.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.report import plot_returns
    >>> data = make_linear_tasks(n_tasks=20, n_samples=50, n_latents=3, random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    >>> len(plot_returns(model).get_yticklabels())
    3
    """
    shown = pictures.returns(Findings.of(model), evaluation)
    if shown is None:
        raise ValueError(
            f"model was not checked: got {type(model).__name__} without any measurement of what comes back, expected "
            "one. Fit with n_checks=2."
        )
    n = len(shown.labels)
    ax = new_axes(ax, (5.6, 1.2 + 0.3 * n))
    colours = [VERDICT_COLOURS[verdict] for verdict in shown.verdicts]
    for i, (low, high) in enumerate(shown.interval):
        if not np.isnan(low):
            ax.plot(-pictures.loss(np.array([low, high])), [i, i], color=colours[i], alpha=0.4, linewidth=3)
    for series in shown.series:
        known = np.flatnonzero(~np.isnan(series.values))
        marker = _MARKERS.get(series.name, "x")
        own = [colours[i] for i in known]
        form: dict[str, Any] = {"color": own} if marker == "x" else {"edgecolors": own}
        form |= {"facecolors": "none"} if marker == "o" else {}
        form |= {"color": own} if marker == "D" else {}
        ax.scatter(-pictures.loss(series.values[known]), known, marker=marker, label=series.name, zorder=3, **form)
    ax.axvline(-float(pictures.loss(shown.threshold)), color=MUTED, linestyle="--", linewidth=1)
    ax.set_xticks([-float(pictures.loss(tick)) for tick in shown.ticks], [f"{tick:g}" for tick in shown.ticks])
    ax.set_xlim(-float(pictures.loss(shown.lowest)), 0.05)
    names = [f"{VERDICT_SYMBOLS[v]} {plain_text(name)}" for v, name in zip(shown.verdicts, shown.labels, strict=True)]
    ax.set_yticks(range(n), names)
    ax.set_ylim(n - 0.5, -0.5)
    ax.set(xlabel="correlation with its partner", ylabel="latent")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.0, -0.2 - 0.4 / n))
    return plain(ax)


def plot_axis(description: Description, axis: int, ax: Axes | None = None) -> Axes:
    """Plot rows by an axis and the target that goes with it best.

    Parameters
    ----------
    description : Description
        From `describe`, with targets.
    axis : int
        Number of the axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; rows beyond the frame stand on its edge.

    Raises
    ------
    ValueError
        If the axis was described without targets.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> from identirep.report import describe, plot_axis
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 4))
    >>> Y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    >>> model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X, Y)
    >>> plot_axis(describe(model, X, Y), 0).get_xlabel()
    'axis latent_0'
    """
    found = description.axes[axis]
    shown = pictures.scatter(found, found.name)
    if shown is None:
        raise ValueError(
            f"description has no targets: got none for axis {axis}, expected labels of its rows. Pass y to describe."
        )
    ax = new_axes(ax, (4.0, 3.2))
    place = np.clip(shown.cloud.latent, *shown.x), np.clip(shown.cloud.values, *shown.y)
    ax.plot(*place, "o", color=MARK, alpha=0.6, markersize=4, markeredgewidth=0)
    ax.set_xlim(*shown.x)
    ax.set_ylim(*shown.y)
    ax.set(xlabel=f"axis {plain_text(shown.axis)}", ylabel=plain_text(shown.cloud.target))
    return plain(ax)


def plot_inputs(description: Description, axis: int, ax: Axes | None = None) -> Axes:
    """Plot how much of an axis its inputs move, with the range that holds each share with 90% probability.

    Parameters
    ----------
    description : Description
        From `describe`.
    axis : int
        Number of the axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> from identirep.report import describe, plot_inputs
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 4))
    >>> Y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    >>> model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X, Y)
    >>> len(plot_inputs(describe(model, X), 0).patches)
    4
    """
    shown = pictures.shares(description.axes[axis])
    ax = new_axes(ax, (4.0, 2.2))
    place = np.arange(len(shown.names))
    ax.barh(place, shown.shares, color=MARK)
    ends = np.abs(shown.interval.T - shown.shares)
    ax.errorbar(shown.shares, place, xerr=ends, fmt="none", color=INK, capsize=2, linewidth=1)
    ax.set_yticks(place, [plain_text(name) for name in shown.names])
    ax.invert_yaxis()
    ax.set(xlabel="share of the axis that changes")
    return plain(ax)


def plot_scores(model: Any, evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Plot R^2 on held-out rows from the best to the worst target.

    Parameters
    ----------
    model : IdentifiableRegressor or MTLCM
        Fitted model.
    evaluation : Evaluation
        Its scores.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes; scores below -1 stand on its edge.

    Raises
    ------
    ValueError
        If no target has a score.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.report import Evaluation, plot_scores
    >>> data = make_linear_tasks(n_tasks=20, n_samples=50, n_latents=3, random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    >>> plot_scores(model, Evaluation("data", 1000, 200, None, np.linspace(0, 1, 20))).get_ylabel()
    'R² on held-out rows'
    """
    shown = pictures.scores(Findings.of(model), evaluation)
    if shown is None:
        raise ValueError("evaluation has no scores: got none of any target, expected some. Hold out more rows.")
    ax = new_axes(ax, (5.6, 2.8))
    ax.plot(np.arange(1, len(shown.values) + 1), np.maximum(shown.values, shown.low), "o", color=MARK, markersize=4)
    ax.set(xlabel=f"{shown.kind}, best first", ylabel="R² on held-out rows")
    ax.set_ylim(shown.low, 1.03)
    return plain(ax)
