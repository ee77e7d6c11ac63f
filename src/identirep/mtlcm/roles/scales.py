r"""Scales that all tasks share: the variance v_i of a latent as a cause, and q_i given the target as an effect.

With the variance of latent i in task t S_ti, and R_ti = S_ti (1 - rho_ti^2) given the target, a cell loses

    n_t/2 [ S_ti / v_i - log(S_ti / v_i) - 1 ]  as a cause,   n_t/2 [ R_ti / q_i - log(R_ti / q_i) - 1 ]  as an effect

against a scale of its own. That is little where the scales are shared, and then it tells roles apart; it is much where
they are not, as after standardising each task. The Bayesian information criterion decides: n_tasks D scales against
2 D. An unrelated latent comes from outside like a cause and has v_i.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from identirep._typing import Array, IntArray

__all__ = ["SharedScales", "scales_may_be_shared"]

# Passes of the cheap search for scales that could be shared, sets of causes left aside.
_PASSES = 10
# Variances that differ between tasks by less than this share of what sampling makes of equal ones were set by hand.
_TOO_EVEN = 0.5


@dataclass(frozen=True)
class SharedScales:
    """Shared variances of each latent and what they cost each cell.

    Parameters
    ----------
    cause : array, shape (D,)
        v, variance as a cause.
    effect : array, shape (D,)
        q, variance given the target as an effect.
    as_cause, as_effect : array, shape (n_tasks, D)
        Log-likelihood of the cell in either role, less that with a scale of its own.
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
    def fit(cls, variances: Array, rho2: Array, n_samples: IntArray, outside: Array) -> SharedScales:
        """Estimate the scales given the probability that each latent comes from outside (is no effect)."""
        n = n_samples[:, None]
        given = variances * (1.0 - rho2)
        cause, effect = _mean(variances, n * outside), _mean(given, n * (1.0 - outside))
        return cls(cause, effect, -0.5 * n * _loss(variances / cause), -0.5 * n * _loss(given / effect))

    def applied(self, variances: Array, rho2: Array, n_samples: IntArray) -> SharedScales:
        """Return the same scales with what they cost the cells of other tasks."""
        n = n_samples[:, None]
        given = variances * (1.0 - rho2)
        as_cause, as_effect = -0.5 * n * _loss(variances / self.cause), -0.5 * n * _loss(given / self.effect)
        return replace(self, as_cause=as_cause, as_effect=as_effect)

    def cost(self, n_samples: IntArray) -> float:
        """Log-likelihood that 2 D shared scales may lose against D for each task (BIC); negative: they are fewer."""
        D = len(self.cause)
        return float(D * np.log(n_samples.sum()) - 0.5 * D * np.log(n_samples).sum())


def scales_may_be_shared(variances: Array, rho2: Array, n_samples: IntArray, outside: Array) -> bool:
    """Whether shared scales are worth a closer look: every cell in the role that fits its variance better.

    Parameters
    ----------
    variances, rho2 : array, shape (n_tasks, D)
        Variance of each latent, and its squared correlation with the target.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.
    outside : array, shape (n_tasks, D)
        Probability that the latent is no effect, to start from.

    Returns
    -------
    bool
        False also for variances that are too even to come from sampling: standardised tasks say nothing of roles.
    """
    logs = np.log(np.maximum(variances, np.finfo(np.float64).tiny))
    chance = 2.0 / n_samples.mean()
    if np.median(logs.var(axis=0)) < _TOO_EVEN * chance:
        return False
    scales = SharedScales.fit(variances, rho2, n_samples, outside)
    for _ in range(_PASSES):
        scales = SharedScales.fit(variances, rho2, n_samples, (scales.log_odds > 0).astype(np.float64))
    most = float(np.maximum(scales.as_cause, scales.as_effect).sum())
    return most - scales.cost(n_samples) > 0.0


def _mean(values: Array, weights: Array) -> Array:
    """Weighted mean over tasks, drawn towards the plain one with the weight of one row."""
    return (np.sum(weights * values, axis=0) + values.mean(axis=0)) / (weights.sum(axis=0) + 1.0)


def _loss(ratio: Array) -> Array:
    ratio = np.maximum(ratio, np.finfo(np.float64).tiny)
    return ratio - np.log(ratio) - 1.0
