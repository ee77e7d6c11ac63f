r"""Which axes can be trusted: how well the data tell the latents apart, and how far the fit moves without some tasks.

With lambda_ti the variance of latent i given the target, p_t the task weights and
G_ij = sum_t p_t lambda_tj / lambda_ti, the Fisher information of the relative coordinates of the unmixing matrix gives

    separation  rho_ij = 1 / (G_ij G_ji)                        1: no task tells i and j apart
    leakage     var(E_ij) = G_ji / (N (G_ij G_ji - 1))          variance of the share of latent j in estimated axis i
    expected MCC of axis i = 1 - 1/2 sum_j var(E_ij) var(z_j) / var(z_i).

The Fisher formula believes the model. A Bayesian bootstrap over tasks does not: errors of the model have a random sign
from task to task and show as movement between refits. A latent is called identified only if both agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma
from scipy.stats import gamma

from identirep.metrics import match_latents
from identirep.moments import TaskMoments
from identirep.mtlcm.fitting import FactorizedFit, random_rotations, solve_in_blocks, whitened_covariances
from identirep.mtlcm.likelihood import joint_covariances
from identirep.mtlcm.solver import DenseCovariances, SharedCovariances
from identirep.mtlcm.structure import causal_regression

__all__ = ["Certificate", "GoodnessOfFit", "certify"]

Array = NDArray[np.float64]

IDENTIFIED, UNCERTAIN, NOT_IDENTIFIED = "identified", "uncertain", "not identified"

# Expected agreement from which an axis counts as identified, and below which as not identified (measured on random
# settings: no fit with an actual MCC under 0.95 reached the first).
_TRUSTED, _DOUBTFUL = 0.98, 0.9
_N_REFITS = 10
_STARTS_PER_REFIT = 3


class GoodnessOfFit(NamedTuple):
    """Likelihood-ratio test that latents are independent given the target, in every task."""

    statistic: float
    p_value: float


@dataclass(frozen=True)
class Certificate:
    """What the data say about each latent axis.

    *Reproducible* (another fit gives the same axes) is what `verdict`, `expected_mcc` and `bootstrap_mcc` are about.
    *Causally valid* (the model with its roles fits) is what `goodness_of_fit` is about. They are different statements.

    Parameters
    ----------
    separation : array, shape (D, D)
        For each pair, in (0, 1]: 1 means that no task tells the two apart.
    leakage : array, shape (D, D)
        Expected variance of the share of latent j (column) in axis i (row); the diagonal is 0.
    expected_mcc : array, shape (D,)
        Expected correlation of each axis with the true latent, the lower of `fisher_mcc` and `bootstrap_mcc`.
    verdict : list of str, length D
        "identified", "uncertain" or "not identified".
    reasons : list of str, length D
        The verdict in words.
    goodness_of_fit : GoodnessOfFit
        Statistic and p-value. Small p-values reject the model. NaN if no task has enough rows to test.
    head_rank : int
        Number of directions of the latents in which the targets carry more signal than chance.
    head_condition : float
        Ratio of the largest to the smallest singular value of the task heads.
    fisher_mcc : array, shape (D,)
        Expected correlation if the model holds.
    bootstrap_mcc : array, shape (D,)
        Mean correlation of the axis with its partner in refits with random weights on the tasks.

    Notes
    -----
    With shared inputs (all tasks observed on the same rows) the law of the latents is the same for every task, so the
    causal model cannot hold for all of them at once: expect reproducible axes and a test that rejects. The test then
    is the smallest p-value over tasks, Bonferroni-corrected.
    """

    separation: Array
    leakage: Array
    expected_mcc: Array
    verdict: list[str]
    reasons: list[str]
    goodness_of_fit: GoodnessOfFit
    head_rank: int
    head_condition: float
    fisher_mcc: Array
    bootstrap_mcc: Array

    @classmethod
    def empty(cls) -> Certificate:
        """Return the certificate of a representation without axes: the targets carry no signal.

        Returns
        -------
        Certificate
            With no latents, and rank 0.
        """
        none, square = np.zeros(0), np.zeros((0, 0))
        untested = GoodnessOfFit(float("nan"), float("nan"))
        return cls(square, square, none, [], [], untested, 0, float("nan"), none, none)


def certify(
    fit: FactorizedFit, moments: TaskMoments, causal: NDArray[np.bool_], rng: np.random.Generator
) -> Certificate:
    """Compute the certificate of a fit.

    Parameters
    ----------
    fit : FactorizedFit
        The fit.
    moments : TaskMoments
        Moments of the features it was fitted to.
    causal : array of bool, shape (n_tasks, D)
        The most probable roles.
    rng : numpy.random.Generator
        Source of the bootstrap.

    Returns
    -------
    Certificate
        The certificate.
    """
    separation, leakage = _information(fit.variances, moments)
    # Latents have unit pooled variance, so leakage is relative already.
    fisher = np.clip(1.0 - 0.5 * leakage.sum(axis=1), 0.0, 1.0)
    bootstrap = _bootstrap_agreement(fit, moments, rng)
    signal = _signal_strength(fit, moments) > _noise_edge(len(fit.unmixing), moments)
    singular, rank = _heads(fit, moments)
    verdict, reasons = [], []
    for i in range(len(fisher)):
        judged, reason = _judge(i, fisher, bootstrap, separation, leakage, bool(signal[i]), rank)
        verdict.append(judged)
        reasons.append(reason)
    return Certificate(
        separation=separation,
        leakage=leakage,
        expected_mcc=np.minimum(fisher, bootstrap),
        verdict=verdict,
        reasons=reasons,
        goodness_of_fit=_goodness_of_fit(fit, moments, causal),
        head_rank=rank,
        head_condition=float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf"),
        fisher_mcc=fisher,
        bootstrap_mcc=bootstrap,
    )


def _information(variances: Array, moments: TaskMoments) -> tuple[Array, Array]:
    """Separation and leakage of all pairs."""
    G = (moments.weights[:, None] / variances).T @ variances
    product = np.maximum(G * G.T, 1.0)
    separation = 1.0 / product
    np.fill_diagonal(separation, 1.0)
    excess = np.maximum(product - 1.0, 1e-12)
    # Rows, not labels: rows that many tasks share inform about the latents' covariances once.
    leakage = np.minimum(G.T / (moments.n_rows * excess), 1.0)
    np.fill_diagonal(leakage, 0.0)
    return separation, leakage


def _bootstrap_agreement(fit: FactorizedFit, moments: TaskMoments, rng: np.random.Generator) -> Array:
    """Mean correlation of each axis with refits under exponential weights on the tasks, from the fit and from afar."""
    D = len(fit.unmixing)
    basis = np.linalg.qr(fit.mixing)[0]
    reduced = moments.map_features(basis.T)
    covariances, whitener = whitened_covariances(reduced, fit.noise_variance)
    weights = moments.weights * rng.exponential(size=(_N_REFITS, moments.n_tasks))
    weights = np.repeat(weights / weights.sum(axis=1, keepdims=True), _STARTS_PER_REFIT, axis=0)
    own = fit.unmixing @ basis @ np.linalg.inv(whitener)
    starts = random_rotations(len(weights), D, rng)
    starts[::_STARTS_PER_REFIT] = own
    unmixing = []
    for row in range(0, len(weights), _STARTS_PER_REFIT):
        block = slice(row, row + _STARTS_PER_REFIT)
        if isinstance(covariances, SharedCovariances):
            shape = (_STARTS_PER_REFIT, 1, 1)
            weighted: SharedCovariances | DenseCovariances = SharedCovariances(
                np.tile(covariances.common, shape), np.tile(covariances.vectors, shape), weights[block]
            )
        else:
            assert isinstance(covariances, DenseCovariances)
            tiled = np.broadcast_to(covariances.matrices, (_STARTS_PER_REFIT, *covariances.matrices.shape[1:]))
            weighted = DenseCovariances(tiled, weights[block])
        result = solve_in_blocks(weighted, starts[block], max_iter=300, tol=1e-5)
        unmixing.append(result.unmixing[np.argmin(result.criterion)])
    S = whitener @ reduced.pooled_covariance() @ whitener.T
    agreement = np.zeros(D)
    for B in unmixing:
        cross = own @ S @ B.T
        scale = np.sqrt(np.outer(np.einsum("ij,jk,ik->i", own, S, own), np.einsum("ij,jk,ik->i", B, S, B)))
        agreement += match_latents(cross / scale).per_latent
    return agreement / len(unmixing)


def _signal_strength(fit: FactorizedFit, moments: TaskMoments) -> Array:
    """Mean of n_t rho_ti^2 over tasks: about 1 for a latent that no target has to do with."""
    variance = np.einsum("gij,ij->gi", fit.components @ moments.cov_h, fit.components)[moments.group]
    covariance = moments.cov_hy @ fit.components.T
    rho2 = covariance**2 / np.maximum(variance * moments.var_y[:, None], 1e-300)
    return np.asarray((moments.n_samples[:, None] * rho2).mean(axis=0))


def _noise_edge(D: int, moments: TaskMoments) -> float:
    """Largest mean of n rho^2 over tasks that targets without signal show in any direction (Marchenko-Pastur edge).

    Targets on the same rows may all be one and the same, so that only row groups count as independent.
    """
    return float((1.0 + np.sqrt(D / len(moments.counts))) ** 2)


def _heads(fit: FactorizedFit, moments: TaskMoments) -> tuple[Array, int]:
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
    return singular, int(np.sum(singular**2 > _noise_edge(D, part)))


def _goodness_of_fit(fit: FactorizedFit, moments: TaskMoments, causal: NDArray[np.bool_]) -> GoodnessOfFit:
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
    ratio = np.linalg.solve(
        _joint_model(basis.T @ fit.mixing, part.map_features(fit.unmixing), causal[tested], fit.noise_variance),
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


def _joint_model(A: Array, Z: TaskMoments, causal: NDArray[np.bool_], noise_variance: float) -> Array:
    """Covariance of (h, y) that the causal model implies, its coefficients fitted to the latents' moments.

    With k = cov(z, y), two latents covary as k_i k_j / var(y), except that two causes do not.
    """
    observed = Z.cov_h[Z.group]
    w = causal_regression(observed, Z.cov_hy, causal)
    variance = np.maximum(
        np.einsum("tii->ti", observed) - noise_variance * np.sum(np.linalg.inv(A) ** 2, axis=1), 1e-12
    )
    residual = Z.var_y - np.einsum("ti,ti->t", w, Z.cov_hy)
    var_y = np.maximum(residual, 1e-12 * Z.var_y) + np.sum(w**2 * variance, axis=1)
    k = np.where(causal, w * variance, Z.cov_hy / Z.var_y[:, None] * var_y[:, None])
    effect_variance = variance + (k**2 / var_y[:, None] - Z.cov_hy**2 / Z.var_y[:, None])
    latent = k[:, :, None] * k[:, None, :] / var_y[:, None, None]
    latent[causal[:, :, None] & causal[:, None, :]] = 0.0
    D = A.shape[1]
    diagonal = np.arange(D)
    latent[:, diagonal, diagonal] = np.where(causal, variance, effect_variance)
    joint = np.empty((len(k), D + 1, D + 1))
    joint[:, :D, :D] = A @ latent @ A.T + noise_variance * np.eye(D)
    joint[:, :D, D] = joint[:, D, :D] = k @ A.T
    joint[:, D, D] = var_y
    return joint


def _judge(
    i: int, fisher: Array, bootstrap: Array, separation: Array, leakage: Array, signal: bool, rank: int
) -> tuple[str, str]:
    expected = min(fisher[i], bootstrap[i])
    partner = int(np.argmax(leakage[i]))
    mixes = f"it mixes most with latent {partner} (separation {separation[i, partner]:.3f})"
    if rank == 0:
        return NOT_IDENTIFIED, "no signal: the targets depend on no direction of the features more than by chance"
    if not signal:
        return NOT_IDENTIFIED, "no signal: no target depends on this axis more than by chance"
    if expected < _DOUBTFUL:
        return NOT_IDENTIFIED, f"expected correlation with the true latent only {expected:.2f}; {mixes}"
    if expected < _TRUSTED:
        return UNCERTAIN, f"expected correlation with the true latent {expected:.3f}, below {_TRUSTED}; {mixes}"
    return IDENTIFIED, f"expected correlation with the true latent {expected:.4f}; stable when tasks are reweighted"
