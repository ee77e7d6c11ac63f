r"""The posterior of a new task in closed form, from the moments of a few labelled rows.

The model is that of the roles (`evidence`), its prior what the tasks of the fit say (`RolePrior`). Given the causes and
the scale tau of their coefficients, latents and target centred and scaled to unit variance in the task,

    w | y ~ N(P z_C^T y, s^2 P),   P = (z_C^T z_C + I / tau)^{-1},

with s^2 inverse-gamma of shape (n - 1) / 2. Up to `_MAX_ENUMERATED` latents all sets of causes are summed over; beyond,
a search for the best set is followed by the sum over the latents whose role is least clear there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import effective_number
from identirep.moments import TaskMoments
from identirep.mtlcm.model import joint_covariances
from identirep.mtlcm.new_tasks.task import AdaptedTask, TargetModels
from identirep.mtlcm.roles import (
    STRENGTH_SCALES,
    Dependence,
    RoleOdds,
    RolePrior,
    correlations,
    effect_evidence,
    effect_scales,
    noise_given_target,
    set_evidence,
    set_members,
)
from identirep.validation import check_task_data

__all__ = ["adapt_task", "check_new_task"]

# Labels that a variance needs.
_FEWEST = 2
_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
# Sets kept for predictions: as many as hold this share of the posterior, but no more than so many.
_KEPT_MASS = 0.999
_MAX_KEPT = 64
# Smallest variance of an effect given the target, apart from the noise and in units of it.
_OWN_SHARE = 0.01
_TINY = 1e-12


def check_new_task(
    estimator: Any, X: Any, y: Any, *, name: str, sample_weight: Any = None
) -> tuple[Array, Array, Array | None]:
    """Validate rows of a new task, raise one error for all faults; return those that count, with a label, and weights.

    Weights are None where all are alike.
    """
    rows: dict[str, Any] = {"name": name, "min_labels": 0, "sample_weight": sample_weight}
    data = check_task_data(X, y, estimator=estimator, reset=False, **rows)
    if data.n_tasks != 1:
        raise ValueError(
            f"y has the wrong shape: got {data.n_tasks} columns, expected (n_samples,), the target of one new task. "
            "Call adapt for each task."
        )
    target = data.targets.reshape(-1)
    seen = ~np.isnan(target)
    target = target[seen]
    if len(target) < _FEWEST:
        raise ValueError(f"y has too few labels: got {len(target)}, expected at least {_FEWEST}. Label more rows.")
    if target.min() == target.max():
        raise ValueError(
            f"y is constant: got {target[0]:.6g} in all {len(target)} rows, expected targets that vary. Label rows "
            "with other targets."
        )
    weight = None if data.weights is None else data.weights[seen]
    if weight is None or np.all(weight == weight[0]):
        return data.X[seen], target, None
    if (counted := effective_number(weight)) < _FEWEST:
        raise ValueError(
            f"y has too few labels: got {counted:.3g} by their weights, expected at least {_FEWEST}. Label more rows, "
            "or weigh them more evenly."
        )
    return data.X[seen], target, weight


def adapt_task(
    latents: TaskMoments, latent_noise_covariance: Array, prior: RolePrior, transform: Callable[[Any], Array]
) -> AdaptedTask:
    """Compute the posterior of a new task from the moments of its latents; `transform` maps inputs to latents."""
    n, mean_z, mean_y = float(latents.n_samples[0]), latents.mean_h[0], float(latents.mean_y[0])
    std_y, std_z = float(np.sqrt(latents.var_y[0])), np.sqrt(np.diag(latents.cov_h[0]))
    std_z = np.where(std_z > 0.0, std_z, 1.0)
    joint = joint_covariances(latents)
    task = _Task(n, correlations(joint)[0], prior)
    effects = _EffectPosterior.of(task, noise_given_target(latent_noise_covariance, joint)[0])
    causal, by_scale = _sets_to_sum_over(task, effects)
    log_weight = logsumexp(by_scale, axis=0)
    weight = np.exp(log_weight - logsumexp(log_weight))
    probability = weight @ causal
    trust = _trust(probability, (1.0 - probability) * (1.0 - effects.unrelated))
    order = np.argsort(-weight, kind="stable")[:_MAX_KEPT]
    kept = order[: 1 + int(np.searchsorted(np.cumsum(weight[order]), _KEPT_MASS))]
    models = _target_models(task, effects, causal[kept], by_scale[:, kept])
    coef = models.weight @ models.coef
    within = np.einsum("s,s,sii->i", models.weight, models.variance * (n - 1.0) / max(n - 3.0, 1.0), models.inverse)
    between = models.weight @ (models.coef - coef) ** 2
    unit, slope = std_y / std_z, effects.slope * std_z / std_y
    return AdaptedTask(
        causal_probability=probability,
        causal_coef=coef * unit,
        causal_coef_std=np.sqrt(within + between) * unit,
        intercept=float(mean_y - mean_z @ (trust * coef * unit)),
        spurious_coef=slope,
        spurious_coef_std=np.sqrt(effects.slope_variance) * std_z / std_y,
        spurious_intercept=mean_z - slope * mean_y,
        spurious_std=np.sqrt(effects.variance) * std_z,
        n_samples=int(n) if n.is_integer() else n,
        trust=trust,
        mean_z=mean_z,
        std_z=std_z,
        mean_y=mean_y,
        std_y=std_y,
        models=models,
        transform=transform,
    )


def _trust(cause: Array, effect: Array) -> Array:
    """Share of each coefficient to keep so that predictions stay valid if the effects of the task act the other way.

    A coefficient b of a latent of covariance c with the target, and uncorrelated with others, changes the mean squared
    error by b^2 - 2 b c, and after the flip by b^2 + 2 b c if the latent is an effect. What is minimised is the
    expected loss after the flip plus, with the same weight, its rise over the loss before. That takes the share
    cause - 3 effect of c, where averaging over sets takes the probability of a cause.
    """
    return np.asarray(np.clip(1.0 - 3.0 * effect / np.maximum(cause, _TINY), 0.0, 1.0))


@dataclass(frozen=True)
class _Task:
    """Effective rows and correlations (D + 1, D + 1) of latents and, last, target of a new task, and the prior."""

    n: float
    correlation: Array
    prior: RolePrior

    @property
    def rho(self) -> Array:
        """Correlation of each latent with the target."""
        return self.correlation[:-1, -1]


@dataclass(frozen=True)
class _EffectPosterior:
    """Each latent (D,) as no cause, averaged over the grid of scales, and what their common noise correlates.

    `log_odds` are those of cause against none, apart from the regression of the target; `unrelated` is the probability
    of that given no cause; slopes are of gamma, zero if unrelated; `variance` is that given the target, the inverse of
    the mean of 1 / q, and `covariance` (D, D) contains it and the covariance of the noise.
    """

    log_odds: Array
    unrelated: Array
    slope: Array
    slope_variance: Array
    variance: Array
    covariance: Array
    dependence: Dependence

    @classmethod
    def of(cls, task: _Task, noise_covariance: Array) -> _EffectPosterior:
        """Compute the posterior; the covariance of the noise as from `noise_given_target`, shape (D, D)."""
        n, prior, rho, C = task.n, task.prior, task.rho, task.correlation[:-1, :-1]
        noise_share = np.diag(noise_covariance)
        scales = effect_scales(noise_share)
        rho2 = np.minimum(rho**2, 1.0 - _TINY)
        odds = RoleOdds.of(effect_evidence(rho2[None], np.array([n]), scales[None]), prior)
        unrelated = odds.unrelated[0]
        # The first scale is zero: unrelated.
        share = np.column_stack([unrelated, (1.0 - unrelated)[:, None] * odds.effect_scales[0]])
        # Variances of slopes in units of q.
        spread = np.column_stack([np.zeros(len(rho)), 1.0 / (n + 1.0 / scales)])
        slopes = n * rho[:, None] * spread
        each = n * (np.diag(C)[:, None] - rho[:, None] * slopes) / (n - 1.0)
        slope = np.sum(share * slopes, axis=1)
        slope_variance = np.sum(share * (each * spread + (slopes - slope[:, None]) ** 2), axis=1)
        # What is left of a latent given the target contains the noise, which is known, and a little of its own, which
        # keeps the covariance regular.
        variance = np.maximum(1.0 / np.sum(share / each, axis=1), (1.0 + _OWN_SHARE) * noise_share)
        covariance = noise_covariance.copy()
        np.fill_diagonal(covariance, variance)
        pairs = np.sqrt(np.outer(variance, variance))
        found = n * (C - np.outer(rho, rho)) / (n - 1.0)
        dependence = Dependence((covariance / pairs)[None], (found / pairs)[None])
        return cls(odds.cause[0], unrelated, slope, slope_variance, variance, covariance, dependence)

    def gains(self, causal: BoolArray) -> Array:
        """Covariance^{-1} gamma of the latents that are no causes, shape (n_sets, D); zero for the causes."""
        both = ~causal[:, :, None] & ~causal[:, None, :]
        covariance = np.where(both, self.covariance, np.diag(self.variance))
        return np.linalg.solve(covariance, np.where(causal, 0.0, self.slope)[..., None])[..., 0]


def _sets_to_sum_over(task: _Task, effects: _EffectPosterior) -> tuple[BoolArray, Array]:
    """All sets of few latents; of many, the best set found with all choices of the latents least clear in it.

    Return the sets, and their log posterior with each scale of the causes as in `_log_posterior`.
    """
    D = len(task.rho)
    best, candidates = np.zeros(D, dtype=bool), np.arange(D)
    if D > _MAX_ENUMERATED:
        best, gain = _search(task, effects)
        candidates = np.argsort(np.abs(gain), kind="stable")[:_N_AMBIGUOUS]
        best[candidates] = False
    causal = np.tile(best, (2 ** len(candidates), 1))
    causal[:, candidates] = set_members(len(candidates)) > 0.5
    by_scale = _log_posterior(task, effects, best[None], candidates[None])[0]
    return causal, by_scale + causal @ effects.log_odds


def _search(task: _Task, effects: _EffectPosterior) -> tuple[BoolArray, Array]:
    """Flip the latent that gains most until none gains: the set, and what each flip would gain."""
    D = len(task.rho)
    # From the empty set the search stalls: causes may explain the target only together.
    best, gain = task.rho**2 < 0.5, np.zeros(D)
    for _ in range(4 * D):
        causal = np.concatenate([best[None], best ^ np.eye(D, dtype=bool)])
        by_scale = _log_posterior(task, effects, causal, np.zeros((D + 1, 0), dtype=np.int64))[..., 0]
        value = logsumexp(by_scale, axis=1) + causal @ effects.log_odds
        gain = value[1:] - value[0]
        if gain.max() <= 1e-9:
            break
        best = causal[1 + np.argmax(gain)]
    return best, gain


def _log_posterior(task: _Task, effects: _EffectPosterior, causal: BoolArray, candidates: IntArray) -> Array:
    """Log posterior of sets and scales of causes but for the odds of each latent, as `set_evidence`; scales first."""
    scales, every = task.prior.likely_scales(), np.zeros(len(causal), dtype=np.int64)
    correlation, n_samples = task.correlation[None][every], np.full(len(causal), task.n)
    evidence = set_evidence(correlation, n_samples, candidates, causal, scales, effects.dependence.select(every))
    return evidence + task.prior.log_cause_weights[scales, None]


def _target_models(task: _Task, effects: _EffectPosterior, causal: BoolArray, by_scale: Array) -> TargetModels:
    """Regressions on the sets of causes, averaged over the scale of the coefficients (log posterior `by_scale`)."""
    n, both = task.n, causal[:, :, None] & causal[:, None, :]
    precision = np.where(both, n * task.correlation[:-1, :-1], 0.0)
    ridge = np.eye(causal.shape[1]) / STRENGTH_SCALES[task.prior.likely_scales(), None, None]
    right = np.where(causal, n * task.rho, 0.0)
    inverse = np.where(both, np.linalg.inv(precision + ridge[:, None]), 0.0)
    coef = np.einsum("ksij,sj->ksi", inverse, right)
    residual = np.maximum(n - np.einsum("ksi,si->ks", coef, right), _TINY * n)
    weight = logsumexp(by_scale, axis=0)
    share, weight = np.exp(by_scale - weight), np.exp(weight - logsumexp(weight))
    mean = np.einsum("ks,ksi->si", share, coef)
    scale = share * residual / (n - 1.0)
    variance = scale.sum(axis=0)
    deviation = coef - mean
    covariance = np.einsum("ks,ksij->sij", scale, inverse)
    covariance += np.einsum("ks,ksi,ksj->sij", share, deviation, deviation)
    gain = effects.gains(causal)
    return TargetModels(
        weight=weight,
        coef=mean,
        inverse=covariance / variance[:, None, None],
        variance=variance,
        gain=gain,
        precision=gain @ effects.slope,
    )
