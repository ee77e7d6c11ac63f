r"""How much of one latent leaks into the axis of another: what the model expects, and the sandwich that doubts it.

If the model holds, (E_ij, E_ji) has the inverse of the pair's information as covariance (`pair_information`). If not,
latents covary given the target, differently in each task. Then it has H^{-1} V H^{-1}, V the sum over tasks of the
squares and products of the scores, and H the information less what scores take from it when every task adapts its
variances: with r = (P_t C_t P_t - P_t)_ij and d_i = 1 / P_ii, I_ij loses 2 p_t r^2 (lambda_j^2 + (d_j - lambda_j)^2) of
each task.

References
----------
H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50 (1982) 1-25.
G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments", Stat. Appl. Genet. Mol. Biol. 3 (2004) 3.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import chi2, gamma

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.fit import LatentFit
from identirep.mtlcm.trust.pair_information import effective_tasks, information, pair_scores

__all__ = [
    "loss_quantiles",
    "moderated_leakage",
    "robust_leakage",
]

_TINY = 1e-12
# Level at which a pair contradicts the model, whatever the other pairs say.
_REJECTED = 0.01


def robust_leakage(fit: LatentFit, moments: TaskMoments, causal: BoolArray) -> tuple[Array, Array]:
    """Variance of E_ij from how much the scores differ between tasks.

    A pair is fitted to the scores of T tasks with two numbers, which leaves T - 2 degrees of freedom if all tasks say
    as much about it, and fewer if some say more than others.

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
    leakage : array, shape (D, D)
        Variance; the diagonal is 0. NaN with two tasks, which leave no degree of freedom.
    freedom : array, shape (D, D)
        Degrees of freedom of that variance, with expected scores.
    """
    T, D = moments.n_tasks, len(fit.unmixing)
    if T <= 2:
        return np.where(np.eye(D, dtype=bool), 0.0, np.nan), np.zeros((D, D))
    scores, own, cross = pair_scores(fit, moments, causal)
    freedom = effective_tasks(fit, moments) * (1.0 - 2.0 / T)
    squares = np.einsum("tij,tij->ij", scores, scores)
    products = np.einsum("tij,tji->ij", scores, scores)
    determinant = own * own.T - cross**2
    variance = own.T**2 * squares - 2.0 * own.T * cross * products + cross**2 * squares.T
    variance /= np.maximum(determinant, _TINY) ** 2
    variance = variance * T / (T - 2.0) + information(fit, moments, causal).drift / moments.n_rows
    found = np.where(determinant > _TINY, np.minimum(variance, 1.0), 1.0)
    np.fill_diagonal(found, 0.0)
    return found, freedom


def moderated_leakage(modelled: Array, robust: Array, freedom: Array) -> Array:
    """Join the leakage that the model expects with the one that believes it in nothing (empirical Bayes).

    The sandwich is right whatever the model, but a variance from few tasks is a poor estimate. Around the model's value
    the true ones are taken as scaled inverse chi-squared; its degrees of freedom, which say how far the model can be
    believed, are those that explain the spread of all pairs' log ratios (Smyth 2004).

    Parameters
    ----------
    modelled : array, shape (D, D)
        Leakage if the model holds.
    robust : array, shape (D, D)
        Leakage from how much the scores differ between tasks; NaN if unknown.
    freedom : array, shape (D, D)
        Degrees of freedom of `robust`.

    Returns
    -------
    array, shape (D, D)
        Between the two; `robust` for pairs where chance does not explain the difference (1%, Bonferroni), and the
        larger one where either is at its limit.
    """
    free = (modelled > 0.0) & (modelled < 1.0) & (robust > 0.0) & (robust < 1.0)
    joined = np.fmax(modelled, robust)
    if not free.any():
        return joined
    half = 0.5 * freedom[free]
    ratio = np.log(robust[free] / modelled[free]) - (digamma(half) - np.log(half))
    sampling = polygamma(1, half)
    excess = float(np.average(ratio**2 - sampling, weights=1.0 / sampling))
    share = np.zeros_like(half)
    if excess > 1e-9:
        # Half the degrees of freedom have the excess as their trigamma function, which falls from infinity to 0.
        belief = 2.0 * np.exp(brentq(lambda log_half: float(polygamma(1, np.exp(log_half))) - excess, -30.0, 30.0))
        share = freedom[free] / (belief + freedom[free])
    contradicted = robust[free] * freedom[free] > modelled[free] * chi2.isf(_REJECTED / free.sum(), freedom[free])
    share = np.where(contradicted, 1.0, share)
    joined[free] = (1.0 - share) * modelled[free] + share * robust[free]
    return joined


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
