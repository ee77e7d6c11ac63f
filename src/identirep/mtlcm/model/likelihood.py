r"""Gaussian likelihoods of features on moments.

Everything is a function of per-task second moments: with R_t = S_t - s_t s_t' / v_t, the covariance given the target,
equation (9) of the paper, the prior over latents of equation (6) integrated out, is

    log p(h | y, t) = -1/2 [ K log 2 pi + log|Sigma_t| + tr(Sigma_t^{-1} E_t) ],   Sigma_t = A Lambda_t A' + o^2 I,

averaged over rows, with E_t the mean of r r' for r = h - E[h | y, t].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotri

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.threads import n_threads

__all__ = [
    "PRIOR_BELOW",
    "JointMoments",
    "causal_regression",
    "explained_directions",
    "gaussian_log_likelihood",
    "inverse_and_log_det",
    "joint_covariances",
    "joint_model_covariances",
    "latent_covariances",
    "model_covariances",
    "regular_residual_covariances",
    "residual_covariances",
    "residual_second_moments",
]

# Tasks with fewer rows than this many times the latents get part of a pseudo-row of the pooled covariance: without it
# the criterion has no minimum once a task has fewer rows than latents. Larger tasks do not need it. More of it makes
# tasks depend on each other's errors, and costs accuracy.
PRIOR_BELOW = 5
_PRIOR_ROWS = 0.05
# From this size on the Cholesky factor gives the inverse in less time than a general solver, but on several threads
# LAPACK wakes all of them for each small matrix and takes five to ten times as long.
_LARGE = 16
# Share of the target's variance that features never explain.
_LEAST_UNEXPLAINED = 1e-8


@dataclass(frozen=True)
class JointMoments:
    """Second moments of features and target in each task, and the weights of the tasks."""

    S: Array
    s: Array
    v: Array
    weights: Array

    def mapped(self, M: Array) -> JointMoments:
        """The moments of M h."""
        return JointMoments(M @ self.S @ M.T, self.s @ M.T, self.v, self.weights)

    def select(self, tasks: IntArray) -> JointMoments:
        """The moments of some tasks, weights as they are."""
        return JointMoments(self.S[tasks], self.s[tasks], self.v[tasks], self.weights[tasks])


def explained_directions(moments: TaskMoments) -> Array:
    """Return u_t = s_t / sqrt(v_t), shape (n_tasks, K): the target explains u_t u_t' of the features' covariance.

    A hundred-millionth is left unexplained: a target that the features determine would leave a singular matrix.
    """
    return np.asarray(moments.cov_hy * np.sqrt((1.0 - _LEAST_UNEXPLAINED) / moments.var_y)[:, None])


def residual_covariances(moments: TaskMoments) -> Array:
    """Return R_t, the covariance of the features given the target, shape (n_tasks, K, K)."""
    explained = explained_directions(moments)
    R = moments.cov_h
    if not np.array_equal(moments.group, np.arange(len(R))):
        R = R[moments.group]
    R -= explained[:, :, None] * explained[:, None, :]
    return R


def regular_residual_covariances(moments: TaskMoments, pooled: Array | None = None) -> Array:
    """Return R_t, small tasks with part of a pseudo-row of the pooled R, of other tasks as well if it is given."""
    R = residual_covariances(moments)
    n = moments.n_samples
    small = n < PRIOR_BELOW * moments.n_features
    if small.any():
        pooled = np.tensordot(moments.weights, R, axes=1) if pooled is None else pooled
        # All of them, as very many tasks often are, need no copies.
        own, rows = (R, n[:, None, None]) if small.all() else (R[small], n[small, None, None])
        own *= rows
        own += _PRIOR_ROWS * pooled
        own /= rows + _PRIOR_ROWS
        if own is not R:
            R[small] = own
    return R


def model_covariances(mixing: Array, variances: Array, noise_variance: float) -> Array:
    """Return A diag(variances_t) A' + noise_variance I, shape (n_tasks, K, K)."""
    covariances = (mixing * variances[:, None, :]) @ mixing.T
    diagonal = np.arange(len(mixing))
    covariances[:, diagonal, diagonal] += noise_variance
    return covariances


def latent_covariances(unmixing: Array, variances: Array, noise_variance: float) -> Array:
    """Return the covariances of B h given the target, Lambda_t + o^2 B B', shape (n_tasks, D, D)."""
    covariances = np.repeat(noise_variance * (unmixing @ unmixing.T)[None], len(variances), axis=0)
    diagonal = np.arange(len(unmixing))
    covariances[:, diagonal, diagonal] += variances
    return covariances


