r"""Whether neighbouring rows are more alike than others: then scores of random rows say little of later ones.

Columns are looked at in windows of 20 consecutive rows, in which trends are taken out, so that a table that is sorted
passes and a series does not. With :math:`P` the projection that takes out mean and trend and :math:`A` the average of
both shifts by one row, the lag-1 autocorrelation :math:`x^\top P A P x / x^\top P x` of a window of exchangeable normal
scores has mean :math:`\mathrm{tr}(PA)/k` and variance :math:`2 (k\,\mathrm{tr}((PA)^2) - \mathrm{tr}(PA)^2) / (k^2 (k +
2))`, :math:`k = w - 2` (Durbin and Watson, "Testing for serial correlation in least squares regression", Biometrika 37
(1950) 409-428); its average over windows is nearly normal. Only what makes neighbours alike counts. Tested are inputs,
and targets given the inputs: the residuals of a ridge regression, which treats all rows alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from identirep._typing import Array, IntArray
from identirep.gaps import without_gaps
from identirep.splits import folds
from identirep.validation import TaskData

__all__ = ["LEVEL", "RowOrder", "check_row_order", "consecutive_rows", "neighbours_alike"]

# Chance of a false alarm, half of it for the inputs and half for the targets.
LEVEL = 0.01
# Rows of a window, and the fewest that can show anything.
_WINDOW, _LEAST_WINDOW = 20, 8
# Consecutive rows looked at, taken from long tables in runs of so many; fewer where inputs are many.
_RUN, _MOST_ROWS, _MOST_ROWS_WIDE, _MANY_INPUTS = 100, 2000, 1000, 500
# Tasks looked at, evenly chosen.
_MOST_TASKS = 100
_N_FOLDS = 5
_NEIGHBOURS = 5
_PENALTIES = np.logspace(-3, 4, 8)
_MOST_TASKS_SCORED = 20
# Of the R^2 on random rows, stretches left out keep at least this share, their levels aside, or nothing learnt holds
# for them: independent walks keep less than nothing, superconductors sorted by family a quarter.
_KEPT_SHARE = 0.1
# Below this R^2 on random rows simple regressors have not seen what there is to see.
_LEAST_R2 = 0.05
# Alike inputs alone are worth a word where they cost so much of R^2.
_NOTABLE_LOSS = 0.05


@dataclass(frozen=True)
class RowOrder:
    """What the order of the rows says: p-values corrected for the number of columns, R^2 with both kinds of folds.

    Scores are medians over targets of simple regressors, not of the model that is fitted: on random rows, on stretches
    of rows left out, and the latter without the level of each stretch, which alone independent walks predict. NaN is
    what could not be told, or was not asked because neither p-value is small.
    """

    p_inputs: float
    p_targets: float
    r2_random: float = np.nan
    r2_later: float = np.nan
    r2_within: float = np.nan
    is_given: bool = False

    def _to_arrays(self) -> dict[str, NDArray[Any]]:
        return {name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def _of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> RowOrder:
        return cls(**{name: value.item() for name, value in arrays.items()})

    @property
    def is_dependent(self) -> bool:
        """Whether neighbouring rows are alike beyond chance, or the user has said so by giving an order."""
        return self.is_given or bool(self._alike)

    @property
    def _alike(self) -> list[str]:
        both = (("inputs", self.p_inputs), ("targets given the inputs", self.p_targets))
        return [name for name, p in both if p < LEVEL / 2]

    @property
    def holds_later(self) -> bool:
        """Whether what rows say holds for rows away from them; yes where simple regressors cannot tell."""
        if not self.is_dependent or not self.r2_random > _LEAST_R2:
            return True
        return self.r2_within > _KEPT_SHARE * self.r2_random

    @property
    def reason(self) -> str:
        """Why no verdict can be given, and what to do; empty if nothing stands against one."""
        if self.holds_later:
            return ""
        if self.is_given:
            return f"what rows say does not hold for later ones ({self._scores}); add inputs that do"
        return f"rows depend on each other in their order ({self._scores}); give fit their order"

    @property
    def remark(self) -> str:
        """What is to be said of the rows, as a sentence with both scores and what to do; empty if nothing is."""
        if self.is_given:
            return "" if self.holds_later else f"{self.reason[:1].upper()}{self.reason[1:]}."
        if not self._alike or (len(self._alike) == 1 and self.p_inputs < LEVEL / 2 and not self._costs):
            return ""
        where = " and in ".join(self._alike) + (f" ({self._scores})" if np.isfinite(self.r2_random) else "")
        return (
            f"Rows depend on each other in their order: neighbours are alike in {where}. "
            "For a series, pass order=; if the table is merely sorted, shuffle it."
        )

    @property
    def _costs(self) -> bool:
        return self.r2_later < self.r2_random - _NOTABLE_LOSS

    @property
    def _scores(self) -> str:
        return (
            f"simple regressors reach R^2 {self.r2_random:.2f} on random rows and {self.r2_later:.2f} on stretches of "
            "rows left out"
        )


def check_row_order(data: TaskData, groups: IntArray | None, seed: int = 0) -> RowOrder:
    """Test the rows in their order, or that of `data`; where they depend on each other, score both kinds of folds.

    Of each group one row is looked at. Too few rows, or groups, pass.
    """
    data = replace(data, X=without_gaps(data.X))
    runs = list(_runs(data, groups))
    sorted_by = _sorted_columns(data)
    inputs = [_without(data.X[rows], sorted_by[rows]) for rows in runs]
    residuals = [_residuals(data, rows, sorted_by) for rows in runs]
    p_inputs, p_targets = (neighbours_alike(columns) for columns in (inputs, residuals))
    found = RowOrder(p_inputs, p_targets, is_given=data.order is not None)
    if not found.is_dependent:
        return found
    scores = _scores(data, runs, np.random.default_rng(seed))
    return RowOrder(p_inputs, p_targets, *scores, is_given=found.is_given)


def neighbours_alike(runs: list[Array]) -> float:
    """Return the p-value, corrected for their number, that columns of rows in runs are alike from row to row.

    Each run is (n_rows, n_columns), of consecutive rows; NaN without a window, 1.0 without a column that varies.
    """
    longest = max((len(run) for run in runs), default=0)
    if longest < _LEAST_WINDOW:
        return np.nan
    width = min(_WINDOW, max(_LEAST_WINDOW, longest // 4)) if len(runs) == 1 else _WINDOW
    columns = np.concatenate(runs)
    if not columns.shape[1]:
        return 1.0
    scores = _normal_scores(columns)
    starts = np.cumsum([0, *(len(run) for run in runs)])
    excess, variance = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for start, run in zip(starts, runs, strict=False):
        w = min(width, len(run))
        if w < _LEAST_WINDOW:
            continue
        windows = scores[start : start + len(run) // w * w].reshape(-1, w, scores.shape[1])
        moments = _lag_moments(w)
        rest = np.einsum("ij,mjc->mic", moments.projection, windows)
        total = np.einsum("mic,mic->mc", rest, rest)
        varies = total > 1e-9 * w
        lagged = np.einsum("mic,mic->mc", rest[:, 1:], rest[:, :-1])
        excess += np.where(varies, lagged / np.where(varies, total, 1.0) - moments.mean, 0.0).sum(axis=0)
        variance += varies.sum(axis=0) * moments.variance
    known = variance > 0
    if not known.any():
        return 1.0
    z = excess[known] / np.sqrt(variance[known])
    return float(min(known.sum() * norm.sf(z.max()), 1.0))


@dataclass(frozen=True)
class _LagMoments:
    projection: Array
    mean: float
    variance: float


def _lag_moments(w: int) -> _LagMoments:
    """Return the projection without trend and both moments of the lag-1 autocorrelation, for a window of `w` rows."""
    basis = np.linalg.qr(np.column_stack([np.ones(w), np.arange(w)]))[0]
    P = np.eye(w) - basis @ basis.T
    M = P @ (0.5 * (np.eye(w, k=1) + np.eye(w, k=-1))) @ P
    k, trace = w - 2, float(np.trace(M))
    return _LagMoments(P, trace / k, 2.0 * (k * float(np.sum(M * M)) - trace**2) / (k**2 * (k + 2)))


def _normal_scores(columns: Array) -> Array:
    return np.asarray(norm.ppf(rankdata(columns, axis=0) / (len(columns) + 1)))


def _runs(data: TaskData, groups: IntArray | None) -> Iterator[IntArray]:
    """Yield consecutive rows to look at, one of each group: runs of a long table, or the rows of some tasks."""
    rows = _in_order(data)
    if groups is not None:
        rows = rows[np.sort(np.unique(groups[rows], return_index=True)[1])]
    if data.task_index is not None:
        index = data.task_index[rows]
        by_task = np.argsort(index, kind="stable")
        stops = np.cumsum(np.bincount(index, minlength=data.n_tasks))
        for t in _evenly(data.n_tasks, _MOST_TASKS):
            # Rows of its groups may all have been taken for other tasks.
            if len(run := rows[by_task[(stops[t - 1] if t else 0) : stops[t]]][:_RUN]):
                yield run
        return
    for run in consecutive_rows(len(rows), data.X.shape[1]):
        yield rows[run]


def consecutive_rows(n_rows: int, n_columns: int) -> Iterator[IntArray]:
    """Yield the positions of the rows to look at: all of a short table, else runs of it."""
    most = _MOST_ROWS if n_columns <= _MANY_INPUTS else _MOST_ROWS_WIDE
    if n_rows <= most:
        yield np.arange(n_rows)
        return
    for start in np.linspace(0, n_rows - _RUN, most // _RUN).astype(int):
        yield np.arange(start, start + _RUN)


def _in_order(data: TaskData) -> IntArray:
    return np.arange(len(data.X)) if data.order is None else np.argsort(data.order, kind="stable")


def _evenly(n: int, most: int) -> IntArray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _sorted_columns(data: TaskData) -> Array:
    """Return the columns by which the table is sorted; neighbours are alike in them, and through them alone."""
    columns = data.X if data.is_long else np.column_stack([data.X, data.targets])
    steps = np.diff(columns[_in_order(data)], axis=0)
    is_sorted = ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)) & (steps != 0).any(axis=0)
    return np.asarray(columns[:, is_sorted], dtype=np.float64)


def _without(columns: NDArray[Any], others: Array) -> Array:
    """Take out what others say linearly; rounding, which is all that is left of those among them, is zero."""
    if not others.shape[1]:
        return np.asarray(columns, dtype=np.float64)
    design = np.column_stack([_standard(others), np.ones(len(others))])
    rest = columns - design @ np.linalg.lstsq(design, columns, rcond=None)[0]
    return np.where(rest.std(axis=0) > 1e-6 * columns.std(axis=0), rest, 0.0)


def _residuals(data: TaskData, rows: IntArray, sorted_by: Array) -> Array:
    """Return what a ridge regression on inputs and sorting columns leaves of targets; 0 where a label is missing."""
    X = np.column_stack([_standard(data.X[rows]), _standard(sorted_by[rows])])
    Y = data.targets[rows].reshape(len(rows), -1)
    residuals = np.zeros((len(rows), Y.shape[1]))
    for seen, columns in _patterns(Y):
        labels = Y[np.ix_(seen, columns)]
        residuals[np.ix_(seen, columns)] = labels - _ridge(X[seen], labels)(X[seen])
    return residuals


def _patterns(Y: Array) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the rows and columns of targets with the same missing labels; some of many columns."""
    chosen = _evenly(Y.shape[1], _MOST_TASKS)
    patterns, index = np.unique(~np.isnan(Y[:, chosen]), axis=1, return_inverse=True)
    for p, seen in enumerate(patterns.T):
        if np.count_nonzero(seen) >= _LEAST_WINDOW:
            yield np.flatnonzero(seen), chosen[index.reshape(-1) == p]


