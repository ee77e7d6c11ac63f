"""Values of a column in whose order rows are alike: numbers, moments in time, or texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep.datasets import is_number, order_of_dates, remark_on
from identirep.encoding import as_dates, mixes_zones
from identirep.wording import short

__all__ = ["sortable"]

# Dates that are neither ISO nor told by the column: as texts 2020-1-15 would come before 2020-1-5.
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}([ T].*)?")
_MOST_SHOWN = 40


def sortable(column: str, labels: list[Any], file: Any) -> tuple[NDArray[Any], str]:
    """Return values to sort by, numbers or moments if all texts are, since as texts 10 would come before 9.

    Also what is to be said of them: that texts are sorted as such.
    """
    markers, decimal = file.markers, file.decimal
    known = [None if label in markers.numbers else label for label in labels]
    texts = [(i, label) for i, label in enumerate(known) if isinstance(label, str)]
    if len(texts) + known.count(None) == len(known) and texts:
        other = [(i, text) for i, text in texts if text not in markers.texts and not is_number(text, decimal)]
        if not other:
            return _numbers(texts, len(labels), markers, decimal), ""
        texts_alone = [None if label in markers.texts else label for label in known]
        if (moments := _moments(column, texts_alone)) is not None:
            return moments, ""
        remarks = [remark_on(text, decimal) for _, text in other]
        if all(remarks):
            raise ValueError(
                f"order has numbers that are not written as such: got {other[0][1]!r} in column {column!r} first at "
                f"row {other[0][0] + 1}, expected numbers. {remarks[0]}"
            )
        present = [text for text in texts_alone if text is not None]
        first, last = (short(repr(text), _MOST_SHOWN) for text in (min(present), max(present)))
        return np.array(texts_alone, dtype=object), f"Column {column!r} is sorted as text, from {first} to {last}."
    values = np.empty(len(labels), dtype=object)
    values[:] = known
    return values, ""


def _numbers(texts: Sequence[tuple[int, str]], n_rows: int, markers: Any, decimal: str) -> NDArray[Any]:
    """Return texts of numbers, by row, as numbers; NaN for missing ones."""
    numbers = np.full(n_rows, np.nan)
    for i, text in texts:
        numbers[i] = np.nan if text in markers.texts else float(text.replace(decimal, "."))
    numbers[np.isin(numbers, markers.numbers)] = np.nan
    return numbers


def _moments(column: str, texts: Sequence[str | None]) -> NDArray[Any] | None:
    """Return dates as moments; None for other texts; ValueError for dates whose order is not known."""
    import pyarrow as pa

    if (dates := order_of_dates(texts, column)) is not None:
        return np.asarray(dates)
    array = pa.array(texts, pa.string())
    if (days := as_dates(array)) is not None:
        return np.asarray(days)
    present = [text for text in texts if text is not None]
    dates_of = [text for text in present if _DATE.fullmatch(text)]
    why = "with and without a time zone" if mixes_zones(array) else "that are not written as 2020-01-31"
    if 2 * len(dates_of) > len(present):
        raise ValueError(
            f"order cannot be sorted: got dates {why} in column {column!r}, such as {dates_of[0]!r}, expected dates as "
            "2020-01-31, all with a time zone or none. Write them so."
        )
    return None
