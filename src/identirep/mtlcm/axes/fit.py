"""The fit from moments to latents: subspace, noise, starts, likelihood, canonical axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.canonical import canonical_rows, latent_agreement, posterior_mean_map
from identirep.mtlcm.axes.covariances import CovarianceSet, DenseCovariances, SharedCovariances
from identirep.mtlcm.axes.diagonalise import DiagonalisationResult
from identirep.mtlcm.axes.exact_fit import exact_starts, maximise_exact
from identirep.mtlcm.axes.noise import PRIOR_BELOW, SAME_AXES, denoised_covariances, find_noise, regular_covariances
from identirep.mtlcm.axes.noisy_likelihood import maximise_noisy_likelihood
from identirep.mtlcm.axes.noisy_model import NoisyFit
from identirep.mtlcm.axes.spurious_scale import refine_with_spurious_scale
from identirep.mtlcm.axes.starts import Starts, first_best, random_rotations, solve_until_found
from identirep.mtlcm.model.information import FactorizedInformation, fisher_leakage
from identirep.mtlcm.model.likelihood import JointMoments, explained_directions

__all__ = [
    "LatentFit",
    "denoised_joint_moments",
    "fit_latents",
    "whitened_covariances",
]

# Correlation of two axes that differ by no more than noise makes them: mixed evenly with another one it would be 0.71.
_ABOUT_THE_SAME = 0.8
# Leakage into an axis, in sum, up to which the certificate calls it identified.
_MOST_LEAKAGE = 0.04


@dataclass(frozen=True)
class LatentFit:
    """The fitted model and how it was reached.

    Parameters
    ----------
    prior : {"factorized", "exact"}
        Likelihood.
    unmixing : array, shape (D, K)
        B, the inverse of `mixing` on the subspace of the latents.
    mixing : array, shape (K, D)
        A, scaled so that each latent has unit pooled within-task variance.
    components : array, shape (D, K)
        Linear map of the posterior mean of z given h under the pooled prior; equal to `unmixing` without noise.
    variances : array, shape (n_tasks, D)
        Variance of each latent given the target.
    noise_variance : float
        Variance o^2 of the observation noise.
    starts : Starts
        All starts.
    """

    prior: str
    unmixing: Array
    mixing: Array
    components: Array
    variances: Array
    noise_variance: float
    starts: Starts


def fit_latents(
    moments: TaskMoments,
    n_components: int,
    *,
    prior: Literal["factorized", "exact"],
    noise_std: float | Literal["estimate"],
    spurious_std: float | None,
    n_init: int,
    most_starts: int | None = None,
    max_iter: int,
    tol: float,
    rng: np.random.Generator,
) -> LatentFit:
    """Maximise the marginal likelihood on moments.

    Parameters
    ----------
    moments : TaskMoments
        Moments of the features; valid, see `MTLCM.fit_moments`.
    n_components : int
        Number of latents D, at most the number of features.
    prior : {"factorized", "exact"}
        Likelihood. The exact one starts from the factorised fit, among others.
    noise_std : float or "estimate"
        Standard deviation o of the observation noise.
    spurious_std : float or None
        Standard deviation of spurious latents given the target, in units where causal ones have 1; None leaves every
        latent its own variance in each task. Of the factorised likelihood alone.
    n_init : int
        Number of starts.
    most_starts : int, optional
        More starts than `n_init` are taken, up to this number, until several end in the best optimum. Default: no more.
    max_iter, tol
        See `joint_diagonalise`.
    rng : numpy.random.Generator
        Source of the random starts.

    Returns
    -------
    LatentFit
        Latents in order of falling association with the targets.
    """
    basis, trailing = _subspace(moments, n_components)
    reduced = moments.map_features(basis.T)
    initial = np.concatenate([np.eye(n_components)[None], random_rotations(n_init - 1, n_components, rng)])
    noise, found = 0.0, None
    if noise_std != "estimate":
        noise = float(noise_std) ** 2
    elif trailing is not None:
        # More features than latents: what lies outside their subspace is noise.
        noise = trailing
    solve = partial(solve_until_found, most_starts=most_starts or n_init, rng=rng, max_iter=max_iter, tol=tol)
    B, starts = _diagonalise(reduced, noise, initial, solve)
    # One covariance for all tasks cannot tell noise from latents.
    if noise_std == "estimate" and trailing is None and not moments.is_shared:
        found = find_noise(reduced, B)
    if found is not None:
        noise = found.noise_variance
        B, starts = _diagonalise(reduced, noise, initial, solve, near=found.unmixing)
    R = denoised_covariances(reduced, noise)
    if spurious_std is not None:
        S = R + _explained(reduced)
        B = refine_with_spurious_scale(B, S, R, reduced.weights, spurious_std, max_iter=max_iter, tol=tol)
    variances = np.einsum("tij,ij->ti", B @ R, B)
    if noise > 0.0 and spurious_std is None:
        refined = _with_noise(reduced, B, variances, noise, found)
        B, variances, noise = refined.unmixing, refined.variances, refined.noise_variance
    if prior == "exact":
        R = denoised_covariances(reduced, noise)
        joint = denoised_joint_moments(reduced, noise)
        others = exact_starts(joint, n_init - 1, rng) if n_init > 1 else np.zeros((0, *B.shape))
        every = np.concatenate([B[None], others])
        exact = maximise_exact(joint, reduced.n_samples, every, rng, max_iter=max_iter, tol=tol)
        starts = _report(
            exact.unmixing, -exact.evidence, exact.gradient_norm, exact.n_iter, exact.gradient_norm <= tol, reduced
        )
        found_exactly = exact.unmixing[starts.best]
        if noise == 0.0 or not _is_better_with_noise(reduced, B, variances, noise, found_exactly):
            B = found_exactly
            variances = np.einsum("tij,ij->ti", B @ R, B)
    order, factor = canonical_rows(B, reduced, noise)
    B, variances = (B * factor[:, None])[order], (variances * factor**2)[:, order]
    return LatentFit(
        prior=prior,
        unmixing=B @ basis.T,
        mixing=basis @ np.linalg.inv(B),
        components=posterior_mean_map(B, reduced, noise) @ basis.T,
        variances=variances,
        noise_variance=noise,
        starts=replace(starts, agreement=starts.agreement[:, order]),
    )


def _diagonalise(
    moments: TaskMoments,
    noise: float,
    initial: Array,
    solve: Callable[[CovarianceSet, Array], DiagonalisationResult],
    *,
    near: Array | None = None,
) -> tuple[Array, Starts]:
    """Diagonalise the covariances given the target, less noise, from all starts, the first of them `near` a fit."""
    covariances, whitener = whitened_covariances(moments, noise)
    if near is not None:
        initial = np.concatenate([np.linalg.solve(whitener.T, near.T).T[None], initial[1:]])
    result = solve(covariances, initial)
    unmixing = result.unmixing @ whitener
    starts = _report(unmixing, result.criterion, result.gradient_norm, result.n_iter, result.converged, moments)
    return unmixing[starts.best], starts


def _with_noise(moments: TaskMoments, B: Array, variances: Array, noise: float, found: NoisyFit | None) -> NoisyFit:
    """Maximise the full likelihood from the best start, unless the search for noise did so already."""
    S = moments.pooled_covariance()
    if found is not None and latent_agreement(B, found.unmixing, S).per_latent.min() > SAME_AXES:
        return found
    R, n = regular_covariances(moments), moments.n_samples
    refined = maximise_noisy_likelihood(R, n, B, variances, noise, fixed_noise=found is None)
    return found if found is not None and found.log_likelihood > refined.log_likelihood else refined


def _is_better_with_noise(moments: TaskMoments, B: Array, variances: Array, noise: float, exact: Array) -> bool:
    """Whether the factorised fit is to be kept: only its likelihood has the noise inside.

    That is so if both find about the same axes, and the factorised model expects all of them to be identified.
    """
    if latent_agreement(B, exact, moments.pooled_covariance()).per_latent.min() < _ABOUT_THE_SAME:
        return False
    _, factor = canonical_rows(B, moments, noise)
    _, leakage = fisher_leakage(FactorizedInformation(moments, B * factor[:, None], variances * factor**2, noise))
    return bool(leakage.sum(axis=1).max() < _MOST_LEAKAGE)


def denoised_joint_moments(moments: TaskMoments, noise_variance: float) -> JointMoments:
    """Return the moments of features and target with the noise taken out of the features."""
    S = denoised_covariances(moments, noise_variance) + _explained(moments)
    return JointMoments(S, moments.cov_hy, moments.var_y, moments.weights)


def _report(
    unmixing: Array,
    criterion: Array,
    norm: Array,
    n_iter: IntArray,
    converged: BoolArray,
    moments: TaskMoments,
) -> Starts:
    S = moments.pooled_covariance()
    best = unmixing[first_best(criterion, converged)]
    agreement = np.stack([latent_agreement(best, B, S).per_latent for B in unmixing])
    return Starts(criterion, norm, n_iter, converged, agreement)


def whitened_covariances(moments: TaskMoments, noise_variance: float) -> tuple[CovarianceSet, Array]:
    """Return the covariances given the target, less noise, in whitened coordinates, and the whitening map."""
    weights = moments.weights
    if moments.is_shared and noise_variance == 0.0 and moments.n_rows >= PRIOR_BELOW * moments.n_features:
        whitener = _inverse_root(moments.cov_h[0])
        vectors = explained_directions(moments) @ whitener.T
        return SharedCovariances(np.eye(moments.n_features), vectors, weights), whitener
    R = denoised_covariances(moments, noise_variance)
    whitener = _inverse_root(np.tensordot(moments.weights, R, axes=1))
    return DenseCovariances.from_matrices(whitener @ R @ whitener.T, weights), whitener


def _subspace(moments: TaskMoments, n_components: int) -> tuple[Array, float | None]:
    """Leading principal axes of the pooled covariance, and the mean variance outside them (probabilistic PCA)."""
    K = moments.n_features
    if n_components == K:
        return np.eye(K), None
    values, vectors = np.linalg.eigh(moments.pooled_covariance())
    return vectors[:, ::-1][:, :n_components].copy(), max(float(values[: K - n_components].mean()), 0.0)


def _inverse_root(S: Array) -> Array:
    values, vectors = np.linalg.eigh(S)
    return vectors.T / np.sqrt(values)[:, None]


def _explained(moments: TaskMoments) -> Array:
    """s_t s_t' / v_t, what the target explains of the features' covariance."""
    u = explained_directions(moments)
    return u[:, :, None] * u[:, None, :]
