"""Stage two: the multi-task linear causal model."""

from identirep.mtlcm.estimator import MTLCM
from identirep.mtlcm.new_tasks.task import AdaptedTask, Interval
from identirep.mtlcm.roles.structure import CausalStructure
from identirep.mtlcm.trust.certificate import Certificate
from identirep.mtlcm.trust.goodness import GoodnessOfFit
from identirep.mtlcm.trust.refits import BootstrapResult

__all__ = ["MTLCM", "AdaptedTask", "BootstrapResult", "CausalStructure", "Certificate", "GoodnessOfFit", "Interval"]
