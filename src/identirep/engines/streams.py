"""Moments of streams in one process: files, folders, data frames, and any iterator of record batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from identirep.datasets import is_stream
from identirep.engines.blocks import BlockError, Encoder, Part, as_one_error, block_part, merged_parts, whole
from identirep.engines.tables import Patterns, TableBlocks, files_of, relabelled
from identirep.moments import TaskMoments

__all__ = ["stream_moments", "tables_of"]


def stream_moments(
    source: Any,
    targets: Patterns,
    *,
    tasks: str | None = None,
    features: Patterns | None = None,
    drop: Patterns | None = None,
    weights: str | None = None,
    missing: Patterns | None = None,
    encoder: Encoder = None,
) -> TaskMoments:
    """Compute moments of a table that is read in batches of rows, of which one is held at a time.

    Parameters
    ----------
    source : path, object with ``__arrow_c_stream__``, or iterable of such objects
        A file (see `load_table`), a folder of Parquet, Feather or Arrow files, or a pattern such as
        ``"parts/*.csv"``; a relation of DuckDB, a frame of polars or pandas, a reader or table of PyArrow; or any
        iterable of record batches or frames, such as ``pyarrow.dataset.dataset(...).to_batches()``.
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
    missing : str or sequence of str, optional
        What stands for a missing number, as in `load_table`.
    encoder : callable or transformer, optional
        What makes features of inputs, an array (n_rows, n_inputs): a function, or an object with `transform`.

    Returns
    -------
    TaskMoments
        Those of all rows at once, up to rounding. Labels of text files that are all whole numbers are ints.

    Raises
    ------
    FileNotFoundError
        If a path names no file.
    TypeError
        If the source gives something else than tables.
    ValueError
        If a table has other columns or types than the first, a feature is missing or infinite, or there are no rows;
        the message names the file or the batch.

    Notes
    -----
    Columns are those of the first table, and found by name in all. Memory follows blocks of about 65,000 rows, not the
    source; of a frame in memory blocks are views.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> from identirep.engines import stream_moments
    >>> rng = np.random.default_rng(0)
    >>> batches = (
    ...     pa.record_batch({name: rng.normal(size=500) for name in ("h0", "h1", "y0")}) for _ in range(4)
    ... )
    >>> stream_moments(batches, "y*")
    TaskMoments(n_tasks=1, n_features=2, n_groups=1, n_labels=2000)
    """
    columns = TableBlocks(targets, tasks, features, drop, weights, missing, takes_gaps=encoder is not None)
    total: Part | None = None
    with as_one_error():
        for where, table in tables_of(source):
            for block in columns.blocks(table, where):
                names = columns.target_names if tasks is None else None
                rows = (block.H, block.y, block.tasks, block.sample_weight)
                part = block_part(block.where, *rows, encoder=encoder, task_names=names)
                total = part if total is None else merged_parts(total, part)
        moments = whole(Part(None, "") if total is None else total)
    return moments if tasks is None else relabelled(moments)


def tables_of(source: Any) -> Iterator[tuple[str, Any]]:
    """Yield files and batches, with what messages call them."""
    if isinstance(source, str | os.PathLike):
        files = files_of(source)
        for file in files:
            yield str(file) if len(files) > 1 else file.name, file
        return
    if is_stream(source):
        import pyarrow as pa

        source = pa.RecordBatchReader.from_stream(source)
    if not isinstance(source, Iterable):
        raise TypeError(
            f"source is no table: got {type(source).__name__}, expected a path, an object with __arrow_c_stream__, or "
            "an iterable of record batches. Pass one of these."
        )
    for i, batch in enumerate(source):
        if not is_stream(batch):
            raise BlockError(
                f"batch {i} is no table: got {type(batch).__name__}, expected a record batch, or any object with "
                "__arrow_c_stream__. Use TaskMoments.from_batches for arrays."
            )
        yield f"batch {i}", batch
