"""Axes of the latents: the mixing matrix A by likelihood or, on shared rows, by sparse heads."""

from identirep.mtlcm.axes.canonical import latent_agreement
from identirep.mtlcm.axes.covariances import DenseCovariances
from identirep.mtlcm.axes.diagonalise import joint_diagonalise
from identirep.mtlcm.axes.exact import climb
from identirep.mtlcm.axes.fit import LatentFit, fit_latents, fit_on
from identirep.mtlcm.axes.foreign import fit_to_own
from identirep.mtlcm.axes.nearest import nearest_fit
from identirep.mtlcm.axes.noise import denoised_joint_moments
from identirep.mtlcm.axes.refits import refit_axes, refit_heads
from identirep.mtlcm.axes.rotation import mostly_shared, n_starts
from identirep.mtlcm.axes.sharded import ShardedTasks, Shards
from identirep.mtlcm.axes.solutions import Starts
from identirep.mtlcm.axes.units import fit_in_units, like_units, moments_in_units

__all__ = [
    "DenseCovariances",
    "LatentFit",
    "ShardedTasks",
    "Shards",
    "Starts",
    "climb",
    "denoised_joint_moments",
    "fit_in_units",
    "fit_latents",
    "fit_on",
    "fit_to_own",
    "joint_diagonalise",
    "latent_agreement",
    "like_units",
    "moments_in_units",
    "mostly_shared",
    "n_starts",
    "nearest_fit",
    "refit_axes",
    "refit_heads",
]