def _standard(columns: NDArray[Any]) -> Array:
    """Centre and scale columns; those that are constant are zero."""
    centred = columns - columns.mean(axis=0, dtype=np.float64)
    scale = centred.std(axis=0)
    return np.asarray(centred / np.where(scale > 1e-12 * np.abs(columns).max(axis=0, initial=0.0), scale, np.inf))


def _ridge(X: Array, Y: Array) -> Callable[[Array], Array]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = RidgeCV(_PENALTIES).fit(X, Y)
    return lambda new: np.asarray(model.predict(new)).reshape(len(new), -1)


def _nearest(X: Array, Y: Array) -> Callable[[Array], Array]:
    model = KNeighborsRegressor(min(_NEIGHBOURS, len(X))).fit(X, Y)
    return lambda new: np.asarray(model.predict(new)).reshape(len(new), -1)


def _scores(data: TaskData, runs: list[IntArray], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the three scores of `RowOrder`, of the regressor that is best on random rows."""
    if not data.is_long:
        runs = [np.concatenate(runs)]
    found: list[Array] = []
    for rows in runs[:_MOST_TASKS_SCORED]:
        X, Y = _standard(data.X[rows]), data.targets[rows].reshape(len(rows), -1)
        for seen, columns in _patterns(Y):
            if len(seen) >= _N_FOLDS * _NEIGHBOURS:
                found.append(_r2(X[seen], Y[np.ix_(seen, columns)], rng))
    if not found:
        return np.nan, np.nan, np.nan
    scores = np.nanmedian(np.concatenate(found, axis=2), axis=2)
    random, later, within = scores[:, int(np.argmax(scores[0]))]
    return float(random), float(later), float(within)


def _r2(X: Array, Y: Array, rng: np.random.Generator) -> Array:
    """Return the scores of two regressors for each target, shape (3, 2, n_targets)."""
    n = len(X)
    stretch = np.arange(n) * _N_FOLDS // n

    def squares(values: Array, within: bool) -> Array:
        if not within:
            return np.asarray(np.sum((values - values.mean(axis=0)) ** 2, axis=0))
        return np.asarray(sum(squares(values[stretch == s], False) for s in range(_N_FOLDS)))

    scores = np.full((3, 2, Y.shape[1]), np.nan)
    for kind, order in enumerate((None, np.arange(n))):
        left = np.empty((2, *Y.shape))
        for rest, fold in folds(n, _N_FOLDS, rng, order=order):
            for m, fit in enumerate((_ridge, _nearest)):
                left[m, fold] = Y[fold] - fit(X[rest], Y[rest])(X[fold])
        for m in range(2):
            scores[kind, m] = 1.0 - np.sum(left[m] ** 2, axis=0) / np.maximum(squares(Y, False), 1e-300)
            if order is not None:
                scores[2, m] = 1.0 - squares(left[m], True) / np.maximum(squares(Y, True), 1e-300)
    return scores
