"""Refits on resampled tasks or samples: how far the axes move, whatever the model says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.canonical import latent_agreement
from identirep.mtlcm.axes.exact_fit import climb
from identirep.mtlcm.axes.fit import LatentFit, whitened_covariances
from identirep.mtlcm.axes.starts import random_rotations, solve_in_blocks
from identirep.mtlcm.model.likelihood import JointMoments
from identirep.mtlcm.trust.goodness import latent_moments
from identirep.mtlcm.trust.resampling import resample_rows

__all__ = ["BootstrapResult", "bootstrap_fit"]

# Refits start from the fit and, as long as that costs about a second, from as many random rotations.
_MOST_ROTATIONS = 2
_WORK = 2e8


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


def bootstrap_fit(
    fit: LatentFit,
    moments: TaskMoments,
    causal: BoolArray,
    over: Literal["tasks", "samples"],
    n_refits: int,
    rng: np.random.Generator,
) -> BootstrapResult:
    """Refit on moments, with the observation noise held at its estimate.

    Over tasks: exponential weights on the tasks (Bayesian bootstrap). Over samples: moments drawn anew, see
    `resample_rows`. The factorised likelihood is fitted again from the fit and, unless the problem is large, from
    afar; the exact one from the fit, at its roles, since its starts are compared by themselves.

    Parameters
    ----------
    fit : LatentFit
        The fit.
    moments : TaskMoments
        Moments of the features it was fitted to.
    causal : array of bool, shape (n_tasks, D)
        The most probable roles.
    over : {"tasks", "samples"}
        What to resample.
    n_refits : int
        Number of refits.
    rng : numpy.random.Generator
        Source of weights, draws and starts.

    Returns
    -------
    BootstrapResult
        Agreement for each refit and axis.
    """
    basis = np.linalg.qr(fit.mixing)[0]
    reduced = moments.map_features(basis.T)
    square = replace(fit, unmixing=fit.unmixing @ basis, mixing=basis.T @ fit.mixing)
    if over == "tasks":
        unmixing = _refits(square, reduced, causal, rng.exponential(size=(n_refits, moments.n_tasks)), rng)
    else:
        even = np.ones((1, moments.n_tasks))
        unmixing = [_refits(square, resample_rows(reduced, rng), causal, even, rng)[0] for _ in range(n_refits)]
    S = reduced.pooled_covariance()
    return BootstrapResult(over, np.stack([latent_agreement(square.unmixing, B, S).per_latent for B in unmixing]))


def _refits(
    fit: LatentFit, moments: TaskMoments, causal: BoolArray, factors: Array, rng: np.random.Generator
) -> list[Array]:
    """Unmixing matrices of refits with these factors on the weights of the tasks, one row for each refit."""
    weights = moments.weights * factors
    weights /= weights.sum(axis=1, keepdims=True)
    if fit.prior == "exact":
        z = latent_moments(fit, moments)
        return [_climbed(z, causal, row) @ fit.unmixing for row in weights]
    covariances, whitener = whitened_covariances(moments, fit.noise_variance)
    own = fit.unmixing @ np.linalg.inv(whitener)
    # Whether there are other optima is what the starts of the fit told; in large problems refits leave it at that.
    D = len(own)
    work = weights.shape[1] * (D**2 if moments.is_shared else D**3)
    n_starts = 1 + min(_MOST_ROTATIONS, int(_WORK / work))
    starts = random_rotations(len(weights) * n_starts, D, rng)
    starts[::n_starts] = own
    covariances = covariances.reweighted(np.repeat(weights, n_starts, axis=0))
    result = solve_in_blocks(covariances, starts, max_iter=300, tol=1e-5)
    best = np.argmin(result.criterion.reshape(len(weights), -1), axis=1)
    return [B[k] @ whitener for B, k in zip(np.split(result.unmixing, len(weights)), best, strict=True)]


def _climbed(z: JointMoments, causal: BoolArray, weights: Array) -> Array:
    return climb(np.eye(z.s.shape[1]), JointMoments(z.S, z.s, z.v, weights), causal, 50, 1e-5)[0]
