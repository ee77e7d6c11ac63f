r"""The evidence of sets of causes in one task, in closed form, from second moments.

The model is that of `role_posterior`: for a set C of causes, with latents and target centred and scaled to unit
variance in the task,

    y = w . z_C + N(0, s^2),     w | s ~ N(0, s^2 tau I)
    z_i = gamma_i y + N(0, q_i), gamma_i | q_i ~ N(0, q_i kappa_i),    i not in C

with flat log s and log q_i, and gamma_i = 0 for unrelated latents. It is conjugate: the evidence of C is a product of
Student's t, one for the target and one for each other latent. Scales come from the grid and with the weights that all
tasks of the fit have taught (`RolePrior`).

Observation noise, where there is any, comes to several latents at once. The correlation that it gives effects is known
and taken into account (`set_dependence`): otherwise, with many rows, effects whose noise cancels look like causes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from identirep._typing import Array, BoolArray
from identirep.mtlcm.roles.dependence import NOISE_SHARES
from identirep.mtlcm.roles.prior import STRENGTH_SCALES, RolePrior, effect_evidence, effect_scales

__all__ = ["EffectPosterior", "TaskStatistics", "cause_terms", "log_posterior"]

# Smallest variance of an effect given the target, apart from the noise and in units of it.
_OWN_SHARE = 0.01
# Least eigenvalue of the correlations given the target.
_LEAST_ROOT = 1e-2
_TINY = 1e-12


def cause_terms(
    n: Array | float, scatter_z: Array, scatter_zy: Array, causes: BoolArray, scale: float
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


@dataclass(frozen=True)
class TaskStatistics:
    """Rows and centred sums of products of a task, latents and target scaled to unit variance, and the prior."""

    n: int
    scatter_z: Array
    scatter_zy: Array
    prior: RolePrior

    def causes(self, sets: BoolArray) -> tuple[Array, ...]:
        """Stack `cause_terms` of the sets over the grid of scales, which comes first."""
        n, scales = float(self.n), self.prior.likely_scales()
        parts = [cause_terms(n, self.scatter_z, self.scatter_zy, sets, float(STRENGTH_SCALES[k])) for k in scales]
        log_evidence, *others = (np.stack(values) for values in zip(*parts, strict=True))
        return log_evidence + self.prior.log_cause_weights[scales, None], *others


@dataclass(frozen=True)
class EffectPosterior:
    """Each latent as no cause, averaged over the grid of scales, and what their common noise correlates.

    Parameters
    ----------
    log_odds : array, shape (D,)
        Log odds of cause against none that a latent brings, apart from the regression of the target.
    unrelated : array, shape (D,)
        Probability of unrelated, given no cause.
    slope, slope_variance : array, shape (D,)
        Posterior mean and variance of gamma, zero if unrelated.
    variance : array, shape (D,)
        Posterior mean of q: inverse of that of 1 / q.
    covariance : array, shape (D, D)
        Covariance given the target: `variance` and the covariance of the noise.
    scatter : array, shape (D, D)
        Centred sums of products given the target.
    """

    log_odds: Array
    unrelated: Array
    slope: Array
    slope_variance: Array
    variance: Array
    covariance: Array
    scatter: Array

    @classmethod
    def of(cls, task: TaskStatistics, noise: Array) -> EffectPosterior:
        """Compute the posterior; `noise` as from `noise_given_target`, shape (D, D)."""
        n, prior, z_zy = task.n, task.prior, task.scatter_zy[:, None]
        rho2 = np.minimum((task.scatter_zy / n) ** 2, 1.0 - _TINY)
        scales = effect_scales(np.diag(noise))
        evidence = effect_evidence(rho2[None], np.array([n]), scales[None])[0] + prior.log_effect_weights
        # The first scale is zero: unrelated.
        log_share = np.concatenate(
            [np.full((len(rho2), 1), np.log(prior.unrelated)), evidence + np.log1p(-prior.share - prior.unrelated)],
            axis=1,
        )
        none = logsumexp(log_share, axis=1)
        share = np.exp(log_share - none[:, None])
        # Variances of slopes in units of q.
        spread = np.concatenate([np.zeros((len(rho2), 1)), 1.0 / (n + 1.0 / scales)], axis=1)
        slopes = z_zy * spread
        each = (np.diag(task.scatter_z)[:, None] - z_zy * slopes) / (n - 1.0)
        slope = np.sum(share * slopes, axis=1)
        slope_variance = np.sum(share * (each * spread + (slopes - slope[:, None]) ** 2), axis=1)
        # What is left of a latent given the target contains the noise, which is known, and a little of its own, which
        # keeps the covariance regular.
        variance = np.maximum(1.0 / np.sum(share / each, axis=1), (1.0 + _OWN_SHARE) * np.diag(noise))
        covariance = noise.copy()
        np.fill_diagonal(covariance, variance)
        left = task.scatter_z - np.outer(task.scatter_zy, task.scatter_zy) / n
        return cls(np.log(prior.share) - none, share[:, 0], slope, slope_variance, variance, covariance, left)

    def log_dependence(self, n: int, outside: BoolArray) -> Array:
        """Log-likelihood that the latents outside each set of causes gain by the correlation of their noise.

        Only effects gain: what the noise of a cause has in common with that of an effect leaks away. As
        `dependence_evidence`, for any sets.
        """
        scale = np.sqrt(self.variance)
        both = outside[:, :, None] & outside[:, None, :]
        correlation = np.where(both, self.covariance / np.outer(scale, scale), 0.0)
        found = np.where(both, self.scatter / np.outer(scale, scale), 0.0)
        i = np.arange(len(scale))
        correlation[:, i, i] = 0.0
        values, vectors = np.linalg.eigh(correlation)
        along = np.einsum("sij,sij->sj", vectors, found @ vectors)
        likelihoods = []
        for share in NOISE_SHARES:
            root = np.maximum(1.0 + share * values, _LEAST_ROOT)
            likelihoods.append(-0.5 * ((n - 1.0) * np.log(root) + (1.0 / root - 1.0) * along).sum(axis=1))
        return np.asarray(logsumexp(likelihoods, axis=0) - np.log(len(NOISE_SHARES)))

    def gains(self, outside: BoolArray) -> Array:
        """Covariance^{-1} gamma of the latents outside each set of causes, zero for the causes."""
        both = outside[:, :, None] & outside[:, None, :]
        covariance = np.where(both, self.covariance, np.diag(self.variance))
        return np.linalg.solve(covariance, np.where(outside, self.slope, 0.0)[..., None])[..., 0]


def log_posterior(task: TaskStatistics, effects: EffectPosterior, sets: BoolArray) -> Array:
    """Log posterior of sets of causes, up to a constant."""
    evidence = logsumexp(task.causes(sets)[0], axis=0) + sets @ effects.log_odds
    return np.asarray(evidence + effects.log_dependence(task.n, ~sets))
