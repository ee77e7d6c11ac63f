"""Stage one: features that predict many targets linearly."""

from identirep.mtrn.estimator import MTRN
from identirep.mtrn.predictive import PredictiveFeatures

__all__ = ["MTRN", "PredictiveFeatures"]
