r"""The law of the largest difference of shares between two samples, at some values of the first.

If n new rows come from the same law as m old ones, the shares of it below order statistics of the old ones are partial
sums of a Dirichlet distribution, and numbers of new rows between them are multinomial, so that the law of the largest
difference

    max_k | share of new rows below the order statistic of rank r_k  -  r_k / m |

is known exactly, whatever the law of the rows (the test of Kolmogorov and Smirnov for two samples, on the ranks that
are kept). It is drawn from; far out, where no draw comes, the limit for all ranks bounds it.

References
----------
N. V. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of Mathematical Statistics
19 (1948) 279-281.
S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.stats import kstwobign

from identirep._typing import Array
from identirep.comparing.reference import ranks_kept

__all__ = ["chance_of", "corrected"]

# Draws of the law under which nothing has moved.
_N_DRAWS = 4999
# From so many rows on two digits of their number say enough.
_LARGE = 200
# Rounding must not make a difference of two equal ones.
_ROUNDING = 1e-12


def chance_of(difference: float, m: float, n: float, n_kept: int) -> float:
    """Return the chance of a difference as large between shares of m and n rows that come from the same law."""
    statistic = difference * np.sqrt(m * n / (m + n))
    law = _law(_about(m), _about(n), n_kept)
    beyond = len(law) - int(np.searchsorted(law, statistic - _ROUNDING, side="left"))
    share = (1 + beyond) / (1 + len(law))
    return share if beyond else min(share, float(kstwobign.sf(statistic)))


def corrected(p_value: Array) -> Array:
    """Correct p-values for their number, by the method of Holm."""
    order = np.argsort(p_value, kind="stable")
    ordered = np.maximum.accumulate(p_value[order] * (len(order) - np.arange(len(order))))
    found = np.empty(len(order))
    found[order] = np.minimum(ordered, 1.0)
    return found


@lru_cache(maxsize=256)
def _law(m: int, n: int, n_kept: int) -> Array:
    """Draw the largest difference of shares if nothing has moved, sorted, times the root of m n / (m + n)."""
    rng, ranks = np.random.default_rng(0), ranks_kept(m, n_kept)
    steps = np.diff(np.concatenate([[0], np.unique(ranks), [m + 1]])).astype(np.float64)
    shares = rng.standard_gamma(steps, size=(_N_DRAWS, len(steps)))
    counts = rng.multinomial(n, shares / shares.sum(axis=1, keepdims=True))
    below = np.cumsum(counts[:, :-1], axis=1) / n
    return np.sort(np.abs(below - np.unique(ranks) / m).max(axis=1)) * np.sqrt(m * n / (m + n))


def _about(n: float) -> int:
    """Return a number of rows, a large one in two digits: targets with gaps would each have a law of their own."""
    whole = max(round(n), 1)
    unit = 10 ** max(len(str(whole)) - 2, 0)
    return whole if whole < _LARGE else round(whole / unit) * unit
