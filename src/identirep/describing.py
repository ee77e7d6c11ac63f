"""What an axis may be: targets that go with it, inputs that move it, rows at its ends, and rows by its best target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import get_tags

from identirep._typing import Array
from identirep.canonical_analysis import cross_correlation
from identirep.input_shares import InputShare, input_shares
from identirep.known_tasks import known_task_data
from identirep.mtlcm import within_task_correlations

__all__ = ["Axis", "Cloud", "describe_axes"]

_FEWEST_ROWS = 10
# Points of a cloud, of all clouds together, and rows that one needs.
_MOST_POINTS, _ALL_POINTS, _FEWEST_POINTS = 300, 6000, 30


@dataclass(frozen=True)
class Cloud:
    """Rows by an axis and the target that goes with it best, drawn of `n_rows`.

    These are rows that the fit has not seen (`unseen`), where there are enough; `correlation` is that of all of them.
    """

    target: str
    latent: Array
    values: Array
    correlation: float
    n_rows: int
    unseen: bool


@dataclass(frozen=True)
class Axis:
    """One axis: its strongest targets with correlations and, where rows were given, inputs, rows at both ends, a cloud.

    A cloud needs the labels of the rows as well.
    """

    number: int
    name: str
    targets: list[tuple[str, float]]
    inputs: list[InputShare] = field(default_factory=list)
    lowest: list[tuple[int, float]] = field(default_factory=list)
    highest: list[tuple[int, float]] = field(default_factory=list)
    cloud: Cloud | None = None


def describe_axes(
    model: Any,
    X: Any = None,
    y: Any = None,
    tasks: Any = None,
    *,
    n_shown: int = 3,
    seed: int = 0,
) -> list[Axis]:
    """Describe each axis of a fitted IdentifiableRegressor by `n_shown` targets, inputs and rows at each end.

    Rows are given as to its `score`; clouds need their labels `y`.
    """
    names, targets = model.latent_names_, [str(name) for name in model.task_names_]
    correlation = within_task_correlations(model.causal_model_) if names else np.zeros((len(targets), 0))
    axes = [Axis(i, name, _strongest(targets, correlation[:, i], n_shown)) for i, name in enumerate(names)]
    if X is None or not axes:
        return axes
    Z = model._latents_of(X)
    shares = input_shares(model, X, Z, seed)
    clouds = [None] * len(axes) if y is None else _clouds(model, X, y, tasks, Z, correlation, seed)
    described = []
    for i, axis in enumerate(axes):
        order = np.argsort(Z[:, i], kind="stable")
        ends = [[(int(row), float(Z[row, i])) for row in rows] for rows in (order[:n_shown], order[::-1][:n_shown])]
        own = sorted((of_input[i] for of_input in shares), key=lambda found: -found.share)[:n_shown]
        described.append(Axis(axis.number, axis.name, axis.targets, own, ends[0], ends[1], clouds[i]))
    return described


def _strongest(names: list[str], correlation: Array, n: int) -> list[tuple[str, float]]:
    order = np.argsort(-np.abs(correlation), kind="stable")[:n]
    return [(names[t], float(correlation[t])) for t in order]


def _clouds(model: Any, X: Any, y: Any, tasks: Any, Z: Array, correlation: Array, seed: int) -> list[Cloud | None]:
    """Return the cloud of each axis, by the first of its targets that enough rows have labels of; None without one."""
    gaps = bool(get_tags(model).input_tags.allow_nan)
    data = known_task_data(model._fitted(), model._inputs(X), y, tasks, gaps=gaps)
    n_points = int(np.clip(_ALL_POINTS // Z.shape[1], _FEWEST_POINTS, _MOST_POINTS))
    rng, names = np.random.default_rng(seed), [str(name) for name in model.task_names_]
    saw = model._saw(X)
    new = np.zeros(len(Z), dtype=bool) if saw is None else ~saw
    if data.given_rows is not None:
        # In the long layout rows of tasks that were left out in the fit are taken out.
        Z, new = Z[data.given_rows], new[data.given_rows]

    def cloud(i: int) -> Cloud | None:
        for t in np.argsort(-np.abs(correlation[:, i]), kind="stable"):
            own = data.targets[:, t] if data.task_index is None else data.targets
            known = np.isfinite(own) if data.task_index is None else np.isfinite(own) & (data.task_index == t)
            is_new = bool((known & new).sum() >= _FEWEST_POINTS)
            rows = np.flatnonzero(known & new if is_new else known)
            if len(rows) >= _FEWEST_ROWS:
                shown = np.sort(rng.permutation(rows)[:n_points])
                r = float(cross_correlation(own[rows][:, None], Z[rows][:, [i]], "pearson")[0, 0])
                return Cloud(names[t], Z[shown, i], own[shown], r, len(rows), is_new)
        return None

    return [cloud(i) for i in range(Z.shape[1])]
