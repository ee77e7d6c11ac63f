"""What the tasks say about each pair of latents of a fit: Fisher information, and the score of every task.

Task t adds to the gradient of E_ij (`separation`) the score g_tij = p_t lambda_tj (P_t - P_t C_t P_t)_ij, C_t the
covariance given the target that the data show.
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.exact import exact_information, exact_scores
from identirep.mtlcm.axes.fit import LatentFit
from identirep.mtlcm.model.information import PairInformation, model_information, noisy_precision, pair_weights
from identirep.mtlcm.trust.goodness import latent_moments

__all__ = ["effective_tasks", "information", "pair_scores"]


def information(fit: LatentFit, moments: TaskMoments, causal: BoolArray) -> PairInformation:
    """Information that a row holds about each pair of latents if the model holds.

    Parameters
    ----------
    fit : LatentFit
        The fit.
    moments : TaskMoments
        Moments of the features it was fitted to.
    causal : array of bool, shape (n_tasks, D)
        The most probable roles; the factorised likelihood does not ask for them.

    Returns
    -------
    PairInformation
        Information about the relative coordinates E of the mixing matrix.
    """
    if fit.prior == "exact":
        D = len(fit.unmixing)
        own = exact_information(latent_moments(fit, moments), causal)
        return PairInformation(own, np.ones((D, D)), np.zeros((D, D)))
    return model_information(fit.unmixing, fit.variances, fit.noise_variance, moments.weights)


def effective_tasks(fit: LatentFit, moments: TaskMoments) -> Array:
    """Count the tasks that inform about each E_ij.

    Parameters
    ----------
    fit : LatentFit
        The fit.
    moments : TaskMoments
        Moments of the features it was fitted to.

    Returns
    -------
    array, shape (D, D)
        Number of equally informative tasks whose squared scores, projected on E_ij, would vary as much if the model
        holds; all tasks for the exact likelihood.
    """
    lam, w = fit.variances, moments.weights
    if fit.prior == "exact":
        return np.full((lam.shape[1],) * 2, float(moments.n_tasks))
    if fit.noise_variance == 0.0:
        shares, mixed = w[:, None, None] * lam[:, None, :] / lam[:, :, None], w[:, None, None]
    else:
        both = pair_weights(noisy_precision(moments, fit.unmixing, lam, fit.noise_variance)[0], w)
        shares, mixed = both * lam[:, None, :] ** 2, both * lam[:, None, :] * lam[:, :, None]
    own, cross = shares.sum(axis=0), np.broadcast_to(mixed, shares.shape).sum(axis=0)
    expected = own.T**2 * shares - 2.0 * own.T * cross * mixed + cross**2 * shares.swapaxes(1, 2)
    return np.asarray(expected.sum(axis=0) ** 2 / np.maximum(np.sum(expected**2, axis=0), 1e-300)).clip(min=1.0)


def pair_scores(fit: LatentFit, moments: TaskMoments, causal: BoolArray) -> tuple[Array, Array, Array]:
    """Scores of all tasks, up to their sign, and the Hessian that goes with them where the model may be wrong.

    Parameters
    ----------
    fit : LatentFit
        The fit.
    moments : TaskMoments
        Moments of the features it was fitted to.
    causal : array of bool, shape (n_tasks, D)
        The most probable roles.

    Returns
    -------
    scores : array, shape (n_tasks, D, D)
        g_tij.
    own, cross : array, shape (D, D)
        Hessian along E_ij, and of E_ij with E_ji.
    """
    if fit.prior == "exact":
        z = latent_moments(fit, moments)
        return exact_scores(z, causal), exact_information(z, causal, observed=True), np.ones((len(fit.unmixing),) * 2)
    lam, w = fit.variances, moments.weights
    if fit.noise_variance == 0.0:
        z = latent_moments(fit, moments)
        scores = z.S - z.s[:, :, None] * z.s[:, None, :] / z.v[:, None, None]
        scores *= w[:, None, None] / lam[:, :, None]
        own, cross = (w[:, None] / lam).T @ lam, np.ones((len(fit.unmixing),) * 2)
        return scores, np.maximum(own - 2.0 * np.einsum("tij,t->ij", scores**2, 1.0 / w), 0.0), cross
    precision, residual = noisy_precision(moments, fit.unmixing, lam, fit.noise_variance)
    own, cross, _ = model_information(fit.unmixing, lam, fit.noise_variance, w, precision)
    rest = 1.0 / np.einsum("tii->ti", precision) - lam
    lost = w[:, None, None] * residual**2
    own = np.maximum(own - 2.0 * np.einsum("tij,tj->ij", lost, lam**2 + rest**2), 0.0)
    cross = cross + 2.0 * (np.einsum("tij,ti,tj->ij", lost, rest, lam) + np.einsum("tij,ti,tj->ij", lost, lam, rest))
    return w[:, None, None] * residual * lam[:, None, :], own, cross
