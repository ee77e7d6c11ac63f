r"""What all tasks together teach about roles: their shares, and how strong causes and effects are.

Strengths are free of units: of a cause :math:`w_i \, \mathrm{sd}(z_i) / s`, of an effect
:math:`\gamma_i \, \mathrm{sd}(y) / \sqrt{q_i}`, of an unrelated latent zero. Each is N(0, scale), with one scale for
all causes of a task and one for each effect. Scales are log-normal over all tasks, on a grid: the families are narrow
on purpose, since a latent that hardly correlates with the target could be a weak effect, a weak cause or unrelated, and
what decides there is how many weak ones the strong ones lead to expect.

Scales that all tasks share, where they do, tell roles apart too: the variance v_i of a latent as a cause, and q_i given
the target as an effect. With the variance of latent i in task t S_ti, and R_ti = S_ti (1 - rho_ti^2) given the target,
a cell loses

    n_t/2 [ S_ti / v_i - log(S_ti / v_i) - 1 ]  as a cause,   n_t/2 [ R_ti / q_i - log(R_ti / q_i) - 1 ]  as an effect

against a scale of its own. That is little where the scales are shared; it is much where they are not, as after
standardising each task. The Bayesian information criterion decides: n_tasks D scales against 2 D. An unrelated latent
comes from outside like a cause and has v_i.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, Counts, IntArray

__all__ = ["STRENGTH_SCALES", "RolePrior", "SharedScales", "scales_may_be_shared"]

# Variances of strengths.
STRENGTH_SCALES = 3.0 ** np.arange(-6, 11)
_LOG_SCALES = np.log(STRENGTH_SCALES)
# Least variance of log scale: narrower laws would stick to a point of the grid in EM.
_LEAST_SPREAD = 0.2
# Pseudo-observations of the spread of scales.
_PSEUDO_SPREAD = 5.0
# Probability from which a scale of causes is worth summing over.
_LEAST_PROBABLE = 1e-3
# Passes of the cheap search for scales that could be shared, sets of causes left aside.
_PASSES = 10
# Variances that differ between tasks by less than this share of what sampling makes of equal ones were set by hand.
_TOO_EVEN = 0.5
_TINY = 1e-300


@dataclass(frozen=True)
class RolePrior:
    """Shares of causes and of unrelated latents, and the probability of each of `STRENGTH_SCALES` in either role."""

    share: float
    unrelated: float
    cause_weights: Array
    effect_weights: Array

    @classmethod
    def vague(cls) -> RolePrior:
        """Return a prior that favours neither role and no strength, to start from."""
        even = np.full(len(STRENGTH_SCALES), 1.0 / len(STRENGTH_SCALES))
        return cls(0.5, 0.05, even, even)

    @property
    def log_effect_weights(self) -> Array:
        """Logarithm of `effect_weights`, finite."""
        return np.asarray(np.log(np.maximum(self.effect_weights, _TINY)))

    @property
    def log_cause_weights(self) -> Array:
        """Logarithm of `cause_weights`, finite."""
        return np.asarray(np.log(np.maximum(self.cause_weights, _TINY)))

    def likely_scales(self) -> IntArray:
        """Positions of the scales of causes that are worth summing over."""
        return np.flatnonzero(self.cause_weights >= min(_LEAST_PROBABLE, float(self.cause_weights.max())))

    @classmethod
    def fit(cls, cause: Array, unrelated: Array, cause_counts: Array, effect_counts: Array) -> RolePrior:
        """Maximise the expected log prior, with pseudo-observations that pull towards roles that are alike.

        One of each role counts for the shares, and for the scales one with the mean of both roles together and some
        with their spread. Where the data say nothing of roles, likelihoods are flat and accidents would separate them.
        Counts are expected numbers of tasks, and of effects, of each scale.
        """
        total = cause.size + 3.0
        mean_c, spread_c = _log_moments(cause_counts)
        mean_e, spread_e = _log_moments(effect_counts)
        n_c, n_e = cause_counts.sum(), effect_counts.sum()
        mean, spread = np.average([[mean_c, spread_c], [mean_e, spread_e]], axis=0, weights=[n_c + _TINY, n_e + _TINY])
        return cls(
            float((cause.sum() + 1.0) / total),
            float((unrelated.sum() + 1.0) / total),
            _log_normal(_pulled(mean_c, mean, n_c, 1.0), _pulled(spread_c, spread, n_c, _PSEUDO_SPREAD)),
            _log_normal(_pulled(mean_e, mean, n_e, 1.0), _pulled(spread_e, spread, n_e, _PSEUDO_SPREAD)),
        )

    def distance(self, other: RolePrior) -> float:
        """Largest difference of the shares and of the mean log scales."""
        weights = (self.cause_weights - other.cause_weights, self.effect_weights - other.effect_weights)
        shares = (self.share - other.share, self.unrelated - other.unrelated)
        return float(max(abs(x) for x in (*shares, *(_LOG_SCALES @ w for w in weights))))


@dataclass(frozen=True)
class SharedScales:
    """Shared variances (D,) as a cause (v) and as an effect given the target (q), and what they cost each cell.

    `as_cause` and `as_effect` (n_tasks, D) are the log-likelihood of the cell in either role, less that with a scale
    of its own.
    """

    cause: Array
    effect: Array
    as_cause: Array
    as_effect: Array

    @property
    def log_odds(self) -> Array:
        """Log odds of cause against effect from the scales, shape (n_tasks, D)."""
        return self.as_cause - self.as_effect

    @classmethod
    def fit(cls, variances: Array, rho2: Array, n_samples: Counts, no_effect: Array) -> SharedScales:
        """Estimate the scales given the probability that each latent is no effect."""
        n = n_samples[:, None]
        cause, effect = _mean(variances, n * no_effect), _mean(variances * (1.0 - rho2), n * (1.0 - no_effect))
        return cls(cause, effect, variances, variances).applied(variances, rho2, n_samples)

    def applied(self, variances: Array, rho2: Array, n_samples: Counts) -> SharedScales:
        """Return the same scales with what they cost the cells of other tasks."""
        half_n = 0.5 * n_samples[:, None]
        as_cause = -half_n * _loss(variances / self.cause)
        return replace(self, as_cause=as_cause, as_effect=-half_n * _loss(variances * (1.0 - rho2) / self.effect))

    def cost(self, n_samples: Counts) -> float:
        """Log-likelihood that 2 D shared scales may lose against D for each task (BIC); negative: they are fewer."""
        D = len(self.cause)
        return float(D * np.log(n_samples.sum()) - 0.5 * D * np.log(n_samples).sum())


def scales_may_be_shared(variances: Array, rho2: Array, n_samples: Counts, no_effect: Array) -> bool:
    """Whether shared scales are worth a closer look: every cell in the role that fits its variance better.

    `no_effect` is the probability, to start from, of that. Variances too even to come from sampling say nothing of
    roles: tasks were standardised.
    """
    logs = np.log(np.maximum(variances, np.finfo(np.float64).tiny))
    chance = 2.0 / n_samples.mean()
    if np.median(logs.var(axis=0)) < _TOO_EVEN * chance:
        return False
    scales = SharedScales.fit(variances, rho2, n_samples, no_effect)
    for _ in range(_PASSES):
        scales = SharedScales.fit(variances, rho2, n_samples, (scales.log_odds > 0).astype(np.float64))
    most = float(np.maximum(scales.as_cause, scales.as_effect).sum())
    return most - scales.cost(n_samples) > 0.0


def _log_moments(counts: Array) -> tuple[float, float]:
    """Mean and variance of log scale."""
    total = max(float(counts.sum()), _TINY)
    mean = float(counts @ _LOG_SCALES / total)
    return mean, float(counts @ (_LOG_SCALES - mean) ** 2 / total)


def _pulled(value: float, towards: float, n: float, weight: float) -> float:
    return (n * value + weight * towards) / (n + weight)


def _log_normal(mean: float, spread: float) -> Array:
    """Weights of a log-normal law on the grid."""
    log_weights = -0.5 * (_LOG_SCALES - mean) ** 2 / max(spread, _LEAST_SPREAD)
    return np.asarray(np.exp(log_weights - logsumexp(log_weights)))


def _mean(values: Array, weights: Array) -> Array:
    """Weighted mean over tasks, drawn towards the plain one with the weight of one row."""
    return (np.sum(weights * values, axis=0) + values.mean(axis=0)) / (weights.sum(axis=0) + 1.0)


def _loss(ratio: Array) -> Array:
    ratio = np.maximum(ratio, np.finfo(np.float64).tiny)
    return ratio - np.log(ratio) - 1.0
