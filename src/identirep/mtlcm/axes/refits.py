"""Axes once more, from other moments or other weights of the tasks: by what the fit itself maximised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import LatentFit, whitened_covariances
from identirep.mtlcm.axes.rotation import ROUGH, HeadsOfTasks, mostly_shared, sparsest_heads
from identirep.mtlcm.axes.starts import random_rotations, solve_in_blocks

__all__ = ["refit_axes", "refit_heads"]

# Refits start from the fit and, as long as that costs about a second, from some random rotations.
_WORK = 2e8
_MAX_ITER, _TOL = 300, 1e-5


def refit_axes(
    fit: LatentFit, moments: TaskMoments, weights: Array, rng: np.random.Generator, most_rotations: int = 2
) -> list[Array]:
    """Unmixing matrices of refits under the factorised prior, for each row of task weights, (n_refits, n_tasks).

    The fit is square, in the coordinates of the moments; the observation noise is held at its estimate.
    """
    n_refits = len(weights)
    if mostly_shared(moments):
        heads, whitener = HeadsOfTasks.of(moments, fit.noise_variance)
        problems = [(heads._replace(weights=row), whitener) for row in weights]
        return _sparsest([fit] * n_refits, problems, rng, most_rotations)
    starts = random_rotations(n_refits * _n_starts(weights.shape[1], fit, 3, most_rotations), len(fit.unmixing), rng)
    n_starts = len(starts) // n_refits
    covariances, whitener = whitened_covariances(moments, fit.noise_variance)
    starts[::n_starts] = fit.unmixing @ np.linalg.inv(whitener)
    covariances = covariances.reweighted(np.repeat(weights, n_starts, axis=0))
    found = solve_in_blocks(covariances, starts, max_iter=_MAX_ITER, tol=_TOL)
    best = np.argmin(found.criterion.reshape(n_refits, -1), axis=1)
    return [B[k] @ whitener for B, k in zip(np.split(found.unmixing, n_refits), best, strict=True)]


def refit_heads(
    fits: Sequence[LatentFit], moments: Sequence[TaskMoments], rng: np.random.Generator, most_rotations: int = 2
) -> list[Array]:
    """Unmixing matrices of refits on shared rows to each of these moments, as in `refit_axes`, all at once."""
    problems = [HeadsOfTasks.of(part, fit.noise_variance) for fit, part in zip(fits, moments, strict=True)]
    return _sparsest(fits, problems, rng, most_rotations)


def _n_starts(n_tasks: int, fit: LatentFit, power: int, most_rotations: int) -> int:
    """Whether there are other optima is what the starts of the fit told; in large problems refits leave it at that."""
    return 1 + min(most_rotations, int(_WORK / (n_tasks * len(fit.unmixing) ** power)))


def _sparsest(
    fits: Sequence[LatentFit],
    problems: Sequence[tuple[HeadsOfTasks, Array]],
    rng: np.random.Generator,
    most_rotations: int,
) -> list[Array]:
    """Sparsest heads of each problem from the start that leads lowest, the first of which is that of its fit."""
    heads, whiteners = [part for part, _ in problems], [whitener for _, whitener in problems]
    n, D = len(problems), len(fits[0].unmixing)
    n_starts = _n_starts(len(heads[0].coef), fits[0], 2, most_rotations)
    starts = random_rotations(n * n_starts, D, rng)
    starts[::n_starts] = [fit.unmixing @ np.linalg.inv(W) for fit, W in zip(fits, whiteners, strict=True)]
    rivals = np.repeat(np.arange(n), n_starts)
    stacked = HeadsOfTasks.stacked(heads, n_starts)
    rough = sparsest_heads(stacked, starts, max_iter=_MAX_ITER, tol=ROUGH, rivals=rivals)
    best = rough.unmixing[np.argmin(rough.criterion.reshape(n, -1), axis=1) + n_starts * np.arange(n)]
    found = sparsest_heads(HeadsOfTasks.stacked(heads, 1), best, max_iter=_MAX_ITER, tol=_TOL)
    return [B @ W for B, W in zip(found.unmixing, whiteners, strict=True)]
