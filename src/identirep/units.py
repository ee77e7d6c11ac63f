"""Units and origins of columns: means and spreads that no offset or scale spoils, and what lies beyond doubles."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, IntArray

__all__ = ["Spread", "plain_units", "spread_of", "spread_of_tasks", "unit_faults"]

# Columns that vary by no more than so many units in the last place of their values are constant.
_ROUNDING = 1.0
# A column keeps its digits if it varies by so many.
_RESOLVED = 16.0
# Deviations of columns, and their offsets in units of these, that any regressor can take.
_PLAIN, _MOST_OFFSET = (1e-3, 1e15), 1e3
# Columns that are looked at together.
_BLOCK = 16


class Spread(NamedTuple):
    """Mean, standard deviation (0 where it is rounding), largest absolute value and the unit of its last place."""

    center: Array
    deviation: Array
    peak: Array
    last_place: Array
    # Between which scales values can be: doubles hold fourth powers of these.
    least: float = 1e-75
    most: float = 1e75

    def in_float32(self) -> Spread:
        """Return what is known of the columns for those who get them in float32."""
        last_place = np.maximum(self.last_place, np.ldexp(float(np.finfo(np.float32).eps), np.frexp(self.peak)[1] - 1))
        return self._replace(last_place=last_place, least=1e-37, most=1e37)

    def scaled(self, values: NDArray[Any], index: IntArray | None = None) -> Array:
        """Return columns, or rows of the tasks at `index`, with mean 0 and variance 1; constant ones are 0."""
        center, deviation = self.center, self.deviation
        if index is not None:
            center, deviation = center[index], deviation[index]
        varies = deviation > 0.0
        # Missing labels stay missing.
        return np.asarray(np.where(varies, values - center, 0.0 * values) / np.where(varies, deviation, 1.0))


def spread_of(values: NDArray[Any], weights: Array | None = None) -> Spread:
    """Look at columns, NaN left out, in powers of two near the largest value: no square overflows or vanishes.

    Means and deviations are weighted ones where rows have weights.
    """
    n_columns, eps = values.shape[1], float(np.finfo(values.dtype).eps)
    center, deviation, peak = np.zeros((3, n_columns))
    for start in range(0, n_columns, _BLOCK):
        columns = slice(start, start + _BLOCK)
        block, share = values[:, columns].astype(np.float64), None
        seen = ~np.isnan(block) if np.isnan(block.sum()) else np.ones((), dtype=bool)
        if weights is None:
            count = np.maximum(np.broadcast_to(seen, block.shape).sum(axis=0), 1)
        else:
            share = np.where(np.broadcast_to(seen, block.shape), (weights / weights.max())[:, None], 0.0)
            share = share / np.where(share.max(axis=0) > 0, share.max(axis=0), 1.0)
            count = np.maximum(share.sum(axis=0), 1.0)
        peak[columns] = np.fmax.reduce(np.abs(block), axis=0, initial=0.0)
        exponent = np.frexp(peak[columns])[1]
        block = np.ldexp(block, -exponent)

        def mean_of(block: Array, seen: BoolArray = seen, count: Any = count, share: Any = share) -> Array:
            return np.asarray((block if share is None else block * share).sum(axis=0, where=seen) / count)

        mean = mean_of(block)
        block -= mean
        # The first mean is rounded itself, which shows where it is large.
        rest = mean_of(block)
        block -= rest
        std = np.sqrt(mean_of(np.square(block, out=block)))
        center[columns], deviation[columns] = np.ldexp(mean + rest, exponent), np.ldexp(std, exponent)
    return _without_rounding(center, deviation, peak, eps)


def spread_of_tasks(y: Array, index: IntArray, n_tasks: int, weights: Array | None = None) -> Spread:
    """Look at the labels of each task, NaN left out; `index` is the task of each row, negative for no known one."""
    seen = ~np.isnan(y) & (index >= 0)
    y, index = y[seen], index[seen]
    w = np.ones(len(y)) if weights is None else weights[seen]
    top = np.zeros(n_tasks)
    np.maximum.at(top, index, w)
    w = w / top[index]
    peak = np.zeros(n_tasks)
    np.maximum.at(peak, index, np.abs(y))
    exponent = np.frexp(peak)[1]
    values, count = np.ldexp(y, -exponent[index]), np.maximum(np.bincount(index, w, n_tasks), 1)
    mean = np.bincount(index, w * values, n_tasks) / count
    rest = np.bincount(index, w * (values - mean[index]), n_tasks) / count
    mean += rest
    std = np.sqrt(np.bincount(index, w * (values - mean[index]) ** 2, n_tasks) / count)
    eps = float(np.finfo(np.float64).eps)
    return _without_rounding(np.ldexp(mean, exponent), np.ldexp(std, exponent), peak, eps)


def _without_rounding(center: Array, deviation: Array, peak: Array, eps: float) -> Spread:
    last_place = np.ldexp(eps, np.frexp(peak)[1] - 1)
    return Spread(center, np.where(deviation > _ROUNDING * last_place, deviation, 0.0), peak, last_place)


def unit_faults(
    spread: Spread, name: str, labels: Sequence[Hashable], kind: str, *, small: bool = True, digits: bool = True
) -> list[str]:
    """Say which columns (`kind`: column, task) are too large or too `small` to be squared, or lost their `digits`."""

    def which(bad: BoolArray) -> tuple[int, str]:
        column, others = int(np.argmax(bad)), int(bad.sum()) - 1
        return column, f"{kind} {labels[column]!r}" + (f" and {others} more" if others else "")

    center, deviation, peak, last_place, least, most = spread
    faults = []
    if (bad := peak > most).any():
        column, where = which(bad)
        faults.append(
            f"{name} is out of range in {where}: got values of a scale of {peak[column]:.0e}, expected at most "
            f"{most:.0e}. Pass it in other units."
        )
    if small and (bad := ((deviation > 0.0) & (deviation < least)) | ((peak > 0.0) & (peak < least))).any():
        column, where = which(bad)
        faults.append(
            f"{name} is out of range in {where}: got values that vary on a scale of {deviation[column]:.0e}, expected "
            f"at least {least:.0e}. Pass it in other units."
        )
    if digits and (bad := (deviation > 0.0) & (deviation < _RESOLVED * last_place)).any():
        column, where = which(bad)
        faults.append(
            f"{name} has lost its digits in {where}: got values that vary on a scale of {deviation[column]:.0e} around "
            f"{center[column]:.10g}, where numbers are {last_place[column]:.0e} apart, expected more digits. Subtract "
            "the offset before rounding (float64 has more digits than float32), or leave it out."
        )
    return faults


def plain_units(X: NDArray[Any]) -> tuple[Array, Array]:
    """Return an origin and a unit for each column: 0 and 1 unless it needs others.

    Most regressors take float32, and trees take what differs by less than 1e-7 for equal.
    """
    spread = spread_of(X)
    deviation = np.where(spread.deviation > 0.0, spread.deviation, 1.0)
    odd = (deviation < _PLAIN[0]) | (deviation > _PLAIN[1]) | (np.abs(spread.center) > _MOST_OFFSET * deviation)
    # A constant stays what it is, unless float32 cannot hold it.
    odd &= (spread.deviation > 0.0) | (spread.peak > _PLAIN[1])
    return np.where(odd, spread.center, 0.0), np.where(odd, deviation, 1.0)
