"""Axes once more, from other moments or other weights of the tasks: by what the fit itself maximised."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import LatentFit, whitened_covariances
from identirep.mtlcm.axes.rotation import HeadsOfTasks, mostly_shared, sparsest_heads
from identirep.mtlcm.axes.solutions import Solutions
from identirep.mtlcm.axes.starts import random_rotations, solve_in_blocks

__all__ = ["refit_axes"]

# Refits start from the fit and, as long as that costs about a second, from some random rotations.
_WORK = 2e8
_MAX_ITER, _TOL = 300, 1e-5
# Which start leads lowest is told long before an end is reached.
_ROUGH = 1e-3


def refit_axes(
    fit: LatentFit, moments: TaskMoments, weights: Array, rng: np.random.Generator, most_rotations: int = 2
) -> list[Array]:
    """Unmixing matrices of refits under the factorised prior, for each row of task weights, (n_refits, n_tasks).

    The fit is square, in the coordinates of the moments; the observation noise is held at its estimate.
    """
    shared = mostly_shared(moments)
    # Whether there are other optima is what the starts of the fit told; in large problems refits leave it at that.
    n_refits, D = len(weights), len(fit.unmixing)
    n_starts = 1 + min(most_rotations, int(_WORK / (weights.shape[1] * D ** (2 if shared else 3))))
    starts = random_rotations(n_refits * n_starts, D, rng)
    if shared:
        heads, whitener = HeadsOfTasks.of(moments, fit.noise_variance)
        starts[::n_starts] = fit.unmixing @ np.linalg.inv(whitener)
        found = Solutions.joined(
            [
                _sparsest(heads._replace(weights=row), part)
                for row, part in zip(weights, np.split(starts, n_refits), strict=True)
            ]
        )
    else:
        covariances, whitener = whitened_covariances(moments, fit.noise_variance)
        starts[::n_starts] = fit.unmixing @ np.linalg.inv(whitener)
        covariances = covariances.reweighted(np.repeat(weights, n_starts, axis=0))
        found = solve_in_blocks(covariances, starts, max_iter=_MAX_ITER, tol=_TOL)
    best = np.argmin(found.criterion.reshape(n_refits, -1), axis=1)
    return [B[k] @ whitener for B, k in zip(np.split(found.unmixing, n_refits), best, strict=True)]


def _sparsest(heads: HeadsOfTasks, starts: Array) -> Solutions:
    """Sparsest heads from the start that leads lowest."""
    rough = sparsest_heads(heads, starts, max_iter=_MAX_ITER, tol=_ROUGH)
    best = rough.unmixing[np.argmin(rough.criterion)]
    return sparsest_heads(heads, best[None], max_iter=_MAX_ITER, tol=_TOL)
