"""Tables of mixed columns as numbers: texts with few values, dates, lists and gaps; what a column is."""

from identirep.encoding.columns import NUMBERS as NUMBERS
from identirep.encoding.columns import Column as Column
from identirep.encoding.columns import judge_columns as judge_columns
from identirep.encoding.encoder import TableEncoder
from identirep.encoding.encoder import check_columns as check_columns
from identirep.encoding.encoder import check_names as check_names
from identirep.encoding.frames import as_table as as_table
from identirep.encoding.frames import is_frame as is_frame
from identirep.encoding.values import as_dates as as_dates
from identirep.encoding.values import as_numbers as as_numbers
from identirep.encoding.values import mixes_zones as mixes_zones
from identirep.encoding.values import plain as plain
from identirep.encoding.words import kinds_remark as kinds_remark
from identirep.encoding.words import left_out_remark as left_out_remark

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["TableEncoder"]
