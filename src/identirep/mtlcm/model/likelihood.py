r"""Gaussian likelihoods of features on moments.

Everything is a function of per-task second moments: with R_t = S_t - s_t s_t' / v_t, the covariance given the target,

    log p(h | y, t) = -1/2 [ K log 2 pi + log|Sigma_t| + tr(Sigma_t^{-1} E_t) ],   Sigma_t = A Lambda_t A' + o^2 I,

averaged over rows, with E_t the mean of r r' for r = h - E[h | y, t].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.roles.sets import causal_regression

__all__ = [
    "JointMoments",
    "conditional_covariances",
    "explained_directions",
    "gaussian_log_likelihood",
    "joint_covariances",
    "joint_model_covariances",
    "model_covariances",
    "residual_second_moments",
]

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


def conditional_covariances(moments: TaskMoments) -> Array:
    """Return R_t, the covariance of the features given the target, shape (n_tasks, K, K)."""
    explained = explained_directions(moments)
    return moments.cov_h[moments.group] - explained[:, :, None] * explained[:, None, :]


def model_covariances(mixing: Array, variances: Array, noise_variance: float) -> Array:
    """Return A diag(variances_t) A' + noise_variance I, shape (n_tasks, K, K)."""
    covariances = (mixing * variances[:, None, :]) @ mixing.T
    diagonal = np.arange(len(mixing))
    covariances[:, diagonal, diagonal] += noise_variance
    return covariances


def joint_covariances(moments: TaskMoments) -> Array:
    """Return the covariance of features and, last, target in each task, shape (n_tasks, K + 1, K + 1)."""
    K = moments.n_features
    joint = np.empty((moments.n_tasks, K + 1, K + 1))
    joint[:, :K, :K] = moments.cov_h[moments.group]
    joint[:, :K, K] = joint[:, K, :K] = moments.cov_hy
    joint[:, K, K] = moments.var_y
    return joint


def gaussian_log_likelihood(second_moments: Array, covariances: Array) -> Array:
    """Mean log density of centred Gaussians with the covariances given, from second moments.

    Parameters
    ----------
    second_moments : array, shape (n_tasks, K, K)
        Mean of r r' in each task.
    covariances : array, shape (n_tasks, K, K)
        Covariance of r in each task; positive definite.

    Returns
    -------
    array, shape (n_tasks,)
        Mean log density for a row.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a covariance is not positive definite.
    """
    L = np.linalg.cholesky(covariances)
    log_det = 2.0 * np.log(np.einsum("tii->ti", L)).sum(axis=1)
    quadratic = np.einsum("tii->t", np.linalg.solve(covariances, second_moments))
    return -0.5 * (L.shape[1] * np.log(2 * np.pi) + log_det + quadratic)


def residual_second_moments(moments: TaskMoments, mean_h: Array, mean_y: Array, slope: Array) -> Array:
    """Second moments of h - mean_h - slope (y - mean_y) on the rows of `moments`.

    Parameters
    ----------
    moments : TaskMoments
        Rows to average over.
    mean_h : array, shape (n_tasks, K)
        Intercept of each task of `moments`.
    mean_y : array, shape (n_tasks,)
        Target mean of each task.
    slope : array, shape (n_tasks, K)
        Regression of the features on the target.

    Returns
    -------
    array, shape (n_tasks, K, K)
        Mean of r r' in each task.
    """
    cross = moments.cov_hy[:, :, None] * slope[:, None, :]
    covariance = moments.cov_h[moments.group] - cross - cross.swapaxes(1, 2)
    covariance += moments.var_y[:, None, None] * slope[:, :, None] * slope[:, None, :]
    bias = moments.mean_h[moments.group] - mean_h - (moments.mean_y - mean_y)[:, None] * slope
    return covariance + bias[:, :, None] * bias[:, None, :]


def joint_model_covariances(A: Array, z: JointMoments, causal: BoolArray, noise_variance: float) -> Array:
    """Covariance of (h, y) that the causal model implies, its coefficients fitted to the latents' moments.

    With k = cov(z, y), two latents covary as k_i k_j / var(y), except that two causes do not.

    Parameters
    ----------
    A : array, shape (K, D)
        Mixing matrix.
    z : JointMoments
        Moments of latents, free of noise, and target.
    causal : array of bool, shape (n_tasks, D)
        The causes.
    noise_variance : float
        Variance of the observation noise.

    Returns
    -------
    array, shape (n_tasks, K + 1, K + 1)
        Covariances; the target comes last.
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
