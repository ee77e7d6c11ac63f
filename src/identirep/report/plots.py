"""Figures of a model as a whole for notebooks and papers, in Matplotlib, each from what `pictures` says it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from identirep.metrics import StabilityResult
from identirep.report import pictures
from identirep.report.content import Findings
from identirep.report.style import DIVERGING, MARK, MUTED, SEQUENTIAL, THRESHOLD, VERDICT_COLOURS, VERDICT_SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["new_axes", "plain", "plain_text", "plot_certificate", "plot_roles", "plot_spectrum", "plot_stability"]

# Rows of a heat map whose names can be read.
_MOST_LABELLED = 120


def plot_spectrum(model: Any, ax: Axes | None = None) -> Axes:
    """Plot the predictive spectrum with the level that shuffled targets reach.

    Parameters
    ----------
    model : IdentifiableRegressor
        Fitted model.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If the model has no stage one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import IdentifiableRegressor
    >>> from identirep.report import plot_spectrum
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 4))
    >>> Y = X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    >>> model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X, Y)
    >>> plot_spectrum(model).get_xlabel()
    'direction of the features'
    """
    shown = pictures.spectrum(Findings.of(model))
    if shown is None:
        raise ValueError(
            f"model has no spectrum: got {type(model).__name__} without stage one, expected an IdentifiableRegressor. "
            "Pass one."
        )
    ax = new_axes(ax, (6.0, 3.2))
    number = np.arange(1, len(shown.values) + 1)
    ax.bar(number, shown.values, color=[MARK if kept else "#b8c2cc" for kept in shown.kept])
    ax.step(number, shown.threshold, "--", where="mid", color=THRESHOLD, label="shuffled targets")
    if shown.logarithmic:
        ax.set_yscale("log")
    ax.set(xlabel="direction of the features", ylabel="signal / noise, mean over tasks")
    ax.legend(frameon=False)
    return plain(ax)


def plot_roles(model: Any, ax: Axes | None = None, *, what: str = "correlation") -> Axes:
    """Plot tasks by latents: how strongly each latent goes with each target, or in which role.

    Parameters
    ----------
    model : IdentifiableRegressor or MTLCM
        Fitted model.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.
    what : {"correlation", "causal_probability"}, default "correlation"
        Correlation of latent and target, or probability that the latent causes the target. With shared inputs the
        latter is an association, not a cause.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If `what` is unknown.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.report import plot_roles
    >>> data = make_linear_tasks(n_tasks=20, n_samples=50, n_latents=3, random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    >>> plot_roles(model).get_xlabel()
    'latent'
    """
    from matplotlib.colors import LinearSegmentedColormap

    findings = Findings.of(model)
    if what not in ("correlation", "causal_probability"):
        raise ValueError(
            f"what is unknown: got {what!r}, expected 'correlation' or 'causal_probability'. Choose one of the two."
        )
    shown, signed = pictures.targets(findings, what), what == "correlation"
    colours = LinearSegmentedColormap.from_list("identirep", DIVERGING if signed else SEQUENTIAL)
    n_rows = len(shown.rows)
    ax = new_axes(ax, (2.5 + 0.35 * findings.n_latents, 1.2 + 0.16 * min(n_rows, _MOST_LABELLED)))
    scale: dict[str, Any] = {"vmin": shown.low, "vmax": shown.high, "interpolation": "none"}
    image = ax.imshow(shown.values, cmap=colours, aspect="auto", **scale)
    names = [plain_text(name) for name in shown.rows] if n_rows <= _MOST_LABELLED else []
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.set(xlabel="latent")
    _name_latents(ax, findings)
    label = "correlation with the target" if signed else "probability of being a cause"
    if not signed and findings.shares_rows:
        label = "fit to the role of an effect\n(an association: tasks share their rows)"
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def plot_certificate(model: Any, ax: Axes | None = None) -> Axes:
    """Plot how well the tasks tell each pair of latents apart, with the verdict on each latent.

    Parameters
    ----------
    model : IdentifiableRegressor or MTLCM
        Fitted model.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes. Dark pairs, with a separation near 1, are hardly told apart by any task.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.report import plot_certificate
    >>> data = make_linear_tasks(n_tasks=20, n_samples=50, n_latents=3, random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    >>> len(plot_certificate(model).get_yticklabels())
    3
    """
    from matplotlib.colors import LinearSegmentedColormap

    findings = Findings.of(model)
    shown = pictures.separation(findings)
    ax = new_axes(ax, (5.6, 4.2))
    colours = LinearSegmentedColormap.from_list("identirep", SEQUENTIAL)
    image = ax.imshow(shown.values, cmap=colours, vmin=shown.low, vmax=shown.high, interpolation="none")
    verdicts = findings.certificate.verdict
    labels = [f"{VERDICT_SYMBOLS[verdict]} {name}" for verdict, name in zip(verdicts, _labels(findings), strict=True)]
    ax.set_yticks(range(len(verdicts)), labels)
    for tick, verdict in zip(ax.get_yticklabels(), verdicts, strict=True):
        tick.set_color(VERDICT_COLOURS[verdict])
    known = ", ".join(f"{VERDICT_SYMBOLS[verdict]} {verdict}" for verdict in dict.fromkeys(verdicts))
    ax.set(xlabel="latent", ylabel=f"latent ({known})")
    _name_latents(ax, findings)
    ax.figure.colorbar(image, ax=ax, label="separation (1: not told apart)")
    return ax


def plot_stability(stability: StabilityResult, ax: Axes | None = None) -> Axes:
    """Plot the agreement of each latent with its partners in other fits.

    Parameters
    ----------
    stability : StabilityResult
        From `identirep.metrics.stability`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, with one row of marks for each fit.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import stability
    >>> from identirep.report import plot_stability
    >>> Z = np.random.default_rng(0).normal(size=(50, 3))
    >>> plot_stability(stability([Z, -Z, Z + 0.1])).get_ylabel()
    'correlation with partners in other fits'
    """
    ax, shown = new_axes(ax, (6.0, 3.2)), pictures.agreement(stability)
    n_latents = shown.per_axis.shape[1]
    for r, values in enumerate(shown.per_axis):
        ax.plot(range(n_latents), values, "o", color=MARK, alpha=1.0 if r == 0 else 0.35)
    ax.axhline(shown.score, color=MUTED, linestyle=":", label=f"strong MCC {shown.score:.3f}")
    ax.set(xlabel="latent of each fit", ylabel="correlation with partners in other fits", xticks=range(n_latents))
    ax.legend(frameon=False)
    return plain(ax)


def _labels(findings: Findings) -> list[str]:
    return [plain_text(label) for label in findings.latent_labels]


def _name_latents(ax: Axes, findings: Findings) -> None:
    """Label the horizontal axis with latents, upright where names would not fit side by side."""
    ax.set_xticks(range(findings.n_latents), _labels(findings), rotation=90 if findings.given_names else 0)


def plain_text(text: str) -> str:
    """Show a name as it is: a dollar sign would start a formula."""
    return text.replace("$", r"\$")


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return where to draw: a new figure of that size unless there is one."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def plain(ax: Axes) -> Axes:
    """Draw no frame but the two axes."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax
