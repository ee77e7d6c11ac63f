"""What all tasks together teach about roles: how strong causes and effects are, and how many latents are unrelated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, logsumexp

__all__ = ["RolePrior", "UnrelatedPrior", "fit_role_prior", "fit_unrelated_prior"]

Array = NDArray[np.float64]

TINY = 1e-12
# Fisher's z beyond this is a correlation of one.
_MAX_Z = 12.0
_SLAB_ITERATIONS = 1000
_SLAB_TOL = 1e-5


@dataclass(frozen=True)
class RolePrior:
    """Share of causes and, for each role (spurious, causal), mean and standard deviation of logit rho^2."""

    share: float
    mean: Array
    std: Array

    def log_odds(self, x: Array) -> Array:
        """Prior log odds of cause against effect for effect strengths `x`, any shape."""
        z = (x[..., None] - self.mean) / self.std
        density = -0.5 * z**2 - np.log(self.std)
        odds: Array = float(logit(self.share)) + density[..., 1] - density[..., 0]
        return odds


def fit_role_prior(strength: Array, spurious: Array, causal: Array) -> RolePrior:
    """Maximise the expected log prior, with the weight of two pseudo-observations against degenerate roles.

    Parameters
    ----------
    strength : array, shape (n_tasks, D)
        logit rho^2 of each cell.
    spurious, causal : array, shape (n_tasks, D)
        How much each cell counts for either role.

    Returns
    -------
    RolePrior
        The prior.
    """
    mean, std = np.zeros(2), np.zeros(2)
    centre, spread = float(strength.mean()), float(strength.std()) + TINY
    for role, weight in enumerate((spurious, causal)):
        total = weight.sum() + 2.0
        mean[role] = (np.sum(weight * strength) + 2.0 * centre) / total
        std[role] = np.sqrt((np.sum(weight * (strength - mean[role]) ** 2) + 2.0 * spread**2) / total)
    share = (causal.sum() + 1.0) / (causal.sum() + spurious.sum() + 2.0)
    return RolePrior(float(share), mean, std)


@dataclass(frozen=True)
class UnrelatedPrior:
    """Share of unrelated cells, and how much more likely the correlation of each cell is if it is one.

    Parameters
    ----------
    share : float
        Share of unrelated cells.
    log_ratio : array, shape (n_tasks, D)
        Log density of Fisher's z if the latent is unrelated, less that if it is related.
    """

    share: float
    log_ratio: Array

    def log_odds(self) -> Array:
        """Log odds of unrelated against related, from the correlation of each cell alone."""
        return float(logit(self.share)) + self.log_ratio

    def updated(self, probability: Array) -> UnrelatedPrior:
        """Take the share from posterior probabilities, with one pseudo-observation each way."""
        return replace(self, share=float((probability.sum() + 1.0) / (probability.size + 2.0)))


def fit_unrelated_prior(correlation: Array, n_samples: NDArray[np.int64]) -> UnrelatedPrior:
    """Split the correlations of all cells into chance and real ones by empirical Bayes.

    Fisher's z of an unrelated latent is N(0, 1/(n_t - 3)); of a related one N(0, 1/(n_t - 3) + tau^2), tau drawn from
    a grid whose weights are learnt (adaptive shrinkage). The smallest tau is the sampling deviation itself: relations
    much weaker than that no data of this size can tell from none.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D)
        Correlation of each latent with the target.
    n_samples : array of int, shape (n_tasks,)
        Labelled rows of each task.

    Returns
    -------
    UnrelatedPrior
        The share of unrelated cells and the log density ratios.

    References
    ----------
    M. Stephens, "False discovery rates: a new deal", Biostatistics 18 (2017) 275-294.
    """
    z = np.minimum(np.arctanh(np.minimum(np.abs(correlation), 1.0 - TINY)), _MAX_Z)
    chance = np.broadcast_to(1.0 / np.maximum(n_samples - 3.0, 1.0)[:, None], z.shape)
    smallest = float(np.median(chance))
    n_scales = max(1, int(np.ceil(np.log(max(float(z.max()) ** 2, smallest) / smallest) / np.log(4.0)))) + 1
    tau2 = np.concatenate([[0.0], smallest * 4.0 ** np.arange(n_scales)])
    variance = chance[..., None] + tau2
    log_density = -0.5 * (z[..., None] ** 2 / variance + np.log(variance))
    density = np.exp(log_density - log_density.max(axis=-1, keepdims=True)).reshape(-1, len(tau2))
    weights = np.full(len(tau2), 1.0 / len(tau2))
    for _ in range(_SLAB_ITERATIONS):
        before = weights
        weights = weights * (density.T @ (1.0 / (density @ weights))) / len(density)
        if np.abs(weights - before).max() < _SLAB_TOL:
            break
    slab = np.maximum(weights[1:], TINY)
    related = logsumexp(log_density[..., 1:] + np.log(slab / slab.sum()), axis=-1)
    return UnrelatedPrior(float(np.clip(weights[0], 1e-6, 1 - 1e-6)), log_density[..., 0] - related)
