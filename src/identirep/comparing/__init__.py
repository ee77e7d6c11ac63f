"""Two runs axis by axis, and a run in the axes of another."""

from identirep.comparing.aligning import align
from identirep.comparing.aligning import aligned as aligned
from identirep.comparing.aligning import remark_on_lost as remark_on_lost
from identirep.comparing.axes import KEPT as KEPT
from identirep.comparing.axes import least_rows as least_rows
from identirep.comparing.comparison import Comparison, compare
from identirep.comparing.comparison import Measured as Measured
from identirep.comparing.comparison import check_common_inputs as check_common_inputs
from identirep.comparing.comparison import compared as compared
from identirep.comparing.comparison import inputs_of as inputs_of
from identirep.comparing.comparison import measure as measure
from identirep.comparing.drift import Drift, Moved, check_drift
from identirep.comparing.reading import Reading as Reading
from identirep.comparing.reading import read_off as read_off
from identirep.comparing.reference import Reference as Reference
from identirep.comparing.reference import targets_looked_at as targets_looked_at
from identirep.comparing.rows import TrainedRows as TrainedRows

__all__ = ["Comparison", "Drift", "Moved", "align", "check_drift", "compare"]
