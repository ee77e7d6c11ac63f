"""Observation noise: taken out of the covariances, and looked for by likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import chi2

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.canonical import latent_agreement
from identirep.mtlcm.axes.covariances import DenseCovariances
from identirep.mtlcm.axes.diagonalise import joint_diagonalise
from identirep.mtlcm.axes.noisy_likelihood import NoisyFit, climb_with_noise, log_likelihood, scored_variances
from identirep.mtlcm.model import JointMoments, explained_directions, regular_residual_covariances
from identirep.threads import cached_parts, in_threads

__all__ = ["SAME_AXES", "denoised_joint_moments", "denoised_residual_covariances", "find_noise"]

# Eigenvalues that the noise would use up keep this share of the noise variance.
_FLOOR = 1e-3
# Level of the test for noise.
_LEVEL = 1e-3
# Axes that correlate more than this are the same ones.
SAME_AXES = 0.99
# Shares of the largest possible noise variance to look at, and from which on it is large.
_GRID = (1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.4, 0.7, 1.0)
_LARGE = 0.7
# As far as axes are followed on the grid: the likelihood is climbed from its best point, and no end of it is kept.
_ROUGHLY: dict[str, Any] = {"max_iter": 5, "tol": 1e-2}
# Nats a row that noise may seem to cost: about a tenth where a latent is drowned, often more where noise is small.
_CHEAP = 0.25
# Nats that noise on the grid must gain for the full likelihood to be climbed from there.
_WORTH_A_TRY = 1.0
# Tasks that tell where to climb from.
_MOST_TASKS = 4000


def denoised_residual_covariances(moments: TaskMoments, noise_variance: float, pooled: Array | None = None) -> Array:
    """Return R_t - o^2 I with eigenvalues held positive, small tasks with part of a pseudo-row of the pooled R."""
    R = regular_residual_covariances(moments, pooled)
    if noise_variance == 0.0:
        return R

    def denoise(tasks: slice) -> None:
        R[tasks] = _rebuild(*np.linalg.eigh(R[tasks]), noise_variance)

    in_threads(denoise, cached_parts(len(R), R[0].size))
    return R


def denoised_joint_moments(moments: TaskMoments, noise_variance: float) -> JointMoments:
    """Return the moments of features and target with the noise taken out of the features."""
    u = explained_directions(moments)
    S = denoised_residual_covariances(moments, noise_variance) + u[:, :, None] * u[:, None, :]
    return JointMoments(S, moments.cov_hy, moments.var_y, moments.weights)


def find_noise(moments: TaskMoments, clean: Array, rng: np.random.Generator) -> NoisyFit | None:
    """Look for observation noise: starts on a grid of noise variances, the full likelihood from the best of them.

    The likelihood can have a maximum far from the one without noise. A latent whose share of the features is no larger
    than the noise is not seen at all by a fit that knows of none. Then the noise is about the smallest variance of the
    features in any direction. Taking that much out seems to cost something, since what is left of the latent is little
    and badly known, but far less than it does where the noise is small. So the largest noise that costs little is a
    start too. Of very many tasks some tell where to climb from; all of them are climbed, and tested.

    `clean` is the unmixing matrix without noise. None unless a likelihood-ratio test at 0.1% prefers noise: where A'A
    is diagonal the latents' own variances take noise up and nothing can tell.
    """
    n_rows = float(moments.n_samples.sum())
    if moments.n_tasks <= _MOST_TASKS:
        R = regular_residual_covariances(moments)
        start = _start_of_climb(R, moments, clean, n_rows)
    else:
        some = np.sort(rng.choice(moments.n_tasks, _MOST_TASKS, replace=False))
        part = moments.select_tasks(some)
        R = regular_residual_covariances(part)
        start = _start_of_climb(R, part, clean, n_rows)
        if start is not None:
            R, start = regular_residual_covariances(moments), climb_with_noise(R, part.n_samples, start, "joined")
            start = scored_variances(R, start)
    if start is None:
        return None
    found = climb_with_noise(R, moments.n_samples, start, "joined")
    same = latent_agreement(clean, found.unmixing, moments.pooled_covariance()).per_latent.min() > SAME_AXES
    # Next to the fit without noise its variance is one parameter more; elsewhere an axis is free to be another one.
    freedom = 1 if same else 1 + len(clean)
    gain = 2.0 * n_rows * (found.log_likelihood - _without_noise(R, moments, clean))
    return found if gain > chi2.isf(_LEVEL, freedom) else None


def _without_noise(R: Array, moments: TaskMoments, clean: Array) -> float:
    """Log-likelihood of the axes without noise."""
    return log_likelihood(R, moments.weights, clean, np.einsum("tij,ij->ti", clean @ R, clean), 0.0)


def _start_of_climb(R: Array, moments: TaskMoments, clean: Array, n_rows: float) -> NoisyFit | None:
    """Where the likelihood is to be climbed from, if a gain in so many rows would be worth it."""
    n, weights, B = moments.n_samples, moments.weights, clean
    values = np.linalg.eigvalsh(np.tensordot(weights, R, axes=1))
    # Noise cannot exceed the smallest variance that there is.
    largest = float(values[0])
    if largest <= 1e-14 * values[-1]:
        return None
    without = _without_noise(R, moments, clean)
    spectra, axes = np.linalg.eigh(R)
    grid = []
    for share in _GRID:
        taken_out = _rebuild(spectra, B @ axes, share * largest)
        covariances = DenseCovariances.from_matrices(taken_out, weights)
        M = joint_diagonalise(covariances, np.eye(len(B))[None], **_ROUGHLY).unmixing[0]
        variances, B = np.einsum("tij,ij->ti", M @ taken_out, M), M @ B
        height = log_likelihood(R, weights, B, variances, share * largest)
        grid.append(NoisyFit(B, variances, share * largest, height))
        if without - height > _CHEAP:
            break
    rough = [climb_with_noise(R, n, start, "apart") for start in _starts(grid, without, n_rows, largest)]
    return max(rough, key=lambda fit: fit.log_likelihood, default=None)


def _starts(grid: list[NoisyFit], without: float, n_rows: float, largest: float) -> list[NoisyFit]:
    """The noise that gains most, if anything, and the largest that is cheap."""
    best = max(grid, key=lambda fit: fit.log_likelihood)
    starts = [best] if n_rows * (best.log_likelihood - without) > _WORTH_A_TRY else []
    cheap = [fit for fit in grid if without - fit.log_likelihood <= _CHEAP]
    if cheap and cheap[-1] is not best and cheap[-1].noise_variance >= _LARGE * largest:
        starts.append(cheap[-1])
    return starts


def _rebuild(values: Array, vectors: Array, noise_variance: float) -> Array:
    values = np.maximum(values - noise_variance, _FLOOR * noise_variance)
    return (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)
