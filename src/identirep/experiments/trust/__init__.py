"""Whether what a fit says of its axes comes back: against fits to other rows, and the truth where it is known."""

from identirep.experiments.trust.page import EXPERIMENT
from identirep.experiments.trust.tables import equal_rows as equal_rows
from identirep.experiments.trust.tables import load_real as load_real
from identirep.experiments.trust.tables import why_missing as why_missing

__all__ = ["EXPERIMENT"]
