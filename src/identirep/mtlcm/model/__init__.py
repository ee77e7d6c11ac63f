"""The paper's model on moments: likelihoods, and what they tell about each pair of latents."""

from identirep.mtlcm.model.exact_likelihood import ExactCriterion, exact_criterion
from identirep.mtlcm.model.independence import independence_law
from identirep.mtlcm.model.information import (
    ExactInformation,
    FactorizedInformation,
    Information,
    fisher_leakage,
)
from identirep.mtlcm.model.likelihood import (
    PRIOR_BELOW,
    JointMoments,
    causal_regression,
    explained_directions,
    gaussian_log_likelihood,
    inverse_and_log_det,
    joint_covariances,
    joint_model_covariances,
    latent_covariances,
    model_covariances,
    regular_residual_covariances,
    residual_covariances,
    residual_second_moments,
)

__all__ = [
    "PRIOR_BELOW",
    "ExactCriterion",
    "ExactInformation",
    "FactorizedInformation",
    "Information",
    "JointMoments",
    "causal_regression",
    "exact_criterion",
    "explained_directions",
    "fisher_leakage",
    "gaussian_log_likelihood",
    "independence_law",
    "inverse_and_log_det",
    "joint_covariances",
    "joint_model_covariances",
    "latent_covariances",
    "model_covariances",
    "regular_residual_covariances",
    "residual_covariances",
    "residual_second_moments",
]
