r"""Algebra of causal sets on correlation matrices of the latents and, last, the target: all tasks at once.

The log evidence of a set C of causes, scales profiled out, is up to what does not depend on C

    n/2 [ sum_{i in C} log(1 - rho_i^2) - log(1 - R^2(y | C)) ],

rho_i the correlation of latent i with y. Sets are moved through by sweeping matrices (Goodnight 1979).
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, BoolArray, Counts, IntArray

__all__ = [
    "all_sets",
    "correlations",
    "log_residual_variances",
    "lower_rows",
    "own_terms",
    "search_mode",
    "set_members",
    "sweep",
    "swept_on",
]

TINY = 1e-12
# Residual variances of latents below this share of their variance: collinear with those already in the set.
_COLLINEAR = 1e-10
# Numbers searched at once (float64, 1 MB: what a cache holds).
_MAX_NUMBERS = 2**17


def correlations(joint: Array) -> Array:
    """Scale covariance matrices to correlations, shape (n_tasks, D + 1, D + 1); those with a constant are zero."""
    scale = np.sqrt(np.einsum("tii->ti", joint))
    scale = np.where(scale > 0.0, scale, 1.0)
    return np.asarray(joint / (scale[:, :, None] * scale[:, None, :]), dtype=np.float64)


def own_terms(correlation: Array, n_samples: Counts) -> Array:
    """Evidence n/2 log(1 - rho^2) that each latent brings as a cause, apart from R^2, shape (n_tasks, D)."""
    rho2 = np.clip(correlation[:, :-1, -1] ** 2, TINY, 1.0 - TINY)
    return np.asarray(0.5 * n_samples[:, None] * np.log1p(-rho2), dtype=np.float64)


def set_members(k: int) -> Array:
    """Membership (0 or 1) of k latents in all sets, shape (2**k, k); the first latent is the highest bit."""
    return (np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1).astype(np.float64)


def log_residual_variances(M: Array, candidates: IntArray) -> Array:
    """Log of 1 - R^2 of y on every set of the candidates (n_tasks, k), shape (n_tasks, 2**k) as in `set_members`."""
    T = len(M)
    index = np.concatenate([candidates, np.full((T, 1), M.shape[1] - 1)], axis=1)
    return all_sets(M[np.arange(T)[:, None, None], index[:, :, None], index[:, None, :]])[0]


def all_sets(M: Array) -> tuple[Array, Array]:
    """Sweep every set of all latents but the last, the target: log of what is left of it, log-determinant of the set.

    Each level of the recursion splits on one latent: left out, its row and column are dropped; taken in, they are
    swept out. The matrices shrink as fast as their number doubles, so all sets cost about as much as the last few
    levels. Sets and tasks share the last axis, along which NumPy is fast, and one half of symmetric matrices does. `M`
    has shape (n_tasks, k + 1, k + 1), what is returned (n_tasks, 2**k), sets in the order of `set_members`.
    """
    k, T = M.shape[1] - 1, len(M)
    order = np.concatenate([[k], np.arange(k)])
    nodes, log_det = lower_rows(M[:, order[:, None], order]), np.zeros(T)
    # The latent split on at last is the highest bit.
    for size in range(k, 0, -1):
        n_rest, m = size * (size + 1) // 2, nodes.shape[1]
        rest, column, pivot = nodes[:n_rest], nodes[n_rest:-1], nodes[-1]
        usable = pivot > _COLLINEAR
        scaled = column * np.where(usable, 1.0 / np.where(usable, pivot, 1.0), 0.0)
        nodes = np.empty((n_rest, 2 * m))
        nodes[:, :m] = rest
        for i in range(size):
            row = slice(i * (i + 1) // 2, (i + 1) * (i + 2) // 2)
            np.multiply(column[i], scaled[: i + 1], out=nodes[row, m:])
        np.subtract(rest, nodes[:, m:], out=nodes[:, m:])
        log_det = np.concatenate([log_det, log_det + np.log(np.maximum(pivot, _COLLINEAR))])
    log_residual = np.log(np.maximum(nodes[0], TINY))
    return log_residual.reshape(-1, T).T.copy(), log_det.reshape(-1, T).T.copy()


def lower_rows(M: Array) -> Array:
    """Lower triangles of symmetric matrices, (n, D, D), row by row and the matrices last: (D (D + 1) / 2, n)."""
    i, j = np.tril_indices(M.shape[1])
    return np.ascontiguousarray(M[:, i, j].T)


def sweep(M: Array, latent: int | IntArray, where: BoolArray | bool = True, buffer: Array | None = None) -> None:
    """Sweep a latent, in place, where told; sweeping it again undoes that (Goodnight 1979).

    `M` has shape (..., D + 1, D + 1, n_tasks), since NumPy is fast along a long last axis. The latent is one for all
    tasks or one for each; `buffer` is room for as many numbers as `M` holds.
    """
    tasks = slice(None) if np.ndim(latent) == 0 else np.arange(M.shape[-1])
    row = M[..., latent, tasks].copy()
    pivot = row[..., latent, tasks]
    factor = np.where(where, 1.0 / np.where(np.abs(pivot) > TINY, pivot, np.copysign(TINY, pivot)), 0.0)
    M -= np.multiply(row[..., :, None, :], (row * factor[..., None, :])[..., None, :, :], out=buffer)
    row *= np.where(where, np.abs(factor), 1.0)[..., None, :]
    row[..., latent, tasks] = np.where(where, -factor, pivot)
    M[..., latent, tasks] = M.swapaxes(-3, -2)[..., latent, tasks] = row


def swept_on(correlation: Array, causal: BoolArray) -> Array:
    """Regressions on the causes (minus the inverse of their own block), and what they leave of the other latents."""
    M = correlation.transpose(1, 2, 0).copy()
    _sweep_causes(M, causal)
    return M.transpose(2, 0, 1)


def search_mode(
    correlation: Array,
    n_samples: Counts,
    bonus: Array,
    start: BoolArray,
    log_strength: Array | None = None,
    pairs: Array | None = None,
) -> tuple[BoolArray, Array]:
    """Flip the latent that gains most, in all tasks at once, until none gains; also return the log odds of a cause.

    A swept matrix gives the gain of every single flip: taking in latent i lowers the residual variance of y by
    M_iy^2 / M_ii, and since M_ii < 0 for those in the set the same formula gives the rise from leaving it out. `bonus`
    (n_tasks, D) are the log odds that each latent brings as a cause, apart from the regression. With `log_strength`,
    log of g for each task, the regression has coefficients N(0, g s^2 / n) integrated out; without, they are profiled
    out. `pairs` (n_tasks, D, D) is the log evidence that each pair brings unless both are causes, zero on the diagonal.
    """
    T, D = bonus.shape
    causal, odds = start.copy(), np.zeros((T, D))
    block = max(1, _MAX_NUMBERS // (D + 1) ** 2)
    for first in range(0, T, block):
        part = slice(first, first + block)
        M = correlation[part].transpose(1, 2, 0).copy()
        if log_strength is not None:
            M[np.arange(D), np.arange(D)] += np.exp(-log_strength[part])
        price = None if log_strength is None else log_strength[part, None]
        together = None if pairs is None else pairs[part]
        causal[part], odds[part] = _search(M, n_samples[part], bonus[part], causal[part], price, together)
    return causal, odds


def _search(
    M: Array,
    n_samples: Counts,
    bonus: Array,
    start: BoolArray,
    price: Array | None,
    pairs: Array | None,
) -> tuple[BoolArray, Array]:
    """Search the mode of a few tasks, so that their matrices `M` stay in cache; these are overwritten."""
    T, D = bonus.shape
    causal = start.copy()
    _sweep_causes(M, causal)
    odds = np.zeros((T, D))
    running = np.arange(T)
    for _ in range(4 * D):
        now = causal[running]
        residual, pivot = np.maximum(M[D, D], TINY)[:, None], np.einsum("iit->ti", M)[:, :D]
        change = M[:D, D].T ** 2 / np.where(np.abs(pivot) > _COLLINEAR, pivot, np.inf)
        gain = 0.5 * n_samples[running, None] * np.abs(np.log(np.maximum(residual - change, TINY) / residual))
        if price is not None:
            # Half the log-determinant of the latents' matrix: a pivot as one joins, the inverse as it leaves.
            size = np.log(np.maximum(np.abs(pivot), TINY))
            gain -= 0.5 * (price[running] + np.where(now, -size, size))
        if pairs is not None:
            gain -= np.einsum("tij,tj->ti", pairs[running], now.astype(np.float64))
        odds[running] = gain + bonus[running]
        improvement = np.where(now, -odds[running], odds[running])
        best = np.argmax(improvement, axis=1)
        better = improvement[np.arange(len(running)), best] > 1e-9
        running, best = running[better], best[better]
        if not len(running):
            break
        if not better.all():
            M = M[..., better]
        sweep(M, best)
        causal[running, best] ^= True
    return causal, odds


def _sweep_causes(M: Array, causal: BoolArray) -> None:
    """Sweep each latent where it is a cause, in place."""
    buffer = np.empty_like(M)
    for latent in np.flatnonzero(causal.any(axis=0)).tolist():
        sweep(M, latent, causal[:, latent], buffer)
