"""Baselines with the surface of the two stages, so that one loop runs them all."""

from identirep.baselines.icarl import ICaRL
from identirep.baselines.ivae import IVAE
from identirep.baselines.linear import IndependentComponents, PrincipalComponents
from identirep.baselines.per_row import PerRowMTLCM
from identirep.baselines.rotated_heads import RotatedHeads
from identirep.baselines.sparse_heads import SparseHeads
from identirep.baselines.vae import VAE

__all__ = [
    "IVAE",
    "VAE",
    "ICaRL",
    "IndependentComponents",
    "PerRowMTLCM",
    "PrincipalComponents",
    "RotatedHeads",
    "SparseHeads",
]
