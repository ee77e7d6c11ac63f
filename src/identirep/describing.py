"""What an axis may be: targets that go with it, inputs that move it, rows at its ends, and rows by its best target."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import get_tags

from identirep._typing import Array, IntArray
from identirep.canonical_analysis import cross_correlation
from identirep.encoding import as_table, is_frame, plain
from identirep.inputs import column_names
from identirep.known_tasks import known_task_data
from identirep.mtlcm import within_task_correlations

__all__ = ["Axis", "Cloud", "InputShare", "describe_axes"]

# Rows on which inputs are shuffled, and inputs that are looked at; of more, those that correlate most with the axes.
_MOST_ROWS, _MOST_INPUTS = 1000, 300
_FEWEST_ROWS = 10
# Shuffles that are averaged, as long as there are few inputs; and rows in all shuffles of all inputs, each of which
# takes a prediction: with many inputs there are fewer rows, down to a number that still says something.
_MOST_DRAWS, _ALL_ROWS, _LEAST_ROWS = 10, 100_000, 300
# Quantile of the normal distribution for an interval of 90%.
_QUANTILE = 1.645
# Points of a cloud, of all clouds together, and rows that one needs.
_MOST_POINTS, _ALL_POINTS, _FEWEST_POINTS = 300, 6000, 30


class InputShare(NamedTuple):
    """How much of an axis an input moves: the share of its variance that changes when the input alone is shuffled.

    That is the total effect (Sobol's index, Jansen's estimator); where inputs depend on each other shares do not sum to
    one. `interval` holds it with 90% probability over rows; `correlation` is that of input and axis, NaN of no numbers.
    """

    name: str
    share: float
    interval: tuple[float, float]
    correlation: float


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
    shares = _input_shares(model, X, Z, seed)
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


def _input_shares(model: Any, X: Any, Z: Array, seed: int) -> list[list[InputShare]]:
    """Share of each axis that each input moves, by input and axis; rows beyond the first thousand or so are drawn."""
    rng = np.random.default_rng(seed)
    table = _Columns(X)
    if len(Z) < _FEWEST_ROWS:
        raise ValueError(
            f"X has too few rows to tell what moves an axis: got {len(Z)}, expected at least {_FEWEST_ROWS}. Pass more "
            "rows."
        )
    correlation = np.array([_correlations(table.numbers(k), Z) for k in range(table.n_columns)])
    known = np.where(np.isnan(correlation), 1.0, np.abs(correlation)).max(axis=1)
    chosen = np.sort(np.argsort(-known, kind="stable")[:_MOST_INPUTS])
    n_rows = int(np.clip(_ALL_ROWS // len(chosen), _LEAST_ROWS, _MOST_ROWS))
    rows = np.sort(rng.permutation(len(Z))[:n_rows])
    part, own = table.rows(rows), Z[rows]
    n_draws = int(np.clip(_ALL_ROWS // (len(chosen) * len(rows)), 1, _MOST_DRAWS))
    found = []
    for k in chosen:
        share, error = _share(model, part, own, int(k), [rng.permutation(len(rows)) for _ in range(n_draws)])
        low, high = np.maximum(share - _QUANTILE * error, 0.0), share + _QUANTILE * error
        found.append(
            [
                InputShare(table.names[k], float(share[i]), (float(low[i]), float(high[i])), float(correlation[k, i]))
                for i in range(Z.shape[1])
            ]
        )
    return found


def _share(model: Any, part: _Columns, Z: Array, k: int, orders: list[IntArray]) -> tuple[Array, Array]:
    """Return the share of each axis that input k moves, with its standard error over rows, averaged over shuffles."""
    half, both = np.zeros_like(Z), np.zeros_like(Z)
    for order in orders:
        with warnings.catch_warnings():
            # What is to be said of these rows was said when their latents were computed.
            warnings.simplefilter("ignore")
            moved = 0.5 * (Z - model._latents_of(part.shuffled(k, order))) ** 2
        half += moved / len(orders)
        # Each row counts as the one that gets a value, and as the one that gives its own.
        both += (moved + moved[np.argsort(order)]) / len(orders)
    square = (Z - Z.mean(axis=0)) ** 2
    variance = square.mean(axis=0)
    share = half.mean(axis=0) / variance
    return share, np.std(both - share * square, axis=0) / (variance * np.sqrt(len(Z)))


def _correlations(column: Array | None, Z: Array) -> Array:
    if column is None or np.isnan(column).any():
        return np.full(Z.shape[1], np.nan)
    return cross_correlation(column[:, None], Z, "pearson")[0]


class _Columns:
    """Inputs in any form that a model takes, as columns that can be shuffled one by one."""

    def __init__(self, X: Any) -> None:
        # Tables of polars and others become Arrow tables, which models take as well.
        if is_frame(X) and not hasattr(X, "iloc"):
            X = _plain_table(X)
        self.X: Any = X if hasattr(X, "shape") else np.asarray(X)
        self.is_arrow, self.is_frame = hasattr(self.X, "set_column"), hasattr(self.X, "iloc")
        self.n_columns = int(self.X.shape[1])
        names = column_names(self.X)
        self.names = [f"input {k}" for k in range(self.n_columns)] if names is None else [str(name) for name in names]

    def rows(self, index: IntArray) -> _Columns:
        """Return some of the rows."""
        if self.is_arrow:
            return _Columns(self.X.take(index))
        return _Columns(self.X.iloc[index] if self.is_frame else self.X[index])

    def numbers(self, k: int) -> Array | None:
        """Return a column as numbers; None if it has others."""
        if self.is_arrow:
            column = self.X.column(k).to_numpy()
        else:
            column = np.asarray(self.X.iloc[:, k] if self.is_frame else self.X[:, k])
        return column.astype(np.float64) if column.dtype.kind in "fiub" else None

    def shuffled(self, k: int, order: IntArray) -> Any:
        """Return the inputs with one column in another order."""
        if self.is_arrow:
            return self.X.set_column(k, self.X.field(k), self.X.column(k).take(order))
        moved = self.X.copy()
        if self.is_frame:
            moved.isetitem(k, self.X.iloc[order, k].array)
        else:
            moved[:, k] = self.X[order, k]
        return moved


def _plain_table(X: Any) -> Any:
    """Return a table of Arrow whose columns are of types that rows can be taken of."""
    import pyarrow as pa

    table = as_table(X)
    return pa.table([plain(column) for column in table.columns], names=table.column_names)
