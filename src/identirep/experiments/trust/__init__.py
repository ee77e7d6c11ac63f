"""Whether what a fit says of its axes comes back: against fits to other rows, and the truth where it is known."""

from identirep.experiments.trust.data import Drawn as Drawn
from identirep.experiments.trust.data import draw as draw
from identirep.experiments.trust.data import in_each_task as in_each_task
from identirep.experiments.trust.data import three_parts as three_parts
from identirep.experiments.trust.page import EXPERIMENT
from identirep.experiments.trust.said import CERTIFIED as CERTIFIED
from identirep.experiments.trust.said import IDENTIFIED as IDENTIFIED
from identirep.experiments.trust.said import said_of_axes as said_of_axes
from identirep.experiments.trust.said import two_stages as two_stages
from identirep.experiments.trust.tables import equal_rows as equal_rows
from identirep.experiments.trust.tables import load_real as load_real
from identirep.experiments.trust.tables import why_missing as why_missing

__all__ = ["EXPERIMENT"]
