"""More rows than memory holds: moments on engines that exist (Arrow streams, Dask, Ray Data), and rows on disk.

What computes moments does two things with our code, moments of a block of rows and moments of two blocks together
(`blocks`), and returns the `TaskMoments` of all rows in one process, up to rounding. Rows on disk (`rows`) are what
both stages are fitted to where a regressor is to be trained.
"""

from identirep.engines.blocks import BlockError as BlockError
from identirep.engines.blocks import as_one_error as as_one_error
from identirep.engines.on_dask import check_dask as check_dask
from identirep.engines.on_dask import connected as connected
from identirep.engines.on_dask import dask_moments
from identirep.engines.on_dask import tree_reduced as tree_reduced
from identirep.engines.on_ray import ray_moments
from identirep.engines.rows import RowsOnDisk as RowsOnDisk
from identirep.engines.rows import rows_on_disk
from identirep.engines.rows import written_rows as written_rows
from identirep.engines.sides import Sides as Sides
from identirep.engines.sides import sides_added as sides_added
from identirep.engines.sides import sides_of_file as sides_of_file
from identirep.engines.streams import stream_moments
from identirep.engines.tables import TableBlocks as TableBlocks
from identirep.engines.tables import files_of as files_of
from identirep.engines.tables import relabelled as relabelled

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["dask_moments", "ray_moments", "rows_on_disk", "stream_moments"]
