"""What the likelihood leaves open (order, sign, scale), and the posterior mean of latents given features."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.metrics import MCCResult, match_latents
from identirep.moments import TaskMoments

__all__ = ["canonical_rows", "latent_agreement", "posterior_mean_map"]


def latent_agreement(first: Array, second: Array, S: Array) -> MCCResult:
    """Match the latents of two linear maps of the same features, whose covariance is `S`."""
    cross = first @ S @ second.T
    scale = np.outer(np.einsum("ij,jk,ik->i", first, S, first), np.einsum("ij,jk,ik->i", second, S, second))
    return match_latents(cross / np.sqrt(scale))


def _prior_covariance(B: Array, moments: TaskMoments, noise_variance: float) -> Array:
    """Pooled covariance of the latents themselves, noise taken out and eigenvalues held positive."""
    values, vectors = np.linalg.eigh(moments.pooled_covariance())
    values = np.maximum(values - noise_variance, 1e-3 * noise_variance)
    root = (B @ vectors) * np.sqrt(values)
    return root @ root.T


def canonical_rows(B: Array, moments: TaskMoments, noise_variance: float) -> tuple[IntArray, Array]:
    """Fix what the likelihood leaves open, from targets alone so that it does not depend on the features' coordinates.

    Returns the order of the rows of B (falling mean squared correlation with the targets) and the factor of each row
    before ordering: unit pooled variance, positive correlation with the target that correlates most.
    """
    scale = 1.0 / np.sqrt(np.diag(_prior_covariance(B, moments, noise_variance)))
    variance = np.einsum("gij,ij->gi", B @ moments.cov_h, B)[moments.group]
    correlation = (moments.cov_hy @ B.T) / np.sqrt(np.maximum(variance, 1e-300) * moments.var_y[:, None])
    order = np.argsort(-(moments.weights @ correlation**2), kind="stable")
    strongest = correlation[np.argmax(np.abs(correlation), axis=0), np.arange(len(B))]
    return order, np.where(strongest < 0, -scale, scale)


def posterior_mean_map(B: Array, moments: TaskMoments, noise_variance: float) -> Array:
    """Map from h to E[z | h] for z and noise jointly Gaussian with the pooled covariance of z (Wiener filter)."""
    if noise_variance == 0.0:
        return B
    prior = _prior_covariance(B, moments, noise_variance)
    total = prior + noise_variance * (B @ B.T)
    return np.linalg.solve(total, prior).T @ B
