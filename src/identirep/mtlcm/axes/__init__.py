"""Axes of the latents: the mixing matrix A by maximum likelihood, from moments to a `LatentFit`."""

from identirep.mtlcm.axes.canonical import latent_agreement
from identirep.mtlcm.axes.covariances import DenseCovariances
from identirep.mtlcm.axes.diagonalise import joint_diagonalise
from identirep.mtlcm.axes.exact import climb
from identirep.mtlcm.axes.fit import LatentFit, fit_latents, whitened_covariances
from identirep.mtlcm.axes.noise import denoised_joint_moments
from identirep.mtlcm.axes.solutions import Starts
from identirep.mtlcm.axes.starts import random_rotations, solve_in_blocks

__all__ = [
    "DenseCovariances",
    "LatentFit",
    "Starts",
    "climb",
    "denoised_joint_moments",
    "fit_latents",
    "joint_diagonalise",
    "latent_agreement",
    "random_rotations",
    "solve_in_blocks",
    "whitened_covariances",
]
