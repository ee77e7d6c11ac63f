"""Expectation step of the roles: evidence of cells and of sets, and their sum under a prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.roles.dependence import Dependence
from identirep.mtlcm.roles.evidence import regression_evidence
from identirep.mtlcm.roles.noise import noise_dependence, pair_evidence
from identirep.mtlcm.roles.prior import STRENGTH_SCALES, RolePrior, effect_evidence, effect_scales
from identirep.mtlcm.roles.scales import SharedScales
from identirep.mtlcm.roles.sets import TINY, set_members

__all__ = ["Cells", "Odds", "Roles", "Sets", "expectation"]

# Log odds of a task that may change, in sum, before exponentials are taken anew.
_NEIGHBOURHOOD = 300.0


@dataclass(frozen=True)
class Cells:
    """What is known of tasks and latents before roles are; `dependence` as in `noise_dependence`."""

    correlation: Array
    n_samples: IntArray
    rho2: Array
    effects: Array
    dependence: Dependence | None

    @classmethod
    def of(cls, correlation: Array, n_samples: IntArray, noise: Array | None) -> Cells:
        rho2 = np.clip(correlation[:, :-1, -1] ** 2, 0.0, 1.0 - TINY)
        if noise is None:
            return cls(correlation, n_samples, rho2, effect_evidence(rho2, n_samples), None)
        effects = effect_evidence(rho2, n_samples, effect_scales(np.einsum("tii->ti", noise)))
        return cls(correlation, n_samples, rho2, effects, noise_dependence(correlation, noise))

    @property
    def pairs(self) -> Array | None:
        """Gain of each pair of latents by the noise that they have in common, for the search."""
        return None if self.dependence is None else pair_evidence(self.dependence, self.n_samples)

    def regression(self, chosen: IntArray, outside: BoolArray, scale: float) -> Array:
        return regression_evidence(self.correlation, self.n_samples, chosen, outside, scale)

    def select(self, tasks: IntArray) -> Cells:
        dependence = None if self.dependence is None else self.dependence.select(tasks)
        return Cells(self.correlation[tasks], self.n_samples[tasks], self.rho2[tasks], self.effects[tasks], dependence)


class Odds(NamedTuple):
    """Of each cell: log odds of cause against none, evidence of none, and what is none.

    Parameters
    ----------
    cause : array, shape (n_tasks, D)
        Log odds that a latent brings as a cause, apart from the regression of the target.
    none : array, shape (n_tasks, D)
        Log evidence of no cause.
    unrelated : array, shape (n_tasks, D)
        Probability of unrelated, given no cause.
    effect_scales : array, shape (n_tasks, D, n_scales)
        Probability of each scale, given an effect.
    """

    cause: Array
    none: Array
    unrelated: Array
    effect_scales: Array

    @classmethod
    def of(cls, cells: Cells, prior: RolePrior, scales: SharedScales | None) -> Odds:
        by_scale = cells.effects + prior.log_effect_weights
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


class Roles(NamedTuple):
    """Posterior of the roles under one prior.

    Parameters
    ----------
    cause : array, shape (n_tasks, D)
        Probability of a cause.
    unrelated : array, shape (n_tasks, D)
        Probability of unrelated, given no cause.
    best : array of bool, shape (n_tasks, D)
        The most probable set of causes found.
    scales : array of int, shape (n_scales,)
        Scales of causes summed over: positions in the grid.
    scale_counts : array, shape (n_scales,)
        Expected number of tasks of each of these scales.
    log_evidence : float
        Log marginal likelihood of all tasks, up to what depends on neither roles nor scales.
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

    def prior(self, odds: Odds) -> RolePrior:
        """Return the prior that fits these roles best."""
        cause_counts = np.zeros(len(STRENGTH_SCALES))
        cause_counts[self.scales] = self.scale_counts
        effect_counts = np.einsum("ti,tik->k", self.effect, odds.effect_scales)
        return RolePrior.fit(self.cause, (1.0 - self.cause) * self.unrelated, cause_counts, effect_counts)


class Sets(NamedTuple):
    """Evidence of all sets of the `chosen` latents of each task, on some scales of the causes.

    Parameters
    ----------
    chosen : array of int, shape (n_tasks, k)
        The latents.
    scales : array of int, shape (n_scales,)
        Positions of the scales in the grid.
    evidence : array, shape (n_tasks, n_scales, 2**k)
        Log evidence of the regression of the target.
    outside : array of bool, shape (n_tasks, D)
        Causes of all these sets, besides.
    flips : array, shape (n_tasks, D)
        Log odds of cause of the latents that are not chosen.
    centre : array, shape (n_tasks, k)
        Log odds of the chosen latents that `relative` contains.
    relative : array, shape (n_tasks, n_scales, 2**k)
        Exponential of evidence and these odds: what changes in EM is then taken in without exponentials of it all.
    top : array, shape (n_tasks,)
        Log of the factor on `relative`.
    """

    chosen: IntArray
    scales: IntArray
    evidence: Array
    outside: BoolArray
    flips: Array
    centre: Array
    relative: Array
    top: Array

    def centred(self, odds: Odds) -> Sets:
        """Return the sets for odds in whose neighbourhood nothing that counts underflows."""
        own = np.take_along_axis(odds.cause, self.chosen, axis=1)
        if np.abs(own - self.centre).sum(axis=1).max(initial=0.0) < _NEIGHBOURHOOD:
            return self
        values = self.evidence + (own @ set_members(own.shape[1]).T)[:, None]
        top = values.max(axis=(1, 2))
        values -= top[:, None, None]
        return self._replace(centre=own, relative=np.exp(values, out=values), top=top)

    def pruned(self, prior: RolePrior) -> Sets:
        """Leave out scales of causes that have become improbable."""
        kept = np.isin(self.scales, prior.likely_scales())
        if kept.all():
            return self
        evidence, relative = self.evidence[:, kept], self.relative[:, kept]
        return self._replace(scales=self.scales[kept], evidence=evidence, relative=relative)


def expectation(sets: Sets, odds: Odds, prior: RolePrior) -> Roles:
    """Sum over sets and scales of causes."""
    members = set_members(sets.chosen.shape[1])
    own = np.take_along_axis(odds.cause, sets.chosen, axis=1)
    weights, change = prior.cause_weights[sets.scales], np.exp((own - sets.centre) @ members.T)
    by_set = (weights @ sets.relative) * change
    norm = by_set.sum(axis=1, keepdims=True)
    by_set /= norm
    cause = expit(sets.flips)
    np.put_along_axis(cause, sets.chosen, by_set @ members, axis=1)
    best = sets.outside.copy()
    np.put_along_axis(best, sets.chosen, members[np.argmax(by_set, axis=1)] > 0.5, axis=1)
    by_scale = (sets.relative @ change[..., None])[..., 0]
    # Without causes nothing is learnt about their scale.
    by_scale -= np.where(sets.outside.any(axis=1), 0.0, change[:, 0])[:, None] * sets.relative[:, :, 0]
    counts = weights * (by_scale / norm).sum(axis=0)
    total = np.log(norm).sum() + sets.top.sum() + odds.none.sum() + odds.cause[sets.outside].sum()
    return Roles(cause, odds.unrelated, best, sets.scales, counts, float(total))
