"""Columns of a table to encode, read as what they were in the fit; another type is an error of one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.datasets import Markers, as_given
from identirep.encoding.columns import NUMBERS
from identirep.encoding.values import (
    as_dates,
    as_matrix_of_lists,
    as_numbers,
    as_texts,
    as_truths,
    date_parts,
    has_zone,
    is_text,
    kind_of,
    list_width,
    time_parts,
)

__all__ = ["check_zone", "numbers_of", "parts_of", "texts_of"]

_MAX_SHOWN = 60
_EXPECTED = {
    "date or time": "dates",
    "time of day": "times of day",
    "duration": "durations",
    "list": "lists of {width} numbers",
}


def numbers_of(name: str, kind: str, values: Any, markers: Markers, parts: tuple[str, ...], width: int) -> Array:
    """Return the numbers of a column, shape (n_rows, n_numbers), NaN for missing ones; ValueError if it has others."""
    n_rows, found_kind = len(values), kind_of(values.type)
    found: Any = None
    if found_kind == "empty" or values.null_count == n_rows:
        return np.full((n_rows, len(parts) or width), np.nan)
    if kind in NUMBERS:
        # A number without a unit is no duration.
        found = as_numbers(values, markers) if (found_kind == "duration") == (kind == "duration") else None
        if found is None and kind == "yes or no" and is_text(values.type):
            found = as_truths(values)
    elif kind == "list":
        if found_kind == "list" and list_width(values) == width:
            return as_matrix_of_lists(values, width, markers)
    elif (found_kind == "time of day") == (kind == "time of day"):
        days = as_dates(values)
        if days is not None:
            of = parts_of(kind, days)
            return np.column_stack([of[part] for part in parts])
    if found is None:
        row, value = _first_bad(values, markers, kind)
        # Each of them is a date, but not all are of one kind.
        got = "dates with and without a time zone" if value is None else f"{_cut(value)} first at row {row + 1}"
        expected = _EXPECTED.get(kind, "numbers").format(width=f"{width:,}")
        marker = value if kind in NUMBERS and isinstance(value, str) and is_text(values.type) else None
        other = "" if marker is None else f", or pass missing={as_given(marker)!r} if that stands for a missing value"
        raise ValueError(
            f"column {name!r} is of another type than in the fit: got {got}, expected {expected}. Write it as in the "
            f"table of the fit{other}."
        )
    return np.asarray(found)[:, None]


def check_zone(name: str, values: Any, zone: bool | None) -> None:
    """Raise if dates have a time zone that those of the fit lacked, or lack one: they are hours apart."""
    if zone is None or (found := has_zone(values)) is None or found == zone:
        return
    got, expected = ("dates with", "without") if found else ("dates without", "with one")
    raise ValueError(
        f"column {name!r} is of another type than in the fit: got {got} a time zone, expected dates {expected}. Write "
        "it as in the table of the fit."
    )


def parts_of(kind: str, days: Array) -> dict[str, Array]:
    """Return all that a date or a time of day says, as numbers by name."""
    return time_parts(days) if kind == "time of day" else date_parts(days)


def texts_of(values: Any) -> Any:
    """Return a category as an array of texts, None for missing ones."""
    texts = np.empty(len(values), dtype=object)
    texts[:] = as_texts(values)
    return texts


def _first_bad(values: Any, markers: Markers, kind: str) -> tuple[int, Any]:
    """Find the first value that is not of a kind."""
    for row, value in enumerate(values.to_pylist()):
        if value is None:
            continue
        single = values.slice(row, 1)
        is_number = kind in NUMBERS and is_text(values.type) and as_numbers(single, markers) is not None
        is_date = kind not in (*NUMBERS, "list") and is_text(values.type) and as_dates(single) is not None
        if not is_number and not is_date:
            return row, value
    return 0, None


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
