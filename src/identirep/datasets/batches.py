"""What readers of all formats give: batches of rows, as numbers and labels, and the cells that are none."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.datasets.markers import numbers_in
from identirep.missing import is_missing


@dataclass(frozen=True)
class Batch:
    """Consecutive rows: numbers with NaN for missing values, and labels with None."""

    numbers: Array
    labels: list[Any] | None


@dataclass(frozen=True)
class BadCell:
    """The first cell of a column that is not a number, with its row counted from 1."""

    column: str
    row: int
    value: Any
    # Whether most other cells are numbers, so that this one may stand for a missing value.
    is_among_numbers: bool = False
    # What to do about it, where its form tells.
    remedy: str = ""
    # Of how many such cells it is the first, in words that go behind its row; empty if it is the only one.
    of: str = ""


class NotNumericError(Exception):
    """Some of the requested columns hold something else than numbers."""

    def __init__(self, cells: Sequence[BadCell]) -> None:
        super().__init__(cells)
        self.cells = list(cells)


def as_matrix(columns: Sequence[Any], n_rows: int, missing: Sequence[float] = ()) -> Array:
    """Stack Arrow columns into a matrix of float64, NaN for missing values and for numbers that stand for them."""
    import pyarrow as pa

    matrix = np.empty((n_rows, len(columns)))
    for j, column in enumerate(columns):
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        matrix[:, j] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        if missing:
            matrix[np.isin(matrix[:, j], numbers_in(column.type, missing)), j] = np.nan
    return matrix


def as_labels(column: Any) -> list[Any]:
    """Return the labels of an Arrow column: only an empty cell is missing, and no text but a blank one is empty."""
    return [None if is_missing(label) else as_label(label) for label in column.to_pylist()]


def as_label(value: Any) -> Any:
    """Return a label as a text file has it: no blanks around, None if nothing is left; dates and moments as text."""
    if isinstance(value, datetime.date):
        return str(value)
    return value.strip() or None if isinstance(value, str) else value


def check_distinct(path: Path, columns: Sequence[str]) -> None:
    """Raise if two columns have one name; those without any are never read, and may be several."""
    repeated = [name for name, count in Counter(columns).items() if count > 1 and name]
    if repeated:
        raise ValueError(
            f"{path.name} has repeated column names: got {repeated[0]!r} {columns.count(repeated[0])} times, expected "
            "distinct names. Rename them."
        )


def first_places(columns: Sequence[str]) -> dict[str, int]:
    """Return the place of each name, of those that repeat the first."""
    return {name: place for place, name in reversed(list(enumerate(columns)))}


def empty_message(path: Path) -> str:
    """Say that a file holds no data."""
    return (
        f"{path.name} is empty: got 0 rows, expected a header and at least one row of data. Check how it was written."
    )


def blank_rows(n_rows: int) -> str:
    """Say that rows without anything in them were left out."""
    return "without 1 row that holds nothing" if n_rows == 1 else f"without {n_rows:,} rows that hold nothing"


def unreadable() -> tuple[type[Exception], ...]:
    """List what Arrow raises for content that it cannot decode, decompress or hold."""
    import pyarrow as pa

    return (pa.lib.ArrowException, OSError, UnicodeDecodeError, OverflowError, SystemError)
