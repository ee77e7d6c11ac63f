r"""Which latents cause a target, which are caused by it and which are unrelated: posterior over roles, from moments.

For task t and a set of causes C, with the scales of all latents profiled out, the log evidence is up to a constant

    (n_t - 1 - 1)/2 sum_{i in C} log(1 - rho_ti^2)  -  (n_t - 1 - |C|)/2 log(1 - R^2_t(y | C)),

rho_ti the correlation of latent i with y and R^2 that of regressing y on C. It does not change when latents are
rescaled task by task; the degrees of freedom are those that integrating over the coefficients leaves. One correlated
latent alone explains y equally well as cause and as effect, so the evidence is joined by an empirical-Bayes prior on
the strength of effects: one Gaussian a role over logit rho_ti^2, learnt by EM over all tasks and latents together with
the share of causes. Only cells whose role the evidence alone informs about teach it, so that where there is nothing but
equivalent sets the probabilities stay at one half.

An unrelated latent is like an effect of strength zero. What its correlation says about that is weighed by the share of
unrelated cells and by the spread of the related ones, learnt too (`fit_unrelated_prior`), so that cells of which no
chance produces the correlation keep the odds of cause against effect.

Where the variances of causes, and those of effects given the target, are the same in all tasks, the variance of a
latent tells its role. These *shared scales* are used if the marginal likelihood prefers them (see `scales`).

Up to `_MAX_ENUMERATED` latents the sum over sets is exact. Beyond, the sets are averaged over the latents whose role
is least clear in the task, the others held at the best set found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from identirep.mtlcm.causal_sets import (
    TINY,
    log_residual_variances,
    own_terms,
    search_mode,
    set_members,
    swept_on,
)
from identirep.mtlcm.role_prior import RolePrior, UnrelatedPrior, fit_role_prior, fit_unrelated_prior
from identirep.mtlcm.scales import SharedScales, scales_may_be_shared

__all__ = ["CausalPosterior", "causal_posterior"]

Array = NDArray[np.float64]

_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
_EM_ITERATIONS = 100
_EM_TOL = 1e-4


@dataclass(frozen=True)
class CausalPosterior:
    """Posterior of the roles.

    Parameters
    ----------
    cause, effect, unrelated : array, shape (n_tasks, D)
        Probability that the latent causes the target, is caused by it, or has nothing to do with it; they sum to one.
    best : array of bool, shape (n_tasks, D)
        The most probable set of causes found.
    exact : bool
        Whether all sets were enumerated.
    prior : RolePrior
        The prior of cause against effect learnt from all tasks.
    unrelated_prior : UnrelatedPrior
        The prior of unrelated against related.
    scales : SharedScales or None
        The scales that all tasks share; None if every task has its own.
    """

    cause: Array
    effect: Array
    unrelated: Array
    best: NDArray[np.bool_]
    exact: bool
    prior: RolePrior
    unrelated_prior: UnrelatedPrior
    scales: SharedScales | None

    @property
    def probability(self) -> Array:
        """Probability of a cause rather than an effect, shape (n_tasks, D): where unrelated, what the prior says."""
        return self.cause / np.maximum(self.cause + self.effect, TINY)


def causal_posterior(
    correlation: Array, n_samples: NDArray[np.int64], variances: Array | None = None
) -> CausalPosterior:
    """Compute the posterior probability of each role of each latent in each task.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Within-task correlations of the latents and, last, the target.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.
    variances : array, shape (n_tasks, D), optional
        Within-task variances of the latents, for shared scales; by default these are not considered.

    Returns
    -------
    CausalPosterior
        Probabilities, best sets and the priors learnt.
    """
    D = correlation.shape[1] - 1
    exact = D <= _MAX_ENUMERATED
    cells = _Cells.of(correlation, n_samples)
    solve = _enumerate if exact else _average_ambiguous
    state = solve(cells, _initial(cells))
    if variances is not None and scales_may_be_shared(variances, cells.rho2, n_samples, 1.0 - state.effect):
        start = state._replace(scales=SharedScales.fit(variances, cells.rho2, n_samples, 1.0 - state.effect))
        shared = solve(cells, start, variances)
        assert shared.scales is not None
        if shared.log_evidence - shared.scales.cost(n_samples) > state.log_evidence:
            state = shared
    return CausalPosterior(
        cause=state.cause,
        effect=state.effect,
        unrelated=(1.0 - state.cause) * state.unrelated,
        best=state.best,
        exact=exact,
        prior=state.prior,
        unrelated_prior=state.unrelated_prior,
        scales=state.scales,
    )


@dataclass(frozen=True)
class _Cells:
    """What is known of tasks and latents before roles are."""

    correlation: Array
    n_samples: NDArray[np.int64]
    rho2: Array
    strength: Array
    own: Array

    @classmethod
    def of(cls, correlation: Array, n_samples: NDArray[np.int64]) -> _Cells:
        D = correlation.shape[1] - 1
        rho2 = np.clip(correlation[:, :D, D] ** 2, TINY, 1 - TINY)
        own = own_terms(correlation, np.maximum(n_samples - 2, 0))
        return cls(correlation, n_samples, rho2, logit(rho2), own)


class _State(NamedTuple):
    """Priors and probabilities; `unrelated` is the probability of unrelated given that the latent is no cause."""

    prior: RolePrior
    unrelated_prior: UnrelatedPrior
    scales: SharedScales | None
    cause: Array
    unrelated: Array
    best: NDArray[np.bool_]
    log_evidence: float

    @property
    def effect(self) -> Array:
        """Probability of an effect."""
        return (1.0 - self.cause) * (1.0 - self.unrelated)

    def role_odds(self, cells: _Cells) -> tuple[Array, Array]:
        """Log odds of cause against anything else, and of unrelated against effect, before sets are compared."""
        odds = self.prior.log_odds(cells.strength)
        unrelated = self.unrelated_prior.log_odds() - log_expit(-odds)
        if self.scales is not None:
            odds, unrelated = odds + self.scales.log_odds, unrelated + self.scales.log_odds
        # An effect weighs 1; unrelated adds to what a cause has to outweigh.
        return odds - np.logaddexp(0.0, unrelated), unrelated


def _initial(cells: _Cells) -> _State:
    cause = np.where(cells.rho2 < 0.5, 0.9, 0.1)
    prior = fit_role_prior(cells.strength, 1.0 - cause, cause)
    unrelated_prior = fit_unrelated_prior(cells.correlation[:, :-1, -1], cells.n_samples)
    return _State(prior, unrelated_prior, None, cause, np.zeros_like(cause), cells.rho2 < 0.5, -np.inf)


def _enumerate(cells: _Cells, state: _State, variances: Array | None = None) -> _State:
    T, D = cells.strength.shape
    chosen = np.broadcast_to(np.arange(D), (T, D))
    return _average(cells, state._replace(best=np.zeros((T, D), dtype=bool)), chosen, variances)


def _average_ambiguous(cells: _Cells, state: _State, variances: Array | None = None) -> _State:
    for _ in range(3):
        before = state.best
        bonus = cells.own + state.role_odds(cells)[0]
        best, odds = search_mode(cells.correlation, cells.n_samples, bonus, before)
        chosen = np.argsort(np.abs(odds), axis=1, kind="stable")[:, :_N_AMBIGUOUS]
        state = _average(cells, state._replace(best=best, cause=expit(odds)), chosen, variances)
        if np.array_equal(before, state.best):
            break
    return state


def _average(cells: _Cells, state: _State, chosen: NDArray[np.int64], variances: Array | None) -> _State:
    """EM for the priors with the posterior summed over all sets of the `chosen` latents of each task.

    The other latents are causes if in `state.best`, with the probability `state.cause`.
    """
    T, k = chosen.shape
    rows = np.arange(T)[:, None]
    outside = state.best.copy()
    outside[rows, chosen] = False
    members = set_members(k)
    freedom = cells.n_samples[:, None] - 1.0 - outside.sum(axis=1)[:, None] - members.sum(axis=1)
    evidence = np.maximum(freedom, 0.0)
    evidence *= -0.5 * log_residual_variances(swept_on(cells.correlation, outside), chosen)
    evidence += cells.own[rows, chosen] @ members.T
    cause = state.cause.copy()
    # What evidence alone says of the roles: only cells that it informs about teach what strength goes with which role.
    alone = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    informed = np.abs(2.0 * cause - 1.0)
    informed[rows, chosen] = np.abs(2.0 * (alone / alone.sum(axis=1, keepdims=True)) @ members - 1.0)
    posterior, total = evidence, np.zeros((T, 1))
    for _ in range(_EM_ITERATIONS):
        odds, unrelated_odds = state.role_odds(cells)
        posterior = evidence + odds[rows, chosen] @ members.T
        total = posterior.max(axis=1, keepdims=True)
        posterior -= total
        np.exp(posterior, out=posterior)
        norm = posterior.sum(axis=1, keepdims=True)
        posterior /= norm
        total += np.log(norm)
        cause[rows, chosen] = posterior @ members
        unrelated = expit(unrelated_odds)
        before = state.prior
        state = state._replace(cause=cause, unrelated=unrelated)
        state = state._replace(
            prior=fit_role_prior(cells.strength, informed * state.effect, informed * cause),
            unrelated_prior=state.unrelated_prior.updated((1.0 - cause) * unrelated),
        )
        if variances is not None:
            state = state._replace(scales=SharedScales.fit(variances, cells.rho2, cells.n_samples, 1.0 - state.effect))
        if max(abs(state.prior.share - before.share), np.abs(state.prior.mean - before.mean).max()) < _EM_TOL:
            break
    best = outside
    best[rows, chosen] = members[np.argmax(posterior, axis=1)] > 0.5
    return state._replace(best=best, log_evidence=_log_evidence(cells, state, total, outside))


def _log_evidence(cells: _Cells, state: _State, total: Array, outside: NDArray[np.bool_]) -> float:
    """Log marginal likelihood of all tasks, up to what does not depend on the scales."""
    odds, unrelated_odds = state.role_odds(cells)
    related = -np.logaddexp(0.0, state.unrelated_prior.log_odds())
    no_cause = log_expit(-state.prior.log_odds(cells.strength)) + np.logaddexp(0.0, unrelated_odds) + related
    if state.scales is not None:
        no_cause += state.scales.as_effect
    return float(total.sum() + no_cause.sum() + np.where(outside, odds + cells.own, 0.0).sum())
