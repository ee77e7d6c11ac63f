"""Roles of the latents in each task: c_t, their prior and posterior."""

from identirep.mtlcm.roles.evidence import (
    Dependence,
    effect_evidence,
    effect_scales,
    noise_given_target,
    set_evidence,
)
from identirep.mtlcm.roles.posterior import CausalPosterior, RoleOdds, causal_posterior
from identirep.mtlcm.roles.prior import STRENGTH_SCALES, RolePrior
from identirep.mtlcm.roles.sets import (
    correlations,
    log_residual_variances,
    own_terms,
    search_mode,
    set_members,
    sweep,
    swept_on,
)
from identirep.mtlcm.roles.structure import CausalStructure, causal_structure

__all__ = [
    "STRENGTH_SCALES",
    "CausalPosterior",
    "CausalStructure",
    "Dependence",
    "RoleOdds",
    "RolePrior",
    "causal_posterior",
    "causal_structure",
    "correlations",
    "effect_evidence",
    "effect_scales",
    "log_residual_variances",
    "noise_given_target",
    "own_terms",
    "search_mode",
    "set_evidence",
    "set_members",
    "sweep",
    "swept_on",
]
