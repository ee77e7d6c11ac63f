"""Columns of text as what they say: numbers, booleans, dates and times, or text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from identirep.datasets.batches import BadCell
from identirep.datasets.dates import as_dates, date_remark
from identirep.datasets.headers import first_row_remedy
from identirep.datasets.markers import Markers
from identirep.datasets.numerals import FALSE, TRUE, in_all, is_number, remark_on, written
from identirep.datasets.typed import as_typed

__all__ = ["Numbers", "as_numbers", "number_remark", "typed_texts", "typing_remark"]

# Cells of which a column that looks like numbers is told.
_MOST_LOOKED_AT = 1_000


def _trimmed(texts: Any, markers: Markers) -> Any:
    """Return texts without blanks around them, markers as missing."""
    import pyarrow as pa
    from pyarrow import compute

    texts = compute.utf8_trim_whitespace(texts)
    is_marker = compute.is_in(texts, value_set=pa.array(sorted(markers.texts)))
    return compute.if_else(is_marker, None, texts)


def as_numbers(texts: Any, markers: Markers, decimal: str = ".", *, booleans: bool = False) -> Any:
    """Return texts as float64, markers as missing, with `booleans` also True as 1; None if one is none of these."""
    import pyarrow as pa
    from pyarrow import compute

    texts = _trimmed(texts, markers)
    if booleans:
        for number, forms in (("1", TRUE), ("0", FALSE)):
            texts = compute.if_else(compute.is_in(texts, value_set=pa.array(forms)), number, texts)
    if decimal != ".":
        if compute.any(compute.match_substring(texts, ".")).as_py():
            return None
        texts = compute.replace_substring(texts, decimal, ".")
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def typed_texts(texts: Any, markers: Markers, decimal: str = ".") -> Any:
    """Return a column of text with the type that all its values suggest, markers as missing where it is no text."""
    import pyarrow as pa
    from pyarrow import compute

    numbers = as_numbers(texts, markers, decimal)
    if numbers is not None and numbers.null_count < len(numbers):
        return as_typed(numbers, markers.numbers)
    trimmed = _trimmed(texts, markers)
    if trimmed.null_count < len(trimmed):
        flags = [
            compute.is_in(trimmed, value_set=pa.array([*forms, digit])) for forms, digit in ((TRUE, "1"), (FALSE, "0"))
        ]
        known = compute.or_(compute.or_(*flags), compute.is_null(trimmed))
        if compute.all(known).as_py():
            return compute.if_else(compute.is_null(trimmed), None, flags[0])
        for kind in (pa.date32(), pa.timestamp("s"), pa.timestamp("ns")):
            try:
                return trimmed.cast(kind)
            except pa.ArrowInvalid:
                continue
        if (dates := as_dates(trimmed)) is not None:
            return dates
    return as_typed(texts)


class Numbers:
    """A column of text read as numbers, part by part: booleans count only where nothing but 0 and 1 is beside them."""

    def __init__(self, name: str, markers: Markers, decimal: str = ".") -> None:
        self.name = name
        self.bad: BadCell | None = None
        self._markers, self._decimal = markers, decimal
        self._has_words = self._has_others = False
        self._n_rows = 0
        self._ways: Counter[str] = Counter()

    def read(self, texts: Any) -> Any:
        """Return the next texts as float64, None if one is neither a number nor missing; `bad` is the first such."""
        import pyarrow as pa
        from pyarrow import compute

        numbers = as_numbers(texts, self._markers, self._decimal)
        if numbers is None:
            numbers = as_numbers(texts, self._markers, self._decimal, booleans=True)
            self._has_words = self._has_words or numbers is not None
        if numbers is not None and not self._has_others:
            flags = compute.is_in(numbers, value_set=pa.array([0.0, 1.0, None]))
            self._has_others = not compute.all(flags).as_py()
        if self._has_words and self._has_others:
            numbers = None
        if numbers is None:
            self._note(texts)
        self._n_rows += len(texts)
        return numbers

    def _note(self, texts: Any) -> None:
        """Note the first text that is no number, or after booleans the first that is none of them, and count others."""
        if self.bad is not None and not self.bad.is_among_numbers:
            return
        listed = texts.to_pylist()
        trimmed = ["" if text is None or text.strip() in self._markers.texts else text.strip() for text in listed]
        words = {*TRUE, *FALSE, "0", "1"}
        fits = (lambda text: text in words) if self._has_words else (lambda text: is_number(text, self._decimal))
        bad = [text for text in trimmed if text and not fits(text)]
        if self.bad is None:
            is_flag = all(text in words for text in trimmed if text)
            n_numbers = sum(is_number(text, self._decimal) for text in trimmed)
            place = next((i for i, text in enumerate(trimmed) if text and not fits(text)), 0)
            remedy = remark_on(trimmed[place], self._decimal) or self._first_row_remedy(place, trimmed, fits)
            is_among_numbers = not is_flag and n_numbers > len(bad)
            self.bad = BadCell(self.name, self._n_rows + place + 1, listed[place], is_among_numbers, remedy)
        if self.bad.is_among_numbers:
            self._ways.update(written(text, self._decimal) for text in bad)
            self.bad = replace(self.bad, of=in_all(self._ways))

    def _first_row_remedy(self, place: int, trimmed: list[str], fits: Callable[[str], bool]) -> str:
        """Say what to do about a first row that is none of values, if all others are numbers."""
        others = [text for text in trimmed[place + 1 :] if text]
        is_alone = bool(others) and all(map(fits, others))
        return first_row_remedy(self._n_rows + place + 1, trimmed[place]) if is_alone else ""


def typing_remark(texts: Any, typed: Any, name: str, markers: Markers, decimal: str) -> str:
    """Say of a column of text what is to be known of the type that it got; mostly nothing."""
    from pyarrow import types

    if types.is_date(typed.type) or types.is_timestamp(typed.type):
        return date_remark(_trimmed(texts, markers), name)
    if not types.is_string(typed.type):
        return ""
    return number_remark(texts, name, markers, decimal) or date_remark(_trimmed(texts, markers), name)


def number_remark(texts: Any, name: str, markers: Markers, decimal: str) -> str:
    """Say of a column of text that it would be one of numbers if these were written otherwise; else nothing."""
    looked_at = [str(text).strip() for text in texts[:_MOST_LOOKED_AT].to_pylist() if text is not None]
    known = [text for text in looked_at if text not in markers.texts]
    other = [text for text in known if not is_number(text, decimal)]
    if not other or not all(remark_on(text, decimal) for text in other):
        return ""
    ways = in_all(Counter(written(text, decimal) for text in other))
    return f"Column {name!r} is read as text: got {other[0]!r}{ways}, expected numbers. {remark_on(other[0], decimal)}"
