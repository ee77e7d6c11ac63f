r"""What the noise that effects have in common says about sets of causes: exact, for all sets of some latents at once.

Given the target, effects are independent but for the observation noise, whose correlations R are known. With F what
the data show, the effects S of a set gain

    -(n - 1)/2 [ log|R_SS| + tr(R_SS^{-1} F_SS) - tr F_SS ].

Pairs taken one by one (`pair_evidence`) would count the same noise many times where it comes from one direction, as
with ill-conditioned mixings. How much of what is left of the effects is noise is not known well, and a correlation near
1 that is not quite there costs more than any role; so all correlations may be smaller by a common share, which is
averaged over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.roles.sets import set_members

__all__ = ["NOISE_SHARES", "Dependence", "dependence_evidence"]

# Shares of the correlation of their noise that effects may have.
NOISE_SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
# Least eigenvalue of the correlations: what is given need not be positive definite.
_LEAST = 1e-2
# Numbers held at once (float64, 64 MB).
_MAX_NUMBERS = 2**23


class Dependence(NamedTuple):
    """Correlations of the latents given the target.

    Parameters
    ----------
    model : array, shape (n_tasks, D, D)
        By observation noise alone, as far as it is known; ones on the diagonal.
    found : array, shape (n_tasks, D, D)
        What the data show, in the same units.
    """

    model: Array
    found: Array

    def select(self, tasks: IntArray) -> Dependence:
        """Keep some of the tasks."""
        return Dependence(self.model[tasks], self.found[tasks])


def dependence_evidence(dependence: Dependence, n_samples: IntArray, chosen: IntArray, outside: BoolArray) -> Array:
    """Log evidence of every set of causes among the chosen latents by what the noise of all others has in common.

    Parameters
    ----------
    dependence : Dependence
        Correlations.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.
    chosen : array of int, shape (n_tasks, k)
        Latents that may be causes or not.
    outside : array of bool, shape (n_tasks, D)
        Other causes.

    Returns
    -------
    array, shape (n_tasks, 2**k)
        Sets in the order of `set_members`.
    """
    T, k = chosen.shape
    D = outside.shape[1]
    block = max(1, _MAX_NUMBERS // (len(NOISE_SHARES) * max(2 ** (k + 2), D * D)))
    parts = [
        _evidence(dependence.select(tasks), n_samples[tasks], chosen[tasks], outside[tasks])
        for tasks in np.split(np.arange(T), range(block, T, block))
    ]
    return np.concatenate(parts)


def _evidence(dependence: Dependence, n_samples: IntArray, chosen: IntArray, outside: BoolArray) -> Array:
    T, D = outside.shape
    shares = np.array(NOISE_SHARES)
    R = np.where(np.eye(D, dtype=bool), 0.0, dependence.model)
    lowest = np.linalg.eigvalsh(R)[:, 0]
    R *= np.minimum(1.0, (1.0 - _LEAST) / np.maximum(-lowest, 1.0 - _LEAST))[:, None, None]
    # Shares and tasks are one axis, shares first.
    R = (shares[:, None, None, None] * R + np.eye(D)).reshape(-1, D, D)
    F = np.tile(dependence.found, (len(shares), 1, 1))
    every = np.tile(chosen, (len(shares), 1))
    apart = ~outside
    np.put_along_axis(apart, chosen, False, axis=1)
    plain = np.take_along_axis(np.einsum("tii->ti", F), every, axis=1)
    R, F, start = _given(R, F, every, np.tile(apart, (len(shares), 1)))
    loss = start[:, None] + _over_sets(R, F) - plain @ (1.0 - set_members(chosen.shape[1])).T
    value = -0.5 * (n_samples - 1.0)[:, None] * loss.reshape(len(shares), T, -1)
    return np.asarray(logsumexp(value, axis=0) - np.log(len(shares)))


def _given(R: Array, F: Array, chosen: IntArray, apart: BoolArray) -> tuple[Array, Array, Array]:
    """Correlations of the chosen latents given effects apart from them, and twice the negative gain of these."""
    rows = np.arange(len(R))[:, None, None]
    R_own, F_own = (M[rows, chosen[:, :, None], chosen[:, None, :]] for M in (R, F))
    if not apart.any():
        return R_own, F_own, np.zeros(len(R))
    count = apart.sum(axis=1)
    m = int(count.max())
    members = np.argsort(~apart, axis=1, kind="stable")[:, :m]
    real = np.arange(m) < count[:, None]
    both = real[:, :, None] & real[:, None, :]
    A = np.where(both, R[rows, members[:, :, None], members[:, None, :]], np.eye(m))
    B = np.where(both, F[rows, members[:, :, None], members[:, None, :]], 0.0)
    R_cross, F_cross = (
        np.where(real[:, :, None], M[rows, members[:, :, None], chosen[:, None, :]], 0.0) for M in (R, F)
    )
    solved = np.linalg.solve(A, np.concatenate([R_cross, B], axis=2))
    W, AB = solved[:, :, : chosen.shape[1]], solved[:, :, chosen.shape[1] :]
    start = np.linalg.slogdet(A)[1] + np.einsum("tii->t", AB) - np.einsum("tii->t", B)
    mixed = W.swapaxes(1, 2) @ F_cross
    found = F_own - mixed - mixed.swapaxes(1, 2) + W.swapaxes(1, 2) @ B @ W
    # What is left of the chosen ones is measured against what they were.
    return R_own - W.swapaxes(1, 2) @ R_cross, found, start


def _over_sets(R: Array, F: Array) -> Array:
    """log|R_SS| + tr(R_SS^{-1} F_SS) for the complements S of all sets.

    The recursion of `all_sets`: a cause is dropped, an effect is taken out of the others.
    """
    k, T = R.shape[1], len(R)
    R, F = (M.transpose(1, 2, 0) for M in (R, F))
    value = np.zeros(T)
    for size in range(k - 1, -1, -1):
        column, pivot, own = R[:size, size], np.maximum(R[size, size], _LEAST**2), F[size, size]
        u = column / pivot
        cross = u[:, None] * F[:size, size]
        left_R = R[:size, :size] - u[:, None] * column
        left_F = F[:size, :size] - cross - cross.swapaxes(0, 1) + u[:, None] * (own * u)
        value = np.concatenate([value + np.log(pivot) + own / pivot, value])
        R, F = (np.concatenate([a, b], axis=-1) for a, b in ((left_R, R[:size, :size]), (left_F, F[:size, :size])))
    return value.reshape(-1, T).T
