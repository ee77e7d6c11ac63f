"""What the certificate is made of, besides leakage and refits: starts, noise, signal, and a test of the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, polygamma
from scipy.stats import chi2, gamma

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import LatentFit, denoised_joint_moments
from identirep.mtlcm.axes.starts import Starts
from identirep.mtlcm.model.likelihood import JointMoments, joint_covariances, joint_model_covariances

__all__ = [
    "GoodnessOfFit",
    "goodness_of_fit",
    "heads",
    "latent_moments",
    "noise_edge",
    "noise_reliability",
    "signal_strength",
    "tied_starts",
]


class GoodnessOfFit(NamedTuple):
    """Likelihood-ratio test of the causal model against a free covariance of latents and target in each task.

    Parameters
    ----------
    statistic : float
        Summed over tasks; with rows in common the largest of a task.
    p_value : float
        Probability of a statistic as large, if the model holds. NaN if no task has enough rows.

    Examples
    --------
    >>> from identirep.mtlcm import GoodnessOfFit
    >>> statistic, p_value = GoodnessOfFit(12.0, 0.3)
    """

    statistic: float
    p_value: float


def latent_moments(fit: LatentFit, moments: TaskMoments) -> JointMoments:
    """Moments of the latents and the target, noise taken out."""
    basis = np.linalg.qr(fit.mixing)[0]
    reduced = moments.map_features(basis.T)
    z = denoised_joint_moments(reduced, fit.noise_variance).mapped(fit.unmixing @ basis)
    if fit.noise_variance > 0.0:
        # The likelihood knows the variances better than what is left of the covariances after taking the noise out.
        diagonal = np.arange(z.s.shape[1])
        z.S[:, diagonal, diagonal] = fit.variances + z.s**2 / z.v[:, None]
    return z


def noise_reliability(fit: LatentFit, moments: TaskMoments) -> Array:
    """Correlation of `transform` with the latents under the pooled prior, if the mixing matrix is right."""
    if fit.noise_variance == 0.0:
        return np.ones(len(fit.unmixing))
    s, v = moments.cov_hy @ fit.unmixing.T, moments.var_y
    prior = (s * (moments.weights / v)[:, None]).T @ s + np.diag(moments.weights @ fit.variances)
    mixed = fit.components @ fit.mixing
    total = mixed @ prior @ mixed.T + fit.noise_variance * fit.components @ fit.components.T
    return np.asarray(np.diag(mixed @ prior) / np.sqrt(np.diag(total) * np.diag(prior)))


def tied_starts(starts: Starts, n_rows: int) -> BoolArray:
    """Starts as likely as the best within sampling noise (95% point of chi-squared, one degree for each E_ij)."""
    D = starts.agreement.shape[1]
    loss = 2.0 * n_rows * (starts.criterion - starts.criterion.min())
    return np.asarray(loss <= chi2.ppf(0.95, max(D * (D - 1), 1)))


def signal_strength(fit: LatentFit, moments: TaskMoments) -> Array:
    """Mean of n_t rho_ti^2 over tasks: about 1 for a latent that no target has to do with."""
    variance = np.einsum("gij,ij->gi", fit.components @ moments.cov_h, fit.components)[moments.group]
    covariance = moments.cov_hy @ fit.components.T
    rho2 = covariance**2 / np.maximum(variance * moments.var_y[:, None], 1e-300)
    return np.asarray((moments.n_samples[:, None] * rho2).mean(axis=0))


def noise_edge(D: int, moments: TaskMoments) -> float:
    """Largest mean of n rho^2 over tasks that targets without signal show in any direction (Marchenko-Pastur edge).

    Targets on the same rows may all be one and the same, so that only row groups count as independent.
    """
    return float((1.0 + np.sqrt(D / len(moments.counts))) ** 2)


def heads(fit: LatentFit, moments: TaskMoments) -> tuple[Array, int]:
    """Singular values of the heads in units of their sampling noise, and the number above the noise edge.

    The head w_t = S_t^{-1} s_t has sampling covariance sigma_t^2 S_t^{-1} / n_t. Where tasks are too small for
    regressions, s_t itself stands in, with covariance v_t S_t / n_t if there is no signal.
    """
    Z = moments.map_features(fit.components)
    n, D = Z.n_samples, Z.n_features
    own = Z.weights / n
    if np.median(n) > 2 * D + 2 and len(np.flatnonzero(n > D + 2)) >= min(D, Z.n_tasks):
        part = Z.select_tasks(np.flatnonzero(n > D + 2))
        n, own = part.n_samples, part.weights / part.n_samples
        inverse = np.linalg.inv(part.cov_h)[part.group]
        heads = np.einsum("tij,tj->ti", inverse, part.cov_hy)
        residual = part.var_y - np.einsum("ti,ti->t", heads, part.cov_hy)
        noise = np.maximum(residual, 1e-12 * part.var_y) * n / (n - D - 1)
        null = np.tensordot(own, inverse, axes=1)
    else:
        part, heads, noise = Z, Z.cov_hy, Z.var_y
        null = np.tensordot(own, Z.cov_h[Z.group], axes=1)
    scaled = heads * np.sqrt(part.weights / noise)[:, None]
    found = np.linalg.svd(np.linalg.solve(np.linalg.cholesky(null), scaled.T), compute_uv=False)
    singular = np.zeros(D)
    singular[: len(found)] = found
    return singular, int(np.sum(singular**2 > noise_edge(D, part)))


def goodness_of_fit(fit: LatentFit, moments: TaskMoments, causal: BoolArray) -> GoodnessOfFit:
    """Likelihood ratio of the model with its roles against a free covariance given the target in each task.

    Given the target, effects are independent of everything; causes are independent before the target is seen, which
    couples them: their covariance given y is diag(S_cc) - s_c s_c' / v.

    The law of log|correlation| of independent variables is a sum of logs of beta variables (exact moments, any n); the
    sum over tasks is matched by a gamma distribution. Tasks with too few rows for a free covariance are left out.
    """
    D = len(fit.unmixing)
    n = moments.n_samples
    tested = np.flatnonzero(n - 2 > D)
    if not len(tested) or D < 2:
        return GoodnessOfFit(float("nan"), float("nan"))
    part = moments.select_tasks(tested)
    basis = np.linalg.qr(fit.mixing)[0]
    A = basis.T @ fit.mixing
    ratio = np.linalg.solve(
        joint_model_covariances(A, latent_moments(fit, moments).select(tested), causal[tested], fit.noise_variance),
        joint_covariances(part.map_features(basis.T)),
    )
    per_row = np.einsum("tii->t", ratio) - (D + 1) - np.linalg.slogdet(ratio)[1]
    statistic = n[tested] * np.maximum(per_row, 0.0)
    # Causes are compared before the target is seen, effects after, which costs a degree of freedom.
    j = np.arange(2, D + 1)
    freedom = np.where(j <= causal[tested].sum(axis=1)[:, None], n[tested][:, None] - 1.0, n[tested][:, None] - 2.0)
    mean = n[tested] * (digamma(freedom / 2) - digamma((freedom - j + 1) / 2)).sum(axis=1)
    variance = n[tested] ** 2 * (polygamma(1, (freedom - j + 1) / 2) - polygamma(1, freedom / 2)).sum(axis=1)
    if len(part.counts) < len(tested):
        # Rows in common make the tasks' statistics dependent: Bonferroni holds whatever the dependence.
        p_values = gamma.sf(statistic, mean**2 / variance, scale=variance / mean)
        return GoodnessOfFit(float(statistic.max()), float(min(1.0, len(tested) * p_values.min())))
    free = 1.0 - (D * D - D) / (len(tested) * D * (D - 1) / 2)
    if free <= 0:
        return GoodnessOfFit(float(statistic.sum()), float("nan"))
    mean_sum, variance_sum = free * mean.sum(), free * variance.sum()
    p_value = gamma.sf(statistic.sum(), mean_sum**2 / variance_sum, scale=variance_sum / mean_sum)
    return GoodnessOfFit(float(statistic.sum()), float(p_value))
