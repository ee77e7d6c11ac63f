"""Stage two: the multi-task linear causal model."""

from identirep.mtlcm.certificate import Certificate
from identirep.mtlcm.diagnostics import GoodnessOfFit
from identirep.mtlcm.estimator import MTLCM

__all__ = ["MTLCM", "Certificate", "GoodnessOfFit"]
