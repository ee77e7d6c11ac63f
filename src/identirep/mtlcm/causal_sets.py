r"""Algebra of causal sets on correlation matrices of the latents and, last, the target: all tasks at once.

The log evidence of a set C of causes, scales profiled out, is up to what does not depend on C

    n/2 [ sum_{i in C} log(1 - rho_i^2) - log(1 - R^2(y | C)) ],

rho_i the correlation of latent i with y. Sets are moved through by sweeping matrices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "causal_regression",
    "correlations",
    "log_residual_variances",
    "own_terms",
    "sample_sets",
    "search_mode",
    "set_members",
    "swept_on",
]

Array = NDArray[np.float64]

TINY = 1e-12
# Residual variances of latents below this share of their variance: collinear with those already in the set.
_COLLINEAR = 1e-10


def correlations(joint: Array) -> Array:
    """Scale covariance matrices to correlations, shape (n_tasks, D + 1, D + 1)."""
    scale = np.sqrt(np.einsum("tii->ti", joint))
    return np.asarray(joint / (scale[:, :, None] * scale[:, None, :]), dtype=np.float64)


def own_terms(correlation: Array, n_samples: NDArray[np.int64]) -> Array:
    """Evidence n/2 log(1 - rho^2) that each latent brings as a cause, apart from R^2, shape (n_tasks, D)."""
    rho2 = np.clip(correlation[:, :-1, -1] ** 2, TINY, 1.0 - TINY)
    return np.asarray(0.5 * n_samples[:, None] * np.log1p(-rho2), dtype=np.float64)


def set_members(k: int) -> Array:
    """Membership (0 or 1) of k latents in all sets, shape (2**k, k); the first latent is the highest bit."""
    return (np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1).astype(np.float64)


def causal_regression(cov_z: Array, cov_zy: Array, causal: NDArray[np.bool_]) -> Array:
    """Regress each target on its causes.

    Parameters
    ----------
    cov_z : array, shape (n_tasks, D, D)
        Within-task covariance of the latents.
    cov_zy : array, shape (n_tasks, D)
        Covariance of latents and target.
    causal : array of bool, shape (n_tasks, D)
        The causes.

    Returns
    -------
    array, shape (n_tasks, D)
        Regression coefficients; 0 for latents that are no causes.
    """
    D = cov_z.shape[1]
    both = causal[:, :, None] & causal[:, None, :]
    scale = np.sqrt(np.einsum("tii->ti", cov_z))
    scale = np.where(scale > 0, scale, 1.0)
    normal = np.where(both, cov_z / (scale[:, :, None] * scale[:, None, :]), 0.0)
    # A unit diagonal for the others makes the system regular and their coefficients zero; the ridge is at rounding
    # level.
    normal[:, np.arange(D), np.arange(D)] = 1.0 + 1e-12
    right = np.where(causal, cov_zy / scale, 0.0)
    return np.linalg.solve(normal, right[..., None])[..., 0] / scale


def log_residual_variances(M: Array, chosen: NDArray[np.int64]) -> Array:
    """Log of 1 - R^2 of y on every set of the `chosen` latents, shape (n_tasks, 2**k); first latent = highest bit.

    Each level of the recursion splits on one latent: left out, its row and column are dropped; taken in, they are
    swept out. The matrices shrink as fast as their number doubles, so all sets cost about as much as the last few
    levels.
    """
    T = len(M)
    index = np.concatenate([chosen, np.full((T, 1), M.shape[1] - 1)], axis=1)
    nodes = M[np.arange(T)[:, None, None], index[:, :, None], index[:, None, :]][:, None]
    for _ in range(chosen.shape[1]):
        rest, column, pivot = nodes[..., 1:, 1:], nodes[..., 1:, 0], nodes[..., 0, 0]
        usable = pivot > _COLLINEAR
        factor = np.where(usable, 1.0 / np.where(usable, pivot, 1.0), 0.0)
        swept = rest - (factor[..., None] * column)[..., :, None] * column[..., None, :]
        nodes = np.stack([rest, swept], axis=2).reshape(T, -1, *rest.shape[2:])
    return np.log(np.maximum(nodes[..., 0, 0], TINY))


def _sweep(M: Array, tasks: NDArray[np.int64], latent: NDArray[np.int64]) -> None:
    """Sweep one latent of each task named, in place; sweeping it again undoes that (Goodnight 1979)."""
    rows = M[tasks, latent].copy()
    pivot = rows[np.arange(len(tasks)), latent]
    pivot = np.where(np.abs(pivot) > TINY, pivot, np.copysign(TINY, pivot))
    M[tasks] -= rows[:, :, None] * rows[:, None, :] / pivot[:, None, None]
    scaled = rows / np.abs(pivot)[:, None]
    M[tasks, latent], M[tasks, :, latent] = scaled, scaled
    M[tasks, latent, latent] = -1.0 / pivot


def swept_on(correlation: Array, causal: NDArray[np.bool_]) -> Array:
    """Correlation matrices with each latent of the set swept in."""
    M = correlation.copy()
    for latent in range(causal.shape[1]):
        tasks = np.flatnonzero(causal[:, latent])
        if len(tasks):
            _sweep(M, tasks, np.full(len(tasks), latent))
    return M


def search_mode(
    correlation: Array, n_samples: NDArray[np.int64], bonus: Array, start: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Array]:
    """Flip the latent that gains most, in all tasks at once, until none gains; return the set and the log odds there.

    A swept matrix gives the gain of every single flip: taking in latent i lowers the residual variance of y by
    M_iy^2 / M_ii, and since M_ii < 0 for those in the set the same formula gives the rise from leaving it out.
    """
    T, D = bonus.shape
    causal, M = start.copy(), swept_on(correlation, start)
    i = np.arange(D)
    odds = np.zeros((T, D))
    running = np.arange(T)
    for _ in range(4 * D):
        part = M[running]
        residual = np.maximum(part[:, D, D], TINY)
        pivot = part[:, i, i]
        change = part[:, i, D] ** 2 / np.where(np.abs(pivot) > _COLLINEAR, pivot, np.inf)
        flipped = np.maximum(residual[:, None] - change, TINY)
        gain = 0.5 * n_samples[running, None] * (np.log(residual)[:, None] - np.log(flipped))
        inside = causal[running]
        odds[running] = np.where(inside, -gain, gain) + bonus[running]
        improvement = np.where(inside, -odds[running], odds[running])
        best = np.argmax(improvement, axis=1)
        better = improvement[np.arange(len(running)), best] > 1e-9
        running, best = running[better], best[better]
        if not len(running):
            break
        _sweep(M, running, best)
        causal[running, best] ^= True
    return causal, odds


def sample_sets(
    correlation: Array,
    n_samples: NDArray[np.int64],
    causal: NDArray[np.bool_],
    temperature: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Draw sets of causes by one Gibbs scan over the latents, all tasks at once.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Correlations of latents and target.
    n_samples : array of int, shape (n_tasks,)
        Rows of each task.
    causal : array of bool, shape (n_tasks, D)
        Where the scan starts.
    temperature : float
        Factor on the log evidence; 1 samples the posterior under a flat prior.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    array of bool, shape (n_tasks, D)
        The sets drawn.
    """
    T, D = causal.shape
    own = own_terms(correlation, n_samples)
    causal, M = causal.copy(), swept_on(correlation, causal)
    for i in rng.permutation(D):
        _sweep_column(M, causal, i)
        residual, pivot = np.maximum(M[:, D, D], TINY), M[:, i, i]
        explained = M[:, i, D] ** 2 / np.where(pivot > _COLLINEAR, pivot, np.inf)
        gain = np.log(residual) - np.log(np.maximum(residual - explained, TINY))
        odds = temperature * (own[:, i] + 0.5 * n_samples * gain)
        causal[:, i] = rng.logistic(size=T) < odds
        _sweep_column(M, causal, i)
    return causal


def _sweep_column(M: Array, causal: NDArray[np.bool_], latent: int) -> None:
    tasks = np.flatnonzero(causal[:, latent])
    if len(tasks):
        _sweep(M, tasks, np.full(len(tasks), latent))
