"""Refits on resampled tasks or samples: how far the axes move, whatever the model says.

Tasks are resampled by exponential weights (Bayesian bootstrap). New samples come without the samples, as moments drawn
from the law that they have for Gaussian rows: the scatter of the n rows of a row group is Wishart with n - 1 degrees of
freedom around the observed covariance. The target of a task of the group is h' beta + sigma times noise, with beta and
sigma from the moments, which gives the scatter of (h, y) its Wishart law, and to the tasks of the group one common
scatter of h. What moments do not hold is how the residuals of such tasks go together: they are drawn independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, climb, latent_agreement, mostly_shared, refit_axes, refit_heads
from identirep.mtlcm.model import JointMoments
from identirep.mtlcm.trust.latents import latent_moments

__all__ = ["BootstrapResult", "bootstrap", "refitted", "refitted_to", "resample_rows"]


@dataclass(frozen=True)
class BootstrapResult:
    """Agreement of each axis with its partner in each refit.

    Parameters
    ----------
    over : {"tasks", "samples"}
        What was resampled.
    agreement : array, shape (n_refits, D)
        Absolute correlation of each axis of the fit with its partner in the refit, over the features of the fit.

    Examples
    --------
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> data = make_linear_tasks(n_tasks=100, n_latents=5, mixing="orthogonal", random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    >>> result = model.bootstrap(over="samples", n_refits=20, random_state=0)
    >>> bool((result.quantile(0.05) > 0.99).all())
    True
    """

    over: Literal["tasks", "samples"]
    agreement: Array

    @property
    def mcc(self) -> Array:
        """Mean agreement of each axis, shape (D,)."""
        return np.asarray(self.agreement.mean(axis=0))

    def quantile(self, level: float) -> Array:
        """Return a quantile of the agreement over the refits.

        Parameters
        ----------
        level : float
            Probability, from 0 to 1.

        Returns
        -------
        array, shape (D,)
            Quantile for each axis.
        """
        return np.asarray(np.quantile(self.agreement, level, axis=0))


def bootstrap(
    fit: LatentFit,
    moments: TaskMoments,
    causal: BoolArray,
    over: Literal["tasks", "samples"],
    n_refits: int,
    rng: np.random.Generator,
) -> BootstrapResult:
    """Refit on moments, with the observation noise held at its estimate.

    Under the factorised prior axes are fitted again from the fit and, unless the problem is large, from afar; the exact
    likelihood from the fit, at its roles, since its starts are compared by themselves.
    """
    basis, square = _square(fit)
    reduced = moments.map_features(basis.T)
    if over == "tasks":
        unmixing = _refits(square, reduced, causal, rng.exponential(size=(n_refits, moments.n_tasks)), rng)
    else:
        even = np.ones((1, moments.n_tasks))
        unmixing = [_refits(square, resample_rows(reduced, rng), causal, even, rng)[0] for _ in range(n_refits)]
    S = reduced.pooled_covariance()
    return BootstrapResult(over, np.stack([latent_agreement(square.unmixing, B, S).per_latent for B in unmixing]))


def refitted(
    fit: LatentFit, moments: TaskMoments, causal: BoolArray, rng: np.random.Generator, most_rotations: int = 2
) -> Array:
    """Unmixing matrix of a refit, as in `bootstrap`, to other moments of the same features and tasks."""
    basis, square = _square(fit)
    even = np.ones((1, moments.n_tasks))
    return _refits(square, moments.map_features(basis.T), causal, even, rng, most_rotations)[0] @ basis.T


def refitted_to(
    fits: Sequence[LatentFit],
    moments: Sequence[TaskMoments],
    causal: BoolArray,
    rng: np.random.Generator,
    most_rotations: int,
) -> list[Array]:
    """Unmixing matrices of refits from each fit to each of these moments, as `refitted`; on shared rows all at once."""
    if fits[0].prior == "exact" or not all(mostly_shared(part) for part in moments):
        pairs = zip(fits, moments, strict=True)
        return [refitted(fit, part, causal, rng, most_rotations) for fit, part in pairs]
    bases, squares = zip(*map(_square, fits), strict=True)
    reduced = [part.map_features(basis.T) for part, basis in zip(moments, bases, strict=True)]
    found = refit_heads(squares, reduced, rng, most_rotations)
    return [B @ basis.T for B, basis in zip(found, bases, strict=True)]


def _square(fit: LatentFit) -> tuple[Array, LatentFit]:
    """Orthonormal basis of the subspace of the latents, and the fit in its coordinates."""
    basis = np.linalg.qr(fit.mixing)[0]
    return basis, replace(fit, unmixing=fit.unmixing @ basis, mixing=basis.T @ fit.mixing)


def _refits(
    fit: LatentFit,
    moments: TaskMoments,
    causal: BoolArray,
    factors: Array,
    rng: np.random.Generator,
    most_rotations: int = 2,
) -> list[Array]:
    """Unmixing matrices of refits with these factors on the weights of the tasks, one row for each refit."""
    weights = moments.weights * factors
    weights /= weights.sum(axis=1, keepdims=True)
    if fit.prior == "exact":
        z = latent_moments(fit, moments)
        return [_climbed(z, causal, row) @ fit.unmixing for row in weights]
    return refit_axes(fit, moments, weights, rng, most_rotations)


def _climbed(z: JointMoments, causal: BoolArray, weights: Array) -> Array:
    start = np.eye(z.s.shape[1])
    return climb(JointMoments(z.S, z.s, z.v, weights), start, causal, max_iter=50, tol=1e-5).unmixing[0]


def resample_rows(moments: TaskMoments, rng: np.random.Generator) -> TaskMoments:
    """Draw the moments of as many other rows in each task (parametric bootstrap)."""
    K = moments.n_features
    scatter_h = np.zeros_like(moments.scatter_h)
    scatter_hy, scatter_y = np.zeros_like(moments.scatter_hy), np.zeros_like(moments.scatter_y)
    for g, count in enumerate(moments.counts):
        # Of an effective number the whole part: draws vary no less than rows do.
        freedom = int(count) - 1
        tasks = np.flatnonzero(moments.group == g)
        if freedom < 1 or not len(tasks):
            continue
        observed = moments.scatter_h[g]
        factor = _root(observed / freedom) @ _wishart_factor(K, freedom, rng)
        W = factor @ factor.T
        beta = moments.scatter_hy[tasks] @ np.linalg.pinv(observed, hermitian=True)
        left = moments.scatter_y[tasks] - np.einsum("tk,tk->t", beta, moments.scatter_hy[tasks])
        sigma = np.sqrt(np.maximum(left, 0.0) / freedom)
        noise = rng.normal(size=(len(tasks), factor.shape[1]))
        outside = rng.chisquare(freedom - factor.shape[1], len(tasks)) if freedom > factor.shape[1] else 0.0
        along = sigma[:, None] * (noise @ factor.T)
        explained = beta @ W
        scatter_h[g], scatter_hy[tasks] = W, explained + along
        scatter_y[tasks] = np.einsum("tk,tk->t", beta, explained + 2.0 * along)
        scatter_y[tasks] += sigma**2 * ((noise**2).sum(axis=1) + outside)
    return moments._replaced(scatter_h=scatter_h, scatter_hy=scatter_hy, scatter_y=scatter_y)


def _root(covariance: Array) -> Array:
    """Symmetric factor L, L L' = covariance, also where that is singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _wishart_factor(K: int, freedom: int, rng: np.random.Generator) -> Array:
    """F with F F' Wishart(freedom, I): Bartlett's triangle, or plain rows where these are fewer than the features."""
    if freedom < K:
        return rng.normal(size=(K, freedom))
    F = np.tril(rng.normal(size=(K, K)), -1)
    F[np.arange(K), np.arange(K)] = np.sqrt(rng.chisquare(freedom - np.arange(K)))
    return F
