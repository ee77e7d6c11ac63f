"""Dates as people write them, 31.01.2020, 01/31/2020 or 31-Jan-2020: read where days are told from months."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["as_dates", "date_remark", "named_dates", "order_of_dates"]

# Day and month in either order, the year in full, and perhaps a time.
_PATTERN = r"^(?P<a>\d{1,2})%s(?P<b>\d{1,2})%s(?P<year>\d{4})(?:[ T](?P<time>\d{1,2}:\d{2}(?::\d{2})?))?$"
_MARKS = {".": r"\.", "/": "/", "-": "-"}
_MOST_MONTHS = 12
_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october"]
_MONTHS += ["november", "december"]
# Each name of a month, the short ones too, and its number.
_NUMBER_OF = {name[:n]: i + 1 for i, name in enumerate(_MONTHS) for n in (3, len(name))} | {"sept": 9}
_DAY, _MONTH, _YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?", r"(?P<month>[a-z]{3,9})\.?", r"(?P<year>\d{4})"
_TIME = r"(?:,?[ t]+(?P<time>\d{1,2}:\d{2}(?::\d{2})?))?"
# The day, the month by its name and the year in full, in any order in which they are written; perhaps a weekday.
_NAMED = (
    rf"^(?:[a-z]{{3,9}},? )?{_DAY}[-/ .]+{_MONTH}[-/ ,]+{_YEAR}{_TIME}$",
    rf"^(?:[a-z]{{3,9}},? )?{_MONTH}[-/ ]+{_DAY}(?:, ?|[-/ ]+){_YEAR}{_TIME}$",
    rf"^{_YEAR}[-/ ]+{_MONTH}[-/ ]+{_DAY}{_TIME}$",
)
_UNTOLD = "whose day and month cannot be told apart"


def as_dates(texts: Any) -> Any:
    """Return trimmed texts as dates, or moments in time if they have times; None if they are none, or cannot be told.

    A number above 12 tells which is the day. Between points the day comes first, if nothing speaks against it.
    """
    from pyarrow import compute

    if (named := named_dates(texts)) is not None:
        return named
    found = _parts(texts)
    if found is None:
        return None
    parts, mark = found
    day_first = _day_first(parts, mark)
    if day_first is None:
        return None
    first, second, year, time = (compute.struct_field(parts, name) for name in ("a", "b", "year", "time"))
    day, month = (first, second) if day_first else (second, first)
    return _as_moments(year, month, day, time)


def named_dates(texts: Any) -> Any:
    """Return trimmed texts as dates, or moments, if all have their month by its name, as in 31-Jan-2020; else None."""
    import pyarrow as pa
    from pyarrow import compute

    if texts.null_count == len(texts):
        return None
    lower = compute.utf8_lower(texts)
    some = compute.struct_field
    found = [compute.extract_regex(lower, pattern) for pattern in _NAMED]
    year, month, day, time = (
        compute.coalesce(*(some(parts, name) for parts in found)) for name in ("year", "month", "day", "time")
    )
    if year.null_count > texts.null_count:
        return None
    place = compute.index_in(month, value_set=pa.array(list(_NUMBER_OF), month.type))
    number = pa.array(list(map(str, _NUMBER_OF.values()))).take(place)
    return None if number.null_count > texts.null_count else _as_moments(year, number, day, time)


def _as_moments(year: Any, month: Any, day: Any, time: Any) -> Any:
    """Return dates of their parts in digits, or moments if some have a time; None if one does not exist."""
    import pyarrow as pa
    from pyarrow import compute

    written = compute.binary_join_element_wise(year, *(compute.utf8_lpad(part, 2, "0") for part in (month, day)), "-")
    has_time = compute.any(compute.not_equal(time, "")).as_py()
    try:
        if not has_time:
            return written.cast(pa.date32())
        clock = compute.if_else(compute.equal(time, ""), "00:00", time)
        clock = compute.if_else(
            compute.less(compute.utf8_length(clock), 6), compute.binary_join_element_wise(clock, "00", ":"), clock
        )
        return compute.binary_join_element_wise(written, compute.utf8_lpad(clock, 8, "0"), " ").cast(pa.timestamp("s"))
    except pa.ArrowInvalid:
        # There is no 31st of February.
        return None


def date_remark(texts: Any, name: str) -> str:
    """Say how dates are read where they do not tell it themselves, or that they are read as text; else nothing."""
    found = _parts(texts)
    if found is None:
        return ""
    parts, mark = found
    first = next(text for text in texts.to_pylist() if text is not None)
    if any(_any_above(parts, part) for part in ("a", "b")):
        return ""
    if mark == ".":
        return f"Column {name!r} has dates such as {first!r}: the day is taken to come first."
    got = f"got {first!r}, a date {_UNTOLD}"
    return f"Column {name!r} is read as text: {got}, expected dates as 2020-01-31. Write them so."


def order_of_dates(texts: Iterable[str | None], name: str) -> Any:
    """Return dates to sort rows by, NaT for none; None for other texts; ValueError if days and months are not told."""
    import numpy as np
    import pyarrow as pa

    column = pa.array([None if text is None else text.strip() for text in texts], pa.string())
    dates = as_dates(column)
    if dates is not None:
        return np.asarray(dates.cast(pa.timestamp("s")))
    if _UNTOLD in date_remark(column, name):
        raise ValueError(
            f"order cannot be sorted: got {next(filter(None, texts))!r} in column {name!r}, a date {_UNTOLD}, expected "
            "dates as 2020-01-31. Write them so."
        )
    return None


def _parts(texts: Any) -> tuple[Any, str] | None:
    """Return the parts of trimmed texts that all are dates with one mark; None if some are not."""
    from pyarrow import compute

    present = texts.drop_null()
    if not len(present):
        return None
    first = present[0].as_py()
    mark = next((mark for mark in _MARKS if mark in first), None)
    if mark is None:
        return None
    parts = compute.extract_regex(texts, _PATTERN % (_MARKS[mark], _MARKS[mark]))
    if parts.null_count > texts.null_count:
        return None
    return parts, mark


def _any_above(parts: Any, name: str) -> bool:
    """Tell whether a part is above the number of months anywhere."""
    from pyarrow import compute

    numbers = compute.struct_field(parts, name).cast("int64")
    return bool(compute.any(compute.greater(numbers, _MOST_MONTHS)).as_py())


def _day_first(parts: Any, mark: str) -> bool | None:
    first, second = (_any_above(parts, name) for name in ("a", "b"))
    if first and second:
        return None
    return first if first or second else (True if mark == "." else None)
