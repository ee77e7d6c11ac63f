r"""Joint diagonalisation of the tasks' covariances: the unmixing matrix by maximum profile likelihood.

With B the unmixing matrix, C_t = B R_t B' and task weights p_t that sum to one, minimise Pham's criterion

    L(B) = -log|det B| + 1/2 sum_t p_t sum_i log (C_t)_ii

by quasi-Newton steps B <- (I + E) B. At a joint diagonaliser the Hessian couples E_ij with E_ji alone, so that a step
costs one 2 x 2 system for each pair (Ablin, Cardoso, Gramfort 2019). All starts are iterated at once, along the first
axis.

References
----------
D. T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices", SIAM J. Matrix Anal. Appl. 22
(2001) 1136-1152.
P. Ablin, J.-F. Cardoso, A. Gramfort, "Beyond Pham's algorithm for joint diagonalization", ESANN 2019, arXiv:1811.11433.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["CovarianceSet", "DenseCovariances", "DiagonalisationResult", "SharedCovariances", "joint_diagonalise"]

Array = NDArray[np.float64]

# Pairs that no task tells apart have a singular 2 x 2 Hessian; its determinant is held above this.
_MIN_CURVATURE = 1e-3
_MAX_HALVINGS = 12


class CovarianceSet(Protocol):
    """Covariances C_t of the tasks in the coordinates of each start, as the solver needs them."""

    @property
    def weights(self) -> Array:
        """Task weights of each start, shape (n_starts, n_tasks)."""
        ...

    def diagonals(self) -> Array:
        """Return the variances (C_t)_ii, shape (n_starts, n_tasks, D)."""
        ...

    def weighted_sum(self, coefficients: Array) -> Array:
        """Return sum_t coefficients_ti (C_t)_ij, shape (n_starts, D, D)."""
        ...

    def transformed(self, M: Array, starts: NDArray[np.int64]) -> CovarianceSet:
        """Return M C_t M' for the starts named, with one M for each."""
        ...


@dataclass(frozen=True)
class DenseCovariances:
    """One covariance matrix for each task and start, shape (n_starts, n_tasks, D, D)."""

    matrices: Array
    weights: Array

    def diagonals(self) -> Array:
        return np.einsum("stii->sti", self.matrices).copy()

    def weighted_sum(self, coefficients: Array) -> Array:
        return np.einsum("sti,stij->sij", coefficients, self.matrices)

    def transformed(self, M: Array, starts: NDArray[np.int64]) -> DenseCovariances:
        M = M[:, None]
        return DenseCovariances(M @ self.matrices[starts] @ M.swapaxes(-1, -2), self.weights[starts])


@dataclass(frozen=True)
class SharedCovariances:
    """Covariances G - m_t m_t' of shared inputs: one G (n_starts, D, D), a vector m_t (n_starts, n_tasks, D) a task."""

    common: Array
    vectors: Array
    weights: Array

    def diagonals(self) -> Array:
        own = np.einsum("sii->si", self.common)[:, None]
        # A target that the features predict perfectly leaves rounding noise, never a negative variance.
        return np.maximum(own - self.vectors**2, 1e-12 * own)

    def weighted_sum(self, coefficients: Array) -> Array:
        total = coefficients.sum(axis=1)[:, :, None] * self.common
        return total - (coefficients * self.vectors).swapaxes(1, 2) @ self.vectors

    def transformed(self, M: Array, starts: NDArray[np.int64]) -> SharedCovariances:
        Mt = M.swapaxes(-1, -2)
        return SharedCovariances(M @ self.common[starts] @ Mt, self.vectors[starts] @ Mt, self.weights[starts])


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
        Whether the gradient norm is at most the tolerance.
    """

    unmixing: Array
    criterion: Array
    gradient_norm: Array
    n_iter: NDArray[np.int64]
    converged: NDArray[np.bool_]


def joint_diagonalise(
    covariances: CovarianceSet, initial: Array, *, max_iter: int = 500, tol: float = 1e-7
) -> DiagonalisationResult:
    """Minimise Pham's criterion from each start.

    Parameters
    ----------
    covariances : CovarianceSet
        Covariances in the coordinates that `initial` acts on, with a leading axis of length 1 (the same for all starts)
        or n_starts (weights of their own).
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
    B = initial.copy()
    criterion, norm = np.full(S, np.inf), np.full(S, np.inf)
    n_iter = np.zeros(S, dtype=np.int64)
    active = np.arange(S)
    own = len(covariances.weights) == S
    state = covariances.transformed(B, np.arange(S) if own else np.zeros(S, dtype=np.int64))
    lam = state.diagonals()
    criterion = _criterion(B, lam, state.weights)
    for _ in range(max_iter + 1):
        # The criterion leaves the scale of rows open: rows of unit mean variance make gradients scale-free.
        scale = 1.0 / np.sqrt(np.einsum("st,sti->si", state.weights, lam))
        relative = scale[:, None, :] / scale[:, :, None]
        ratio = state.weights[:, :, None] / lam
        G = state.weighted_sum(ratio) * relative - np.eye(D)
        norm[active] = np.abs(G).max(axis=(1, 2), initial=0.0)
        unfinished = (norm[active] > tol) & (n_iter[active] < max_iter)
        if not unfinished.any():
            break
        E = _direction(G, (ratio.swapaxes(1, 2) @ lam) * relative**2)
        trial, stalled = _line_search(state, B[active], criterion[active], E, scale, np.flatnonzero(unfinished))
        kept = active[unfinished]
        B[kept], criterion[kept] = trial.unmixing, trial.criterion
        n_iter[kept] += 1
        state, lam = trial.state, trial.lam
        active = kept
        if stalled.any():
            moving = np.flatnonzero(~stalled)
            active = active[moving]
            if not len(active):
                break
            state = state.transformed(np.broadcast_to(np.eye(D), (len(moving), D, D)), moving)
            lam = lam[moving]
    return DiagonalisationResult(B, criterion, norm, n_iter, norm <= tol)


@dataclass
class _Trial:
    unmixing: Array
    criterion: Array
    state: CovarianceSet
    lam: Array


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


def _line_search(
    state: CovarianceSet, B: Array, criterion: Array, E: Array, scale: Array, rows: NDArray[np.int64]
) -> tuple[_Trial, NDArray[np.bool_]]:
    """Halve the step of each start until its criterion falls; a start that cannot fall any more has stalled."""
    D = B.shape[1]
    step = np.ones(len(rows))
    eye = np.eye(D)
    for _ in range(_MAX_HALVINGS):
        M = (eye + step[:, None, None] * E[rows]) * scale[rows, None, :]
        moved = M @ B[rows]
        new = state.transformed(M, rows)
        lam = new.diagonals()
        value = _criterion(moved, lam, new.weights)
        # Rounding in the criterion is no reason to refuse a step.
        failed = ~(value <= criterion[rows] + 1e-13 * np.abs(criterion[rows]) + 1e-15)
        if not failed.any():
            return _Trial(moved, value, new, lam), failed
        step[failed] *= 0.5
    step[failed] = 0.0
    M = (eye + step[:, None, None] * E[rows]) * scale[rows, None, :]
    moved, new = M @ B[rows], state.transformed(M, rows)
    lam = new.diagonals()
    return _Trial(moved, _criterion(moved, lam, new.weights), new, lam), failed
