r"""How much of one latent leaks into the axis of another: what the model expects, and the sandwich that doubts it.

If the model holds, (E_ij, E_ji) has the inverse of the pair's information as covariance (`model.information`). If not,
latents covary given the target, differently in each task. Then it has H^{-1} V H^{-1}, V the sum over tasks of the
squares and products of the scores, and H the information less what scores take from it.

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

from identirep._typing import Array
from identirep.mtlcm.model import Information

__all__ = ["loss_quantiles", "moderated_leakage", "robust_leakage"]

_TINY = 1e-12
# Level at which a pair contradicts the model, whatever the other pairs say.
_REJECTED = 0.01


def robust_leakage(information: Information) -> tuple[Array, Array]:
    """Variance of E_ij from how much the scores differ between tasks, and its degrees of freedom with expected scores.

    A pair is fitted to the scores of T tasks with two numbers, which leaves T - 2 degrees of freedom if all tasks say
    as much about it, and fewer if some say more than others. Two tasks leave none: NaN, off the diagonal.
    """
    scores, (own, cross, drift) = information.scores()
    T, D = scores.shape[:2]
    if T <= 2:
        return np.where(np.eye(D, dtype=bool), 0.0, np.nan), np.zeros((D, D))
    freedom = information.effective_tasks() * (1.0 - 2.0 / T)
    squares = np.einsum("tij,tij->ij", scores, scores)
    products = np.einsum("tij,tji->ij", scores, scores)
    determinant = own * own.T - cross**2
    variance = own.T**2 * squares - 2.0 * own.T * cross * products + cross**2 * squares.T
    variance /= np.maximum(determinant, _TINY) ** 2
    variance = variance * T / (T - 2.0) + drift / information.n_rows
    found = np.where(determinant > _TINY, np.minimum(variance, 1.0), 1.0)
    np.fill_diagonal(found, 0.0)
    return found, freedom


def moderated_leakage(modelled: Array, robust: Array, freedom: Array) -> Array:
    """Join the leakage that the model expects with the one that believes it in nothing (empirical Bayes).

    The sandwich is right whatever the model, but a variance from few tasks is a poor estimate. Around the model's value
    the true ones are taken as scaled inverse chi-squared; its degrees of freedom, which say how far the model can be
    believed, are those that explain the spread of all pairs' log ratios (Smyth 2004). A pair where chance does not
    explain the difference (1%, Bonferroni) has the sandwich's, one where either is at its limit the larger one.
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
    same loss: where they scatter more, relative to their mean, theirs is the spread. Shape (D, number of levels).
    """
    mean = np.maximum(0.5 * leakage.sum(axis=1), _TINY)
    spread = 0.5 * (leakage**2).sum(axis=1) / mean**2
    refit_mean = np.maximum(refit_losses.mean(axis=0), _TINY)
    spread = np.maximum(np.maximum(spread, refit_losses.var(axis=0, ddof=1) / refit_mean**2), _TINY)
    quantiles = gamma.ppf(np.array(levels), (1.0 / spread)[:, None], scale=(np.maximum(loss, _TINY) * spread)[:, None])
    return np.clip(quantiles, 0.0, 1.0)
