"""Fit of the exact likelihood when roles are unknown: stochastic EM over causal sets, from several starts.

A wrong unmixing matrix makes some wrong sets look certain, and a fit that alternates with the best sets stalls there.
So sets are drawn from their posterior (one Gibbs scan), at first from a flattened one, and each draw is followed by a
few quasi-Newton steps: simulated annealing while the draws are loose, stochastic EM once they are not. The start with
the highest marginal likelihood wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from identirep.mtlcm.causal_sets import (
    correlations,
    log_residual_variances,
    own_terms,
    sample_sets,
    search_mode,
    set_members,
    swept_on,
)
from identirep.mtlcm.exact import exact_state, exact_step
from identirep.mtlcm.likelihood import JointMoments
from identirep.mtlcm.role_posterior import causal_posterior
from identirep.mtlcm.solver import DenseCovariances, joint_diagonalise

__all__ = ["ExactFit", "climb", "exact_starts", "marginal_evidence", "maximise_exact"]

Array = NDArray[np.float64]

_FIRST_TEMPERATURE = 0.1
# Shares of what the target explains that are taken out of the covariances before they are diagonalised: causes are
# uncorrelated before the target is seen (0), effects after (1).
_SHARES = (1.0, 0.5, 0.85, 0.0)
_STEPS_PER_DRAW = 2
_MAX_ROUNDS = 300
_MAX_ENUMERATED = 12
# Work in units of n_tasks * D^3 for all rounds of a start.
_WORK = 2e9


@dataclass(frozen=True)
class ExactFit:
    """Unmixing matrices of all starts.

    Parameters
    ----------
    unmixing : array, shape (n_starts, D, D)
        Unmixing matrix of each start.
    evidence : array, shape (n_starts,)
        Mean log marginal likelihood of a row, up to a constant, with the roles summed out.
    gradient_norm : array, shape (n_starts,)
        Largest entry of the relative gradient at the most probable roles.
    n_iter : array of int, shape (n_starts,)
        Draws of sets and steps after them.
    """

    unmixing: Array
    evidence: Array
    gradient_norm: Array
    n_iter: NDArray[np.int64]


def exact_starts(moments: JointMoments, n_init: int, rng: np.random.Generator) -> Array:
    """Diagonalise covariances with different shares of the target taken out; beyond those, rotate at random.

    Parameters
    ----------
    moments : JointMoments
        Moments in any coordinates.
    n_init : int
        Number of starts.
    rng : numpy.random.Generator
        Source of the rotations.

    Returns
    -------
    array, shape (n_init, D, D)
        Unmixing matrices.
    """
    explained = moments.s[:, :, None] * moments.s[:, None, :] / moments.v[:, None, None]
    D = moments.S.shape[1]
    starts = []
    for k in range(n_init):
        X = moments.S - _SHARES[k % len(_SHARES)] * explained
        values, vectors = np.linalg.eigh(np.tensordot(moments.weights, X, axes=1))
        W = vectors.T / np.sqrt(values)[:, None]
        initial = np.eye(D) if k < len(_SHARES) else np.linalg.qr(rng.normal(size=(D, D)))[0]
        covariances = DenseCovariances((W @ X @ W.T)[None], moments.weights[None])
        starts.append(joint_diagonalise(covariances, initial[None], tol=1e-5).unmixing[0] @ W)
    return np.stack(starts)


def maximise_exact(
    moments: JointMoments,
    n_samples: NDArray[np.int64],
    starts: Array,
    rng: np.random.Generator,
    *,
    max_iter: int,
    tol: float,
) -> ExactFit:
    """Maximise the exact likelihood from each start.

    Parameters
    ----------
    moments : JointMoments
        Moments of features and target.
    n_samples : array of int, shape (n_tasks,)
        Rows of each task.
    starts : array, shape (n_starts, D, D)
        Unmixing matrices.
    rng : numpy.random.Generator
        Source of the draws.
    max_iter : int
        Largest number of steps at the final roles.
    tol : float
        Largest entry of the relative gradient at convergence.

    Returns
    -------
    ExactFit
        All starts.
    """
    T, D = moments.s.shape
    n_rounds = int(np.clip(_WORK / (T * D**3), 10, _MAX_ROUNDS))
    temperatures = np.minimum(1.0, np.geomspace(_FIRST_TEMPERATURE, 1.0 / _FIRST_TEMPERATURE**0.5, n_rounds))
    unmixing, evidence, norms, n_iter = [], [], [], []
    for start in starts:
        B, z = start, moments.mapped(start)
        causal = rng.random((T, D)) < 0.5
        for temperature in temperatures:
            causal = sample_sets(_correlations(z), n_samples, causal, float(temperature), rng)
            B, z, _, _ = climb(B, z, causal, _STEPS_PER_DRAW, tol)
        B, z, norm, n_steps = _settle(B, z, n_samples, max_iter, tol)
        unmixing.append(B)
        evidence.append(marginal_evidence(z, n_samples) + float(np.linalg.slogdet(B)[1]))
        norms.append(norm)
        n_iter.append(n_rounds + n_steps)
    return ExactFit(np.stack(unmixing), np.array(evidence), np.array(norms), np.array(n_iter, dtype=np.int64))


def marginal_evidence(z: JointMoments, n_samples: NDArray[np.int64]) -> float:
    """Mean log marginal likelihood of a row, roles summed out under a flat prior, up to a constant.

    Beyond twelve latents, the value at the best set found stands for the sum.
    """
    T, D = z.s.shape
    correlation = _correlations(z)
    own = own_terms(correlation, n_samples)
    if D <= _MAX_ENUMERATED:
        every = np.broadcast_to(np.arange(D), (T, D))
        values = -0.5 * n_samples[:, None] * log_residual_variances(correlation, every) + own @ set_members(D).T
        top = values.max(axis=1)
        roles = top + np.log(np.exp(values - top[:, None]).mean(axis=1))
    else:
        causal, _ = search_mode(correlation, n_samples, own, own > -0.5 * n_samples[:, None] * np.log(2.0))
        roles = np.where(causal, own, 0.0).sum(axis=1) - D * np.log(2.0)
        roles -= 0.5 * n_samples * _log_residual(correlation, causal)
    scales = 0.5 * float(z.weights @ np.log(np.einsum("tii->ti", z.S)).sum(axis=1))
    return float((roles - own.sum(axis=1)).sum() / n_samples.sum()) - scales


def _settle(
    B: Array, z: JointMoments, n_samples: NDArray[np.int64], max_iter: int, tol: float
) -> tuple[Array, JointMoments, float, int]:
    """Alternate with the most probable sets until they stay, then climb to the top."""
    causal = causal_posterior(_correlations(z), n_samples).best
    for _ in range(10):
        B, z, _, _ = climb(B, z, causal, 20, tol)
        best = causal_posterior(_correlations(z), n_samples).best
        if np.array_equal(best, causal):
            break
        causal = best
    return climb(B, z, causal, max_iter, tol)


def climb(
    B: Array, z: JointMoments, causal: NDArray[np.bool_], n_steps: int, tol: float
) -> tuple[Array, JointMoments, float, int]:
    """Take steps at fixed roles; return what was reached, the gradient norm and the number of steps."""
    state = exact_state(z, causal)
    step = 0
    while step < n_steps and np.abs(state.gradient).max() > tol:
        M, z, moved = exact_step(z, causal, state)
        if moved is state:
            # No step lowers the criterion beyond rounding.
            break
        B, state = M @ B, moved
        step += 1
    return B, z, float(np.abs(state.gradient).max()), step


def _correlations(z: JointMoments) -> Array:
    T, D = z.s.shape
    joint = np.empty((T, D + 1, D + 1))
    joint[:, :D, :D], joint[:, :D, D], joint[:, D, :D], joint[:, D, D] = z.S, z.s, z.s, z.v
    return correlations(joint)


def _log_residual(correlation: Array, causal: NDArray[np.bool_]) -> Array:
    return np.log(np.maximum(swept_on(correlation, causal)[:, -1, -1], 1e-12))
