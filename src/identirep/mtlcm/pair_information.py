r"""What the tasks say about each pair of latents: Fisher information, and the score of every task.

In relative coordinates, A <- A (I + E), each pair of latents has an information matrix of (E_ij, E_ji). With lambda_ti
the variance of latent i given the target, p_t the task weights and P_t the inverse of the covariance of h given the
target in the coordinates of the latents, Lambda_t + o^2 N, it is

    [[I_ij, J_ij], [J_ij, I_ji]],   I_ij = sum_t p_t lambda_tj^2 w_tij,   w_tij = P_ii P_jj (1 - r^2)^2 / (1 + r^2),
                                    J_ij = sum_t p_t lambda_ti lambda_tj w_tij,   r^2 = P_ij^2 / (P_ii P_jj),

what is left when the task's own variances of i and j are unknown; without noise I_ij = sum_t p_t lambda_tj / lambda_ti
and J_ij = 1. Task t adds to the gradient the score g_tij = p_t lambda_tj (P_t - P_t C_t P_t)_ij, C_t the observed
covariance. A noise variance that is estimated adds its own error to all E_ij at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep.moments import TaskMoments
from identirep.mtlcm.diagnostics import latent_moments
from identirep.mtlcm.exact import exact_information, exact_scores
from identirep.mtlcm.fitting import LatentFit
from identirep.mtlcm.noise import regular_covariances
from identirep.mtlcm.noisy_model import inverse_and_log_det, latent_covariances

__all__ = ["PairInformation", "effective_tasks", "information", "pair_scores"]

Array = NDArray[np.float64]

_TINY = 1e-12


class PairInformation(NamedTuple):
    """Information about (E_ij, E_ji) in a row, for each pair of latents.

    Parameters
    ----------
    own : array, shape (D, D)
        I_ij: of E_ij with itself.
    cross : array, shape (D, D)
        J_ij, symmetric: of E_ij with E_ji.
    drift : array, shape (D, D)
        Variance of E_ij, times the number of rows, that the error of the noise variance brings.
    """

    own: Array
    cross: Array
    drift: Array

    @property
    def excess(self) -> Array:
        """What the determinant has over that of an inseparable pair, I_ij I_ji / J_ij^2 - 1; 0 on the diagonal."""
        found = self.own * self.own.T / np.maximum(self.cross**2, _TINY**2) - 1.0
        np.fill_diagonal(found, 0.0)
        return np.maximum(found, 0.0)


def information(fit: LatentFit, moments: TaskMoments, causal: NDArray[np.bool_]) -> PairInformation:
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
    D = len(fit.unmixing)
    ones, zeros = np.ones((D, D)), np.zeros((D, D))
    if fit.prior == "exact":
        return PairInformation(exact_information(latent_moments(fit, moments), causal), ones, zeros)
    if fit.noise_variance == 0.0:
        return PairInformation((moments.weights[:, None] / fit.variances).T @ fit.variances, ones, zeros)
    precision, _ = _noisy_precision(fit, moments)
    return _noisy_information(fit, precision, moments.weights)


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
        both = _pair_weights(_noisy_precision(fit, moments)[0], w)
        shares, mixed = both * lam[:, None, :] ** 2, both * lam[:, None, :] * lam[:, :, None]
    own, cross = shares.sum(axis=0), np.broadcast_to(mixed, shares.shape).sum(axis=0)
    expected = own.T**2 * shares - 2.0 * own.T * cross * mixed + cross**2 * shares.swapaxes(1, 2)
    return np.asarray(expected.sum(axis=0) ** 2 / np.maximum(np.sum(expected**2, axis=0), 1e-300)).clip(min=1.0)


def pair_scores(fit: LatentFit, moments: TaskMoments, causal: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
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
    precision, residual = _noisy_precision(fit, moments)
    own, cross, _ = _noisy_information(fit, precision, w)
    rest = 1.0 / np.einsum("tii->ti", precision) - lam
    lost = w[:, None, None] * residual**2
    own = np.maximum(own - 2.0 * np.einsum("tij,tj->ij", lost, lam**2 + rest**2), 0.0)
    cross = cross + 2.0 * (np.einsum("tij,ti,tj->ij", lost, rest, lam) + np.einsum("tij,ti,tj->ij", lost, lam, rest))
    return w[:, None, None] * residual * lam[:, None, :], own, cross


def _noisy_precision(fit: LatentFit, moments: TaskMoments) -> tuple[Array, Array]:
    """P_t of all tasks in the coordinates of the latents, and P_t C_t P_t - P_t."""
    C = regular_covariances(moments.map_features(fit.unmixing))
    precision, _ = inverse_and_log_det(latent_covariances(fit.unmixing, fit.variances, fit.noise_variance))
    return precision, precision @ C @ precision - precision


def _pair_weights(precision: Array, weights: Array) -> Array:
    """p_t w_tij."""
    diagonal = np.einsum("tii->ti", precision)
    outer = diagonal[:, :, None] * diagonal[:, None, :]
    common = precision**2 / outer
    return np.asarray(weights[:, None, None] * outer * (1.0 - common) ** 2 / (1.0 + common))


def _noisy_information(fit: LatentFit, precision: Array, weights: Array) -> PairInformation:
    both, lam = _pair_weights(precision, weights), fit.variances
    own, cross = np.einsum("tij,tj->ij", both, lam**2), np.einsum("tij,ti,tj->ij", both, lam, lam)
    # The noise variance moves the off-diagonal by o^2 N; what pairs cannot undo tells how large it is.
    off = fit.noise_variance * fit.unmixing @ fit.unmixing.T
    np.fill_diagonal(off, 0.0)
    coupling = np.einsum("tij,tj->ij", both, lam) * off
    determinant = np.maximum(own * own.T - cross**2, _TINY * own * own.T)
    np.fill_diagonal(determinant, 1.0)
    shift = (own.T * coupling - cross * coupling.T) / determinant
    left = 0.5 * float(np.sum(both * off**2) - np.sum(coupling * shift))
    return PairInformation(own, cross, shift**2 / max(left, _TINY))
