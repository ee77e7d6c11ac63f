"""How much the targets have to do with each latent, and in how many directions, against what chance makes of it."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments

__all__ = ["heads", "noise_edge", "signal_strength"]


def signal_strength(components: Array, moments: TaskMoments) -> Array:
    """Mean of n_t rho_ti^2 over tasks: about 1 for a latent that no target has to do with."""
    variance = np.einsum("gij,ij->gi", components @ moments.cov_h, components)[moments.group]
    covariance = moments.cov_hy @ components.T
    rho2 = covariance**2 / np.maximum(variance * moments.var_y[:, None], 1e-300)
    return np.asarray((moments.n_samples[:, None] * rho2).mean(axis=0))


def noise_edge(D: int, moments: TaskMoments) -> float:
    """Largest mean of n rho^2 over tasks that targets without signal show in any direction (Marchenko-Pastur edge).

    Targets on the same rows may all be one and the same, so that only row groups count as independent.
    """
    return float((1.0 + np.sqrt(D / len(moments.counts))) ** 2)


def heads(components: Array, moments: TaskMoments) -> tuple[Array, int]:
    """Singular values of the heads in units of their sampling noise, and the number above the noise edge.

    The head w_t = S_t^{-1} s_t has sampling covariance sigma_t^2 S_t^{-1} / n_t. Where tasks are too small for
    regressions, s_t itself stands in, with covariance v_t S_t / n_t if there is no signal.
    """
    Z = moments.map_features(components)
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
