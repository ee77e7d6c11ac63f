"""What observation noise does to roles: noise that comes to several latents at once makes them covary given the target.

Without taking that into account, effects whose noise cancels together predict the target better than each of them, and
look like causes.
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.mtlcm.roles.dependence import Dependence
from identirep.mtlcm.roles.sets import TINY

__all__ = ["noise_dependence", "noise_given_target", "pair_evidence"]

# Variance of a latent given the target, at least, in units of its noise.
_LEAST_OWN = 1.05
_MOST_CORRELATED = 0.98


def noise_given_target(noise: Array, joint: Array) -> Array:
    """What observation noise adds to the covariance of latents given the target, latents of unit variance in the task.

    Latents are posterior means under a prior of unit variance: as much of latent j leaks into latent i as their noise
    covaries, with the other sign. So what a latent has of its own, given the target, takes that much of the common
    noise away (to first order in the noise).

    Parameters
    ----------
    noise : array, shape (D, D)
        Covariance of the noise in the latents.
    joint : array, shape (n_tasks, D + 1, D + 1)
        Covariance of latents and, last, target in each task.

    Returns
    -------
    array, shape (n_tasks, D, D)
        Covariances; on the diagonal the variance of the noise alone.
    """
    variance = np.einsum("tii->ti", joint)[:, :-1]
    own = np.maximum(variance - joint[:, :-1, -1] ** 2 / joint[:, -1:, -1], 0.0)
    left = 1.0 - own[:, :, None] - own[:, None, :]
    i = np.arange(len(noise))
    left[:, i, i] = 1.0
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    return np.asarray(noise * left / (scale[:, :, None] * scale[:, None, :]))


def noise_dependence(correlation: Array, noise: Array) -> Dependence:
    """Correlations of the latents given the target: of their noise, and those that the data show.

    Parameters
    ----------
    correlation : array, shape (n_tasks, D + 1, D + 1)
        Within-task correlations of the latents and, last, the target.
    noise : array, shape (n_tasks, D, D)
        As from `noise_given_target`.

    Returns
    -------
    Dependence
        The correlations.
    """
    rho, own = correlation[:, :-1, -1], np.einsum("tii->ti", noise)
    left = np.sqrt(np.maximum(1.0 - rho**2, _LEAST_OWN * own))
    scale = np.maximum(left[:, :, None] * left[:, None, :], TINY)
    found = (correlation[:, :-1, :-1] - rho[:, :, None] * rho[:, None, :]) / scale
    model = np.clip(noise / scale, -_MOST_CORRELATED, _MOST_CORRELATED)
    i = np.arange(rho.shape[1])
    model[:, i, i] = 1.0
    return Dependence(model, found)


def pair_evidence(dependence: Dependence, n_samples: IntArray) -> Array:
    """Log-likelihood that each pair of latents gains by what their noise has in common, shape (n_tasks, D, D).

    The sum over pairs is exact to second order in the correlations: good enough to search for sets, not to judge them
    (`dependence_evidence`). The search counts all pairs but those of two causes; where pairs overstate what effects
    gain together that ends in better sets than counting effects alone. Zero on the diagonal.
    """
    r, found = dependence
    r = np.where(np.eye(r.shape[1], dtype=bool), 0.0, r)
    rest = 1.0 - r**2
    gain = np.log(rest) + 2.0 * r * (r - found) / rest
    return np.asarray(-0.5 * (n_samples - 1.0)[:, None, None] * gain)
