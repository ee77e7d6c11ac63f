r"""Algebra of causal sets on correlation matrices of the latents and, last, the target: all tasks at once.

The log evidence of a set C of causes, scales profiled out, is up to what does not depend on C

    n/2 [ sum_{i in C} log(1 - rho_i^2) - log(1 - R^2(y | C)) ],

rho_i the correlation of latent i with y. Sets are moved through by sweeping matrices.
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, BoolArray, IntArray

__all__ = [
    "all_sets",
    "causal_regression",
    "correlations",
    "log_residual_variances",
    "own_terms",
    "search_mode",
    "set_members",
    "swept_on",
]

TINY = 1e-12
# Residual variances of latents below this share of their variance: collinear with those already in the set.
_COLLINEAR = 1e-10
# Numbers searched at once (float64, 1 MB: what a cache holds).
_MAX_NUMBERS = 2**17


def correlations(joint: Array) -> Array:
    """Scale covariance matrices to correlations, shape (n_tasks, D + 1, D + 1)."""
    scale = np.sqrt(np.einsum("tii->ti", joint))
    return np.asarray(joint / (scale[:, :, None] * scale[:, None, :]), dtype=np.float64)


def own_terms(correlation: Array, n_samples: IntArray) -> Array:
    """Evidence n/2 log(1 - rho^2) that each latent brings as a cause, apart from R^2, shape (n_tasks, D)."""
    rho2 = np.clip(correlation[:, :-1, -1] ** 2, TINY, 1.0 - TINY)
    return np.asarray(0.5 * n_samples[:, None] * np.log1p(-rho2), dtype=np.float64)


def set_members(k: int) -> Array:
    """Membership (0 or 1) of k latents in all sets, shape (2**k, k); the first latent is the highest bit."""
    return (np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1).astype(np.float64)


def causal_regression(cov_z: Array, cov_zy: Array, causal: BoolArray) -> Array:
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


def log_residual_variances(M: Array, chosen: IntArray) -> Array:
    """Log of 1 - R^2 of y on every set of the `chosen` latents, shape (n_tasks, 2**k); first latent = highest bit.

    Parameters
    ----------
    M : array, shape (n_tasks, D + 1, D + 1)
        Correlations of latents and target, or what latents already in the set leave of them.
    chosen : array of int, shape (n_tasks, k)
        The latents of each task.

    Returns
    -------
    array, shape (n_tasks, 2**k)
        Sets in the order of `set_members`.
    """
    T = len(M)
    index = np.concatenate([chosen, np.full((T, 1), M.shape[1] - 1)], axis=1)
    return all_sets(M[np.arange(T)[:, None, None], index[:, :, None], index[:, None, :]])[0]


def all_sets(M: Array) -> tuple[Array, Array]:
    """Sweep every set of all latents but the last, the target.

    Each level of the recursion splits on one latent: left out, its row and column are dropped; taken in, they are
    swept out. The matrices shrink as fast as their number doubles, so all sets cost about as much as the last few
    levels. Sets and tasks share the last axis, along which NumPy is fast.

    Parameters
    ----------
    M : array, shape (n_tasks, k + 1, k + 1)
        Symmetric matrices.

    Returns
    -------
    log_residual : array, shape (n_tasks, 2**k)
        Log of what is left of the last diagonal entry; sets in the order of `set_members`.
    log_det : array, shape (n_tasks, 2**k)
        Log-determinant of the submatrix of the set.
    """
    k, T = M.shape[1] - 1, len(M)
    order = np.concatenate([[k], np.arange(k)])
    nodes, log_det = M[:, order[:, None], order].transpose(1, 2, 0), np.zeros(T)
    # The latent split on at last is the highest bit.
    for size in range(k, 0, -1):
        rest, column, pivot = nodes[:size, :size], nodes[:size, size], nodes[size, size]
        usable = pivot > _COLLINEAR
        factor = np.where(usable, 1.0 / np.where(usable, pivot, 1.0), 0.0)
        m = len(pivot)
        nodes = np.empty((size, size, 2 * m))
        nodes[..., :m] = rest
        np.multiply(column[:, None], factor * column, out=nodes[..., m:])
        np.subtract(rest, nodes[..., m:], out=nodes[..., m:])
        log_det = np.concatenate([log_det, log_det + np.log(np.maximum(pivot, _COLLINEAR))])
    log_residual = np.log(np.maximum(nodes[0, 0], TINY))
    return log_residual.reshape(-1, T).T.copy(), log_det.reshape(-1, T).T.copy()


def _sweep(M: Array, tasks: IntArray, latent: IntArray) -> None:
    """Sweep one latent of each task named, in place; sweeping it again undoes that (Goodnight 1979)."""
    rows = M[tasks, latent].copy()
    pivot = rows[np.arange(len(tasks)), latent]
    pivot = np.where(np.abs(pivot) > TINY, pivot, np.copysign(TINY, pivot))
    M[tasks] -= rows[:, :, None] * rows[:, None, :] / pivot[:, None, None]
    scaled = rows / np.abs(pivot)[:, None]
    M[tasks, latent], M[tasks, :, latent] = scaled, scaled
    M[tasks, latent, latent] = -1.0 / pivot


def swept_on(correlation: Array, causal: BoolArray) -> Array:
    """Correlation matrices with each latent of the set swept in.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Correlations of latents and target.
    causal : array of bool, shape (n_tasks, D)
        The sets.

    Returns
    -------
    array, shape (n_tasks, D + 1, D + 1)
        Regressions on the set (minus the inverse of its own block), and what it leaves of the others.
    """
    M = correlation.copy()
    _sweep_sets(M, causal)
    return M


def search_mode(
    correlation: Array,
    n_samples: IntArray,
    bonus: Array,
    start: BoolArray,
    log_strength: Array | None = None,
    pairs: Array | None = None,
) -> tuple[BoolArray, Array]:
    """Flip the latent that gains most, in all tasks at once, until none gains.

    A swept matrix gives the gain of every single flip: taking in latent i lowers the residual variance of y by
    M_iy^2 / M_ii, and since M_ii < 0 for those in the set the same formula gives the rise from leaving it out.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Correlations of latents and target.
    n_samples : array of int, shape (n_tasks,)
        Rows of each task.
    bonus : array, shape (n_tasks, D)
        Log odds that each latent brings as a cause, apart from the regression.
    start : array of bool, shape (n_tasks, D)
        The sets to start from.
    log_strength : array, shape (n_tasks,), optional
        Log of g: the regression then has coefficients N(0, g s^2 / n) integrated out. Without, they are profiled out.
    pairs : array, shape (n_tasks, D, D), optional
        Log evidence that each pair brings unless both are causes; zero on the diagonal.

    Returns
    -------
    causal : array of bool, shape (n_tasks, D)
        The sets found.
    odds : array, shape (n_tasks, D)
        Log odds there of cause against none, the other latents as they are.
    """
    T, D = bonus.shape
    causal, odds = start.copy(), np.zeros((T, D))
    block = max(1, _MAX_NUMBERS // (D + 1) ** 2)
    for first in range(0, T, block):
        part = slice(first, first + block)
        M = correlation[part].copy()
        if log_strength is not None:
            M[:, np.arange(D), np.arange(D)] += np.exp(-log_strength[part, None])
        price = None if log_strength is None else log_strength[part, None]
        together = None if pairs is None else pairs[part]
        causal[part], odds[part] = _search(M, n_samples[part], bonus[part], causal[part], price, together)
    return causal, odds


def _search(
    M: Array,
    n_samples: IntArray,
    bonus: Array,
    start: BoolArray,
    price: Array | None,
    pairs: Array | None,
) -> tuple[BoolArray, Array]:
    """Search the mode of a few tasks, so that their matrices `M` stay in cache; these are overwritten."""
    T, D = bonus.shape
    causal = start.copy()
    _sweep_sets(M, causal)
    i = np.arange(D)
    odds = np.zeros((T, D))
    running = np.arange(T)
    for _ in range(4 * D):
        inside = causal[running]
        residual = np.maximum(M[running, D, D], TINY)[:, None]
        pivot = M[running[:, None], i, i]
        change = M[running, :D, D] ** 2 / np.where(np.abs(pivot) > _COLLINEAR, pivot, np.inf)
        gain = 0.5 * n_samples[running, None] * np.abs(np.log(np.maximum(residual - change, TINY) / residual))
        if price is not None:
            # Half the log-determinant of the latents' matrix: a pivot as one joins, the inverse as it leaves.
            size = np.log(np.maximum(np.abs(pivot), TINY))
            gain -= 0.5 * (price[running] + np.where(inside, -size, size))
        if pairs is not None:
            gain -= np.einsum("tij,tj->ti", pairs[running], inside.astype(np.float64))
        odds[running] = gain + bonus[running]
        improvement = np.where(inside, -odds[running], odds[running])
        best = np.argmax(improvement, axis=1)
        better = improvement[np.arange(len(running)), best] > 1e-9
        running, best = running[better], best[better]
        if not len(running):
            break
        _sweep(M, running, best)
        causal[running, best] ^= True
    return causal, odds


def _sweep_sets(M: Array, causal: BoolArray) -> None:
    for latent in range(causal.shape[1]):
        tasks = np.flatnonzero(causal[:, latent])
        if len(tasks):
            _sweep(M, tasks, np.full(len(tasks), latent))
