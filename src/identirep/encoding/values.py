"""Columns of Arrow as numbers or texts: numbers of any type, dates, lists of numbers, labels."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.datasets import Markers, named_dates, numbers_in
from identirep.missing import is_missing

__all__ = [
    "CUT",
    "as_dates",
    "as_matrix_of_lists",
    "as_numbers",
    "as_texts",
    "as_truths",
    "date_parts",
    "has_zone",
    "is_text",
    "kind_of",
    "list_width",
    "mixes_zones",
    "plain",
    "time_parts",
]

# Most characters of a value that names and messages show.
CUT = 60
_SECONDS_OF_A_DAY = 86_400.0
# Length of the year in days, on average.
_YEAR = 365.2425
# 1970-01-01 was a Thursday; weeks are counted from Mondays.
_MONDAY = 4.0
# How a moment ends that has a time zone.
_ZONE = r"\d(Z|[+-]\d{2}(:?\d{2})?)$"
_TRUE, _FALSE = ("True", "true", "TRUE"), ("False", "false", "FALSE")


def plain(values: Any) -> Any:
    """Return a column as one array without dictionaries, runs, views of texts and types of extensions."""
    import pyarrow as pa
    from pyarrow import compute, types

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    while True:
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        elif types.is_dictionary(values.type):
            # Not dictionary_decode, which has no views of texts.
            values = plain(values.dictionary).take(values.indices)
        elif hasattr(types, "is_run_end_encoded") and types.is_run_end_encoded(values.type):
            values = compute.run_end_decode(values)
        elif str(values.type).startswith(("list_view", "large_list_view")):
            # Arrow casts these wrongly where they are slices.
            values = pa.array(values.to_pylist(), pa.large_list(values.type.value_type))
        elif str(values.type) in ("string_view", "large_string"):
            values = values.cast(pa.string() if values.nbytes < 2**31 else pa.large_string())
            return values
        else:
            return values


def is_text(value_type: Any) -> bool:
    """Tell whether a type is of texts."""
    return str(value_type) in ("string", "large_string", "string_view")


def kind_of(value_type: Any) -> str:
    """Name the kind of a type without dictionaries and extensions."""
    from pyarrow import types

    tests: tuple[tuple[Callable[[Any], bool], str], ...] = (
        (types.is_boolean, "yes or no"),
        (types.is_integer, "whole number"),
        (lambda value: types.is_floating(value) or types.is_decimal(value), "number"),
        (types.is_null, "empty"),
        (types.is_duration, "duration"),
        (lambda value: types.is_date(value) or types.is_timestamp(value), "date or time"),
        (types.is_time, "time of day"),
        (is_text, "text"),
        (_is_list, "list"),
    )
    return next((kind for test, kind in tests if test(value_type)), "other")


def as_numbers(values: Any, markers: Markers) -> Any:
    """Return numbers, booleans, durations in seconds or texts of numbers as float64; None if they are none of these."""
    import pyarrow as pa
    from pyarrow import compute, types

    if types.is_duration(values.type):
        return _floats(values.cast(pa.duration("us"), safe=False).cast(pa.int64())) / 1e6
    if is_text(values.type):
        values = compute.utf8_trim_whitespace(values)
        values = compute.if_else(
            compute.is_in(values, value_set=pa.array(sorted(markers.texts), values.type)), None, values
        )
        try:
            values = values.cast(pa.float64())
        except pa.ArrowInvalid:
            return None
    elif kind_of(values.type) not in ("yes or no", "whole number", "number", "empty"):
        return None
    numbers = _floats(values)
    if markers.numbers and (marked := np.isin(numbers, numbers_in(values.type, markers.numbers))).any():
        numbers = np.where(marked, np.nan, numbers)
    return numbers


def as_truths(values: Any) -> Any:
    """Return texts of yes and no as 1 and 0, None if others are among them."""
    words: dict[str | None, float] = {**dict.fromkeys(_TRUE, 1.0), **dict.fromkeys(_FALSE, 0.0), None: np.nan}
    texts = as_texts(values)
    return np.array([words[text] for text in texts]) if set(texts) <= set(words) else None


def as_dates(values: Any) -> Any:
    """Return dates in days since 1970, times of day in days, NaN for missing ones; None if they are neither."""
    import pyarrow as pa
    from pyarrow import types

    if is_text(values.type):
        values = _cast_to_time(_present(values))
        if values is None:
            return None
    if types.is_time(values.type):
        values = values.cast(pa.time64("us"), safe=False)
    elif types.is_date(values.type) or types.is_timestamp(values.type):
        zone = getattr(values.type, "tz", None)
        values = values.cast(pa.timestamp("us", zone), safe=False)
    else:
        return None
    return _floats(values.cast(pa.int64())) / (1e6 * _SECONDS_OF_A_DAY)


def has_zone(values: Any) -> bool | None:
    """Tell whether dates have a time zone; None of no dates."""
    from pyarrow import types

    if is_text(values.type):
        values = _cast_to_time(_present(values))
    if values is None or values.null_count == len(values):
        return None
    if types.is_timestamp(values.type):
        return values.type.tz is not None
    return False if types.is_date(values.type) else None


def mixes_zones(texts: Any) -> bool:
    """Tell whether texts are dates of which some, and not all, have a time zone."""
    from pyarrow import compute

    present = _present(texts).drop_null()
    zoned = compute.match_substring_regex(present, _ZONE)
    parts = [present.filter(rows) for rows in (zoned, compute.invert(zoned))]
    return all(len(part) and _cast_to_time(part) is not None for part in parts)


def _present(texts: Any) -> Any:
    """Return texts without blanks around, null for those with nothing else."""
    from pyarrow import compute

    texts = compute.utf8_trim_whitespace(texts)
    return compute.if_else(compute.equal(texts, ""), None, texts)


def _cast_to_time(texts: Any) -> Any:
    """Return texts as moments, ISO with or without a time zone, or with names of months; None if one is none."""
    import pyarrow as pa

    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    return named_dates(texts)


def date_parts(days: Array) -> dict[str, Array]:
    """Return what a date says as numbers: days since 1970, and where in the year, the week and the day it lies."""
    parts = {"days since 1970": days}
    for name, position in (
        ("year", days / _YEAR),
        ("week", (np.floor(days) - _MONDAY) / 7.0),
        ("day", days - np.floor(days)),
    ):
        parts[f"sine of {name}"] = np.sin(2.0 * np.pi * position)
        parts[f"cosine of {name}"] = np.cos(2.0 * np.pi * position)
    return parts


def time_parts(days: Array) -> dict[str, Array]:
    """Return what a time of day says as numbers: hours, and where in the day it lies."""
    angle = 2.0 * np.pi * days
    return {"hours": 24.0 * days, "sine of day": np.sin(angle), "cosine of day": np.cos(angle)}


def list_width(values: Any) -> int | str:
    """Return how many numbers each list has, or why there is no such number."""
    inner, lengths = values.drop_null(), 1
    while _is_list(inner.type):
        if inner.null_count:
            return "lists with missing lists inside"
        counts = np.unique(_lengths(inner))
        if len(counts) != 1:
            return f"lists of {counts[0]:,} to {counts[-1]:,} values" if len(counts) else "empty lists"
        lengths *= int(counts[0])
        inner = plain(inner.flatten())
    if kind_of(inner.type) not in ("yes or no", "whole number", "number"):
        return "empty lists" if kind_of(inner.type) == "empty" else f"lists of {inner.type}"
    return lengths or "empty lists"


def as_matrix_of_lists(values: Any, width: int, markers: Markers) -> Array:
    """Return lists of so many numbers as rows of a matrix, NaN for missing lists."""
    rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    inner = values.drop_null()
    while _is_list(inner.type):
        inner = plain(inner.flatten())
    matrix = np.full((len(values), width), np.nan)
    matrix[rows] = as_numbers(inner, markers).reshape(len(rows), width)
    return matrix


def as_texts(values: Any) -> list[str | None]:
    """Return values as texts without spaces around, so that 3, 3.0 and "3" are one; None for missing and blank ones."""
    return [_text_of(value) for value in values.to_pylist()]


def _text_of(value: Any) -> str | None:
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2.0**53 else str(value)


def _floats(values: Any) -> Array:
    import pyarrow as pa

    if values.null_count == 0 and values.type == pa.float64():
        return np.asarray(values.to_numpy(zero_copy_only=True))
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _lengths(values: Any) -> Any:
    from pyarrow import compute

    return compute.list_value_length(values).to_numpy(zero_copy_only=False)


def _is_list(value_type: Any) -> bool:
    from pyarrow import types

    views = [getattr(types, name, None) for name in ("is_list_view", "is_large_list_view")]
    tests = [types.is_list, types.is_large_list, types.is_fixed_size_list, *filter(None, views)]
    return any(test(value_type) for test in tests)
