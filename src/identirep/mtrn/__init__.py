"""Stage one: features that predict many targets linearly.

By Theorem 3.2 of the paper they are the latents up to an invertible matrix, where heads of enough tasks span them all.
What needs torch is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from identirep.mtrn.estimator import MTRN
from identirep.mtrn.fit_data import check_fit_data as check_fit_data
from identirep.mtrn.named import ChosenRegressor as ChosenRegressor
from identirep.mtrn.named import choose_regressor as choose_regressor
from identirep.mtrn.named import named_stage as named_stage
from identirep.mtrn.predictive import PredictiveFeatures
from identirep.mtrn.reduction import linear_heads as linear_heads
from identirep.mtrn.replicates import replicate_groups as replicate_groups
from identirep.mtrn.sides import feature_moments as feature_moments

if TYPE_CHECKING:
    from identirep.mtrn.egnn import EGNN
    from identirep.mtrn.serving import base_features as base_features
    from identirep.mtrn.serving import example_rows as example_rows

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["EGNN", "MTRN", "PredictiveFeatures"]


def __getattr__(name: str) -> Any:
    if name == "EGNN":
        from identirep.mtrn.egnn import EGNN

        return EGNN
    if name in ("base_features", "example_rows"):
        from identirep.mtrn import serving

        return getattr(serving, name)
    raise AttributeError(f"module 'identirep.mtrn' has no attribute {name!r}")
