"""Columns of a file as they are: numbers, texts, dates and lists, for an encoder to make numbers of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from identirep.datasets import empty_message
from identirep.encoding import plain

__all__ = ["labels_of", "raw_columns"]


def raw_columns(file: Any, names: Sequence[str], categories: Collection[str]) -> Any:
    """Return columns of an open file as a table of Arrow; categories as they are written, 01 and 1 being two values.

    ValueError if there are no rows.
    """
    import pyarrow as pa

    # Several columns may have no name, which are asked for together only.
    is_whole = list(names) == file.columns or "" in names
    whole = file.read_whole(None if is_whole else list(names))
    if not whole.num_rows:
        raise ValueError(empty_message(file.path))
    is_whole, columns = list(names) == whole.column_names, []
    for i, name in enumerate(names):
        values = plain(whole.column(i if is_whole else name))
        if name in categories:
            labels = labels_of(file, name)
            if any(isinstance(label, str) for label in labels):
                # Cells of a sheet have types of their own.
                values = pa.array([None if label is None else str(label) for label in labels], pa.string())
        columns.append(values)
    return pa.table(columns, names=list(names))


def labels_of(file: Any, column: str) -> list[Any]:
    """Return the values of a column as labels: of text as they are written, None for empty cells alone."""
    return [label for batch in file.batches([], column) for label in batch.labels or []]
