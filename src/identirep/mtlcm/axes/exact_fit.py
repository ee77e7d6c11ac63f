"""Fit of the exact likelihood when roles are unknown: annealed stochastic EM over causal sets, from several starts.

A wrong unmixing matrix makes some wrong sets look certain, and a fit that alternates with the best sets stalls there.
So sets are drawn from their posterior, flattened at first (`set_annealing`), in several generations (`exact_search`).
At the end the best optima alternate with their best sets until these stay. The highest marginal likelihood wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.axes.covariances import DenseCovariances
from identirep.mtlcm.axes.diagonalise import joint_diagonalise
from identirep.mtlcm.axes.exact import exact_state, exact_step
from identirep.mtlcm.axes.search import best_roles, evidence_of, latent_correlations, random_rotation, search
from identirep.mtlcm.axes.step_memory import StepMemory
from identirep.mtlcm.model.likelihood import JointMoments
from identirep.mtlcm.roles import RolePrior, causal_posterior

__all__ = ["ExactFit", "climb", "exact_starts", "maximise_exact"]
_SetsOf: TypeAlias = Callable[[JointMoments, IntArray], BoolArray]

# Shares of what the target explains that are taken out of the covariances before they are diagonalised. Effects are
# uncorrelated with all of it taken out, causes with none. A little left in is what tells apart latents that vary alike:
# effects vary with the square of their correlation, and log(variance) favours rotations with some of it small.
_SHARES = (0.97, 0.9, 0.99, 0.5)
_MAX_ALTERNATIONS = 10
# From then on steps have a memory: the Hessian couples more than pairs.
_PLAIN_STEPS = 20


@dataclass(frozen=True)
class ExactFit:
    """Unmixing matrices of the best optima found, as many as there were starts.

    Parameters
    ----------
    unmixing : array, shape (n_starts, D, D)
        Unmixing matrix of each.
    evidence : array, shape (n_starts,)
        Mean log marginal likelihood of a row, up to a constant, with the roles summed out.
    gradient_norm : array, shape (n_starts,)
        Largest entry of the relative gradient at the most probable roles.
    n_iter : array of int, shape (n_starts,)
        Draws of sets, and steps after them.
    """

    unmixing: Array
    evidence: Array
    gradient_norm: Array
    n_iter: IntArray


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
        initial = np.eye(D) if k < len(_SHARES) else random_rotation(D, rng)
        covariances = DenseCovariances.from_matrices(W @ X @ W.T, moments.weights)
        starts.append(joint_diagonalise(covariances, initial[None], tol=1e-5).unmixing[0] @ W)
    return np.stack(starts)


def maximise_exact(
    moments: JointMoments,
    n_samples: IntArray,
    starts: Array,
    rng: np.random.Generator,
    *,
    max_iter: int,
    tol: float,
) -> ExactFit:
    """Maximise the exact likelihood from several starts.

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
        The best optima found, best first.
    """
    found = search(moments, n_samples, starts, rng)
    # The role prior is learnt for the winner alone: that takes as long as the search.
    settled = [_settle(B, moments, n_samples, _most_likely_sets, max_iter, tol) for B in found.unmixing]
    evidence = np.array([evidence_of(moments, B, n_samples) for B, _, _ in settled])
    order = np.argsort(-evidence, kind="stable")
    settled = [settled[k] for k in order]
    winner = moments.mapped(settled[0][0])
    prior = causal_posterior(latent_correlations(winner), n_samples).prior
    settled[0] = _settle(settled[0][0], moments, n_samples, partial(_most_probable_sets, prior), max_iter, tol)
    evidence = evidence[order]
    # Under a flat prior the most probable sets may be worth a little less; the winner stays the winner.
    evidence[0] = max(evidence[0], evidence_of(moments, settled[0][0], n_samples))
    unmixing, norms, n_steps = (np.array(values) for values in zip(*settled, strict=True))
    return ExactFit(unmixing, evidence, norms, found.n_rounds[order] + n_steps)


def _most_likely_sets(z: JointMoments, n_samples: IntArray) -> BoolArray:
    return best_roles(z, n_samples)[1]


def _most_probable_sets(prior: RolePrior, z: JointMoments, n_samples: IntArray) -> BoolArray:
    return causal_posterior(latent_correlations(z), n_samples, prior=prior).best


def _settle(
    B: Array, moments: JointMoments, n_samples: IntArray, sets_of: _SetsOf, max_iter: int, tol: float
) -> tuple[Array, float, int]:
    """Alternate with the best sets until they stay, then climb to the top; gradient norm and steps of that."""
    z = moments.mapped(B)
    causal = sets_of(z, n_samples)
    for _ in range(_MAX_ALTERNATIONS):
        B, z, _, _ = climb(B, z, causal, 20, tol)
        best = sets_of(z, n_samples)
        if np.array_equal(best, causal):
            break
        causal = best
    B, _, norm, n_steps = climb(B, z, causal, max_iter, tol)
    return B, norm, n_steps


def climb(
    B: Array, z: JointMoments, causal: BoolArray, n_steps: int, tol: float
) -> tuple[Array, JointMoments, float, int]:
    """Take steps at fixed roles.

    Parameters
    ----------
    B : array, shape (D, D)
        Unmixing matrix.
    z : JointMoments
        Moments of its latents and the target.
    causal : array of bool, shape (n_tasks, D)
        The causes.
    n_steps : int
        Largest number of steps.
    tol : float
        Largest entry of the relative gradient at convergence.

    Returns
    -------
    tuple
        Unmixing matrix and moments reached, gradient norm there, number of steps.
    """
    state, memory = exact_state(z, causal), StepMemory()
    step = 0
    while step < n_steps and np.abs(state.gradient).max() > tol:
        M, z, moved = exact_step(z, causal, state, memory)
        if moved is state:
            if memory.forget(np.ones(1, dtype=bool)):
                continue
            # No step lowers the criterion beyond rounding.
            break
        if step >= _PLAIN_STEPS:
            memory.remember((M - np.eye(len(M)))[None], (moved.gradient - state.gradient)[None])
        B, state = M @ B, moved
        step += 1
    return B, z, float(np.abs(state.gradient).max()), step
