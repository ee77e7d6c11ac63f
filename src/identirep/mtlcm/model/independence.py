"""The law of a likelihood-ratio test of the causal model against a free covariance, task by task."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, polygamma

from identirep._typing import Array, BoolArray, Counts

__all__ = ["independence_law"]


def independence_law(n_samples: Counts, causal: BoolArray) -> tuple[Array, Array]:
    """Mean and variance of n log|correlation| of D independent Gaussian variables, roles given, shape (n_tasks,).

    log|correlation| is a sum of logs of beta variables, whose moments are known for any n. Causes are compared before
    the target is seen, effects after, which costs a degree of freedom.
    """
    j, n = np.arange(2, causal.shape[1] + 1), n_samples[:, None].astype(np.float64)
    freedom = np.where(j <= causal.sum(axis=1)[:, None], n - 1.0, n - 2.0)
    mean = n_samples * (digamma(freedom / 2) - digamma((freedom - j + 1) / 2)).sum(axis=1)
    variance = n_samples**2 * (polygamma(1, (freedom - j + 1) / 2) - polygamma(1, freedom / 2)).sum(axis=1)
    return mean, variance
