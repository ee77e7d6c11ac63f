"""Observation noise: taken out of the covariances, and estimated by profile likelihood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from identirep.moments import TaskMoments
from identirep.mtlcm.likelihood import conditional_covariances, gaussian_log_likelihood, model_covariances
from identirep.mtlcm.solver import DenseCovariances, joint_diagonalise

__all__ = ["denoised_covariances", "estimate_noise"]

Array = NDArray[np.float64]

# Tasks with fewer rows than this many times the latents get one pseudo-row of the pooled covariance: without it the
# criterion has no minimum once a task has fewer rows than latents. Larger tasks do not need it.
PRIOR_BELOW = 5
# Eigenvalues that the noise would use up keep this share of the noise variance.
_FLOOR = 1e-3
# 5% point of chi-squared with one degree of freedom: noise is kept only if the likelihood asks for it.
_CRITICAL = 3.84
# Shares of the largest possible noise variance to look at before the search is refined around the best.
_GRID = (1e-4, 1e-3, 1e-2, 0.1, 0.3, 0.7)


def denoised_covariances(moments: TaskMoments, noise_variance: float) -> Array:
    """Return R_t - o^2 I with eigenvalues held positive, small tasks with one pseudo-row of the pooled R."""
    return _rebuild(*_spectra(moments), noise_variance)


def estimate_noise(moments: TaskMoments) -> float:
    """Maximise the likelihood of R_t under A diag(variances_t) A' + o^2 I over the noise variance o^2.

    For each o^2 the rest is profiled by joint diagonalisation of R_t - o^2 I. The answer is 0 unless a likelihood-ratio
    test at 5% prefers noise: where A'A is diagonal the latents' own variances take it up and nothing can tell.

    Parameters
    ----------
    moments : TaskMoments
        Moments of the features, as many as latents, with covariances that differ between tasks.

    Returns
    -------
    float
        Variance of the noise.
    """
    R = conditional_covariances(moments)
    values, vectors = np.linalg.eigh(np.tensordot(moments.weights, R, axes=1))
    # Noise cannot exceed the smallest variance that there is.
    largest = float(values[0])
    if largest <= 1e-14 * values[-1]:
        return 0.0
    # In coordinates of unit variance the likelihood is well-conditioned, whatever the features' scales.
    frame = vectors.T / np.sqrt(values)[:, None]
    second, noise_shape = frame @ R @ frame.T, frame @ frame.T
    spectra = _spectra(moments)
    spectra = (spectra[0], frame @ spectra[1])

    def profile(noise: float, start: Array) -> tuple[float, Array]:
        covariances = _rebuild(*spectra, noise)
        states = DenseCovariances(covariances[None], moments.weights[None])
        B = joint_diagonalise(states, start[None], max_iter=50, tol=1e-4).unmixing[0]
        variances = np.einsum("ij,tjk,ik->ti", B, covariances, B)
        Sigma = model_covariances(np.linalg.inv(B), variances, 0.0) + noise * noise_shape
        return float(moments.weights @ gaussian_log_likelihood(second, Sigma)), B

    without, B = profile(0.0, np.eye(len(values)))
    best, best_share = without, 0.0
    for share in _GRID:
        height, B = profile(share * largest, B)
        if height > best:
            best, best_share, best_B = height, share, B
    if best_share == 0.0:
        return 0.0
    found = minimize_scalar(
        lambda x: -profile(float(np.exp(x)) * largest, best_B)[0],
        bounds=(np.log(best_share) - 2.0, min(np.log(best_share) + 2.0, 0.0)),
        method="bounded",
        options={"xatol": 0.05, "maxiter": 12},
    )
    if -found.fun > best:
        best, best_share = -found.fun, float(np.exp(found.x))
    gain = 2.0 * float(moments.n_samples.sum()) * (best - without)
    return best_share * largest if gain > _CRITICAL else 0.0


def _spectra(moments: TaskMoments) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of each R_t, with the pseudo-row of small tasks."""
    R = conditional_covariances(moments)
    n = moments.n_samples
    small = n < PRIOR_BELOW * moments.n_features
    if small.any():
        pooled = np.tensordot(moments.weights, R, axes=1)
        R[small] = (n[small, None, None] * R[small] + pooled) / (n[small, None, None] + 1.0)
    values, vectors = np.linalg.eigh(R)
    return values, vectors


def _rebuild(values: Array, vectors: Array, noise_variance: float) -> Array:
    if noise_variance > 0.0:
        values = np.maximum(values - noise_variance, _FLOOR * noise_variance)
    return (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)
