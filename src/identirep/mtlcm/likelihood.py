r"""Gaussian likelihoods of features on moments.

Everything is a function of per-task second moments: with R_t = S_t - s_t s_t' / v_t, the covariance given the target,

    log p(h | y, t) = -1/2 [ K log 2 pi + log|Sigma_t| + tr(Sigma_t^{-1} E_t) ],   Sigma_t = A Lambda_t A' + o^2 I,

averaged over rows, with E_t the mean of r r' for r = h - E[h | y, t].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from identirep.moments import TaskMoments
from identirep.mtlcm.causal_sets import causal_regression

__all__ = [
    "conditional_covariances",
    "gaussian_log_likelihood",
    "joint_covariances",
    "joint_model_covariances",
    "model_covariances",
    "residual_second_moments",
]

Array = NDArray[np.float64]


def conditional_covariances(moments: TaskMoments) -> Array:
    """Return R_t, the covariance of the features given the target, shape (n_tasks, K, K)."""
    explained = moments.cov_hy / np.sqrt(moments.var_y)[:, None]
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


def joint_model_covariances(A: Array, Z: TaskMoments, causal: NDArray[np.bool_], noise_variance: float) -> Array:
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
