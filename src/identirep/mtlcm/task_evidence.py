r"""The evidence of sets of causes in one task, in closed form, from second moments.

For a set C of causes, with latents and target centred and the target scaled to unit variance,

    y = w . z_C + N(0, s^2),   w | s ~ N(0, s^2 tau^2 I),   p(s^2) ~ 1 / s^2
    z_i = gamma_i y + N(0, q_i),   gamma_i | q_i ~ N(0, q_i kappa_i^2),   q_i inverse-gamma,   i not in C
    z_i inverse-gamma normal,   i in C

which is conjugate: the evidence of C is a product of Student's t, one for the target and one for each effect. Strengths
are signal-to-noise ratios, free of the units of the target. Each scale, tau and kappa_i, comes from a grid with weights
(`TaskPrior`), since ratios range over orders of magnitude and sums over a grid stay closed-form.

Observation noise, where there is any, comes to several latents at once. The correlation that it gives effects is known
and taken into account: otherwise, with many rows, effects whose noise cancels look like causes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, logsumexp

__all__ = [
    "CAUSE_SCALES",
    "EFFECT_SCALES",
    "EffectPosterior",
    "TaskPrior",
    "TaskStatistics",
    "all_cause_evidence",
    "cause_terms",
    "effect_terms",
    "log_posterior",
]

Array = NDArray[np.float64]

# Variance of w_i / s, and of gamma_i sd(y) / sqrt(q_i).
CAUSE_SCALES = 4.0 ** np.arange(-4, 7)
EFFECT_SCALES = 4.0 ** np.arange(-3, 9)
# Shape of the inverse-gamma prior of a latent's variance, worth two rows of unit variance. It is the same for both
# roles, so that roles do not depend on scales, and weak, since tasks differ in scale.
VARIANCE_SHAPE = 1.0
# Smallest variance of an effect given the target, apart from the noise and in units of it.
_OWN_SHARE = 0.01


@dataclass(frozen=True)
class TaskPrior:
    """Prior of the mechanisms of a new task.

    Parameters
    ----------
    share : float
        Probability that a latent is a cause.
    cause_weights : array, shape (n_cause_scales,)
        Probability of each of `CAUSE_SCALES`; one scale for all causes of a task.
    effect_weights : array, shape (n_effect_scales,)
        Probability of each of `EFFECT_SCALES`; one scale for each effect.
    """

    share: float
    cause_weights: Array
    effect_weights: Array


@dataclass(frozen=True)
class EffectTerms:
    """Posterior of latents as effects, on every scale of the grid; arrays broadcast to (..., n_effect_scales).

    Parameters
    ----------
    log_ratio : array
        Log evidence as effect of that scale, less that as cause.
    slope : array
        Posterior mean of gamma, for a target of unit variance.
    slope_precision : array
        Precision of gamma in units of 1 / q.
    shape, rate : array
        Inverse-gamma posterior of q.
    """

    log_ratio: Array
    slope: Array
    slope_precision: Array
    shape: Array
    rate: Array


def effect_terms(n: Array, scatter_z: Array, scatter_zy: Array) -> EffectTerms:
    r"""Evidence and posterior of :math:`z_i = m + \gamma y + N(0, q)` with :math:`\gamma \sim N(0, q \kappa^2)`.

    Parameters
    ----------
    n : array, shape (...)
        Rows.
    scatter_z : array, shape (...)
        Centred sum of squares of the latent.
    scatter_zy : array, shape (...)
        Centred sum of products of the latent and the target, scaled to unit variance.

    Returns
    -------
    EffectTerms
        The scales of the grid along the last axis.
    """
    n, scatter_z, scatter_zy = n[..., None], scatter_z[..., None], scatter_zy[..., None]
    precision = n + 1.0 / EFFECT_SCALES
    shape = VARIANCE_SHAPE + 0.5 * (n - 1.0)
    # The variance of the latent as a whole has one and the same prior whatever the scale.
    prior_rate = VARIANCE_SHAPE / (1.0 + EFFECT_SCALES)
    rate = prior_rate + 0.5 * np.maximum(scatter_z - scatter_zy**2 / precision, 0.0)
    as_effect = VARIANCE_SHAPE * np.log(prior_rate) - 0.5 * np.log1p(n * EFFECT_SCALES) - shape * np.log(rate)
    as_cause = VARIANCE_SHAPE * np.log(VARIANCE_SHAPE) - shape * np.log(VARIANCE_SHAPE + 0.5 * scatter_z)
    return EffectTerms(as_effect - as_cause, scatter_zy / precision, precision, shape, rate)


def cause_terms(
    n: Array | float, scatter_z: Array, scatter_zy: Array, causes: NDArray[np.bool_], scale: float
) -> tuple[Array, Array, Array, Array]:
    r"""Evidence and posterior of :math:`y = b + w \cdot z_C + N(0, s^2)` with :math:`w \sim N(0, s^2 \tau^2 I)`.

    The intercept is flat and the prior of s is scale-free (1 / s^2), both common to all sets of causes.

    Parameters
    ----------
    n : array, shape (...), or float
        Rows.
    scatter_z : array, shape (..., D, D)
        Centred sums of products of the latents.
    scatter_zy : array, shape (..., D)
        Centred sums of products of the latents and the target, scaled to unit variance.
    causes : array of bool, shape (..., D)
        Sets of causes.
    scale : float
        Prior variance of w / s.

    Returns
    -------
    log_evidence : array, shape (...)
        Zero for the empty set.
    coef : array, shape (..., D)
        Posterior mean of w, zero outside the set.
    inverse : array, shape (..., D, D)
        Covariance of w in units of s^2, zero outside the set.
    residual : array, shape (...)
        Sum of squares left: s^2 is inverse-gamma with shape (n - 1) / 2 and rate residual / 2.
    """
    diagonal = np.arange(causes.shape[-1])
    both = causes[..., :, None] & causes[..., None, :]
    precision = np.where(both, scatter_z, 0.0)
    precision[..., diagonal, diagonal] += 1.0 / scale
    right = np.where(causes, scatter_zy, 0.0)
    inverse = np.linalg.inv(precision)
    coef = np.einsum("...ij,...j->...i", inverse, right)
    residual = np.maximum(n - np.einsum("...i,...i->...", coef, right), 1e-12 * n)
    # Latents outside the set contribute log(1 / scale) to the determinant, and so do those inside to the prior.
    log_det = np.linalg.slogdet(precision)[1] + len(diagonal) * np.log(scale)
    log_evidence = -0.5 * log_det - 0.5 * (n - 1.0) * np.log(residual / n)
    return log_evidence, coef, np.where(both, inverse, 0.0), residual


def all_cause_evidence(n: int, scatter_z: Array, scatter_zy: Array, scale: float) -> Array:
    """Log evidence of `cause_terms` for all sets in the order of `set_members`, shape (2**D,).

    Each level splits on one latent: left out, its row and column are dropped; taken in, they are swept out.
    """
    D = len(scatter_zy)
    nodes = np.empty((1, D + 1, D + 1))
    nodes[0, :D, :D] = scatter_z + np.eye(D) / scale
    nodes[0, :D, D] = nodes[0, D, :D] = scatter_zy
    nodes[0, D, D] = n
    log_det = np.zeros(1)
    for _ in range(D):
        rest, column, pivot = nodes[:, 1:, 1:], nodes[:, 1:, 0], nodes[:, 0, 0]
        swept = rest - column[:, :, None] * (column / pivot[:, None])[:, None, :]
        nodes = np.stack([rest, swept], axis=1).reshape(-1, *rest.shape[1:])
        log_det = np.stack([log_det, log_det + np.log(pivot * scale)], axis=1).reshape(-1)
    return -0.5 * log_det - 0.5 * (n - 1.0) * np.log(np.maximum(nodes[:, 0, 0] / n, 1e-12))


@dataclass(frozen=True)
class TaskStatistics:
    """Rows and centred sums of products of a task, its target scaled to unit variance, and the prior."""

    n: int
    scatter_z: Array
    scatter_zy: Array
    prior: TaskPrior

    def causes(self, sets: NDArray[np.bool_]) -> tuple[Array, ...]:
        """Stack `cause_terms` of the sets over the grid of scales, which comes first."""
        parts = [cause_terms(float(self.n), self.scatter_z, self.scatter_zy, sets, scale) for scale in CAUSE_SCALES]
        log_evidence, *others = (np.stack(values) for values in zip(*parts, strict=True))
        return log_evidence + np.log(self.prior.cause_weights)[:, None], *others


@dataclass(frozen=True)
class EffectPosterior:
    """Each latent as an effect, averaged over the grid of scales, and what their common noise correlates.

    Parameters
    ----------
    log_ratio : array, shape (D,)
        Log evidence as effect, less that as cause.
    slope, slope_variance : array, shape (D,)
        Posterior mean and variance of gamma, for a target of unit variance.
    variance : array, shape (D,)
        Posterior mean of q.
    covariance : array, shape (D, D)
        Covariance given the target: `variance` and the covariance of the noise.
    scatter : array, shape (D, D)
        Centred sums of products given the target.
    """

    log_ratio: Array
    slope: Array
    slope_variance: Array
    variance: Array
    covariance: Array
    scatter: Array

    @classmethod
    def of(cls, task: TaskStatistics, noise: Array) -> EffectPosterior:
        """Compute the posterior, for noise of the covariance given, shape (D, D)."""
        D = len(task.scatter_zy)
        terms = effect_terms(np.full(D, float(task.n)), np.diag(task.scatter_z), task.scatter_zy)
        log_share = terms.log_ratio + np.log(task.prior.effect_weights)
        log_ratio = logsumexp(log_share, axis=1)
        share = np.exp(log_share - log_ratio[:, None])
        slope = np.sum(share * terms.slope, axis=1)
        each = terms.rate / (terms.shape - 1.0)
        slope_variance = np.sum(share * (each / terms.slope_precision + (terms.slope - slope[:, None]) ** 2), axis=1)
        # What is left of a latent given the target contains the noise, which is known, and a little of its own, which
        # keeps the covariance regular.
        variance = np.maximum(np.sum(share * each, axis=1), (1.0 + _OWN_SHARE) * np.diag(noise))
        covariance = noise.copy()
        np.fill_diagonal(covariance, variance)
        left = task.scatter_z - np.outer(task.scatter_zy, task.scatter_zy) / task.n
        return cls(log_ratio, slope, slope_variance, variance, covariance, left)

    def log_dependence(self, n: int, outside: NDArray[np.bool_]) -> Array:
        """Log-likelihood that the latents outside each set of causes gain by the correlation of their noise.

        Only effects gain: latents are posterior means, into which as much of a cause leaks as its noise correlates
        with that of an effect, with the other sign; given the target the two are uncorrelated.
        """
        scale = np.sqrt(self.variance)
        both = outside[:, :, None] & outside[:, None, :]
        correlation = np.where(both, self.covariance / np.outer(scale, scale), np.eye(len(scale)))
        found = np.where(both, self.scatter / np.outer(scale, scale), 0.0)
        excess = np.linalg.inv(correlation) - np.eye(len(scale))
        log_det = np.linalg.slogdet(correlation)[1]
        return -0.5 * ((n - 1.0) * log_det + np.einsum("sij,sij->s", excess, found))

    def gains(self, outside: NDArray[np.bool_]) -> Array:
        """Covariance^{-1} gamma of the latents outside each set of causes, zero for the causes."""
        both = outside[:, :, None] & outside[:, None, :]
        covariance = np.where(both, self.covariance, np.diag(self.variance))
        return np.linalg.solve(covariance, np.where(outside, self.slope, 0.0)[..., None])[..., 0]


def log_posterior(task: TaskStatistics, effects: EffectPosterior, sets: NDArray[np.bool_]) -> Array:
    """Log posterior of sets of causes, up to a constant."""
    own = float(logit(task.prior.share)) - effects.log_ratio
    return logsumexp(task.causes(sets)[0], axis=0) + sets @ own + effects.log_dependence(task.n, ~sets)
