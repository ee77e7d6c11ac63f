r"""Joint diagonalisation of the tasks' covariances: the unmixing matrix by maximum profile likelihood.

With B the unmixing matrix, C_t = B R_t B' and task weights p_t that sum to one, minimise Pham's criterion

    L(B) = -log|det B| + 1/2 sum_t p_t sum_i log (C_t)_ii

by quasi-Newton steps B <- (I + E) B. At a joint diagonaliser the Hessian couples E_ij with E_ji alone, so that a step
costs one 2 x 2 system for each pair (Ablin, Cardoso, Gramfort 2019). Starts that have not converged after some steps
get a memory of the last ones (`step_memory`). All starts are iterated at once, along the first
axis. `covariance_sets` holds what a step asks of the covariances.

References
----------
D. T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices", SIAM J. Matrix Anal. Appl. 22
(2001) 1136-1152.
P. Ablin, J.-F. Cardoso, A. Gramfort, "Beyond Pham's algorithm for joint diagonalization", ESANN 2019, arXiv:1811.11433.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.axes.covariances import CovarianceSet
from identirep.mtlcm.axes.step_memory import StepMemory

__all__ = ["DiagonalisationResult", "joint_diagonalise"]

# Pairs that no task tells apart have a singular 2 x 2 Hessian; its determinant is held above this.
_MIN_CURVATURE = 1e-3
_MAX_HALVINGS = 12
# Where even that promises a decrease lost in rounding, a start has arrived.
_LEAST_DETERMINANT = 1e-9
# From then on steps have a memory: the Hessian couples more than pairs.
_PLAIN_ITERATIONS = 30
# Rounding is looked at where a step promises less than this.
_NEAR = 1e-6
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class DiagonalisationResult:
    """Unmixing matrices of all starts and how they were reached.

    Parameters
    ----------
    unmixing : array, shape (n_starts, D, D)
        Unmixing matrix of each start.
    criterion : array, shape (n_starts,)
        Value of L at the end.
    gradient_norm : array, shape (n_starts,)
        Largest entry of the relative gradient at the end.
    n_iter : array of int, shape (n_starts,)
        Iterations used.
    converged : array of bool, shape (n_starts,)
        Whether the gradient norm is at most the tolerance, or what a Newton step would still gain is below the rounding
        error of L.
    """

    unmixing: Array
    criterion: Array
    gradient_norm: Array
    n_iter: IntArray
    converged: BoolArray


def joint_diagonalise(
    covariances: CovarianceSet, initial: Array, *, max_iter: int = 500, tol: float = 1e-7
) -> DiagonalisationResult:
    """Minimise Pham's criterion from each start.

    Parameters
    ----------
    covariances : CovarianceSet
        Covariances in the coordinates that `initial` acts on.
    initial : array, shape (n_starts, D, D)
        Unmixing matrix of each start.
    max_iter : int, default 500
        Largest number of iterations of a start.
    tol : float, default 1e-7
        A start has converged when no entry of its relative gradient exceeds this.

    Returns
    -------
    DiagonalisationResult
        One entry for each start.
    """
    S, D = initial.shape[:2]
    weights = np.broadcast_to(covariances.weights, (S, covariances.weights.shape[-1]))
    unmixing = initial.copy()
    norm, n_iter = np.full(S, np.inf), np.zeros(S, dtype=np.int64)
    converged = np.zeros(S, dtype=bool)
    active = np.arange(S)
    B, w = unmixing, weights
    lam = covariances.variances(B)
    criterion = value = _criterion(B, lam, w)
    memory, step, last = StepMemory(), np.zeros_like(B), np.zeros_like(B)
    for iteration in range(max_iter + 1):
        # The criterion leaves the scale of rows open: rows of unit mean variance make gradients scale-free.
        scale = 1.0 / np.sqrt(np.einsum("st,sti->si", w, lam))
        B, lam = B * scale[:, :, None], lam * scale[:, None, :] ** 2
        ratio = w[:, :, None] / lam
        G = covariances.weighted_rows(ratio, B) @ B.swapaxes(1, 2) - np.eye(D)
        h = ratio.swapaxes(1, 2) @ lam
        before, norm[active] = norm[active], np.abs(G).max(axis=(1, 2), initial=0.0)
        gain, rounding = _newton_gain(G, h), np.zeros(len(active))
        if np.any(gain < _NEAR):
            rounding = _rounding_error(B, lam, covariances.magnitudes(B), w)
        lost = gain <= rounding
        # Rounding error stops a start only where it keeps the gradient from falling.
        converged[active] = (norm[active] <= tol) | (lost & (norm[active] >= before))
        unmixing[active], criterion[active] = B, value
        if iteration > _PLAIN_ITERATIONS:
            memory.remember(step, G - last)
        going = ~converged[active] & (n_iter[active] < max_iter)
        if not going.any():
            break
        active, B, lam, w, value, G = active[going], B[going], lam[going], w[going], value[going], G[going]
        memory.select(going)
        solve, before_step = partial(_direction, h=h[going]), B
        search = partial(_line_search, covariances, weights=w, rounding=rounding[going])
        B, lam, value, stalled = search(B, lam, value, memory.direction(G, solve), np.ones(len(B), dtype=bool))
        if memory.forget(stalled):
            # What the memory suggested leads nowhere.
            B, lam, value, stalled = search(B, lam, value, solve(G), stalled)
        n_iter[active[~stalled]] += 1
        converged[active[stalled]] = lost[going][stalled]
        moved = ~stalled
        active, B, lam, w, value = active[moved], B[moved], lam[moved], w[moved], value[moved]
        if not len(active):
            break
        if iteration >= _PLAIN_ITERATIONS:
            memory.select(moved)
            last, step = G[moved], B @ np.linalg.inv(before_step[moved]) - np.eye(D)
    return DiagonalisationResult(unmixing, criterion, norm, n_iter, converged)


def _criterion(B: Array, lam: Array, weights: Array) -> Array:
    value: Array = -np.linalg.slogdet(B)[1] + 0.5 * np.einsum("st,sti->s", weights, np.log(lam))
    return value


def _direction(G: Array, h: Array) -> Array:
    """Solve [h_ij 1; 1 h_ji] [E_ij; E_ji] = -[G_ij; G_ji] for all pairs, determinants held positive."""
    h = h * np.sqrt(np.maximum((1.0 + _MIN_CURVATURE) / (h * h.swapaxes(1, 2)), 1.0))
    ht = h.swapaxes(1, 2)
    E = -(ht * G - G.swapaxes(1, 2)) / (h * ht - 1.0)
    diagonal = np.arange(G.shape[1])
    # The criterion does not see the scale of a row; its gradient there is zero by construction.
    E[:, diagonal, diagonal] = 0.0
    return E


def _newton_gain(G: Array, h: Array) -> Array:
    """Decrease of the criterion that a Newton step promises."""
    ht = h.swapaxes(1, 2)
    determinant = np.maximum(h * ht - 1.0, _LEAST_DETERMINANT)
    return np.asarray(0.5 * np.sum((ht * G - G.swapaxes(1, 2)) * G / determinant, axis=(1, 2)))


def _rounding_error(B: Array, lam: Array, magnitudes: Array, weights: Array) -> Array:
    """Bound on the rounding error of the criterion: of its terms, and of the variances that they are logarithms of."""
    terms = np.einsum("st,sti->s", weights, np.abs(np.log(lam)) + magnitudes / lam)
    return np.asarray(_EPS * (np.abs(np.linalg.slogdet(B)[1]) + 0.5 * terms))


def _line_search(
    covariances: CovarianceSet,
    B: Array,
    lam: Array,
    criterion: Array,
    E: Array,
    starts: BoolArray,
    *,
    weights: Array,
    rounding: Array,
) -> tuple[Array, Array, Array, BoolArray]:
    """Halve the step of the starts named until the criterion falls; one that cannot fall any more has stalled."""
    B, lam, criterion = B.copy(), lam.copy(), criterion.copy()
    pending, step = np.flatnonzero(starts), 1.0
    for _ in range(_MAX_HALVINGS):
        moved = B[pending] + step * E[pending] @ B[pending]
        variances = covariances.variances(moved)
        value = _criterion(moved, variances, weights[pending])
        # Rounding in the criterion is no reason to refuse a step.
        fell = value <= criterion[pending] + rounding[pending]
        done = pending[fell]
        B[done], lam[done], criterion[done] = moved[fell], variances[fell], value[fell]
        pending = pending[~fell]
        if not len(pending):
            break
        step *= 0.5
    stalled = np.zeros(len(B), dtype=bool)
    stalled[pending] = True
    return B, lam, criterion, stalled
