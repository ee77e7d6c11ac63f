"""Targets that are nothing but another column in other units: of an input, or of another target."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csc_array, issparse

from identirep._typing import Array, BoolArray, IntArray
from identirep.validation import TaskData

__all__ = ["LinearCopy", "copy_remarks", "linear_copies"]

# A copy leaves at most this share of the variance: rounding of what was written with a few digits.
_REST = 1e-8
# Rows of the first look, in which all pairs of columns are compared, and the fewest that can show a copy.
_FIRST_ROWS, _LEAST_ROWS = 200, 5
_MAX_NAMED = 5
# Targets that are compared with all columns at once, and the share of known values below which these are sparse.
_BLOCK, _SPARSE = 512, 0.3


@dataclass(frozen=True)
class LinearCopy:
    """A target, the column that it is a linear copy of, and the share of its variance that is left."""

    target: Hashable
    of: Hashable
    is_input: bool
    rest: float
    # In the long layout targets have no names of their own.
    is_task: bool = False

    @property
    def remark(self) -> str:
        """The finding as a sentence."""
        kind = "input" if self.is_input else "target"
        left = f"R^2 = 1 - {self.rest:.0e}" if self.rest > 1e-15 else "R^2 = 1"
        what = f"target of task {self.target!r}" if self.is_task else f"target {self.target!r}"
        return f"{what} is a linear copy of {kind} {self.of!r} ({left}): leave one out"


def linear_copies(data: TaskData, input_names: Sequence[Hashable] | None = None) -> list[LinearCopy]:
    """List targets that are copies of an input, else of an earlier target; in the long layout within their task."""
    names = list(range(data.X.shape[1])) if input_names is None else list(input_names)
    if data.task_index is not None:
        return list(_long_copies(data, names))
    columns = np.column_stack([data.X, data.targets])
    if not columns.size:
        return []
    labels, n_inputs = [*names, *data.task_names], len(names)
    found = []
    candidates = _candidates(columns, n_inputs)
    for t, name in enumerate(data.task_names):
        for j in candidates[t]:
            rest = _rest(columns[:, j], columns[:, n_inputs + t])
            if rest < _REST:
                found.append(LinearCopy(name, labels[j], bool(j < n_inputs), rest))
                break
    return found


def copy_remarks(copies: Sequence[LinearCopy]) -> list[str]:
    """Return the sentences of the first few copies, and how many more there are."""
    more = len(copies) - _MAX_NAMED
    return [copy.remark for copy in copies[:_MAX_NAMED]] + [f"and {more} more targets are linear copies"] * (more > 0)


def _candidates(columns: Array, n_inputs: int) -> list[IntArray]:
    """Return for each target the columns before it that equal it, up to a linear map, in the rows of a first look."""
    rows = np.unique(np.linspace(0, len(columns) - 1, min(len(columns), _FIRST_ROWS)).astype(int))
    likely, n = _likely(_powers(columns[rows]), slice(n_inputs, None))
    few = n < _LEAST_ROWS
    if few.any() and len(rows) < len(columns):
        # Of sparse targets few rows are common ones: all are looked at, some targets at a time.
        powers = _powers(columns)
        for start in range(0, likely.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            if few[:, block].any():
                found = _likely(powers, slice(n_inputs + start, n_inputs + start + _BLOCK))[0]
                likely[:, block] = np.where(few[:, block], found, likely[:, block])
    return [np.flatnonzero(likely[: n_inputs + t, t]) for t in range(likely.shape[1])]


def _powers(columns: Array) -> list[Any]:
    """Return where columns are known, their values, centred, of unit variance and 0 in gaps, and the squares of these.

    They are sparse if most of them is missing.
    """
    seen = ~np.isnan(columns)
    count = np.maximum(seen.sum(axis=0), 1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        values = np.where(seen, columns - np.where(seen, columns, 0.0).sum(axis=0) / count, 0.0)
        values = np.nan_to_num(values / np.sqrt((values**2).sum(axis=0) / count), posinf=0.0, neginf=0.0)
    powers = [seen.astype(np.float64), values, values**2]
    return [csc_array(power) for power in powers] if seen.mean() < _SPARSE else powers


def _likely(powers: list[Any], targets: slice) -> tuple[BoolArray, Array]:
    """Tell for all columns and some targets whether one may be a copy, and in how many rows both are known.

    Sums of pairs are exact to about 1e-12; what passes is looked at again.
    """
    weight, values, squares = powers
    weight_t, values_t, squares_t = (power[:, targets] for power in powers)
    if not issparse(weight) and weight.all():
        # Without gaps columns are centred and scaled alike for all others, and one product is enough.
        n_rows, known = len(weight), squares.any(axis=0)
        correlation = values.T @ values_t / n_rows
        likely = (correlation**2 > 1.0 - 10 * _REST) & known[:, None] & known[targets]
        return likely & (n_rows >= _LEAST_ROWS), np.full(likely.shape, float(n_rows))
    with np.errstate(invalid="ignore", divide="ignore"):
        n = _sums(weight, weight_t)
        mean, mean_t = _sums(values, weight_t) / n, _sums(weight, values_t) / n
        variance, variance_t = _sums(squares, weight_t) / n - mean**2, _sums(weight, squares_t) / n - mean_t**2
        covariance = _sums(values, values_t) / n - mean * mean_t
        likely = covariance**2 > (1.0 - 10 * _REST) * variance * variance_t
    return likely & (n >= _LEAST_ROWS), n


def _sums(columns: Any, targets: Any) -> Array:
    found = columns.T @ targets
    return np.asarray(found.toarray() if issparse(found) else found)


def _rest(x: Array, y: Array) -> float:
    """Return the share of the variance of `y` that is not linear in `x`, over common rows; 1 if too little is known."""
    seen = ~(np.isnan(x) | np.isnan(y))
    if np.count_nonzero(seen) < _LEAST_ROWS:
        return 1.0
    x, y = x[seen] - x[seen].mean(dtype=np.float64), y[seen] - y[seen].mean()
    total, spread = float(y @ y), float(x @ x)
    if total <= 0.0 or spread <= 0.0:
        return 1.0
    rest = y - (x @ y / spread) * x
    return float(rest @ rest) / total


def _long_copies(data: TaskData, names: Sequence[Hashable]) -> Iterator[LinearCopy]:
    assert data.task_index is not None
    order = np.argsort(data.task_index, kind="stable")
    stops = np.cumsum(np.bincount(data.task_index, minlength=data.n_tasks))
    for t, name in enumerate(data.task_names):
        rows = order[(stops[t - 1] if t else 0) : stops[t]]
        columns = np.column_stack([data.X[rows], data.targets[rows]])
        for j in _candidates(columns, len(names))[0]:
            rest = _rest(columns[:, j], columns[:, -1])
            if rest < _REST:
                yield LinearCopy(name, names[j], True, rest, is_task=True)
                break
