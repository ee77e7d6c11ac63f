r"""Which latents cause a target, which are caused by it and which are unrelated: posterior over roles, from moments.

For task t and a set of causes C, latents and target in units of their standard deviation in the task,

    y = w . z_C + N(0, s^2),  w / s ~ N(0, tau I);    z_i = gamma_i y + N(0, q_i),  gamma_i / sqrt(q_i) ~ N(0, kappa_i)

with s and q_i integrated out, and gamma_i = 0 for unrelated latents. That is closed-form for each scale tau and
kappa_i, and does not change when latents are rescaled task by task. One correlated latent alone explains y equally well
as cause and as effect; what then decides is how strong causes and effects are in other tasks. So the shares of roles
and the laws of the scales are learnt by EM over all tasks and latents (empirical Bayes, `RolePrior`). It starts from a
prior that favours no role, so that where there is nothing but equivalent sets the probabilities stay near one half.

Where the variances of causes, and those of effects given the target, are the same in all tasks, the variance of a
latent tells its role. These *shared scales* are used if the marginal likelihood prefers them (see `prior`).

Up to `_MAX_ENUMERATED` latents the sum over sets is exact. Beyond, sets are averaged over the latents whose role is
least clear in the task, the others held at the best set found. The prior is learnt from as many tasks as it takes to
know a few numbers well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.mtlcm.roles.evidence import (
    Dependence,
    effect_evidence,
    effect_scales,
    noise_dependence,
    pair_evidence,
    set_evidence,
)
from identirep.mtlcm.roles.prior import STRENGTH_SCALES, RolePrior, SharedScales, scales_may_be_shared
from identirep.mtlcm.roles.sets import TINY, search_mode, set_members
from identirep.threads import in_threads

__all__ = ["CausalPosterior", "RoleOdds", "causal_posterior"]

_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
# Cells (task and latent) that the prior is learnt from, in whole tasks spread over all.
_MAX_CELLS = 20_000
_EM_ITERATIONS = 100
_EM_TOL = 3e-4
_SEARCHES = 3
# Tasks searched at once, and of those summed over at once: what a cache holds.
_MAX_TASKS, _SUMMED = 1000, 64
# Log odds of a task that may change, in sum, before exponentials are taken anew.
_NEIGHBOURHOOD = 300.0


@dataclass(frozen=True)
class CausalPosterior:
    """Posterior of the roles: probability of each (n_tasks, D), most probable causes found, and what was learnt.

    `exact` tells whether all sets were enumerated; `scales` are None if every task has its own.
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
    n_samples: Counts,
    variances: Array | None = None,
    *,
    noise_covariance: Array | None = None,
    prior: RolePrior | None = None,
) -> CausalPosterior:
    """Compute the posterior probability of each role of each latent in each task.

    `correlation` (n_tasks, D + 1, D + 1) is that of the latents and, last, the target within each task. With the
    `variances` (n_tasks, D) of the latents, scales may be shared; with the `noise_covariance` of `noise_given_target`,
    effects whose noise cancels do not look like causes. A prior given is used as it is, scales not shared.
    """
    cells = _Cells.of(correlation, n_samples, noise_covariance)
    scales = None
    if prior is None:
        some = _evenly_spaced(len(n_samples), max(1, _MAX_CELLS // cells.rho2.shape[1]))
        prior, scales = _learn(cells.select(some), None if variances is None else variances[some])
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


@dataclass(frozen=True)
class _Cells:
    """What is known of tasks and latents before roles are; `dependence` as in `noise_dependence`."""

    correlation: Array
    n_samples: Counts
    rho2: Array
    effects: Array
    dependence: Dependence | None

    @classmethod
    def of(cls, correlation: Array, n_samples: Counts, noise_covariance: Array | None) -> _Cells:
        rho2 = np.clip(correlation[:, :-1, -1] ** 2, 0.0, 1.0 - TINY)
        if noise_covariance is None:
            return cls(correlation, n_samples, rho2, effect_evidence(rho2, n_samples), None)
        effects = effect_evidence(rho2, n_samples, effect_scales(np.einsum("tii->ti", noise_covariance)))
        return cls(correlation, n_samples, rho2, effects, noise_dependence(correlation, noise_covariance))

    @property
    def pairs(self) -> Array | None:
        """Gain of each pair of latents by the noise that they have in common, for the search."""
        return None if self.dependence is None else pair_evidence(self.dependence, self.n_samples)

    def select(self, tasks: IntArray) -> _Cells:
        dependence = None if self.dependence is None else self.dependence.select(tasks)
        return _Cells(self.correlation[tasks], self.n_samples[tasks], self.rho2[tasks], self.effects[tasks], dependence)


class RoleOdds(NamedTuple):
    """Of each cell (n_tasks, D): log odds of cause against none, evidence of none, and what is none.

    `cause` is what a latent brings apart from the regression of the target; `unrelated` is the probability of that
    given no cause, `effect_scales` (n_tasks, D, n_scales) that of each scale given an effect.
    """

    cause: Array
    none: Array
    unrelated: Array
    effect_scales: Array

    @classmethod
    def of(cls, effects: Array, prior: RolePrior, scales: SharedScales | None = None) -> RoleOdds:
        """Sum the evidence of effects (n_tasks, D, n_scales) over the prior."""
        by_scale = effects + prior.log_effect_weights
        effect = logsumexp(by_scale, axis=-1)
        shares = np.exp(by_scale - effect[..., None])
        effect += np.log1p(-prior.share - prior.unrelated)
        cause, unrelated = np.full_like(effect, np.log(prior.share)), np.full_like(effect, np.log(prior.unrelated))
        if scales is not None:
            effect += scales.as_effect
            cause += scales.as_cause
            # An unrelated latent comes from outside, like a cause.
            unrelated += scales.as_cause
        none = np.logaddexp(effect, unrelated)
        return cls(cause - none, none, np.exp(unrelated - none), shares)

    def select(self, tasks: IntArray) -> RoleOdds:
        """Keep some of the tasks."""
        return RoleOdds(*(values[tasks] for values in self))


class _Roles(NamedTuple):
    """Posterior of the roles under one prior: probability of a cause, and of unrelated given no cause.

    `scales` (positions in the grid) are those of causes summed over, `scale_counts` the expected number of tasks of
    each. `log_evidence` is that of all tasks, up to what depends on neither roles nor scales.
    """

    cause: Array
    unrelated: Array
    best: BoolArray
    scales: IntArray
    scale_counts: Array
    log_evidence: float

    @property
    def effect(self) -> Array:
        """Probability of an effect."""
        return (1.0 - self.cause) * (1.0 - self.unrelated)


class _Sets(NamedTuple):
    """Evidence of all sets of the candidates (n_tasks, k) as causes, on some scales, other latents held.

    `causal` (n_tasks, D) are causes of all these sets, besides, and `flips` the log odds of cause of latents that are
    no candidates. `evidence` has shape (n_tasks, n_scales, 2**k); `relative` is the exponential of it and of the odds
    `centre` (n_tasks, k) of the candidates, less `top`: what changes in EM is taken in without exponentials of it all.
    """

    candidates: IntArray
    scales: IntArray
    evidence: Array
    causal: BoolArray
    flips: Array
    centre: Array
    relative: Array
    top: Array

    def centred(self, odds: RoleOdds) -> _Sets:
        """Return the sets for odds in whose neighbourhood nothing that counts underflows."""
        own = np.take_along_axis(odds.cause, self.candidates, axis=1)
        if np.abs(own - self.centre).sum(axis=1).max(initial=0.0) < _NEIGHBOURHOOD:
            return self
        values = self.evidence + (own @ set_members(own.shape[1]).T)[:, None]
        top = values.max(axis=(1, 2))
        values -= top[:, None, None]
        return self._replace(centre=own, relative=np.exp(values, out=values), top=top)

    def pruned(self, prior: RolePrior) -> _Sets:
        """Leave out scales of causes that have become improbable."""
        kept = np.isin(self.scales, prior.likely_scales())
        if kept.all():
            return self
        evidence, relative = self.evidence[:, kept], self.relative[:, kept]
        return self._replace(scales=self.scales[kept], evidence=evidence, relative=relative)


def _e_step(sets: _Sets, odds: RoleOdds, prior: RolePrior) -> _Roles:
    """Sum over sets and scales of causes."""
    causal = set_members(sets.candidates.shape[1])
    own = np.take_along_axis(odds.cause, sets.candidates, axis=1)
    weights, change = prior.cause_weights[sets.scales], np.exp((own - sets.centre) @ causal.T)
    by_set = (weights @ sets.relative) * change
    norm = by_set.sum(axis=1, keepdims=True)
    by_set /= norm
    cause = expit(sets.flips)
    np.put_along_axis(cause, sets.candidates, by_set @ causal, axis=1)
    best = sets.causal.copy()
    np.put_along_axis(best, sets.candidates, causal[np.argmax(by_set, axis=1)] > 0.5, axis=1)
    by_scale = (sets.relative @ change[..., None])[..., 0]
    # Without causes nothing is learnt about their scale.
    by_scale -= np.where(sets.causal.any(axis=1), 0.0, change[:, 0])[:, None] * sets.relative[:, :, 0]
    counts = weights * (by_scale / norm).sum(axis=0)
    total = np.log(norm).sum() + sets.top.sum() + odds.none.sum() + odds.cause[sets.causal].sum()
    return _Roles(cause, odds.unrelated, best, sets.scales, counts, float(total))


def _m_step(roles: _Roles, odds: RoleOdds) -> RolePrior:
    """Prior that fits the roles best."""
    cause_counts = np.zeros(len(STRENGTH_SCALES))
    cause_counts[roles.scales] = roles.scale_counts
    effect_counts = np.einsum("ti,tik->k", roles.effect, odds.effect_scales)
    return RolePrior.fit(roles.cause, (1.0 - roles.cause) * roles.unrelated, cause_counts, effect_counts)


def _learn(cells: _Cells, variances: Array | None) -> tuple[RolePrior, SharedScales | None]:
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
    """What EM has learnt, and the roles under it."""

    prior: RolePrior
    scales: SharedScales | None
    roles: _Roles


def _maximise(cells: _Cells, prior: RolePrior, scales: SharedScales | None, variances: Array | None) -> _Learnt:
    """EM over roles, sets and scales."""
    enumerated = cells.rho2.shape[1] <= _MAX_ENUMERATED
    for _ in range(1 if enumerated else _SEARCHES):
        start = prior
        odds = RoleOdds.of(cells.effects, prior, scales)
        sets = _sets(cells, prior, odds)
        for _ in range(_EM_ITERATIONS):
            roles = _e_step(sets, odds, prior)
            before, prior = prior, _m_step(roles, odds)
            if variances is not None:
                scales = SharedScales.fit(variances, cells.rho2, cells.n_samples, 1.0 - roles.effect)
            if prior.distance(before) < _EM_TOL:
                break
            odds = RoleOdds.of(cells.effects, prior, scales)
            left = sets.pruned(prior)
            # What roles have in common may pull the scale of causes away from all that were left.
            sets = left.centred(odds) if len(left.scales) else _sets(cells, prior, odds)
        if prior.distance(start) < _EM_TOL:
            break
    return _Learnt(prior, scales, roles)


def _posterior(cells: _Cells, prior: RolePrior, scales: SharedScales | None) -> _Roles:
    """Roles under a prior, a bounded number of tasks at a time, on as many threads as the linear algebra has."""
    odds, T = RoleOdds.of(cells.effects, prior, scales), len(cells.rho2)

    def of_part(first: int) -> list[_Roles]:
        tasks = np.arange(first, min(first + _MAX_TASKS, T))
        few, own = cells.select(tasks), odds.select(tasks)
        chosen = _choose(few, prior, own)
        return [
            _e_step(_evaluated(few.select(part), prior, one := own.select(part), chosen.select(part)), one, prior)
            for part in np.split(np.arange(len(tasks)), range(_SUMMED, len(tasks), _SUMMED))
        ]

    parts = [part for several in in_threads(of_part, range(0, T, _MAX_TASKS)) for part in several]
    cause, unrelated, best = (np.concatenate([part[k] for part in parts]) for k in range(3))
    counts = np.sum([part.scale_counts for part in parts], axis=0)
    return _Roles(cause, unrelated, best, parts[0].scales, counts, sum(part.log_evidence for part in parts))


class _Chosen(NamedTuple):
    """Which sets are summed over: `candidates`, `causal` and `flips` as in `_Sets`."""

    candidates: IntArray
    causal: BoolArray
    flips: Array

    def select(self, tasks: IntArray) -> _Chosen:
        return _Chosen(self.candidates[tasks], self.causal[tasks], self.flips[tasks])


def _sets(cells: _Cells, prior: RolePrior, odds: RoleOdds) -> _Sets:
    """Evidence of the sets to sum over."""
    return _evaluated(cells, prior, odds, _choose(cells, prior, odds))


def _choose(cells: _Cells, prior: RolePrior, odds: RoleOdds) -> _Chosen:
    """Choose sets to sum over: all of few latents, and of many those that differ in the least clear ones."""
    T, D = cells.rho2.shape
    if D <= _MAX_ENUMERATED:
        return _Chosen(np.tile(np.arange(D), (T, 1)), np.zeros((T, D), dtype=bool), np.zeros((T, D)))
    causal, flips = _search(cells, prior, odds)
    candidates = np.argsort(np.abs(flips), axis=1, kind="stable")[:, :_N_AMBIGUOUS]
    np.put_along_axis(causal, candidates, False, axis=1)
    return _Chosen(candidates, causal, flips)


def _evaluated(cells: _Cells, prior: RolePrior, odds: RoleOdds, chosen: _Chosen) -> _Sets:
    """Evidence of the sets chosen, on the scales that are likely."""
    candidates, scales = chosen.candidates, prior.likely_scales()
    evidence = set_evidence(cells.correlation, cells.n_samples, candidates, chosen.causal, scales, cells.dependence)
    far = np.full(candidates.shape, np.inf)
    return _Sets(candidates, scales, evidence, chosen.causal, chosen.flips, far, evidence, evidence[:, 0, 0]).centred(
        odds
    )


def _search(cells: _Cells, prior: RolePrior, odds: RoleOdds) -> tuple[BoolArray, Array]:
    """Best set of each task and the log odds there, in turns with the scale of its causes."""
    log_scales, every, log_weights = np.log(STRENGTH_SCALES), np.arange(len(STRENGTH_SCALES)), prior.log_cause_weights
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
        fits = set_evidence(cells.correlation, cells.n_samples, none, best, every)[..., 0] + log_weights
        log_scale = np.exp(fits - logsumexp(fits, axis=1, keepdims=True)) @ log_scales
    return best, flips


def _evenly_spaced(n: int, most: int) -> IntArray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
