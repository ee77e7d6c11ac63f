r"""Fit of the exact likelihood when roles are unknown: annealed stochastic EM over roles, from several starts.

A wrong unmixing matrix makes some wrong roles look certain, and a fit that alternates with the best roles stalls there.
So roles are drawn from their posterior, flattened at first (`search`). At the end every start alternates with its best
roles until these stay, by quasi-Newton steps as in `diagonalise`. The highest marginal likelihood wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, Counts
from identirep.mtlcm.axes.covariances import DenseCovariances
from identirep.mtlcm.axes.diagonalise import StepMemory, joint_diagonalise, pair_step
from identirep.mtlcm.axes.search import MIN_CURVATURE, best_roles, evidence_of, latent_correlations, search
from identirep.mtlcm.axes.solutions import Solutions
from identirep.mtlcm.axes.starts import random_rotations
from identirep.mtlcm.model import ExactCriterion, JointMoments, exact_criterion
from identirep.mtlcm.roles import causal_posterior

__all__ = [
    "ExactState",
    "climb",
    "exact_starts",
    "exact_step",
    "maximise_exact",
]

# Shares of what the target explains that are taken out of the covariances before they are diagonalised. Effects are
# uncorrelated with all of it taken out, causes with none. A little left in is what tells apart latents that vary alike:
# effects vary with the square of their correlation, and log(variance) favours rotations with some of it small.
_SHARES = (0.97, 0.9, 0.99, 0.5)
_MAX_ALTERNATIONS = 10
# From then on steps have a memory: the Hessian couples more than pairs.
_PLAIN_STEPS = 20
_MAX_HALVINGS = 8
# Largest entry of a relative step.
_MAX_STEP = 0.5
# A rise of the criterion that is no reason to refuse a step.
_ROUNDING = 1e-12
_TINY = 1e-12


def exact_starts(moments: JointMoments, n_init: int, rng: np.random.Generator) -> Array:
    """Diagonalise covariances with different shares of the target taken out; beyond those, rotate at random."""
    explained = moments.s[:, :, None] * moments.s[:, None, :] / moments.v[:, None, None]
    D = moments.S.shape[1]
    starts = np.zeros((n_init, D, D))
    for k in range(n_init):
        X = moments.S - _SHARES[k % len(_SHARES)] * explained
        values, vectors = np.linalg.eigh(np.tensordot(moments.weights, X, axes=1))
        W = vectors.T / np.sqrt(values)[:, None]
        initial = np.eye(D)[None] if k < len(_SHARES) else random_rotations(1, D, rng)
        covariances = DenseCovariances.from_matrices(W @ X @ W.T, moments.weights)
        starts[k] = joint_diagonalise(covariances, initial, tol=1e-5).unmixing[0] @ W
    return starts


def maximise_exact(
    moments: JointMoments,
    n_samples: Counts,
    starts: Array,
    rng: np.random.Generator,
    *,
    max_iter: int,
    tol: float,
) -> Solutions:
    """Maximise the exact likelihood from several starts, shape (n_starts, D, D): optima, best first.

    Their criterion is minus the mean log marginal likelihood of a row, roles summed out; steps include draws of roles.
    """
    settle = partial(_settle, moments, n_samples, max_iter=max_iter, tol=tol)
    annealed = search(moments, n_samples, starts, rng)
    found = Solutions.joined([settle(B, lambda z: best_roles(z, n_samples)[1]) for B in annealed.unmixing])
    order = np.argsort(found.criterion, kind="stable")
    found, n_rounds = found.select(order), annealed.n_iter[order]
    # The role prior is learnt for the winner alone: that takes as long as the search.
    best = found.unmixing[0]
    prior = causal_posterior(latent_correlations(moments.mapped(best)), n_samples).prior
    last = settle(best, lambda z: causal_posterior(latent_correlations(z), n_samples, prior=prior).best)
    # Under a flat prior the most probable roles may be worth a little less; the winner stays the winner.
    last = replace(last, criterion=np.minimum(last.criterion, found.criterion[:1]))
    found = Solutions.joined([last, found.select(np.s_[1:])])
    return replace(found, n_iter=found.n_iter + n_rounds)


def _settle(
    moments: JointMoments,
    n_samples: Counts,
    B: Array,
    roles_of: Callable[[JointMoments], BoolArray],
    *,
    max_iter: int,
    tol: float,
) -> Solutions:
    """Alternate with the best roles until they stay, then climb to the top."""
    causal = roles_of(moments.mapped(B))
    for _ in range(_MAX_ALTERNATIONS):
        B = climb(moments, B, causal, max_iter=20, tol=tol).unmixing[0]
        best = roles_of(moments.mapped(B))
        if np.array_equal(best, causal):
            break
        causal = best
    top = climb(moments, B, causal, max_iter=max_iter, tol=tol)
    return replace(top, criterion=np.array([-evidence_of(moments, top.unmixing[0], n_samples)]))


def climb(moments: JointMoments, B: Array, causal: BoolArray, *, max_iter: int, tol: float) -> Solutions:
    """Take steps at fixed roles from one unmixing matrix, until no entry of the relative gradient exceeds `tol`."""
    state, memory, n_iter = ExactState.at(moments.mapped(B), causal, B), StepMemory(), 0
    while n_iter < max_iter and state.gradient_norm > tol:
        moved, E = exact_step(state, causal, memory)
        if moved is state:
            if memory.forget(np.ones(1, dtype=bool)):
                continue
            # No step lowers the criterion beyond rounding.
            break
        if n_iter >= _PLAIN_STEPS:
            memory.remember(E[None], (moved.criterion.gradient - state.criterion.gradient)[None])
        state, n_iter = moved, n_iter + 1
    value = state.criterion.value - float(np.linalg.slogdet(state.unmixing)[1])
    return Solutions.of_one(state.unmixing, value, state.gradient_norm, n_iter, tol)


class ExactState(NamedTuple):
    """Where a climb is: unmixing matrix, moments of its latents and the target, and the criterion there."""

    unmixing: Array
    z: JointMoments
    criterion: ExactCriterion

    @classmethod
    def at(cls, z: JointMoments, causal: BoolArray, unmixing: Array) -> ExactState:
        return cls(unmixing, z, exact_criterion(z, causal))

    @property
    def gradient_norm(self) -> float:
        return float(np.abs(self.criterion.gradient).max())


def exact_step(state: ExactState, causal: BoolArray, memory: StepMemory) -> tuple[ExactState, Array]:
    """Take one quasi-Newton step with backtracking: the new state, the old one if no step goes down, and the step E."""
    value, gradient, curvature = state.criterion
    solve = partial(pair_step, curvature=curvature[None], least=MIN_CURVATURE)
    E = memory.direction(gradient[None], solve)[0]
    E = E * min(1.0, _MAX_STEP / max(float(np.abs(E).max()), _TINY))
    for _ in range(_MAX_HALVINGS):
        M = np.eye(len(E)) + E
        moved = ExactState.at(state.z.mapped(M), causal, M @ state.unmixing)
        if moved.criterion.value - value - float(np.linalg.slogdet(M)[1]) <= _ROUNDING:
            return moved, E
        E = 0.5 * E
    return state, E
