"""Evidence of many sets of causes at once: all choices of some latents of each task, other causes held."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.roles.sets import all_sets, set_members

__all__ = ["regression_evidence"]


def regression_evidence(
    correlation: Array,
    n_samples: IntArray,
    chosen: IntArray,
    outside: BoolArray,
    scale: float,
) -> Array:
    """Log evidence of the target given its causes, coefficients N(0, scale s^2) and s integrated out.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Within-task correlations of the latents and, last, the target.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.
    chosen : array of int, shape (n_tasks, k)
        Latents that may be causes or not.
    outside : array of bool, shape (n_tasks, D)
        Other causes.
    scale : float
        Prior variance of coefficients of standardised latents, in units of s^2.

    Returns
    -------
    array, shape (n_tasks, 2**k)
        Sets in the order of `set_members`.
    """
    n = n_samples.astype(np.float64)
    g = n * scale
    M, log_det = _left_by(correlation, outside, chosen, 1.0 / g)
    log_residual, own = all_sets(M)
    size = outside.sum(axis=1)[:, None] + set_members(chosen.shape[1]).sum(axis=1)
    own += log_det[:, None] + size * np.log(g)[:, None]
    return np.asarray(-0.5 * own - 0.5 * (n - 1.0)[:, None] * log_residual)


def _left_by(correlation: Array, inside: BoolArray, chosen: IntArray, ridge: Array) -> tuple[Array, Array]:
    """What a ridge regression on the latents inside leaves of those chosen and the target; its log-determinant.

    Sets are padded to the largest one, since a batch of small systems is solved faster than one matrix is swept.
    """
    T, k = chosen.shape
    rows = np.arange(T)[:, None, None]
    index = np.concatenate([chosen, np.full((T, 1), correlation.shape[1] - 1)], axis=1)
    M = correlation[rows, index[:, :, None], index[:, None, :]]
    i = np.arange(k)
    M[:, i, i] += ridge[:, None]
    count = inside.sum(axis=1)
    m = int(count.max(initial=0))
    if m == 0:
        return M, np.zeros(T)
    members = np.argsort(~inside, axis=1, kind="stable")[:, :m]
    real = np.arange(m) < count[:, None]
    both = real[:, :, None] & real[:, None, :]
    A = np.where(both, correlation[rows, members[:, :, None], members[:, None, :]], 0.0)
    i = np.arange(m)
    A[:, i, i] = np.where(real, 1.0 + ridge[:, None], 1.0)
    K = np.where(real[:, :, None], correlation[rows, members[:, :, None], index[:, None, :]], 0.0)
    return M - K.swapaxes(1, 2) @ np.linalg.solve(A, K), np.asarray(np.linalg.slogdet(A)[1])
