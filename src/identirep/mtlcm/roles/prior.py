r"""What all tasks together teach about roles: their shares, and how strong causes and effects are.

Strengths are free of units: of a cause :math:`w_i \, \mathrm{sd}(z_i) / s`, of an effect
:math:`\gamma_i \, \mathrm{sd}(y) / \sqrt{q_i}`, of an unrelated latent zero. Each is N(0, scale), with one scale for
all causes of a task and one for each effect. Scales are log-normal over all tasks, on a grid: the families are narrow
on purpose, since a latent that hardly correlates with the target could be a weak effect, a weak cause or unrelated, and
what decides there is how many weak ones the strong ones lead to expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, IntArray

__all__ = ["STRENGTH_SCALES", "RolePrior", "effect_evidence", "effect_scales"]

# Variances of strengths.
STRENGTH_SCALES = 3.0 ** np.arange(-6, 11)
_LOG_SCALES = np.log(STRENGTH_SCALES)
# Least variance of log scale: narrower laws would stick to a point of the grid in EM.
_LEAST_SPREAD = 0.2
# Pseudo-observations of the spread of scales.
_PSEUDO_SPREAD = 5.0
# Probability from which a scale of causes is worth summing over.
_LEAST_PROBABLE = 1e-3
# Shares of noise are no larger.
_MOST_NOISE = 0.99
_TINY = 1e-300


@dataclass(frozen=True)
class RolePrior:
    """Prior of roles and strengths.

    Parameters
    ----------
    share : float
        Share of causes.
    unrelated : float
        Share of unrelated latents.
    cause_weights, effect_weights : array, shape (n_scales,)
        Probability of each of `STRENGTH_SCALES`.
    """

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

        Parameters
        ----------
        cause, unrelated : array, shape (n_tasks, D)
            Probability of these roles.
        cause_counts, effect_counts : array, shape (n_scales,)
            Expected number of tasks, and of effects, of each scale.

        Returns
        -------
        RolePrior
            The prior.
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


def effect_scales(noise: Array) -> Array:
    r"""Scales of the strength of effects as observation noise leaves them, shape (..., n_scales).

    Of an effect of unit variance with the share e of noise, :math:`1 - e` is the target's part and its own in the
    proportion g : 1, which makes its strength :math:`(1 - e) g / (1 + e g)`. So the noisiest latents, whose strengths
    are all alike small, do not pass for causes, nor teach that effects are weak.

    Parameters
    ----------
    noise : array, shape (...)
        Share of observation noise in the variance of each latent, 0 to 1.

    Returns
    -------
    array
        The scales.
    """
    share = np.clip(noise, 0.0, _MOST_NOISE)[..., None]
    return np.asarray((1.0 - share) * STRENGTH_SCALES / (1.0 + share * STRENGTH_SCALES))


def effect_evidence(rho2: Array, n_samples: IntArray, scales: Array | None = None) -> Array:
    r"""Log evidence of an effect of each scale, less that of an unrelated latent, shape (n_tasks, D, n_scales).

    .. math::
        \frac{n-2}{2} \log(1 + g) - \frac{n-1}{2} \log(1 + g (1 - \rho^2)), \qquad g = n \cdot \mathrm{scale},

    the Bayes factor of Zellner's prior, intercept and variance integrated out. A cause without others has the same.

    Parameters
    ----------
    rho2 : array, shape (n_tasks, D)
        Squared correlation of each latent with the target.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.
    scales : array, shape (n_scales,) or (n_tasks, D, n_scales), optional
        Variances of strengths; default `STRENGTH_SCALES`.

    Returns
    -------
    array, shape (n_tasks, D, n_scales)
        The log evidence.
    """
    n = n_samples[:, None, None].astype(np.float64)
    g = n * (STRENGTH_SCALES if scales is None else scales)
    return 0.5 * (n - 2.0) * np.log1p(g) - 0.5 * (n - 1.0) * np.log1p(g * (1.0 - rho2[..., None]))


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
