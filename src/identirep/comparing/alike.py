r"""How many independent rows are there, where rows have equal inputs?

They have because inputs take few values, and two rows fell on the same ones by chance, or because a row was measured or
written down again. Inputs of the first kind occur in other rows of the same law, too, and rows of the second do not.
So rows whose inputs occur on the other side (of the fit and of new rows) count one by one; n_x rows with inputs that
occur on one side alone are one row, unless pairs of equal rows are by chance, as a share q of those of the fit is that
new rows have, too. Then n rows are worth

    n^2 / (n + (1 - q) sum_x n_x (n_x - 1))

independent ones, which with q = 0 is the number of Kish.

Where nearly all inputs occur a multiple of m times on a side, each row was written down m times, also where inputs take
few values: m equal rows are one then, before the others are counted so.

References
----------
L. Kish, "Survey Sampling", Wiley 1965 (design effect).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep._typing import BoolArray, IntArray
from identirep.comparing.rows import TrainedRows

__all__ = ["NewRows", "look_at_rows", "times_written_down"]

# Share of the rows of a fit that data have as often as the fit, from which on they are that table, and perhaps more.
_SAME_TABLE = 0.9
# Share of different inputs that occur a multiple of m times if all rows were written down m times, of at least so many:
# of fewer, chance makes as many. And the most times that are tried.
_MULTIPLES, _LEAST_INPUTS, _MOST_TIMES = 0.9, 10, 100
# What leaving rows out may shift a share by, in standard errors of one.
_NEGLIGIBLE = 0.1
# Standard errors from which on more rows are those of the fit than chance would have it.
_BEYOND_CHANCE = 4.0


class NewRows(NamedTuple):
    """New rows beside those of a fit.

    `used` rows are tested, one of each group of the `allowed` ones. `seen` rows have inputs that the
    fit had. Of the pairs of equal rows of the fit a share `shared` has inputs that are among the new ones; a share
    `expected` of other rows would have inputs of the fit by chance. `too_many` tells that more do.
    """

    hashes: NDArray[np.uint64]
    used: BoolArray
    allowed: BoolArray
    seen: BoolArray
    shared: float
    expected: float
    too_many: bool

    @property
    def alone(self) -> bool:
        """Whether inputs of the fit do not come back, though there they did."""
        return bool(self.seen[self.used].mean() < 0.5 * self.expected) if self.used.any() else False

    def independent(self, rows: IntArray) -> float:
        """Return how many independent rows some of them are worth."""
        own = self.hashes[rows]
        if not len(own):
            return 0.0
        inputs, counts = np.unique(own, return_counts=True)
        times = times_written_down(counts)
        n = len(own) / times
        # What is missing of a multiple is a row that was left out.
        alone = np.maximum(counts[~np.isin(inputs, own[self.seen[rows]])] / times, 1.0)
        pairs = float(alone @ (alone - 1.0))
        return n**2 / (n + (1.0 - self.shared) * pairs)


def times_written_down(counts: IntArray) -> int:
    """Return how often each row was written down, if all were as often, from how often different inputs occur."""
    counts = counts[counts > 0]
    if len(counts) < _LEAST_INPUTS:
        return 1
    fitting = (times for times in range(_MOST_TIMES, 1, -1) if np.mean(counts % times == 0) >= _MULTIPLES)
    return next(fitting, 1)


def look_at_rows(trained: TrainedRows, hashes: NDArray[np.uint64], counted: BoolArray) -> NewRows:
    """Say which of the new rows that count are tested: those of the fit are not, unless they are so by chance.

    Where inputs take few values, rows that differ from all of the fit are rarer ones, which left alone have another
    law. They are kept together with the others then.
    """
    known = trained.hashes[trained.counts > 0]
    counts = trained.counts[trained.counts > 0].astype(np.float64)
    seen = np.isin(hashes, trained.hashes)
    again, how_often = np.unique(hashes[counted], return_counts=True)
    found = np.searchsorted(again, known)
    found[found == len(again)] = 0
    in_both = again[found] == known if len(again) else np.zeros(len(known), dtype=bool)
    blocks = np.maximum(counts / times_written_down(trained.counts), 1.0)
    pairs = blocks * (blocks - 1.0)
    shared = float(pairs[in_both].sum() / pairs.sum()) if pairs.any() else 0.0
    # A row of the fit has inputs of another one as often as another row would.
    expected = float(counts[counts > 1].sum() / counts.sum())
    own, n = counted & ~seen, max(int(counted.sum()), 1)
    as_often = in_both & (how_often[found] == counts) if len(again) else in_both
    is_table = counts[as_often].sum() >= _SAME_TABLE * counts.sum()
    if is_table or expected * np.sqrt(n) < _NEGLIGIBLE:
        return NewRows(hashes, own, ~seen, seen, shared, expected, False)
    error = np.sqrt(expected * (1.0 - expected) * (1.0 / n + 1.0 / counts.sum()))
    too_many = bool(seen[counted].mean() > expected + _BEYOND_CHANCE * error)
    return NewRows(hashes, counted, np.ones_like(seen), seen, shared, expected, too_many)
