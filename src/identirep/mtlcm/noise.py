"""Observation noise: taken out of the covariances, and looked for by profile likelihood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from identirep.moments import TaskMoments
from identirep.mtlcm.likelihood import conditional_covariances, gaussian_log_likelihood, model_covariances
from identirep.mtlcm.solver import DenseCovariances, joint_diagonalise

__all__ = ["PRIOR_BELOW", "denoised_covariances", "find_noise", "regular_covariances"]

Array = NDArray[np.float64]

# Tasks with fewer rows than this many times the latents get one pseudo-row of the pooled covariance: without it the
# criterion has no minimum once a task has fewer rows than latents. Larger tasks do not need it.
PRIOR_BELOW = 5
# Eigenvalues that the noise would use up keep this share of the noise variance.
_FLOOR = 1e-3
# 5% point of chi-squared with one degree of freedom: noise is kept only if the likelihood asks for it.
_CRITICAL = 3.84
# Shares of the largest possible noise variance to look at.
_GRID = (1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.4, 0.7)


def regular_covariances(moments: TaskMoments) -> Array:
    """Return R_t, the covariances given the target, small tasks with one pseudo-row of the pooled R."""
    R = conditional_covariances(moments)
    n = moments.n_samples
    small = n < PRIOR_BELOW * moments.n_features
    if small.any():
        pooled = np.tensordot(moments.weights, R, axes=1)
        R[small] = (n[small, None, None] * R[small] + pooled) / (n[small, None, None] + 1.0)
    return R


def denoised_covariances(moments: TaskMoments, noise_variance: float) -> Array:
    """Return R_t - o^2 I with eigenvalues held positive, small tasks with one pseudo-row of the pooled R."""
    R = regular_covariances(moments)
    return R if noise_variance == 0.0 else _rebuild(*np.linalg.eigh(R), noise_variance)


def find_noise(moments: TaskMoments) -> float:
    """Look for observation noise on a grid, each value profiled by joint diagonalisation of R_t - o^2 I.

    Parameters
    ----------
    moments : TaskMoments
        Moments of the features, as many as latents, with covariances that differ between tasks.

    Returns
    -------
    float
        Variance of the noise, to be refined; 0 unless a likelihood-ratio test at 5% prefers noise. Where A'A is
        diagonal the latents' own variances take noise up and nothing can tell.
    """
    R = regular_covariances(moments)
    values, vectors = np.linalg.eigh(np.tensordot(moments.weights, R, axes=1))
    # Noise cannot exceed the smallest variance that there is.
    largest = float(values[0])
    if largest <= 1e-14 * values[-1]:
        return 0.0
    # In coordinates of unit variance the likelihood is well-conditioned, whatever the features' scales.
    frame = vectors.T / np.sqrt(values)[:, None]
    second, noise_shape = frame @ R @ frame.T, frame @ frame.T
    spectra, axes = np.linalg.eigh(R)
    axes = frame @ axes

    def profile(noise: float, start: Array) -> tuple[float, Array]:
        covariances = _rebuild(spectra, axes, noise)
        states = DenseCovariances(covariances[None], moments.weights[None])
        B = joint_diagonalise(states, start[None], max_iter=50, tol=1e-4).unmixing[0]
        variances = np.einsum("tij,ij->ti", B @ covariances, B)
        Sigma = model_covariances(np.linalg.inv(B), variances, 0.0) + noise * noise_shape
        return float(moments.weights @ gaussian_log_likelihood(second, Sigma)), B

    without, B = profile(0.0, np.eye(len(values)))
    best, best_share = without, 0.0
    for share in _GRID:
        height, B = profile(share * largest, B)
        if height > best:
            best, best_share = height, share
    gain = 2.0 * float(moments.n_samples.sum()) * (best - without)
    return best_share * largest if gain > _CRITICAL else 0.0


def _rebuild(values: Array, vectors: Array, noise_variance: float) -> Array:
    values = np.maximum(values - noise_variance, _FLOOR * noise_variance)
    return (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)
