"""The fit from moments to latents: subspace, noise, starts, likelihood, canonical axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from identirep.moments import TaskMoments
from identirep.mtlcm.canonical import canonical_rows, latent_agreement, posterior_mean_map
from identirep.mtlcm.covariance_sets import CovarianceSet, DenseCovariances, SharedCovariances
from identirep.mtlcm.exact_fit import exact_starts, maximise_exact
from identirep.mtlcm.likelihood import JointMoments, explained_directions
from identirep.mtlcm.noise import PRIOR_BELOW, SAME_AXES, denoised_covariances, find_noise, regular_covariances
from identirep.mtlcm.noisy_model import NoisyFit
from identirep.mtlcm.refinement import maximise_noisy_likelihood
from identirep.mtlcm.roles import refine_with_spurious_scale
from identirep.mtlcm.separation import chance_excess, fisher_leakage, model_information
from identirep.mtlcm.solver import DiagonalisationResult, joint_diagonalise

__all__ = [
    "LatentFit",
    "Starts",
    "denoised_joint_moments",
    "fit_latents",
    "random_rotations",
    "solve_in_blocks",
    "whitened_covariances",
]

Array = NDArray[np.float64]

# Criteria closer than this are one optimum reached twice.
_ROUNDING = 1e-9
# Numbers held at once when many starts are iterated together (float64, 160 MB).
_MAX_NUMBERS = 2e7
# Correlation of two axes that differ by no more than noise makes them: mixed evenly with another one it would be 0.71.
_ABOUT_THE_SAME = 0.8
# Leakage into an axis, in sum, up to which the certificate calls it identified.
_MOST_LEAKAGE = 0.04


@dataclass(frozen=True)
class Starts:
    """What became of all starts.

    Parameters
    ----------
    criterion : array, shape (n_starts,)
        Negative mean log-likelihood of a row at the end, up to a constant; lower is better.
    gradient_norm : array, shape (n_starts,)
        Largest entry of the relative gradient at the end.
    n_iter : array of int, shape (n_starts,)
        Iterations.
    converged : array of bool, shape (n_starts,)
        Whether the gradient norm is at most the tolerance, or rounding error leaves nothing to gain.
    agreement : array, shape (n_starts, D)
        Correlation of each latent of the best start with its partner in this start.
    """

    criterion: Array
    gradient_norm: Array
    n_iter: NDArray[np.int64]
    converged: NDArray[np.bool_]
    agreement: Array

    @property
    def best(self) -> int:
        """Position of the best start; of those equal up to rounding the first that converged."""
        return _first_best(self.criterion, self.converged)


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
    B, starts = _diagonalise(reduced, noise, initial, max_iter=max_iter, tol=tol)
    # One covariance for all tasks cannot tell noise from latents.
    if noise_std == "estimate" and trailing is None and not moments.is_shared:
        found = find_noise(reduced, B)
    if found is not None:
        noise = found.noise_variance
        B, starts = _diagonalise(reduced, noise, initial, near=found.unmixing, max_iter=max_iter, tol=tol)
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
    moments: TaskMoments, noise: float, initial: Array, *, near: Array | None = None, max_iter: int, tol: float
) -> tuple[Array, Starts]:
    """Diagonalise the covariances given the target, less noise, from all starts, the first of them `near` a fit."""
    covariances, whitener = whitened_covariances(moments, noise)
    if near is not None:
        initial = np.concatenate([np.linalg.solve(whitener.T, near.T).T[None], initial[1:]])
    result = solve_in_blocks(covariances, initial, max_iter=max_iter, tol=tol)
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
    information = model_information(B * factor[:, None], variances * factor**2, noise, moments.weights)
    _, leakage = fisher_leakage(information, moments.n_rows, chance_excess(moments))
    return bool(leakage.sum(axis=1).max() < _MOST_LEAKAGE)


def denoised_joint_moments(moments: TaskMoments, noise_variance: float) -> JointMoments:
    """Return the moments of features and target with the noise taken out of the features."""
    S = denoised_covariances(moments, noise_variance) + _explained(moments)
    return JointMoments(S, moments.cov_hy, moments.var_y, moments.weights)


def _first_best(criterion: Array, converged: NDArray[np.bool_]) -> int:
    """Position of the least criterion; the first among equals, so that rounding does not choose."""
    equal = criterion <= criterion.min() + _ROUNDING
    return int(np.argmax(equal & converged if np.any(equal & converged) else equal))


def _report(
    unmixing: Array,
    criterion: Array,
    norm: Array,
    n_iter: NDArray[np.int64],
    converged: NDArray[np.bool_],
    moments: TaskMoments,
) -> Starts:
    S = moments.pooled_covariance()
    best = unmixing[_first_best(criterion, converged)]
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


def random_rotations(n: int, D: int, rng: np.random.Generator) -> Array:
    """Draw orthogonal matrices uniformly, shape (n, D, D)."""
    Q, R = np.linalg.qr(rng.normal(size=(n, D, D)))
    return Q * np.where(np.einsum("sii->si", R) < 0, -1.0, 1.0)[:, None, :]


def solve_in_blocks(covariances: CovarianceSet, starts: Array, *, max_iter: int, tol: float) -> DiagonalisationResult:
    """Iterate as many starts at once as fit into a bounded amount of memory."""
    n_starts, D = starts.shape[:2]
    weights = np.broadcast_to(covariances.weights, (n_starts, covariances.weights.shape[-1]))
    block = max(1, int(_MAX_NUMBERS // (D * (weights.shape[1] + D**2))))
    parts = [
        joint_diagonalise(
            covariances.reweighted(weights[i : i + block]), starts[i : i + block], max_iter=max_iter, tol=tol
        )
        for i in range(0, n_starts, block)
    ]
    if len(parts) == 1:
        return parts[0]
    names = DiagonalisationResult.__dataclass_fields__
    return DiagonalisationResult(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


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
