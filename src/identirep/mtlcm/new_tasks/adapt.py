"""The posterior of a new task in closed form, from the moments of a few labelled rows.

The model is that of `task_evidence`, the prior what the tasks of the fit say (`RolePrior`). Up to `_MAX_ENUMERATED`
latents all sets of causes are summed over; beyond, a search for the best set is followed by the sum over the latents
whose role is least clear there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.model.likelihood import joint_covariances
from identirep.mtlcm.new_tasks.evidence import EffectPosterior, TaskStatistics, log_posterior
from identirep.mtlcm.new_tasks.task import AdaptedTask, TargetModels
from identirep.mtlcm.roles.noise import noise_given_target
from identirep.mtlcm.roles.prior import RolePrior
from identirep.mtlcm.roles.sets import set_members
from identirep.validation import check_task_data

__all__ = ["adapt_task", "check_new_task"]

_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
# Sets kept for predictions: as many as hold this share of the posterior, but no more than so many.
_KEPT_MASS = 0.999
_MAX_KEPT = 64
_TINY = 1e-12


def check_new_task(estimator: Any, X: Any, y: Any, *, name: str) -> tuple[Array, Array]:
    """Validate the labelled rows of a new task and raise one error that lists all faults.

    Parameters
    ----------
    estimator : estimator
        Fitted on inputs like `X`.
    X : array-like, shape (n_samples, n_features)
        Inputs.
    y : array-like, shape (n_samples,)
        Target; rows with NaN are left out.
    name : str
        What messages call the inputs.

    Returns
    -------
    X : array, shape (n_labelled, n_features)
        Labelled rows.
    y : array, shape (n_labelled,)
        Their targets.

    Raises
    ------
    ValueError
        If anything is wrong with the values, or there are fewer than two different targets.
    """
    data = check_task_data(X, y, estimator=estimator, reset=False, name=name, min_labels=0)
    if data.n_tasks != 1:
        raise ValueError(
            f"y has the wrong shape: got {data.n_tasks} columns, expected (n_samples,), the target of one new task. "
            "Call adapt for each task."
        )
    target = data.targets.reshape(-1)
    seen = ~np.isnan(target)
    target = target[seen]
    if len(target) < 2:
        raise ValueError(f"y has too few labels: got {len(target)}, expected at least 2. Label more rows.")
    if target.min() == target.max():
        raise ValueError(
            f"y is constant: got {target[0]:.6g} in all {len(target)} rows, expected targets that vary. Label rows "
            "with other targets."
        )
    return data.X[seen], target


def adapt_task(latents: TaskMoments, noise: Array, prior: RolePrior, transform: Callable[[Any], Array]) -> AdaptedTask:
    """Compute the posterior of a new task.

    Parameters
    ----------
    latents : TaskMoments
        Moments of the latents and the target of this one task.
    noise : array, shape (D, D)
        Covariance of the observation noise in the latents.
    prior : RolePrior
        What the tasks of the fit say.
    transform : callable
        Map from inputs to latents, for predictions.

    Returns
    -------
    AdaptedTask
        The posterior.
    """
    n, mean_z, mean_y = int(latents.n_samples[0]), latents.mean_h[0], float(latents.mean_y[0])
    std_y, std_z = float(np.sqrt(latents.var_y[0])), np.sqrt(np.diag(latents.cov_h[0]))
    std_z = np.where(std_z > 0.0, std_z, 1.0)
    pairs = np.outer(std_z, std_z)
    task = TaskStatistics(n, latents.scatter_h[0] / pairs, latents.scatter_hy[0] / (std_z * std_y), prior)
    effects = EffectPosterior.of(task, noise_given_target(noise, joint_covariances(latents))[0])
    sets = _sets_to_sum_over(task, effects)
    log_weight = log_posterior(task, effects, sets)
    weight = np.exp(log_weight - logsumexp(log_weight))
    probability = weight @ sets
    trust = _trust(probability, (1.0 - probability) * (1.0 - effects.unrelated))
    models = _target_models(task, effects, sets, weight)
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
        n_samples=n,
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


def _sets_to_sum_over(task: TaskStatistics, effects: EffectPosterior) -> BoolArray:
    """All sets of few latents; of many, the best set found with all choices of the latents least clear in it."""
    D = len(task.scatter_zy)
    if D <= _MAX_ENUMERATED:
        return set_members(D) > 0.5
    flips, gain = np.eye(D, dtype=bool), np.zeros(D)
    # From the empty set the search stalls: causes may explain the target only together.
    best = task.scatter_zy**2 < 0.5 * task.n**2
    for _ in range(4 * D):
        value = log_posterior(task, effects, np.concatenate([best[None], best ^ flips]))
        gain = value[1:] - value[0]
        if gain.max() <= 1e-9:
            break
        best = best ^ flips[np.argmax(gain)]
    unclear = np.argsort(np.abs(gain), kind="stable")[:_N_AMBIGUOUS]
    sets = np.tile(best, (2 ** len(unclear), 1))
    sets[:, unclear] = set_members(len(unclear)) > 0.5
    return sets


def _target_models(task: TaskStatistics, effects: EffectPosterior, sets: BoolArray, weight: Array) -> TargetModels:
    """Regressions on the most probable sets, averaged over the prior scale of the coefficients."""
    order = np.argsort(-weight, kind="stable")[:_MAX_KEPT]
    kept = order[: 1 + int(np.searchsorted(np.cumsum(weight[order]), _KEPT_MASS))]
    log_share, coef, inverse, residual = task.causes(sets[kept])
    share = np.exp(log_share - logsumexp(log_share, axis=0))
    mean = np.einsum("ks,ksi->si", share, coef)
    scale = share * residual / (task.n - 1.0)
    variance = scale.sum(axis=0)
    deviation = coef - mean
    covariance = np.einsum("ks,ksij->sij", scale, inverse)
    covariance += np.einsum("ks,ksi,ksj->sij", share, deviation, deviation)
    gain = effects.gains(~sets[kept])
    return TargetModels(
        weight=weight[kept] / weight[kept].sum(),
        coef=mean,
        inverse=covariance / variance[:, None, None],
        variance=variance,
        gain=gain,
        precision=gain @ effects.slope,
    )
