r"""New samples without the samples: moments drawn from the law that they have for Gaussian rows.

The scatter of the n rows of a row group is Wishart with n - 1 degrees of freedom around the observed covariance. The
target of a task of the group is h' beta + sigma times noise, with beta and sigma from the moments, which gives the
scatter of (h, y) its Wishart law, and to the tasks of the group one common scatter of h. What moments do not hold is
how the residuals of such tasks go together: they are drawn independently.
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments

__all__ = ["resample_rows"]


def resample_rows(moments: TaskMoments, rng: np.random.Generator) -> TaskMoments:
    """Draw the moments of as many other rows in each task (parametric bootstrap).

    Parameters
    ----------
    moments : TaskMoments
        Moments of features and targets.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    TaskMoments
        The same tasks, row groups, counts and means, with scatters drawn anew.
    """
    K = moments.n_features
    scatter_h = np.zeros_like(moments.scatter_h)
    scatter_hy, scatter_y = np.zeros_like(moments.scatter_hy), np.zeros_like(moments.scatter_y)
    for g, count in enumerate(moments.counts):
        freedom = int(count) - 1
        tasks = np.flatnonzero(moments.group == g)
        if freedom < 1 or not len(tasks):
            continue
        observed = moments.scatter_h[g]
        factor = _root(observed / freedom) @ _wishart_factor(K, freedom, rng)
        W = factor @ factor.T
        beta = moments.scatter_hy[tasks] @ np.linalg.pinv(observed, hermitian=True)
        left = moments.scatter_y[tasks] - np.einsum("tk,tk->t", beta, moments.scatter_hy[tasks])
        sigma = np.sqrt(np.maximum(left, 0.0) / freedom)
        noise = rng.normal(size=(len(tasks), factor.shape[1]))
        outside = rng.chisquare(freedom - factor.shape[1], len(tasks)) if freedom > factor.shape[1] else 0.0
        along = sigma[:, None] * (noise @ factor.T)
        explained = beta @ W
        scatter_h[g], scatter_hy[tasks] = W, explained + along
        scatter_y[tasks] = np.einsum("tk,tk->t", beta, explained + 2.0 * along)
        scatter_y[tasks] += sigma**2 * ((noise**2).sum(axis=1) + outside)
    return TaskMoments(
        moments.task_names,
        moments.group,
        moments.counts,
        moments.mean_h,
        scatter_h,
        moments.mean_y,
        scatter_hy,
        scatter_y,
        moments.n_rows,
    )


def _root(covariance: Array) -> Array:
    """Symmetric factor L, L L' = covariance, also where that is singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _wishart_factor(K: int, freedom: int, rng: np.random.Generator) -> Array:
    """F with F F' Wishart(freedom, I): Bartlett's triangle, or plain rows where these are fewer than the features."""
    if freedom < K:
        return rng.normal(size=(K, freedom))
    F = np.tril(rng.normal(size=(K, K)), -1)
    F[np.arange(K), np.arange(K)] = np.sqrt(rng.chisquare(freedom - np.arange(K)))
    return F
