"""Moments on Ray Data, as an aggregation of a dataset."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import reduce
from typing import Any

from identirep.engines.blocks import BlockError, Encoder, Part, block_part, merged_parts, whole
from identirep.engines.tables import Patterns, TableBlocks, relabelled
from identirep.moments import TaskMoments

__all__ = ["ray_moments"]

_NAME = "moments"


def ray_moments(
    dataset: Any,
    targets: Patterns,
    *,
    tasks: str | None = None,
    features: Patterns | None = None,
    drop: Patterns | None = None,
    weights: str | None = None,
    encoder: Encoder = None,
) -> TaskMoments:
    """Compute moments of a dataset of Ray Data.

    Parameters
    ----------
    dataset : ray.data.Dataset
        Rows with columns of numbers.
    targets : str or sequence of str
        Target columns, by name or pattern. Nulls are missing labels.
    tasks : str, optional
        Column with the task label of each row: the long layout, with one column of `targets`. Default: the wide
        layout, where each column of `targets` is a task.
    features : str or sequence of str, optional
        Columns of features, or of inputs of `encoder`, in this order. Default: all that are nothing else.
    drop : str or sequence of str, optional
        Columns to leave out of the features. Default: none.
    weights : str, optional
        Column with the weight of each row, see `TaskMoments`. Default: all alike.
    encoder : callable or transformer, optional
        What makes features of inputs, an array (n_rows, n_inputs): a function, or an object with `transform`. It is
        sent to the workers.

    Returns
    -------
    TaskMoments
        Those of all rows in one process, up to rounding.

    Raises
    ------
    ImportError
        If the extra ``ray`` is not installed.
    TypeError
        If `dataset` is no dataset of Ray.
    ValueError
        If a block has other columns or types than the schema of the dataset, a feature is missing or infinite, or
        there are no rows. Blocks have no names in Ray, so the message describes the block.

    Notes
    -----
    This is one ``AggregateFnV2``: Ray splits the work, and computes again what was lost with a worker. The order in
    which it adds blocks up is its own, so that two runs may differ in the last digits.

    Examples
    --------
    >>> import ray  # doctest: +SKIP
    >>> from identirep.engines import ray_moments  # doctest: +SKIP
    >>> dataset = ray.data.read_parquet("s3://bucket/embeddings/")  # doctest: +SKIP
    >>> ray_moments(dataset, "y_*", features="h_*")  # doctest: +SKIP
    """
    _check_ray()
    from ray.data import Dataset

    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset is none of Ray: got {type(dataset).__name__}, expected a ray.data.Dataset. Make one with "
            "ray.data.read_parquet or from_arrow."
        )
    columns = TableBlocks(targets, tasks, features, drop, weights, takes_gaps=encoder is not None)
    schema = dataset.schema()
    if schema is None:
        return whole(Part(None, ""))
    columns.start(list(schema.names), "the schema of the dataset")
    # Blocks one by one: an aggregation joins them before, and fills columns that some do not have.
    parts = dataset.map_batches(_moments_of_block(columns, encoder), batch_size=None, batch_format="pyarrow")
    stored = parts.aggregate(_aggregation())[_NAME]
    found = Part(None, "") if stored is None else pickle.loads(stored)
    if isinstance(found, BlockError):
        raise ValueError(str(found))
    moments = whole(found)
    return moments if tasks is None else relabelled(moments)


def _moments_of_block(columns: TableBlocks, encoder: Encoder) -> Callable[[Any], Any]:
    """Return what makes of a block one row: its moments as bytes, which columns of Arrow hold, null if it is empty."""

    def compute(table: Any) -> Any:
        import pyarrow as pa

        where = f"a block of {table.num_rows:,} rows"
        found: Part | BlockError = Part(None, where)
        try:
            for block in columns.blocks(table, where) if table.num_rows else ():
                names = columns.target_names if columns.tasks is None else None
                rows = (block.H, block.y, block.tasks, block.sample_weight)
                found = _added(found, block_part(where, *rows, encoder=encoder, task_names=names))
        except BlockError as error:
            # Raised here, it would come out wrapped in those of Ray, and with a traceback for each block.
            found = error
        is_empty = isinstance(found, Part) and found.moments is None
        return pa.table({_NAME: pa.array([None if is_empty else pickle.dumps(found)], pa.large_binary())})

    return compute


def _aggregation() -> Any:
    """Return the aggregation that adds the moments of blocks up."""
    from ray.data.aggregate import AggregateFnV2
    from ray.data.block import BlockAccessor

    class Moments(AggregateFnV2):  # type: ignore[misc, type-arg]
        def __init__(self) -> None:
            super().__init__(_NAME, zero_factory=lambda: None, on=_NAME, ignore_nulls=True)

        def aggregate_block(self, block: Any) -> bytes | None:
            stored = BlockAccessor.for_block(block).to_arrow().column(_NAME).to_pylist()
            parts = [pickle.loads(part) for part in stored if part is not None]
            return pickle.dumps(reduce(_added, parts)) if parts else None

        def combine(self, current_accumulator: bytes, new: bytes) -> bytes:
            return pickle.dumps(_added(pickle.loads(current_accumulator), pickle.loads(new)))

    return Moments()


def _added(a: Part | BlockError, b: Part | BlockError) -> Part | BlockError:
    """Return the moments of the rows of both, or what is wrong with one of them."""
    for fault in (a, b):
        if isinstance(fault, BlockError):
            return fault
    try:
        return merged_parts(a, b)  # type: ignore[arg-type]
    except BlockError as error:
        return error


def _check_ray() -> None:
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"ray_moments needs Ray Data: got no module {error.name!r}, expected the extra ray. Install it: pip "
            "install 'identirep[ray]'"
        ) from None
