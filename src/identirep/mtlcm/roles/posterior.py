r"""Which latents cause a target, which are caused by it and which are unrelated: posterior over roles, from moments.

For task t and a set of causes C, latents and target in units of their standard deviation in the task,

    y = w . z_C + N(0, s^2),  w / s ~ N(0, tau I);    z_i = gamma_i y + N(0, q_i),  gamma_i / sqrt(q_i) ~ N(0, kappa_i)

with s and q_i integrated out, and gamma_i = 0 for unrelated latents. That is closed-form for each scale tau and
kappa_i, and does not change when latents are rescaled task by task. One correlated latent alone explains y equally well
as cause and as effect; what then decides is how strong causes and effects are in other tasks. So the shares of roles
and the laws of the scales are learnt by EM over all tasks and latents (empirical Bayes, `RolePrior`). It starts from a
prior that favours no role, so that where there is nothing but equivalent sets the probabilities stay near one half.

Where the variances of causes, and those of effects given the target, are the same in all tasks, the variance of a
latent tells its role. These *shared scales* are used if the marginal likelihood prefers them (see `scales`).

Up to `_MAX_ENUMERATED` latents the sum over sets is exact. Beyond, sets are averaged over the latents whose role is
least clear in the task, the others held at the best set found. The prior is learnt from as many tasks as it takes to
know a few numbers well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.roles.dependence import dependence_evidence
from identirep.mtlcm.roles.evidence import regression_evidence
from identirep.mtlcm.roles.expectation import Cells, Odds, Roles, Sets, expectation
from identirep.mtlcm.roles.prior import STRENGTH_SCALES, RolePrior
from identirep.mtlcm.roles.scales import SharedScales, scales_may_be_shared
from identirep.mtlcm.roles.sets import TINY, search_mode

__all__ = ["CausalPosterior", "causal_posterior"]

_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
# Cells (task and latent) that the prior is learnt from, in whole tasks spread over all.
_MAX_CELLS = 20_000
_EM_ITERATIONS = 100
_EM_TOL = 3e-4
_SEARCHES = 3
# Tasks summed over at once.
_MAX_TASKS = 1000


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
        Shares and strengths of the roles, learnt from all tasks.
    scales : SharedScales or None
        The scales that all tasks share; None if every task has its own.
    """

    cause: Array
    effect: Array
    unrelated: Array
    best: BoolArray
    exact: bool
    prior: RolePrior
    scales: SharedScales | None

    @property
    def probability(self) -> Array:
        """Probability of a cause rather than an effect, shape (n_tasks, D): where unrelated, what the prior says."""
        return self.cause / np.maximum(self.cause + self.effect, TINY)


