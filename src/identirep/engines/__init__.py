"""Moments of more rows than memory holds, on engines that exist: Arrow streams, Dask, Ray Data.

All of them do two things with our code, moments of a block of rows and moments of two blocks together (`blocks`), and
what they return is the `TaskMoments` of all rows in one process, up to rounding.
"""

from identirep.engines.blocks import BlockError as BlockError
from identirep.engines.blocks import as_one_error as as_one_error
from identirep.engines.on_dask import check_dask as check_dask
from identirep.engines.on_dask import connected as connected
from identirep.engines.on_dask import dask_moments
from identirep.engines.on_dask import tree_reduced as tree_reduced
from identirep.engines.on_ray import ray_moments
from identirep.engines.sides import Sides as Sides
from identirep.engines.sides import sides_added as sides_added
from identirep.engines.sides import sides_of_file as sides_of_file
from identirep.engines.streams import stream_moments
from identirep.engines.tables import TableBlocks as TableBlocks
from identirep.engines.tables import files_of as files_of
from identirep.engines.tables import relabelled as relabelled

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["dask_moments", "ray_moments", "stream_moments"]
