"""Columns of any table in few types: numbers, texts, booleans, dates and times, lists; what is missing is null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from identirep.datasets.batches import as_labels

__all__ = ["as_typed"]


def as_typed(column: Any, missing: Sequence[float] = ()) -> Any:
    """Return an Arrow column with all numbers as float64 and all texts as string; nothing else changes its type.

    Missing are NaN, the numbers that stand for missing ones, and texts without anything in them.
    """
    import pyarrow as pa
    from pyarrow import compute, types

    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        numbers = compute.if_else(compute.is_nan(numbers), None, numbers)
        if missing:
            marked = compute.is_in(numbers, value_set=pa.array(missing, pa.float64()))
            numbers = compute.if_else(marked, None, numbers)
        return numbers
    if types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view":
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        return pa.chunked_array([pa.array(as_labels(chunk), pa.string()) for chunk in chunks], pa.string())
    return column
