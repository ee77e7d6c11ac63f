"""Gross errors: a few values so far from all others that they alone would decide what is learnt.

A misplaced decimal point makes up nine tenths of the variance of its column. Values count as gross errors if they are
at most a hundredth of their column (or one value), lie further from its centre than five times the half range of the
rest and at least twice as far as the farthest value that is none, and have more of the sum of squares than all others
together. Their influence is bounded, not their say: they count as far out as the farthest other value. Regressors that
transform their targets, or model counts, get all labels as they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.mapped_rows import MappedRows

__all__ = ["fences", "gross_error_remark", "limited"]

# Most values that may be errors, as a share of all.
_MOST = 0.01
# Half ranges of the others from the centre, and times as far as the farthest of them.
_FAR, _GAP = 5.0, 2.0
# Values that tell what is ordinary.
_FEWEST = 10
_MAX_NAMED = 5


def fences(values: NDArray[np.floating]) -> tuple[Array, Array]:
    """Return the least and largest value of each column that is no gross error, infinite where there is none."""
    low, high = np.full(values.shape[1], -np.inf), np.full(values.shape[1], np.inf)
    for j in range(values.shape[1]):
        column = values[:, j].astype(np.float64)
        low[j], high[j] = _fences(column[~np.isnan(column)])
    return low, high


def limited(targets: Array, task_index: IntArray | None, n_tasks: int) -> tuple[Array, IntArray]:
    """Return targets whose gross errors are as far out as the farthest other label, and their number in each task."""
    counts = np.zeros(n_tasks, dtype=np.int64)
    if isinstance(targets, MappedRows):
        low, high = fences(targets)
        outside = [np.sum((y < a) | (y > b)) for y, a, b in zip(targets.T, low, high, strict=True)]
        return targets.limited(low, high), np.array(outside)
    bounded = targets.copy()
    if task_index is None:
        low, high = fences(targets)
        bounded = np.clip(targets, low, high)
        return bounded, np.sum((bounded != targets) & ~np.isnan(targets), axis=0)
    order = np.argsort(task_index, kind="stable")
    ends = np.cumsum(np.bincount(task_index, minlength=n_tasks))
    for t in range(n_tasks):
        rows = order[ends[t - 1] if t else 0 : ends[t]]
        least, most = _fences(targets[rows])
        if np.isfinite(least):
            bounded[rows] = np.clip(targets[rows], least, most)
            counts[t] = np.count_nonzero(bounded[rows] != targets[rows])
    return bounded, counts


def gross_error_remark(counts: IntArray, names: Sequence[Hashable]) -> str:
    """Say how many labels were limited in which tasks; empty if there are none."""
    hit = np.flatnonzero(counts)
    if not len(hit):
        return ""
    listed = ", ".join(f"{int(counts[t])} of {names[t]!r}" for t in hit[:_MAX_NAMED])
    more = f" and {len(hit) - _MAX_NAMED} more targets" if len(hit) > _MAX_NAMED else ""
    return (
        f"Labels far from all others count only as far out as the farthest other one: {listed}{more}. If they are "
        "errors, correct or delete them; if they are not, fit to the logarithm of the target."
    )


def _fences(values: Array) -> tuple[float, float]:
    """Return the least and largest of these values that is no gross error."""
    n = len(values)
    if n < _FEWEST:
        return -np.inf, np.inf
    most = max(1, int(_MOST * n))
    ends = np.partition(values, [0, most, n - 1 - most, n - 1])[[0, most, n - 1 - most, n - 1]]
    # Halved first: the sum of two finite values may be infinite.
    centre, half = 0.5 * ends[2] + 0.5 * ends[1], 0.5 * ends[2] - 0.5 * ends[1]
    if half == 0 or max(ends[3] - centre, centre - ends[0]) <= _FAR * half:
        return -np.inf, np.inf
    every = np.partition(np.abs(values - centre), range(n - 1 - most, n))
    distance = every[n - 1 - most :]
    gross = (distance[1:] > _FAR * half) & (distance[1:] >= _GAP * distance[:-1])
    if not gross.any():
        return -np.inf, np.inf
    squares = (every / every[-1]) ** 2
    first = n - most + int(np.argmax(gross))
    if squares[first:].sum() <= squares[:first].sum():
        return -np.inf, np.inf
    # A little further, so that rounding leaves the farthest of the others as it is.
    farthest = float(distance[np.argmax(gross)]) * (1.0 + 1e-9) + 4.0 * float(np.spacing(np.abs(centre)))
    return float(centre - farthest), float(centre + farthest)
