"""Data sets: synthetic ones with known truth, published ones, and your own tables."""

from identirep.datasets.arrow_columns import declared_index as declared_index
from identirep.datasets.arrow_objects import is_stream as is_stream
from identirep.datasets.batches import NotNumericError as NotNumericError
from identirep.datasets.batches import as_matrix as as_matrix
from identirep.datasets.batches import empty_message as empty_message
from identirep.datasets.dates import named_dates as named_dates
from identirep.datasets.dates import order_of_dates as order_of_dates
from identirep.datasets.headers import first_row_remedy as first_row_remedy
from identirep.datasets.markers import Markers as Markers
from identirep.datasets.markers import as_given as as_given
from identirep.datasets.markers import numbers_in as numbers_in
from identirep.datasets.numbering import index_columns as index_columns
from identirep.datasets.numbering import row_numbers as row_numbers
from identirep.datasets.numerals import in_all as in_all
from identirep.datasets.numerals import is_number as is_number
from identirep.datasets.numerals import remark_on as remark_on
from identirep.datasets.numerals import written as written
from identirep.datasets.qm9 import load_qm9
from identirep.datasets.readers import open_table as open_table
from identirep.datasets.readers import read_whole as read_whole
from identirep.datasets.superconductivity import load_superconductivity
from identirep.datasets.synthetic import make_linear_tasks, make_nonlinear_tasks
from identirep.datasets.tables import choose_columns as choose_columns
from identirep.datasets.tables import load_table
from identirep.datasets.tables import load_targets as load_targets
from identirep.datasets.tables import match_columns as match_columns

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["load_qm9", "load_superconductivity", "load_table", "make_linear_tasks", "make_nonlinear_tasks"]
