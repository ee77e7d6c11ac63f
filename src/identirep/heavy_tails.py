"""Whether rows of tasks have heavier tails than Gaussian ones.

By the kurtosis of Mardia (1970), whose moments are known for any number of rows, pooled over tasks, and by the largest
distance of a row, which has a beta law. Distances of few rows are all about alike: tasks with fewer than three rows for
each dimension are compared column by column, so that labels mixed up in such tasks are not seen. Weights of rows, other
than 0, are not looked at: these laws are those of rows that count alike.

References
----------
K. V. Mardia, "Measures of multivariate skewness and kurtosis with applications", Biometrika 57 (1970) 519-530.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from identirep._typing import Array, IntArray
from identirep.task_blocks import RIDGE, Rows, squared_distances, stacked_moments

__all__ = ["OWN_ROWS", "has_heavy_tails"]

# Rows for each dimension from which a task has a scatter of its own.
OWN_ROWS = 3
# Standard errors of the kurtosis, its relative excess that matters, and the chance of a largest distance.
_ERRORS, _EXCESS, _CHANCE = 4.0, 0.01, 1e-3
# Rows of which a single column has a kurtosis to speak of.
_LEAST_SINGLE = 5


def has_heavy_tails(rows: Rows, tasks: IntArray) -> bool:
    """Whether rows lie further from their tasks' means than Gaussian ones do."""
    p = rows.x.shape[1]
    joint, single = _Kurtosis(), _Kurtosis()
    for block in rows.stacks.blocks(tasks):
        # Light rows of a covariance that heavy ones decide lie far out, Gaussian as they may be: all count alike.
        w = np.where(block.weights(rows.counted) > 0, 1.0, 0.0)
        moments = stacked_moments(block.of(rows.x), w)
        covariance = moments.scatter / moments.n[:, None, None]
        if (seen := moments.n > p + 3).any():
            n = moments.n[seen]
            squared, _ = squared_distances(moments.centred[seen], covariance[seen])
            # d^2 / (n - 1) has a beta law.
            farthest = np.where(w[seen] > 0, squared, 0.0).max(axis=1) / (n - 1.0)
            if np.any(beta.sf(np.minimum(farthest, 1.0), p / 2, (n - p - 1) / 2) < _CHANCE / len(rows.x)):
                return True
            joint.add(np.einsum("tm,tm->t", w[seen], squared**2) / n, n, p)
        # All distances of few rows are about alike; single columns still tell.
        few = (moments.n > _LEAST_SINGLE) & (moments.n < OWN_ROWS * p)
        if few.any():
            variance = np.maximum(np.einsum("tii->ti", covariance[few]), RIDGE)
            n, relative = moments.n[few], moments.centred[few] ** 2 / variance[:, None]
            correlation = covariance[few] / np.sqrt(variance[:, :, None] * variance[:, None])
            shared = (correlation**4).sum(axis=(1, 2)) / p**2
            single.add(np.einsum("tm,tmp->t", w[few], relative**2) / (n * p), n, 1, shared)
    return joint.is_in_excess or single.is_in_excess


class _Kurtosis:
    """Excess over what Gaussian rows have of the mean fourth power of distances in p dimensions (Mardia 1970)."""

    def __init__(self) -> None:
        self._excess = self._expected = self._variance = 0.0

    def add(self, found: Array, n: Array, p: int, factor: Array | float = 1.0) -> None:
        """Add tasks of n rows; `factor` is on the variance of what was found."""
        expected = p * (p + 2) * (n - 1) / (n + 1)
        variance = 8 * p * (p + 2) * (n - 3) * (n - p - 1) * (n - p + 1) / ((n + 1) ** 2 * (n + 3) * (n + 5))
        self._excess += float(n @ (found - expected))
        self._expected += float(n @ expected)
        self._variance += float(n**2 @ (variance * factor))

    @property
    def is_in_excess(self) -> bool:
        return self._excess > max(_ERRORS * np.sqrt(self._variance), _EXCESS * self._expected)
