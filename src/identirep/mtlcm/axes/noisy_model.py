r"""The factorised model with observation noise: its parameters, and how likely they are.

In the coordinates of the latents, B h with B the inverse of the mixing matrix, the covariance given the target is
Lambda_t + o^2 B B'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotri

from identirep._typing import Array

__all__ = ["NoisyFit", "inverse_and_log_det", "latent_covariances", "log_likelihood"]

# From this size on the Cholesky factor gives the inverse in half the time of a general solver.
_LARGE = 20


@dataclass(frozen=True)
class NoisyFit:
    """Parameters of the model with noise, and how likely they are.

    Parameters
    ----------
    unmixing : array, shape (D, D)
        Inverse of the mixing matrix.
    variances : array, shape (n_tasks, D)
        Variance of each latent given the target.
    noise_variance : float
        Variance of the observation noise.
    log_likelihood : float
        Mean log-likelihood of a row, up to a constant.
    """

    unmixing: Array
    variances: Array
    noise_variance: float
    log_likelihood: float


def log_likelihood(R: Array, weights: Array, B: Array, variances: Array, noise_variance: float) -> float:
    """Mean log-likelihood of a row, as in `NoisyFit`.

    Parameters
    ----------
    R : array, shape (n_tasks, D, D)
        Covariances given the target, noise included.
    weights : array, shape (n_tasks,)
        Task weights that sum to one.
    B : array, shape (D, D)
        Unmixing matrix.
    variances : array, shape (n_tasks, D)
        Variance of each latent given the target.
    noise_variance : float
        Variance of the observation noise, 0 or more.

    Returns
    -------
    float
        The log-likelihood, up to a constant; minus infinity if a covariance is not positive definite.
    """
    log_det_B = float(np.linalg.slogdet(B)[1])
    if noise_variance == 0.0:
        observed = np.einsum("tij,ij->ti", B @ R, B)
        return log_det_B - 0.5 * float(weights @ (np.log(variances) + observed / variances).sum(axis=1))
    try:
        inverse, log_det = inverse_and_log_det(latent_covariances(B, variances, noise_variance))
    except np.linalg.LinAlgError:
        return -np.inf
    traces = np.einsum("tij,tij->t", inverse, B @ R @ B.T)
    return log_det_B - 0.5 * float(weights @ (log_det + traces))


def latent_covariances(B: Array, variances: Array, noise_variance: float) -> Array:
    """Covariances of B h given the target, Lambda_t + o^2 B B', shape (n_tasks, D, D).

    Parameters
    ----------
    B : array, shape (D, K)
        Unmixing matrix.
    variances : array, shape (n_tasks, D)
        Variance of each latent given the target.
    noise_variance : float
        Variance of the observation noise.

    Returns
    -------
    array, shape (n_tasks, D, D)
        The covariances.
    """
    Sigma = np.repeat(noise_variance * (B @ B.T)[None], len(variances), axis=0)
    diagonal = np.arange(len(B))
    Sigma[:, diagonal, diagonal] += variances
    return Sigma


def inverse_and_log_det(Sigma: Array) -> tuple[Array, Array]:
    """Invert positive definite matrices.

    Parameters
    ----------
    Sigma : array, shape (n, D, D)
        Symmetric matrices.

    Returns
    -------
    inverse : array, shape (n, D, D)
        Their inverses.
    log_det : array, shape (n,)
        Log determinants.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.
    """
    factor = np.linalg.cholesky(Sigma)
    log_det = np.asarray(2.0 * np.log(np.einsum("tii->ti", factor)).sum(axis=1))
    if Sigma.shape[1] < _LARGE:
        return np.asarray(np.linalg.inv(Sigma), dtype=np.float64), log_det
    for t in range(len(factor)):
        # In place: the transposed factor is upper triangular in Fortran order.
        factor[t] = dpotri(factor[t].T, lower=0, overwrite_c=1)[0].T
    diagonal = np.arange(Sigma.shape[1])
    inverse = factor + factor.swapaxes(1, 2)
    inverse[:, diagonal, diagonal] *= 0.5
    return inverse, log_det
