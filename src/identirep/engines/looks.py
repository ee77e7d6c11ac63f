"""What is kept of all values that are read in blocks, to judge columns by: ends, codes, and some of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.sentinels import may_be_codes, sentinel_remarks

__all__ = ["Looks"]

# Rows, and numbers in them, that are kept.
_ROWS, _NUMBERS = 2_000, 2_000_000


@dataclass(frozen=True)
class Looks:
    """Ends of the values of each column, low and high: such as are no codes, and the outermost codes."""

    ends: Array  # (2, n_columns), infinite where there is no value
    codes: Array  # (2, n_columns), NaN where there is none
    counts: IntArray  # (2, n_columns), how often the codes occur
    rows: Array  # (n, n_columns), those with the largest ranks
    ranks: NDArray[np.uint64]  # (n,)

    @classmethod
    def of(cls, values: Array, ranks: NDArray[np.uint64]) -> Looks:
        """Look at rows, NaN for missing values, with a number for each that has nothing to do with their order."""
        n_columns = values.shape[1]
        ends = np.stack([np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)])
        codes, counts = np.full((2, n_columns), np.nan), np.zeros((2, n_columns), dtype=np.int64)
        for side, column in np.argwhere(may_be_codes(ends)):
            own = values[:, column]
            codes[side, column] = code = ends[side, column]
            counts[side, column] = np.count_nonzero(own == code)
        for column in np.flatnonzero(~np.isnan(codes).all(axis=0)):
            others = values[~np.isin(values[:, column], codes[:, column]), column]
            ends[:, column] = np.fmin.reduce(others, initial=np.inf), np.fmax.reduce(others, initial=-np.inf)
        kept = np.argsort(ranks)[-_most(n_columns) :]
        ends = np.where(np.isnan(ends), np.array([[np.inf], [-np.inf]]), ends)
        return cls(ends, codes, counts, values[kept], ranks[kept])

    @classmethod
    def of_all(cls, looks: Sequence[Looks | None]) -> Looks | None:
        """Put together what was kept of several sets of rows, in any order; None if none has any."""
        present = [each for each in looks if each is not None]
        return reduce(cls._with, present) if present else None

    def _with(self, other: Looks) -> Looks:
        codes = np.stack([np.fmin(self.codes[0], other.codes[0]), np.fmax(self.codes[1], other.codes[1])])
        counts = np.where(self.codes == codes, self.counts, 0) + np.where(other.codes == codes, other.counts, 0)
        # A code that is not the outermost is a value as any other.
        inner = [np.where(part.codes == codes, np.nan, part.codes) for part in (self, other)]
        values = np.concatenate([self.ends, other.ends, *inner])
        ends = np.stack([np.fmin.reduce(values[[0, 2, 4, 5, 6, 7]]), np.fmax.reduce(values[[1, 3, 4, 5, 6, 7]])])
        ranks = np.concatenate([self.ranks, other.ranks])
        kept = np.argsort(ranks, kind="stable")[-_most(ends.shape[1]) :]
        return Looks(ends, codes, counts, np.concatenate([self.rows, other.rows])[kept], ranks[kept])

    def remarks(self, names: Sequence[str]) -> list[str]:
        """Return what is to be said of values that may stand for something else."""
        ends = np.where(np.isinf(self.ends), np.nan, self.ends)
        columns = np.concatenate([self.rows, ends, self.codes])
        counts = {(int(j), self.codes[side, j]): int(self.counts[side, j]) for side, j in np.argwhere(self.counts)}
        return sentinel_remarks(names, columns, counts)


def _most(n_columns: int) -> int:
    return min(_ROWS, max(_NUMBERS // max(n_columns, 1), 20))
