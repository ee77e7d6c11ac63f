"""Stage two: the multi-task linear causal model."""

from identirep.mtlcm.adapted_task import AdaptedTask, Interval
from identirep.mtlcm.bootstrap import BootstrapResult
from identirep.mtlcm.certificate import Certificate
from identirep.mtlcm.diagnostics import GoodnessOfFit
from identirep.mtlcm.estimator import MTLCM
from identirep.mtlcm.structure import CausalStructure

__all__ = ["MTLCM", "AdaptedTask", "BootstrapResult", "CausalStructure", "Certificate", "GoodnessOfFit", "Interval"]
