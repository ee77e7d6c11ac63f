"""The fit from moments to latents: subspace, noise, starts, likelihood with noise, exact likelihood, canonical axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.canonical import canonical_rows, latent_agreement, posterior_mean_map
from identirep.mtlcm.axes.covariances import Covariances, DenseCovariances, SharedCovariances
from identirep.mtlcm.axes.exact import exact_starts, maximise_exact
from identirep.mtlcm.axes.noise import SAME_AXES, denoised_joint_moments, denoised_residual_covariances, find_noise
from identirep.mtlcm.axes.noisy_likelihood import NoisyFit, maximise_noisy_likelihood
from identirep.mtlcm.axes.rotation import NEAR, ROUGH, HeadsOfTasks, mostly_shared, sparsest_heads
from identirep.mtlcm.axes.sharded import ShardedCovariances, ShardedTasks
from identirep.mtlcm.axes.solutions import Solutions, Starts, equal_to_best
from identirep.mtlcm.axes.starts import random_rotations, solve_from_some, solve_until_found
from identirep.mtlcm.model import (
    PRIOR_BELOW,
    FactorizedInformation,
    explained_directions,
    fisher_leakage,
    regular_residual_covariances,
)

__all__ = ["LatentFit", "fit_from", "fit_latents", "fit_on", "whitened_covariances"]

Problem: TypeAlias = Covariances | ShardedCovariances | HeadsOfTasks

# Correlation of two axes that differ by no more than noise makes them: mixed evenly with another one it would be 0.71.
_ABOUT_THE_SAME = 0.8
# Leakage into an axis, in sum, up to which the certificate calls it identified.
_MOST_LEAKAGE = 0.04


@dataclass(frozen=True)
class LatentFit:
    """The fitted model and how it was reached.

    `mixing` A has latents of unit pooled within-task variance, `unmixing` B is its inverse on the subspace of the
    latents. `components` is the linear map of the posterior mean of z given h under the pooled prior, which is B if
    there is no noise; `variances` (n_tasks, D) are those of the latents given the target.
    """

    prior: Literal["factorized", "exact"]
    unmixing: Array
    mixing: Array
    components: Array
    variances: Array
    noise_variance: float
    starts: Starts


@dataclass(frozen=True)
class _State:
    """The fit so far, in the subspace of the latents, in which the unmixing matrix is square.

    `moments` are those of the features there, `variances` those of the latents given the target, `solutions` where all
    starts ended, and `noisy` what a search for noise found.
    """

    moments: TaskMoments
    unmixing: Array
    variances: Array
    noise_variance: float
    solutions: Solutions
    noisy: NoisyFit | None = None


# Where only the best end counts: how many of the starts that lead lowest are followed, and how far.
_MOST_FOLLOWED, _FOLLOWED_TO = 3, 1e-5


def fit_latents(
    moments: TaskMoments,
    n_components: int,
    *,
    prior: Literal["factorized", "exact"],
    noise_std: float | Literal["estimate"],
    n_init: int,
    most_starts: int | None = None,
    max_iter: int,
    tol: float,
    rng: np.random.Generator,
    only_best: bool = False,
    shards: ShardedTasks | None = None,
) -> LatentFit:
    """Fit to valid moments; latents come in order of falling association with targets.

    Where tasks have rows of their own, that maximises the marginal likelihood; on shared rows the factorised prior
    leaves the axes to `rotation`. More starts than `n_init` are taken, up to `most_starts`, until several end in the
    best optimum. With `only_best` starts that lead elsewhere on shared rows are not followed to their ends. `shards`
    have the same tasks, and diagonalise their covariances where they are.
    """
    basis, outside = _subspace(moments, n_components)
    reduced = moments.map_features(basis.T)
    whitened = partial(whitened_covariances, reduced) if shards is None else shards.mapped(basis.T).whitened
    diagonalised = partial(_diagonalised, reduced, whitened)
    initial = np.concatenate([np.eye(n_components)[None], random_rotations(n_init - 1, n_components, rng)])
    search = partial(solve_until_found, most_starts=most_starts or n_init, rng=rng)
    solve = partial(_solve, search=search, max_iter=max_iter, tol=tol, only_best=only_best, rng=rng)
    # More features than latents: what lies outside their subspace is noise.
    known = (outside or 0.0) if noise_std == "estimate" else float(noise_std) ** 2
    if prior == "factorized" and mostly_shared(moments):
        return _canonical(_with_sparse_heads(reduced, known, initial, solve), basis, prior)
    # One covariance for all tasks cannot tell noise from latents.
    if noise_std == "estimate" and outside is None and not moments.is_shared:
        one = partial(solve_from_some, max_iter=max_iter, tol=tol, rng=rng)
        state = _with_noise_found(
            reduced, initial, partial(diagonalised, solve=solve), partial(diagonalised, solve=one), rng
        )
    else:
        state = diagonalised(known, initial, solve)
    if state.noise_variance > 0.0:
        state = _with_noise_inside(state)
    if prior == "exact":
        state = _with_roles_inside(state, n_init - 1, rng, max_iter=max_iter, tol=tol)
    return _canonical(state, basis, prior)


def _solve(
    problem: Problem,
    initial: Array,
    *,
    search: Callable[..., Solutions],
    max_iter: int,
    tol: float,
    only_best: bool,
    rng: np.random.Generator,
) -> Solutions:
    """Search from the starts for axes that diagonalise covariances, or that make heads sparse."""
    solve: Callable[[Array], Solutions]
    if isinstance(problem, HeadsOfTasks) and only_best:
        rough = search(partial(_rough, problem, max_iter=max_iter, tol=max(ROUGH, tol)), initial, equal=NEAR)
        near = np.argsort(rough.criterion, kind="stable")[:_MOST_FOLLOWED]
        near = near[rough.criterion[near] <= rough.criterion[near[0]] + NEAR]
        return sparsest_heads(problem, rough.unmixing[near], max_iter=max_iter, tol=max(_FOLLOWED_TO, tol))
    if isinstance(problem, HeadsOfTasks):
        solve = partial(sparsest_heads, problem, max_iter=max_iter, tol=tol)
    else:
        solve = partial(solve_from_some, problem, max_iter=max_iter, tol=tol, rng=rng)
    return search(solve, initial)


def _rough(problem: HeadsOfTasks, starts: Array, *, max_iter: int, tol: float) -> Solutions:
    """Follow starts until it is clear which of them leads lowest."""
    return sparsest_heads(problem, starts, max_iter=max_iter, tol=tol, rivals=np.zeros(len(starts), dtype=np.int64))


def _subspace(moments: TaskMoments, n_components: int) -> tuple[Array, float | None]:
    """Leading principal axes of the pooled covariance, and the mean variance outside them (probabilistic PCA)."""
    K = moments.n_features
    if n_components == K:
        return np.eye(K), None
    values, vectors = np.linalg.eigh(moments.pooled_covariance())
    return vectors[:, ::-1][:, :n_components].copy(), max(float(values[: K - n_components].mean()), 0.0)


def _diagonalised(
    moments: TaskMoments,
    whitened: Callable[[float], tuple[Covariances | ShardedCovariances, Array]],
    noise_variance: float,
    initial: Array,
    solve: Callable[[Problem, Array], Solutions],
    near: NoisyFit | None = None,
) -> _State:
    """Diagonalise the covariances given the target, less noise, from all starts, the first of them `near` a fit."""
    covariances, whitener = whitened(noise_variance)
    if near is not None:
        initial = np.concatenate([np.linalg.solve(whitener.T, near.unmixing.T).T[None], initial[1:]])
    found = solve(covariances, initial)
    M = found.unmixing[found.best]
    if isinstance(covariances, ShardedCovariances):
        variances = _variances(M @ whitener, denoised_residual_covariances(moments, noise_variance))
    else:
        variances = np.ascontiguousarray(covariances.variances(M[None])[0])
    found = replace(found, unmixing=found.unmixing @ whitener)
    return _State(moments, M @ whitener, variances, noise_variance, found, near)


def _with_sparse_heads(
    moments: TaskMoments,
    noise_variance: float,
    initial: Array,
    solve: Callable[[Problem, Array], Solutions],
) -> _State:
    """Turn the features, less noise, to where the heads of the tasks are sparsest, from all starts."""
    heads, whitener = HeadsOfTasks.of(moments, noise_variance)
    found = solve(heads, initial)
    found = replace(found, unmixing=found.unmixing @ whitener)
    B = found.unmixing[found.best]
    variances = _variances(B, denoised_residual_covariances(moments, noise_variance))
    return _State(moments, B, variances, noise_variance, found)


def _variances(unmixing: Array, R: Array) -> Array:
    """(B R_t B')_ii, the variance of each latent given the target, shape (n_tasks, D)."""
    return np.asarray(np.einsum("tij,ij->ti", unmixing @ R, unmixing))


def _with_noise_found(
    moments: TaskMoments,
    initial: Array,
    diagonalised: Callable[..., _State],
    diagonalised_once: Callable[..., _State],
    rng: np.random.Generator,
) -> _State:
    """Look for noise from the end of the first start, and diagonalise from all of them what it leaves, if any.

    Without noise the others count as well: noise is looked for again from a better end that they reach.
    """
    first = diagonalised_once(0.0, initial[:1])
    found = find_noise(moments, first.unmixing, rng)
    if found is None:
        state = diagonalised(0.0, initial, near=NoisyFit(first.unmixing, first.variances, 0.0))
        state.solutions.n_iter[0] += first.solutions.n_iter[0]
        state = replace(state, noisy=None)
        if not equal_to_best(np.r_[state.solutions.criterion.min(), first.solutions.criterion])[1]:
            found = find_noise(moments, state.unmixing, rng)
        if found is None:
            return state
    return diagonalised(found.noise_variance, initial, near=found)


def _with_noise_inside(state: _State) -> _State:
    """Maximise the likelihood with noise, equation (9), from the best start, unless the search for noise did so."""
    moments, found = state.moments, state.noisy
    start = NoisyFit(state.unmixing, state.variances, state.noise_variance)
    if found is None or _least_agreement(state, found.unmixing) <= SAME_AXES:
        R, n = regular_residual_covariances(moments), moments.n_samples
        climbed = maximise_noisy_likelihood(R, n, start, fixed_noise=found is None)
        found = climbed if found is None or climbed.log_likelihood >= found.log_likelihood else found
    return replace(state, unmixing=found.unmixing, variances=found.variances, noise_variance=found.noise_variance)


def _with_roles_inside(state: _State, n_others: int, rng: np.random.Generator, *, max_iter: int, tol: float) -> _State:
    """Maximise the exact likelihood; its axes count unless noise alone makes them differ, which it does not know of."""
    joint = denoised_joint_moments(state.moments, state.noise_variance)
    starts = np.concatenate([state.unmixing[None], exact_starts(joint, n_others, rng)])
    solutions = maximise_exact(joint, state.moments.n_samples, starts, rng, max_iter=max_iter, tol=tol)
    B = solutions.unmixing[solutions.best]
    state = replace(state, solutions=solutions)
    if state.noise_variance > 0.0 and _least_agreement(state, B) >= _ABOUT_THE_SAME and _expects_identified(state):
        return state
    variances = _variances(B, denoised_residual_covariances(state.moments, state.noise_variance))
    return replace(state, unmixing=B, variances=variances)


def _least_agreement(state: _State, unmixing: Array) -> float:
    S = state.moments.pooled_covariance()
    return float(latent_agreement(state.unmixing, unmixing, S).per_latent.min())


def _expects_identified(state: _State) -> bool:
    """Whether the factorised model expects all of its axes to be identified."""
    moments = state.moments
    _, factor = canonical_rows(state.unmixing, moments, state.noise_variance)
    unmixing, variances = state.unmixing * factor[:, None], state.variances * factor**2
    _, leakage = fisher_leakage(FactorizedInformation(moments, unmixing, variances, state.noise_variance))
    return bool(leakage.sum(axis=1).max() < _MOST_LEAKAGE)


def _canonical(state: _State, basis: Array, prior: Literal["factorized", "exact"]) -> LatentFit:
    """Fix order, sign and scale of the latents, in the coordinates of all features."""
    order, factor = canonical_rows(state.unmixing, state.moments, state.noise_variance)
    B = (state.unmixing * factor[:, None])[order]
    starts = state.solutions.report(state.moments.pooled_covariance())
    return LatentFit(
        prior=prior,
        unmixing=B @ basis.T,
        mixing=basis @ np.linalg.inv(B),
        components=posterior_mean_map(B, state.moments, state.noise_variance) @ basis.T,
        # Contiguous, as a stored fit is read: sums over other strides round differently.
        variances=np.ascontiguousarray((state.variances * factor**2)[:, order]),
        noise_variance=state.noise_variance,
        starts=replace(starts, agreement=np.ascontiguousarray(starts.agreement[:, order])),
    )


def fit_from(fit: LatentFit, moments: TaskMoments, found: Solutions) -> LatentFit:
    """Return a square fit under the factorised prior in the best of other solutions, its noise as it was."""
    B = found.unmixing[found.best]
    variances = _variances(B, denoised_residual_covariances(moments, fit.noise_variance))
    state = _State(moments, B, variances, fit.noise_variance, found)
    return _canonical(state, np.eye(moments.n_features), fit.prior)


def fit_on(fit: LatentFit, moments: TaskMoments, unmixing: Array) -> LatentFit:
    """Return a square fit without noise whose axes are given, on features whose moments are these."""
    variances = _variances(unmixing, denoised_residual_covariances(moments, 0.0))
    inverse = np.asarray(np.linalg.inv(unmixing), dtype=np.float64)
    return replace(
        fit,
        unmixing=np.ascontiguousarray(unmixing),
        mixing=inverse,
        components=np.ascontiguousarray(unmixing),
        variances=np.ascontiguousarray(variances),
    )


def whitened_covariances(moments: TaskMoments, noise_variance: float) -> tuple[Covariances, Array]:
    """Return the covariances given the target, less noise, in whitened coordinates, and the whitening map."""
    weights = moments.weights
    if moments.is_shared and noise_variance == 0.0 and moments._n_effective_rows >= PRIOR_BELOW * moments.n_features:
        whitener = _inverse_root(moments.cov_h[0])
        vectors = explained_directions(moments) @ whitener.T
        return SharedCovariances(np.eye(moments.n_features), vectors, weights), whitener
    R = denoised_residual_covariances(moments, noise_variance)
    whitener = _inverse_root(np.tensordot(weights, R, axes=1))
    return DenseCovariances.from_matrices(whitener @ R @ whitener.T, weights), whitener


def _inverse_root(S: Array) -> Array:
    values, vectors = np.linalg.eigh(S)
    return vectors.T / np.sqrt(values)[:, None]