def causal_posterior(
    correlation: Array,
    n_samples: IntArray,
    variances: Array | None = None,
    *,
    noise: Array | None = None,
    prior: RolePrior | None = None,
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
    noise : array, shape (n_tasks, D, D), optional
        What observation noise adds to the covariance of the latents given the target, in units of their standard
        deviations in the task (`noise_given_target`). Without it, effects whose noise cancels look like causes.
    prior : RolePrior, optional
        Prior to use as it is, scales not shared; by default it is learnt.

    Returns
    -------
    CausalPosterior
        Probabilities, best sets and the prior learnt.
    """
    cells = Cells.of(correlation, n_samples, noise)
    scales = None
    if prior is None:
        some = _evenly_spaced(len(n_samples), max(1, _MAX_CELLS // cells.rho2.shape[1]))
        few, own = cells.select(some), None if variances is None else variances[some]
        prior, scales = _learn(few, own)
        if scales is not None and variances is not None:
            scales = scales.applied(variances, cells.rho2, n_samples)
    roles = _posterior(cells, prior, scales)
    return CausalPosterior(
        cause=roles.cause,
        effect=roles.effect,
        unrelated=(1.0 - roles.cause) * roles.unrelated,
        best=roles.best,
        exact=cells.rho2.shape[1] <= _MAX_ENUMERATED,
        prior=prior,
        scales=scales,
    )


def _learn(cells: Cells, variances: Array | None) -> tuple[RolePrior, SharedScales | None]:
    """Learn the prior, and the shared scales if these are more likely than scales for each task."""
    free = _maximise(cells, RolePrior.vague(), None, None)
    if variances is None or not scales_may_be_shared(variances, cells.rho2, cells.n_samples, 1.0 - free.roles.effect):
        return free.prior, None
    start = SharedScales.fit(variances, cells.rho2, cells.n_samples, 1.0 - free.roles.effect)
    shared = _maximise(cells, free.prior, start, variances)
    assert shared.scales is not None
    if shared.roles.log_evidence - shared.scales.cost(cells.n_samples) > free.roles.log_evidence:
        return shared.prior, shared.scales
    return free.prior, None


class _Learnt(NamedTuple):
    prior: RolePrior
    scales: SharedScales | None
    roles: Roles


def _maximise(cells: Cells, prior: RolePrior, scales: SharedScales | None, variances: Array | None) -> _Learnt:
    """EM over roles, sets and scales."""
    enumerated = cells.rho2.shape[1] <= _MAX_ENUMERATED
    for _ in range(1 if enumerated else _SEARCHES):
        start = prior
        odds = Odds.of(cells, prior, scales)
        sets = _sets(cells, prior, odds)
        for _ in range(_EM_ITERATIONS):
            roles = expectation(sets, odds, prior)
            before, prior = prior, roles.prior(odds)
            if variances is not None:
                scales = SharedScales.fit(variances, cells.rho2, cells.n_samples, 1.0 - roles.effect)
            if prior.distance(before) < _EM_TOL:
                break
            odds = Odds.of(cells, prior, scales)
            sets = sets.pruned(prior).centred(odds)
        if prior.distance(start) < _EM_TOL:
            break
    return _Learnt(prior, scales, roles)


def _posterior(cells: Cells, prior: RolePrior, scales: SharedScales | None) -> Roles:
    """Roles under a prior, a bounded number of tasks at a time."""
    odds, T = Odds.of(cells, prior, scales), len(cells.rho2)
    parts = []
    for first in range(0, T, _MAX_TASKS):
        tasks = np.arange(first, min(first + _MAX_TASKS, T))
        few, own = cells.select(tasks), Odds(*(values[tasks] for values in odds))
        parts.append(expectation(_sets(few, prior, own), own, prior))
    if len(parts) == 1:
        return parts[0]
    cause, unrelated, best = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Roles(cause, unrelated, best, parts[0].scales, parts[0].scale_counts, sum(x.log_evidence for x in parts))


def _sets(cells: Cells, prior: RolePrior, odds: Odds) -> Sets:
    """Choose sets to sum over: all of few latents, and of many those that differ in the least clear ones."""
    T, D = cells.rho2.shape
    scales = prior.likely_scales()
    chosen, outside, flips = np.tile(np.arange(D), (T, 1)), np.zeros((T, D), dtype=bool), np.zeros((T, D))
    if D > _MAX_ENUMERATED:
        outside, flips = _search(cells, prior, odds)
        chosen = np.argsort(np.abs(flips), axis=1, kind="stable")[:, :_N_AMBIGUOUS]
        outside[np.arange(T)[:, None], chosen] = False
    parts = [
        regression_evidence(cells.correlation, cells.n_samples, chosen, outside, float(STRENGTH_SCALES[k]))
        for k in scales
    ]
    evidence, far = np.stack(parts, axis=1), np.full(chosen.shape, np.inf)
    if cells.dependence is not None:
        evidence += dependence_evidence(cells.dependence, cells.n_samples, chosen, outside)[:, None]
    return Sets(chosen, scales, evidence, outside, flips, far, evidence, evidence[:, 0, 0]).centred(odds)


def _search(cells: Cells, prior: RolePrior, odds: Odds) -> tuple[BoolArray, Array]:
    """Best set of each task and the log odds there, in turns with the scale of its causes."""
    log_scales, log_weights = np.log(STRENGTH_SCALES), prior.log_cause_weights
    log_scale = np.full(len(cells.rho2), prior.cause_weights @ log_scales)
    none = np.zeros((len(cells.rho2), 0), dtype=np.int64)
    # From the empty set the search stalls: causes may explain the target only together.
    best = cells.rho2 < 0.5
    for _ in range(_SEARCHES):
        before = best
        log_g = log_scale + np.log(cells.n_samples)
        best, flips = search_mode(cells.correlation, cells.n_samples - 1, odds.cause, before, log_g, cells.pairs)
        if np.array_equal(best, before):
            break
        fits = np.concatenate([cells.regression(none, best, float(x)) for x in STRENGTH_SCALES], axis=1)
        fits += log_weights
        log_scale = np.exp(fits - logsumexp(fits, axis=1, keepdims=True)) @ log_scales
    return best, flips


def _evenly_spaced(n: int, most: int) -> IntArray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
