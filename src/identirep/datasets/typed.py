"""Columns of any table in few types: numbers, texts, booleans, dates and times, lists; what is missing is null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from identirep.datasets.markers import numbers_in

__all__ = ["as_typed", "plain", "plain_type"]


def plain_type(kind: Any) -> Any:
    """Return the type of values, whatever they are encoded as: dictionaries, runs, extensions."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    return plain_type(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else kind


def plain(column: Any) -> Any:
    """Return an array with its values as they are: no dictionaries, runs or extensions."""
    import pyarrow as pa
    from pyarrow import compute, types

    if isinstance(column, pa.DictionaryArray):
        values = column.dictionary
        # Views do not take part in casts.
        values = pa.array(values.to_pylist(), pa.string()) if str(values.type) == "string_view" else values
        return plain(values.take(column.indices))
    if types.is_run_end_encoded(column.type):
        return plain(compute.run_end_decode(column))
    if isinstance(column.type, pa.BaseExtensionType):
        return plain(column.cast(column.type.storage_type))
    return column


def as_typed(column: Any, missing: Sequence[float] = ()) -> Any:
    """Return an Arrow column with all numbers as float64 and all texts as string; nothing else changes its type.

    Missing are NaN, the numbers that stand for missing ones, and texts without anything in them.
    """
    import pyarrow as pa
    from pyarrow import compute, types

    column = plain(column)
    kind = column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        numbers = compute.if_else(compute.is_nan(numbers), None, numbers)
        if missing:
            marked = compute.is_in(numbers, value_set=pa.array(numbers_in(kind, missing), pa.float64()))
            numbers = compute.if_else(marked, None, numbers)
        return numbers
    if types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view":
        # Views do not take part in casts and comparisons.
        texts = pa.array(column.to_pylist(), pa.string()) if str(kind) == "string_view" else column.cast(pa.string())
        return compute.if_else(compute.equal(compute.utf8_trim_whitespace(texts), ""), None, texts)
    return column
