"""Search of the exact likelihood over unmixing matrices when roles are unknown: generations of annealed starts.

Starts that stall still find some of the latents, each start others, and a latent that two starts have found is right in
practice. So the search goes on from those latents of the best start that another one confirms, the rest drawn anew,
until all of them are confirmed. What starts are compared by is the marginal likelihood, roles summed out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from identirep._typing import Array, BoolArray, Counts
from identirep.mtlcm.axes.annealing import MIN_CURVATURE, anneal
from identirep.mtlcm.axes.solutions import Solutions
from identirep.mtlcm.axes.starts import random_rotations
from identirep.mtlcm.model import JointMoments
from identirep.mtlcm.roles import (
    correlations,
    log_residual_variances,
    own_terms,
    search_mode,
    set_members,
    swept_on,
)

__all__ = ["MIN_CURVATURE", "best_roles", "evidence_of", "latent_correlations", "search"]

# Temperature of the first round: of starts; of starts once more, where they do not agree; of latents drawn anew.
_FROM_FLAT, _FROM_WARM, _FROM_COOL = 0.01, 0.3, 0.03
# Share of the rounds before temperature 1 is reached.
_COOLING = 0.67
_MAX_ROUNDS = 200
_MAX_GENERATIONS = 4
# Work in units of n_tasks * D^3 for all rounds of a start.
_WORK = 2e9
# Correlation from which latents of two starts are one.
_CONFIRMED = 0.97
_MAX_ENUMERATED = 12
# Numbers annealed at once (float64, 160 MB).
_MAX_NUMBERS = 2e7


def search(moments: JointMoments, n_samples: Counts, starts: Array, rng: np.random.Generator) -> Solutions:
    """Anneal generations of starts until another start confirms every latent of the best one; ends, best first."""
    n = len(starts)
    root = np.linalg.cholesky(np.tensordot(moments.weights, moments.S, axes=1))
    found = last = _annealed(moments, n_samples, starts, np.full(n, _FROM_FLAT), rng).ranked(n)
    for generation in range(1, _MAX_GENERATIONS if n > 1 else 1):
        axes = last.unmixing @ root
        axes /= np.linalg.norm(axes, axis=2, keepdims=True)
        confirmed = (np.abs(axes[1:] @ axes[0].T) > _CONFIRMED).any(axis=(0, 1))
        if confirmed.all():
            break
        # What no start confirms is drawn anew, in the whitened space that is left.
        anew = np.stack([_completed(axes[0][confirmed], rng) for _ in range(n - 1)]) @ np.linalg.inv(root)
        first = np.full(n - 1, _FROM_COOL)
        if generation == 1:
            # Where the draws at low temperature say nothing, starts are better than what these lead to.
            anew, first = np.concatenate([anew, starts]), np.concatenate([first, np.full(n, _FROM_WARM)])
        new = _annealed(moments, n_samples, anew, first, rng)
        new = replace(new, n_iter=new.n_iter + last.n_iter.max())
        # The best so far is confirmed by new ones, or beaten by one.
        last = Solutions.joined([last.ranked(1), new.ranked(n - 1)]).ranked(n)
        found = Solutions.joined([found, new]).ranked(n)
    return found


def _annealed(
    moments: JointMoments, n_samples: Counts, starts: Array, first: Array, rng: np.random.Generator
) -> Solutions:
    """Anneal starts from first temperatures of their own, as many at once as fit into a bounded amount of memory."""
    (T, D), n = moments.s.shape, len(starts)
    temperatures = _temperatures(first, int(np.clip(_WORK / (T * D**3), 10, _MAX_ROUNDS)))
    blocks = np.array_split(np.arange(n), min(n, max(1, int(np.ceil(n * T * (D + 1) ** 2 / _MAX_NUMBERS)))))
    B = np.concatenate([anneal(moments, n_samples, starts[k], temperatures[:, k], rng) for k in blocks])
    criterion = -np.array([evidence_of(moments, each, n_samples) for each in B])
    return Solutions(criterion, np.full(n, np.inf), np.full(n, len(temperatures)), np.zeros(n, dtype=bool), B)


def _temperatures(first: Array, n_rounds: int) -> Array:
    """Rise geometrically from the first temperature of each start to 1, and stay there; shape (n_rounds, n_starts)."""
    share = np.minimum(np.arange(n_rounds) / max(_COOLING * n_rounds, 1.0), 1.0)
    return np.asarray(first ** (1.0 - share[:, None]))


def _completed(axes: Array, rng: np.random.Generator) -> Array:
    """Add random axes, orthogonal to those given and to each other; unit vectors in the rows."""
    k, D = axes.shape
    rest = np.linalg.svd(axes, full_matrices=True)[2][k:] if k else np.eye(D)
    return np.concatenate([axes, random_rotations(1, D - k, rng)[0] @ rest])


def evidence_of(moments: JointMoments, B: Array, n_samples: Counts) -> float:
    """Mean log marginal likelihood of a row under an unmixing, roles summed out under a flat prior, up to a constant.

    Beyond twelve latents, the value at the best set found stands for the sum.
    """
    z = moments.mapped(B)
    roles, _ = best_roles(z, n_samples)
    own = own_terms(latent_correlations(z), n_samples).sum(axis=1)
    scales = 0.5 * float(z.weights @ np.log(np.einsum("tii->ti", z.S)).sum(axis=1))
    return float((roles - own).sum() / n_samples.sum()) - scales + float(np.linalg.slogdet(B)[1])


def best_roles(z: JointMoments, n_samples: Counts) -> tuple[Array, BoolArray]:
    """Log evidence of each task, sets summed out, and its most likely set."""
    T, D = z.s.shape
    correlation = latent_correlations(z)
    own = own_terms(correlation, n_samples)
    if D <= _MAX_ENUMERATED:
        every = np.broadcast_to(np.arange(D), (T, D))
        values = -0.5 * n_samples[:, None] * log_residual_variances(correlation, every) + own @ set_members(D).T
        top = values.max(axis=1)
        roles = top + np.log(np.exp(values - top[:, None]).mean(axis=1))
        return roles, set_members(D)[np.argmax(values, axis=1)] > 0.5
    causal, _ = search_mode(correlation, n_samples, own, own > -0.5 * n_samples[:, None] * np.log(2.0))
    residual = np.log(np.maximum(swept_on(correlation, causal)[:, -1, -1], 1e-12))
    return np.where(causal, own, 0.0).sum(axis=1) - D * np.log(2.0) - 0.5 * n_samples * residual, causal


def latent_correlations(z: JointMoments) -> Array:
    """Correlations of latents and, last, target in each task, shape (n_tasks, D + 1, D + 1)."""
    T, D = z.s.shape
    joint = np.empty((T, D + 1, D + 1))
    joint[:, :D, :D], joint[:, :D, D], joint[:, D, :D], joint[:, D, D] = z.S, z.s, z.s, z.v
    return correlations(joint)
