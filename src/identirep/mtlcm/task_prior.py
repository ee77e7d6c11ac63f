"""What the tasks of a fit tell about a task not seen yet: share of causes, and how strong either role tends to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, logsumexp

from identirep.moments import TaskMoments
from identirep.mtlcm.causal_sets import set_members
from identirep.mtlcm.task_evidence import (
    CAUSE_SCALES,
    EffectPosterior,
    TaskPrior,
    TaskStatistics,
    all_cause_evidence,
    cause_terms,
    effect_terms,
)

__all__ = ["learn_prior"]

Array = NDArray[np.float64]

_MAX_ENUMERATED = 12
# A few numbers are learnt: more tasks than this make them no better.
_MAX_TASKS = 60
_EM_ITERATIONS = 30


def learn_prior(
    latents: TaskMoments, noise: Array, probability: Array, causal: NDArray[np.bool_], share: float
) -> TaskPrior:
    """Learn the prior from the tasks of a fit (empirical Bayes).

    Parameters
    ----------
    latents : TaskMoments
        Moments of the latents, of unit pooled variance.
    noise : array, shape (D, D)
        Covariance of the observation noise in the latents.
    probability : array, shape (n_tasks, D)
        Probability that the latent causes the target.
    causal : array of bool, shape (n_tasks, D)
        The most probable set of causes.
    share : float
        Share of causes.

    Returns
    -------
    TaskPrior
        The weights of both grids given these roles; where all sets can be enumerated, that is the start of EM over
        sets, scales and share.
    """
    n = latents.n_samples.astype(np.float64)
    scatter_z = latents.scatter_h[latents.group]
    scatter_zy = latents.scatter_hy / np.sqrt(latents.var_y)[:, None]
    rows = np.broadcast_to(n[:, None], scatter_zy.shape)
    effects = effect_terms(rows, np.einsum("tii->ti", scatter_z), scatter_zy).log_ratio
    causes = np.stack([cause_terms(n, scatter_z, scatter_zy, causal, scale)[0] for scale in CAUSE_SCALES], axis=-1)
    start = TaskPrior(
        share,
        _grid_weights(causes, np.asarray(causal.any(axis=1), dtype=np.float64)),
        _grid_weights(effects, 1.0 - probability),
    )
    if latents.n_features > _MAX_ENUMERATED:
        return start
    some = np.unique(np.linspace(0, latents.n_tasks - 1, _MAX_TASKS).astype(np.int64))
    return _refine(
        [TaskStatistics(int(n[t]), scatter_z[t], scatter_zy[t], start) for t in some], effects[some], noise, start
    )


def _grid_weights(log_evidence: Array, importance: Array) -> Array:
    """Weights of a mixture by EM, shape (n_scales,); scales along the last axis."""
    weights = np.full(log_evidence.shape[-1], 1.0 / log_evidence.shape[-1])
    for _ in range(_EM_ITERATIONS):
        weights = _smoothed(importance[..., None] * _shares(log_evidence + np.log(weights)))
    return weights


def _refine(tasks: list[TaskStatistics], effects: Array, noise: Array, prior: TaskPrior) -> TaskPrior:
    """EM over sets of causes and scales; `effects` has the log ratios of effect to cause on every scale."""
    members = set_members(effects.shape[1])
    causes = np.stack(
        [[all_cause_evidence(t.n, t.scatter_z, t.scatter_zy, scale) for scale in CAUSE_SCALES] for t in tasks]
    )
    dependence = np.zeros((len(tasks), len(members)))
    if noise.any():
        dependence = np.stack([EffectPosterior.of(t, noise).log_dependence(t.n, members < 0.5) for t in tasks])
    for _ in range(_EM_ITERATIONS):
        by_scale = effects + np.log(prior.effect_weights)
        own = float(logit(prior.share)) - logsumexp(by_scale, axis=-1)
        joint = causes + np.log(prior.cause_weights)[:, None] + (own @ members.T + dependence)[:, None, :]
        joint = np.exp(joint - joint.max(axis=(1, 2), keepdims=True))
        joint /= joint.sum(axis=(1, 2), keepdims=True)
        probability = joint.sum(axis=1) @ members
        # Without causes nothing is learnt about their scale.
        prior = TaskPrior(
            share=float((probability.sum() + 1.0) / (probability.size + 2.0)),
            cause_weights=_smoothed(joint[:, :, 1:].sum(axis=2)),
            effect_weights=_smoothed((1.0 - probability)[..., None] * _shares(by_scale)),
        )
    return prior


def _shares(log_weights: Array) -> Array:
    """Exponentials along the last axis, scaled to sum to one."""
    shares: Array = np.exp(log_weights - logsumexp(log_weights, axis=-1, keepdims=True))
    return shares


def _smoothed(counts: Array) -> Array:
    """Weights from counts along the last axis, with one pseudo-observation spread over the grid."""
    n_scales = counts.shape[-1]
    total = counts.reshape(-1, n_scales).sum(axis=0)
    return np.asarray((total + 1.0 / n_scales) / (total.sum() + 1.0))
