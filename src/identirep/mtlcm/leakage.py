r"""How much of one latent leaks into the axis of another: Fisher information, and the sandwich that doubts it.

In relative coordinates, B <- (I + E) B, the criterion has for each pair of latents the Hessian

    H = [[G_ij, 1], [1, G_ji]],    G_ij = sum_t p_t lambda_tj / lambda_ti,

lambda_ti the variance of latent i given the target and p_t the task weights. Task t adds to the gradient the score
g_tij = p_t (C_t)_ij / lambda_ti, C_t the covariance of the latents given the target. If the model holds, the scores
have covariance H/N and (E_ij, E_ji) has H^{-1}/N. If not, latents covary given the target, differently in each task.
Then (E_ij, E_ji) has H^{-1} V H^{-1}, V the sum over tasks of the squares and products of the scores, and the diagonal
of H is less by 2 sum_t p_t (C_t)_ij^2 / lambda_ti^2.

References
----------
H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50 (1982) 1-25.
I. M. Johnstone, "On the distribution of the largest eigenvalue in principal components analysis", Ann. Statist. 29
(2001) 295-327.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from identirep.moments import TaskMoments
from identirep.mtlcm.diagnostics import latent_moments
from identirep.mtlcm.exact import exact_scores, exact_state
from identirep.mtlcm.fitting import LatentFit

__all__ = ["chance_excess", "curvature", "information", "loss_quantiles", "robust_leakage"]

Array = NDArray[np.float64]

_TINY = 1e-12
# 99% point of the Tracy-Widom law of real matrices.
_TRACY_WIDOM_99 = 2.02
# The ratio of two variances has a mean from three degrees of freedom; smaller tasks lean on the pooled covariance.
_LEAST_FREEDOM = 4.0


def curvature(fit: LatentFit, moments: TaskMoments, causal: NDArray[np.bool_]) -> Array:
    """Mean curvature of the criterion along E_ij, for each pair of latents."""
    if fit.prior == "exact":
        return exact_state(latent_moments(fit, moments), causal).curvature
    return (moments.weights[:, None] / fit.variances).T @ fit.variances


def information(G: Array, n_rows: int, chance: float = 0.0) -> tuple[Array, Array]:
    """Separation of all pairs, and leakage if the model holds.

    Parameters
    ----------
    G : array, shape (D, D)
        Curvature.
    n_rows : int
        Distinct rows: those that many tasks share inform about the latents' covariances once.
    chance : float, default 0.0
        What G_ij G_ji - 1 must exceed (`chance_excess`). A pair that does not may be rotated at will: leakage 1.

    Returns
    -------
    separation : array, shape (D, D)
        1 / (G_ij G_ji).
    leakage : array, shape (D, D)
        Variance of E_ij; the diagonal is 0.
    """
    product = np.maximum(G * G.T, 1.0)
    separation = 1.0 / product
    np.fill_diagonal(separation, 1.0)
    leakage = np.minimum(G.T / (n_rows * np.maximum(product - 1.0, _TINY)), 1.0)
    leakage[product - 1.0 <= chance] = 1.0
    np.fill_diagonal(leakage, 0.0)
    return separation, leakage


def chance_excess(fit: LatentFit, moments: TaskMoments) -> float:
    """Largest G_ij G_ji - 1 that sampling produces, at 99%, for two latents with equal variances in all tasks.

    The ratio of two sample variances of a task has an F distribution, for which E[F] E[1/F] - 1 is known. The fit turns
    the pair to where the ratios differ most between T tasks, which takes the mean over tasks to the largest eigenvalue
    of a 2 x 2 Wishart matrix with T degrees of freedom (Tracy-Widom law; Johnstone 2001). Zero where this does not
    apply: tasks on the same rows share the sampling error of the variances, and the exact likelihood has other sources.
    """
    T = moments.n_tasks
    if fit.prior == "exact" or T < 2 or int(moments.n_samples.sum()) > moments.n_rows:
        return 0.0
    freedom = np.maximum(moments.n_samples - 2.0, _LEAST_FREEDOM)
    mean = float(moments.weights @ ((freedom / (freedom - 2.0)) ** 2 - 1.0))
    roots = np.sqrt(T - 1.0), np.sqrt(2.0)
    edge = sum(roots) ** 2 + _TRACY_WIDOM_99 * sum(roots) * (1.0 / roots[0] + 1.0 / roots[1]) ** (1.0 / 3.0)
    return mean * edge / T


def robust_leakage(fit: LatentFit, moments: TaskMoments, causal: NDArray[np.bool_], G: Array) -> Array:
    """Variance of E_ij from how much the scores differ between tasks, shape (D, D); the diagonal is 0.

    A pair is fitted to the scores of T tasks with two numbers, which leaves T - 2 degrees of freedom. NaN with two
    tasks, which leave none.
    """
    T, D = moments.n_tasks, len(G)
    if T <= 2:
        return np.where(np.eye(D, dtype=bool), 0.0, np.nan)
    z = latent_moments(fit, moments)
    if fit.prior == "exact":
        scores = exact_scores(z, causal)
    else:
        given = z.S - z.s[:, :, None] * z.s[:, None, :] / z.v[:, None, None]
        scores = z.weights[:, None, None] * given / fit.variances[:, :, None]
    squares = np.einsum("tij,tij->ij", scores, scores)
    products = np.einsum("tij,tji->ij", scores, scores)
    if fit.prior == "factorized":
        G = np.maximum(G - 2.0 * np.einsum("tij,t->ij", scores**2, 1.0 / z.weights), 0.0)
    determinant = G * G.T - 1.0
    variance = (G.T**2 * squares - 2.0 * G.T * products + squares.T) / np.maximum(determinant, _TINY) ** 2
    leakage = np.where(determinant > _TINY, np.minimum(variance * T / (T - 2.0), 1.0), 1.0)
    np.fill_diagonal(leakage, 0.0)
    return leakage


def loss_quantiles(loss: Array, leakage: Array, refit_losses: Array, levels: tuple[float, float]) -> Array:
    """Quantiles of what each axis loses of its correlation with the true latent.

    Under the model the loss is 1/2 sum_j E_ij^2, E_ij normal with the variances of `leakage`; that weighted sum of
    chi-squared variables is matched by a gamma distribution (Satterthwaite). Refits of the bootstrap are draws of the
    same loss: where they scatter more, relative to their mean, theirs is the spread.

    Parameters
    ----------
    loss : array, shape (D,)
        Expected loss.
    leakage : array, shape (D, D)
        Variances of E_ij.
    refit_losses : array, shape (n_refits, D)
        One minus the correlation of each axis with each refit.
    levels : tuple of two floats
        Probabilities.

    Returns
    -------
    array, shape (D, 2)
        Quantiles, between 0 and 1.
    """
    mean = np.maximum(0.5 * leakage.sum(axis=1), _TINY)
    spread = 0.5 * (leakage**2).sum(axis=1) / mean**2
    refit_mean = np.maximum(refit_losses.mean(axis=0), _TINY)
    spread = np.maximum(np.maximum(spread, refit_losses.var(axis=0, ddof=1) / refit_mean**2), _TINY)
    quantiles = gamma.ppf(np.array(levels), (1.0 / spread)[:, None], scale=(np.maximum(loss, _TINY) * spread)[:, None])
    return np.clip(quantiles, 0.0, 1.0)