def inverse_and_log_det(covariances: Array) -> tuple[Array, Array]:
    """Invert positive definite matrices, shape (n, D, D); LinAlgError if one is not positive definite."""
    factor = np.linalg.cholesky(covariances)
    log_det = np.asarray(2.0 * np.log(np.einsum("tii->ti", factor)).sum(axis=1))
    if covariances.shape[1] < _LARGE or n_threads() > 1:
        return np.asarray(np.linalg.inv(covariances), dtype=np.float64), log_det
    for t in range(len(factor)):
        # In place: the transposed factor is upper triangular in Fortran order.
        factor[t] = dpotri(factor[t].T, lower=0, overwrite_c=1)[0].T
    diagonal = np.arange(covariances.shape[1])
    inverse = factor + factor.swapaxes(1, 2)
    inverse[:, diagonal, diagonal] *= 0.5
    return inverse, log_det


def causal_regression(cov_z: Array, cov_zy: Array, causal: BoolArray) -> Array:
    """Regress each target on its causes: coefficients, shape (n_tasks, D), 0 for latents that are no causes."""
    D = cov_z.shape[1]
    both = causal[:, :, None] & causal[:, None, :]
    scale = np.sqrt(np.einsum("tii->ti", cov_z))
    scale = np.where(scale > 0, scale, 1.0)
    normal = np.where(both, cov_z / (scale[:, :, None] * scale[:, None, :]), 0.0)
    # A unit diagonal for the others makes the system regular and their coefficients zero; the ridge is at rounding
    # level.
    normal[:, np.arange(D), np.arange(D)] = 1.0 + 1e-12
    right = np.where(causal, cov_zy / scale, 0.0)
    return np.linalg.solve(normal, right[..., None])[..., 0] / scale


def joint_covariances(moments: TaskMoments) -> Array:
    """Return the covariance of features and, last, target in each task, shape (n_tasks, K + 1, K + 1)."""
    K = moments.n_features
    joint = np.empty((moments.n_tasks, K + 1, K + 1))
    joint[:, :K, :K] = moments.cov_h[moments.group]
    joint[:, :K, K] = joint[:, K, :K] = moments.cov_hy
    joint[:, K, K] = moments.var_y
    return joint


def gaussian_log_likelihood(second_moments: Array, covariances: Array) -> Array:
    """Mean log density of centred Gaussians with these covariances, from second moments, shape (n_tasks,)."""
    L = np.linalg.cholesky(covariances)
    log_det = 2.0 * np.log(np.einsum("tii->ti", L)).sum(axis=1)
    quadratic = np.einsum("tii->t", np.linalg.solve(covariances, second_moments))
    return -0.5 * (L.shape[1] * np.log(2 * np.pi) + log_det + quadratic)


def residual_second_moments(moments: TaskMoments, mean_h: Array, mean_y: Array, slope: Array) -> Array:
    """Mean of r r' on the rows of `moments` with r = h - mean_h - slope (y - mean_y), shape (n_tasks, K, K)."""
    cross = moments.cov_hy[:, :, None] * slope[:, None, :]
    covariance = moments.cov_h[moments.group] - cross - cross.swapaxes(1, 2)
    covariance += moments.var_y[:, None, None] * slope[:, :, None] * slope[:, None, :]
    bias = moments.mean_h[moments.group] - mean_h - (moments.mean_y - mean_y)[:, None] * slope
    return covariance + bias[:, :, None] * bias[:, None, :]


def joint_model_covariances(A: Array, z: JointMoments, causal: BoolArray, noise_variance: float) -> Array:
    """Covariances of (h, y) that the causal model implies, its coefficients fitted to the latents' moments `z`.

    With k = cov(z, y), two latents covary as k_i k_j / var(y), except that two causes do not.
    """
    K, D = A.shape
    w = causal_regression(z.S, z.s, causal)
    variance = np.einsum("tii->ti", z.S)
    residual = np.maximum(z.v - np.einsum("ti,ti->t", w, z.s), 1e-12 * z.v)
    var_y = residual + np.sum(w**2 * variance, axis=1)
    # Effects keep their regression on the target and what is left of them, causes their variance.
    k = np.where(causal, w * variance, z.s / z.v[:, None] * var_y[:, None])
    latent = k[:, :, None] * k[:, None, :] / var_y[:, None, None]
    latent[causal[:, :, None] & causal[:, None, :]] = 0.0
    diagonal = np.arange(D)
    left = variance - z.s**2 / z.v[:, None]
    latent[:, diagonal, diagonal] = np.where(causal, variance, k**2 / var_y[:, None] + left)
    joint = np.empty((len(k), K + 1, K + 1))
    joint[:, :K, :K] = A @ latent @ A.T + noise_variance * np.eye(K)
    joint[:, :K, K] = joint[:, K, :K] = k @ A.T
    joint[:, K, K] = var_y
    return joint
