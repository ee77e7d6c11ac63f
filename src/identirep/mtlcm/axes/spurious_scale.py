r"""Refinement of the unmixing matrix when the scale of spurious latents is fixed.

With c_ti in {0, 1} for causal, causal latents of unit variance and spurious ones of variance q given the target,
minimise

    -log|det B| + 1/2 sum_t p_t sum_i [ c_ti (B S_t B')_ii + (1 - c_ti) ((B R_t B')_ii / q + log q) ]

over B and c in turn. For fixed c each row has a closed-form update (iterative projection, Ono 2011), so that the
criterion never rises.

References
----------
N. Ono, "Stable and fast update rules for independent vector analysis based on auxiliary function technique", WASPAA
2011.
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array

__all__ = ["refine_with_spurious_scale"]

_SCALES = np.exp(np.linspace(-4.0, 4.0, 81))


def refine_with_spurious_scale(
    B: Array, S: Array, R: Array, weights: Array, spurious_std: float, *, max_iter: int, tol: float
) -> Array:
    """Minimise the criterion from a joint diagonaliser.

    Parameters
    ----------
    B : array, shape (D, D)
        Start; rows in any scale.
    S, R : array, shape (n_tasks, D, D)
        Covariance of the features, and the same given the target.
    weights : array, shape (n_tasks,)
        Task weights that sum to one.
    spurious_std : float
        Square root of q.
    max_iter : int
        Largest number of passes over all rows.
    tol : float
        Stop when a pass lowers the criterion by less than this.

    Returns
    -------
    array, shape (D, D)
        The refined unmixing matrix.
    """
    q = spurious_std**2
    B = B * _best_scales(_quadratic(B, S), _quadratic(B, R), weights, q)[:, None]
    D = len(B)
    unit = np.eye(D)
    before = np.inf
    for _ in range(max_iter):
        as_cause, as_effect = _quadratic(B, S), _quadratic(B, R) / q + np.log(q)
        causal = as_cause <= as_effect
        criterion = -np.linalg.slogdet(B)[1] + 0.5 * float(np.sum(weights @ np.where(causal, as_cause, as_effect)))
        if before - criterion <= tol:
            break
        before = criterion
        for i in range(D):
            c = causal[:, i]
            W = np.tensordot(weights * c, S, axes=1) + np.tensordot(weights * ~c / q, R, axes=1)
            # det B is linear in row i, with this column of the inverse as its gradient.
            direction = np.linalg.solve(W, np.linalg.solve(B, unit[i]))
            B[i] = direction / np.sqrt(direction @ W @ direction)
    return B


def _best_scales(as_cause: Array, as_effect: Array, weights: Array, q: float) -> Array:
    """Scale of each row that minimises the criterion, each cell in its better role; a fine search on a log grid."""
    squared = (_SCALES / np.sqrt(weights @ as_cause)[:, None]) ** 2
    cause = squared.T[:, None, :] * as_cause
    effect = squared.T[:, None, :] * as_effect / q + np.log(q)
    value = 0.5 * np.einsum("t,sti->si", weights, np.minimum(cause, effect)) - 0.5 * np.log(squared.T)
    return np.sqrt(squared[np.arange(len(squared)), np.argmin(value, axis=0)])


def _quadratic(B: Array, S: Array) -> Array:
    """(B S_t B')_ii for all tasks, shape (n_tasks, D)."""
    return np.einsum("tij,ij->ti", B @ S, B)
