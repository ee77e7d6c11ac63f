"""Whether axes come back if a fit to other rows keeps other directions of the features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, latent_agreement
from identirep.mtlcm.trust.refits import refitted_to

__all__ = ["cut_agreement"]


def cut_agreement(
    fit: LatentFit,
    directions: TaskMoments,
    causal: BoolArray,
    subspaces: Array,
    rng: np.random.Generator,
    n_rotations: int,
) -> Array:
    """Agreement of each axis with those of fits to other subspaces of more directions, shape (n_draws, D).

    `directions` are moments of K uncorrelated features, of which the fit has the first D; `subspaces` are orthonormal,
    shape (n_draws, D, K), each as near to these as its span allows.
    """
    D, S = fit.unmixing.shape[1], directions.pooled_covariance()
    own = np.pad(fit.unmixing, ((0, 0), (0, directions.n_features - D)))
    starts = [replace(fit, unmixing=fit.unmixing @ Q, mixing=Q.T @ fit.mixing) for Q in subspaces]
    found = refitted_to(starts, [directions] * len(starts), causal, rng, n_rotations)
    return np.stack([latent_agreement(own, other, S).per_latent for other in found])
