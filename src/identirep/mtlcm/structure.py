r"""Which latents cause a target and which are caused by it: posterior over causal sets, from moments.

For task t and a set of causes C, with the scales of all latents profiled out, the log evidence is up to a constant

    -n_t/2 [ sum_{i not in C} log(1 - rho_ti^2) + log(1 - R^2_t(y | C)) ],

rho_ti the correlation of latent i with y and R^2 that of regressing y on C. It does not change when latents are
rescaled task by task. One correlated latent alone explains y equally well as cause and as effect, so the evidence is
joined by an empirical-Bayes prior on the strength of effects: one Gaussian a role over logit rho_ti^2, learnt by EM
over all tasks and latents together with the share of causes. Only cells whose role the evidence alone informs about
teach it, so that where there is nothing but equivalent sets the probabilities stay at one half.

Up to `_MAX_ENUMERATED` latents the sum over sets is exact. Beyond, the sets are averaged over the latents whose role
is least clear in the task, the others held at the best set found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from identirep.mtlcm.causal_sets import (
    TINY,
    log_residual_variances,
    own_terms,
    search_mode,
    set_members,
    swept_on,
)

__all__ = ["CausalPosterior", "RolePrior", "causal_posterior"]

Array = NDArray[np.float64]

_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
_EM_ITERATIONS = 100
_EM_TOL = 1e-4


@dataclass(frozen=True)
class RolePrior:
    """Share of causes and, for each role (spurious, causal), mean and standard deviation of logit rho^2."""

    share: float
    mean: Array
    std: Array

    def log_odds(self, x: Array) -> Array:
        """Prior log odds of cause against effect for effect strengths `x`, any shape."""
        z = (x[..., None] - self.mean) / self.std
        density = -0.5 * z**2 - np.log(self.std)
        odds: Array = float(logit(self.share)) + density[..., 1] - density[..., 0]
        return odds


@dataclass(frozen=True)
class CausalPosterior:
    """Posterior of the roles.

    Parameters
    ----------
    probability : array, shape (n_tasks, D)
        Probability that the latent causes the target.
    best : array of bool, shape (n_tasks, D)
        The most probable set of causes found.
    exact : bool
        Whether all sets were enumerated.
    prior : RolePrior
        The prior learnt from all tasks.
    """

    probability: Array
    best: NDArray[np.bool_]
    exact: bool
    prior: RolePrior


def causal_posterior(correlation: Array, n_samples: NDArray[np.int64]) -> CausalPosterior:
    """Compute the posterior probability that each latent causes each target.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Within-task correlations of the latents and, last, the target.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.

    Returns
    -------
    CausalPosterior
        Probabilities, best sets and the prior learnt.
    """
    T, D = len(correlation), correlation.shape[1] - 1
    rho2 = np.clip(correlation[:, :D, D] ** 2, TINY, 1 - TINY)
    strength = logit(rho2)
    own = own_terms(correlation, n_samples)
    prior = _fit_prior(strength, np.where(rho2 < 0.5, 0.9, 0.1), np.ones((T, D)))
    exact = D <= _MAX_ENUMERATED
    if exact:
        chosen = np.broadcast_to(np.arange(D), (T, D))
        fixed = np.zeros((T, D), dtype=bool)
        probability, best, prior = _average(correlation, n_samples, own, strength, chosen, fixed, prior)
        return CausalPosterior(probability, best, True, prior)
    best = rho2 < 0.5
    for _ in range(3):
        before = best
        best, odds = search_mode(correlation, n_samples, own + prior.log_odds(strength), best)
        chosen = np.argsort(np.abs(odds), axis=1, kind="stable")[:, :_N_AMBIGUOUS]
        probability, best, prior = _average(correlation, n_samples, own, strength, chosen, best, prior, odds)
        if np.array_equal(before, best):
            break
    return CausalPosterior(probability, best, False, prior)


def _average(
    correlation: Array,
    n_samples: NDArray[np.int64],
    own: Array,
    strength: Array,
    chosen: NDArray[np.int64],
    fixed: NDArray[np.bool_],
    prior: RolePrior,
    odds: Array | None = None,
) -> tuple[Array, NDArray[np.bool_], RolePrior]:
    """EM for the prior with the posterior summed over all sets of the `chosen` latents of each task."""
    T = len(strength)
    k = chosen.shape[1]
    rows = np.arange(T)[:, None]
    outside = fixed.copy()
    outside[rows, chosen] = False
    evidence = -0.5 * n_samples[:, None] * log_residual_variances(swept_on(correlation, outside), chosen)
    members = set_members(k)
    evidence += own[rows, chosen] @ members.T
    probability = fixed.astype(np.float64)
    if odds is not None:
        probability = 1.0 / (1.0 + np.exp(np.clip(-odds, -700, 700)))
    # What evidence alone says of the roles: only cells that it informs about teach what strength goes with which role.
    alone = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    informed = np.abs(2.0 * probability - 1.0)
    informed[rows, chosen] = np.abs(2.0 * (alone / alone.sum(axis=1, keepdims=True)) @ members - 1.0)
    posterior = evidence
    for _ in range(_EM_ITERATIONS):
        posterior = evidence + prior.log_odds(strength[rows, chosen]) @ members.T
        posterior -= posterior.max(axis=1, keepdims=True)
        np.exp(posterior, out=posterior)
        posterior /= posterior.sum(axis=1, keepdims=True)
        probability[rows, chosen] = posterior @ members
        updated = _fit_prior(strength, probability, informed)
        change = max(abs(updated.share - prior.share), np.abs(updated.mean - prior.mean).max())
        prior = updated
        if change < _EM_TOL:
            break
    best = fixed.copy()
    best[rows, chosen] = members[np.argmax(posterior, axis=1)] > 0.5
    return probability, best, prior


def _fit_prior(strength: Array, probability: Array, informed: Array) -> RolePrior:
    """Maximise the expected log prior, with the weight of two pseudo-observations against degenerate roles."""
    mean, std = np.zeros(2), np.zeros(2)
    centre, spread = float(strength.mean()), float(strength.std()) + TINY
    for role, weight in enumerate((informed * (1 - probability), informed * probability)):
        total = weight.sum() + 2.0
        mean[role] = (np.sum(weight * strength) + 2.0 * centre) / total
        std[role] = np.sqrt((np.sum(weight * (strength - mean[role]) ** 2) + 2.0 * spread**2) / total)
    share = ((informed * probability).sum() + 1.0) / (informed.sum() + 2.0)
    return RolePrior(float(share), mean, std)
