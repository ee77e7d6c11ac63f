"""What a column is, judged by one function for `inspect` and for fits: which kind, and why it is no input."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.datasets import (
    Markers,
    as_given,
    declared_index,
    first_row_remedy,
    in_all,
    index_columns,
    remark_on,
    row_numbers,
    written,
)
from identirep.encoding.values import (
    as_dates,
    as_matrix_of_lists,
    as_numbers,
    as_texts,
    kind_of,
    list_width,
    mixes_zones,
    plain,
)
from identirep.parameters import raise_faults

__all__ = ["NUMBERS", "Column", "judge_columns"]

# Kinds that are numbers as they are.
NUMBERS = ("number", "whole number", "yes or no", "duration")
# A text with more values than this share of the rows is no category.
_MOST_DISTINCT = 0.5
# Words that stand for a missing value in a column of numbers, once somebody says so.
_WORDS = {"missing", "unknown", "unk", "nd", "n.d.", "n/d", "void", "bad", "error", "not available", "no data", "empty"}
_MAX_SHOWN = 40
# Dates in the order of some country, or with a year of two digits, which may be a day.
_DATE = re.compile(r"\d{1,4}[./-](\d{1,2}|[^\W\d_]{3,9})[./-]\d{1,4}([ T].*)?")


@dataclass(frozen=True)
class Column:
    """A column as it was judged."""

    name: str
    kind: str
    n_rows: int
    n_missing: int
    # Distinct values, where they were counted: texts, dates and categories.
    n_distinct: int | None = None
    # Why it is no input; empty if it is one.
    why_not: str = ""
    # What to do to make it an input; empty if nothing is to be done or it is a single option of the user's.
    remedy: str = ""
    # Numbers that a list has in each row.
    width: int = 1
    # Whether it numbers the rows or is an index.
    numbers_rows: bool = False
    # Whether it looks like numbers but for some texts, which is a fault rather than a column to leave out.
    is_fault: bool = False

    @property
    def is_input(self) -> bool:
        """Whether a fit takes the column as an input."""
        return not self.why_not


def judge_columns(
    table: Any,
    *,
    markers: Markers | None = None,
    categorical: Collection[str] = (),
    keep: Collection[str] = (),
    most_categories: int = 30,
    index: Sequence[str] | None = None,
) -> list[Column]:
    """Judge all columns of an Arrow table; of those to `keep` nothing but what cannot be an input is left out.

    `index` are the columns that the file declares to be an index, default what the table itself declares. ValueError
    if one of the `categorical` holds what has no values to tell apart.
    """
    names = table.column_names
    declared = declared_index(table.schema) if index is None else index
    numbering = index_columns(names, [name for name in declared if name in names])
    rules, categorical, keep = markers or Markers(), set(categorical), set(keep)
    found = []
    raise_faults(_no_categories([name for name in names if name in categorical], table))
    for name, values in zip(names, table.columns, strict=True):
        column = _judged(name, plain(values), rules, name in categorical, most_categories, name in keep)
        # What a name says goes before what values do: readers of numbers know the names alone.
        if name in numbering and name not in keep:
            column = replace(column, why_not=numbering[name], remedy="", numbers_rows=True, is_fault=False)
        found.append(column)
    return found


def _no_categories(categorical: Sequence[str], table: Any) -> list[str]:
    """List columns that are to be categories and hold lists, or parts, in each row."""
    kinds = {name: plain(table.column(name)).type for name in categorical}
    return [
        f"categorical has a column that is no category: got {name!r} with {str(kind)[:_MAX_SHOWN]} in each row, "
        "expected single values. Take it out."
        for name, kind in kinds.items()
        if kind_of(kind) in ("list", "other")
    ]


def _judged(name: str, values: Any, markers: Markers, is_category: bool, most: int, is_kept: bool) -> Column:
    kind, n_rows = kind_of(values.type), len(values)
    if is_category:
        return _category(name, as_texts(values), n_rows, is_kept)
    if kind == "text":
        return _text(name, values, markers, most, is_kept)
    if kind in NUMBERS:
        return _number(name, kind, as_numbers(values, markers), is_kept)
    if kind in ("date or time", "time of day"):
        return _date(name, kind, values, is_kept)
    if kind == "list":
        return _list(name, values, markers, is_kept)
    n_missing = values.null_count
    if kind == "empty" or n_missing == n_rows:
        return Column(name, "empty", n_rows, n_rows, 0, "empty")
    return Column(
        name,
        "other",
        n_rows,
        n_missing,
        None,
        f"{str(values.type)[:_MAX_SHOWN]}, no numbers",
        "write its parts as columns",
    )


def _number(name: str, kind: str, numbers: Array, is_kept: bool) -> Column:
    n_missing = int(np.count_nonzero(np.isnan(numbers)))
    column = Column(name, kind, len(numbers), n_missing)
    if n_missing == len(numbers):
        return column if is_kept else Column(name, "empty", len(numbers), n_missing, 0, "empty")
    if is_kept:
        return column
    if why := row_numbers([name], numbers[:, None]).get(name, ""):
        return replace(column, why_not=why, numbers_rows=True)
    # What is either one value or missing still says something.
    # The last one first: most columns need no second look.
    if not n_missing and len(numbers) > 1 and numbers[-1] == numbers[0] and np.all(numbers == numbers[0]):
        return replace(column, why_not="constant")
    return column


def _category(name: str, texts: list[str | None], n_rows: int, is_kept: bool) -> Column:
    present = [text for text in texts if text is not None]
    n_distinct = len(set(present))
    column = Column(name, "category", n_rows, n_rows - len(present), n_distinct)
    if not present:
        return replace(column, why_not="empty")
    is_constant = n_distinct == 1 and len(present) == n_rows and not is_kept
    return replace(column, why_not="constant") if is_constant else column


def _text(name: str, values: Any, markers: Markers, most: int, is_kept: bool) -> Column:
    texts = as_texts(values)
    n_rows, present = len(texts), [text for text in texts if text is not None]
    n_missing, distinct = n_rows - len(present), set(present)
    if not present:
        return Column(name, "empty", n_rows, n_rows, 0, "empty")
    is_few = len(distinct) <= most and len(distinct) <= _MOST_DISTINCT * len(present)
    numbers = as_numbers(values, markers)
    # Files say what is a number; texts of a few numbers are codes.
    if numbers is not None and not is_few:
        return _number(name, "number", numbers, is_kept)
    if as_dates(values) is not None:
        return _date(name, "date or time", values, is_kept)
    bad, ways = (None, {}) if numbers is not None else _among_numbers(texts, markers)
    # Numbers that are written otherwise are no codes: 7,5 and 7.5 would be two of them.
    if bad is not None and (not is_few or _looks_missing(texts[bad]) or remark_on(str(texts[bad]), ".")):
        return Column(
            name,
            "text",
            n_rows,
            n_missing,
            len(distinct),
            f"{texts[bad]!r:.{_MAX_SHOWN}} among numbers, first at row {bad + 1}{in_all(ways)}",
            _remedy(name, bad, str(texts[bad]), ways),
            is_fault=True,
        )
    if is_few:
        return _category(name, texts, n_rows, is_kept)
    if mixes_zones(values):
        why, remedy = "dates with and without a time zone", "write all with it, or all without"
        return Column(name, "text", n_rows, n_missing, len(distinct), why, remedy)
    if sum(_DATE.fullmatch(text) is not None for text in present) > _MOST_DISTINCT * len(present):
        why = "dates that are not written as 2020-12-31"
        return Column(name, "text", n_rows, n_missing, len(distinct), why, "write them so")
    if len(present) < _MOST_DISTINCT * n_rows:
        why = f"text in {len(present):,} of {n_rows:,} rows"
    elif len(distinct) == len(present):
        why = "a text of its own in each row"
    else:
        why = f"text with {len(distinct):,} values"
    return Column(name, "text", n_rows, n_missing, len(distinct), why, f"pass categorical={name!r}")


def _among_numbers(texts: list[str | None], markers: Markers) -> tuple[int | None, Counter[str]]:
    """Return the row of the first text that is no number, if most texts are numbers, and how such are written."""
    bad, n_numbers, ways = None, 0, Counter[str]()
    for row, text in enumerate(texts):
        if text is None or text in markers.texts:
            continue
        try:
            float(text)
            n_numbers += 1
        except ValueError:
            ways[written(text, ".")] += 1
            bad = row if bad is None else bad
    return bad if n_numbers > ways.total() else None, ways


def _remedy(name: str, bad: int, text: str, ways: Mapping[str, int]) -> str:
    """Say what to do about the first of texts among numbers."""
    other = first_row_remedy(bad + 1, text) if sum(ways.values()) == 1 else ""
    if other:
        return other[:1].lower() + other[1:].rstrip(".")
    return f"pass missing={as_given(text)!r:.{_MAX_SHOWN}} if it stands for a missing value, or categorical={name!r}"


def _looks_missing(text: str | None) -> bool:
    """Tell whether a text may stand for a missing value: signs alone, or one of some words."""
    return text is not None and (not any(map(str.isalnum, text)) or text.lower() in _WORDS)


def _date(name: str, kind: str, values: Any, is_kept: bool) -> Column:
    numbers = as_dates(values)
    assert numbers is not None
    present = numbers[~np.isnan(numbers)]
    column = Column(name, kind, len(numbers), len(numbers) - len(present), len(np.unique(present)))
    if not len(present):
        return replace(column, why_not="empty")
    is_constant = column.n_distinct == 1 and not column.n_missing and len(numbers) > 1 and not is_kept
    return replace(column, why_not="constant") if is_constant else column


def _list(name: str, values: Any, markers: Markers, is_kept: bool) -> Column:
    n_rows, n_missing = len(values), values.null_count
    if n_missing == n_rows:
        return Column(name, "list", n_rows, n_missing, None, "empty")
    width = list_width(values)
    if isinstance(width, str):
        return Column(name, "list", n_rows, n_missing, None, width, "write numbers, as many in each row")
    numbers = as_matrix_of_lists(values, width, markers)
    if not is_kept and n_rows > 1 and not n_missing and np.all(numbers == numbers[0]):
        return Column(name, "list", n_rows, n_missing, None, "constant")
    return Column(name, "list", n_rows, n_missing, None, width=width)
