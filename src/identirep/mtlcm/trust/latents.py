"""What a fit says of its latents: their moments, and the information about them."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, denoised_joint_moments
from identirep.mtlcm.model import ExactInformation, FactorizedInformation, Information, JointMoments

__all__ = ["latent_information", "latent_moments", "noise_reliability"]


def latent_moments(fit: LatentFit, moments: TaskMoments) -> JointMoments:
    """Moments of the latents and the target, noise taken out."""
    basis = np.linalg.qr(fit.mixing)[0]
    reduced = moments.map_features(basis.T)
    z = denoised_joint_moments(reduced, fit.noise_variance).mapped(fit.unmixing @ basis)
    if fit.noise_variance > 0.0:
        # The likelihood knows the variances better than what is left of the covariances after taking the noise out.
        diagonal = np.arange(z.s.shape[1])
        z.S[:, diagonal, diagonal] = fit.variances + z.s**2 / z.v[:, None]
    return z


def latent_information(fit: LatentFit, moments: TaskMoments, causal: BoolArray) -> Information:
    """Information about the latents in the likelihood that was fitted; the factorised one does not ask for roles."""
    if fit.prior == "exact":
        return ExactInformation(latent_moments(fit, moments), causal, moments._n_effective_rows)
    return FactorizedInformation(moments, fit.unmixing, fit.variances, fit.noise_variance)


def noise_reliability(fit: LatentFit, moments: TaskMoments) -> Array:
    """Correlation of `transform` with the latents under the pooled prior, if the mixing matrix is right."""
    if fit.noise_variance == 0.0:
        return np.ones(len(fit.unmixing))
    s, v = moments.cov_hy @ fit.unmixing.T, moments.var_y
    prior = (s * (moments.weights / v)[:, None]).T @ s + np.diag(moments.weights @ fit.variances)
    mixed = fit.components @ fit.mixing
    total = mixed @ prior @ mixed.T + fit.noise_variance * fit.components @ fit.components.T
    return np.asarray(np.diag(mixed @ prior) / np.sqrt(np.diag(total) * np.diag(prior)))
