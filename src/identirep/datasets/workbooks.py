"""Excel workbooks: one sheet, its first row with anything in it as the header."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any

from identirep.datasets.batches import (
    Batch,
    NotNumericError,
    as_label,
    as_matrix,
    blank_rows,
    check_distinct,
    empty_message,
    first_places,
)
from identirep.datasets.headers import check_header, has_units, units_remark
from identirep.datasets.kinds import look
from identirep.datasets.markers import Markers
from identirep.datasets.texts import Numbers, typed_texts, typing_remark
from identirep.datasets.typed import as_typed

__all__ = ["Workbook"]

_BATCH_ROWS = 4_096
# Rows that tell which columns without a name are there at all.
_FIRST_ROWS = 100


class Workbook:
    """One sheet of an Excel workbook, read row by row."""

    index_columns: Sequence[str] = ()
    has_types = True
    decimal = "."

    def __init__(self, path: Path, markers: Markers, sheet: str | None = None) -> None:
        self.path = path
        self.markers = markers
        self._sheet = sheet
        self._said: list[str] = []
        with self._rows() as (sheets, rows):
            first = list(islice(rows, _FIRST_ROWS + 1))
        if not first:
            raise ValueError(empty_message(path))
        if any(value is None for row in first for value in row):
            self._check_formulas()
        self._told = self._sheet is not None or len(sheets) == 1
        self._sheet = self._sheet or sheets[0]
        names = ["" if cell is None else str(cell).strip() for cell in first[0]]
        width = max(map(len, first))
        names += [""] * (width - len(names))
        filled = [name or any(j < len(row) and row[j] is not None for row in first[1:]) for j, name in enumerate(names)]
        self._places = [j for j in range(width) if filled[j]]
        self.columns = [names[j] for j in self._places]
        self._place = first_places(self.columns)
        texts = [
            [str(row[j]) if j < len(row) and row[j] is not None else "" for j in self._places] for row in first[1:]
        ]
        trimmed = [["" if text.strip() in markers.texts else text.strip() for text in row] for row in texts]
        # Rows without anything may lie between names and units.
        trimmed = [row for row in trimmed if any(row)]
        self._units = units_remark(trimmed[0]) if has_units(self.columns, trimmed) else ""
        check_header(path, self.columns, texts, ".")
        check_distinct(path, self.columns)

    @property
    def remarks(self) -> list[str]:
        """What is said of how the sheet is read, once it has been."""
        which = [] if self._told else [f"Read from the first sheet, {self._sheet!r}."]
        return which + [self._units] * bool(self._units) + self._said

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        columns = [Numbers(name, self.markers) for name in numeric]
        for rows in self._batched_rows():
            numbers = [column.read(_texts(self._column(rows, column.name))) for column in columns]
            labels = None if label is None else [_label(value) for value in self._column(rows, label)]
            if not any(column.bad for column in columns):
                yield Batch(as_matrix(numbers, len(rows), self.markers.numbers), labels)
        if bad := [column.bad for column in columns if column.bad]:
            raise NotNumericError(bad)

    def read_whole(self, columns: Sequence[str] | None = None) -> Any:
        """Read columns, all by default, with the types that all their values suggest; what is missing is null."""
        import pyarrow as pa

        names = self.columns if columns is None else list(columns)
        places = self._places if columns is None else [self._places[self._place[name]] for name in names]
        values: list[list[Any]] = [[] for _ in places]
        for rows in self._batched_rows():
            for column, place in zip(values, places, strict=True):
                column.extend(row[place] if place < len(row) else None for row in rows)
        typed = []
        for name, column in zip(names, values, strict=True):
            typed.append(_typed(column, self.markers))
            if all(value is None or isinstance(value, str) for value in column):
                self._said += filter(None, [typing_remark(_texts(column), typed[-1], name, self.markers, ".")])
        return pa.table(typed, names=names)

    def as_they_are(self, columns: Sequence[str]) -> Any:
        """Read columns with the types that all their values suggest."""
        return self.read_whole(columns)

    def _check_formulas(self) -> None:
        """Raise if the first rows hold formulas that no program has computed: they would all count as missing."""
        with self._cells() as (_, computed), self._cells(data_only=False) as (_, written):
            for row, formulas in islice(zip(computed, written, strict=False), _FIRST_ROWS):
                for cell, formula in zip(row, formulas, strict=False):
                    # A text without anything in it has a type of its own.
                    if formula.data_type == "f" and cell.value is None and cell.data_type == "n":
                        raise ValueError(
                            f"{self.path.name} has formulas without values: got one in cell {formula.coordinate}, "
                            "expected what it comes to. Open it in a spreadsheet program and save it."
                        )

    def _column(self, rows: Sequence[Sequence[Any]], name: str) -> list[Any]:
        place = self._places[self._place[name]]
        return [row[place] if place < len(row) else None for row in rows]

    def _batched_rows(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows after the header, some at a time, and note what of them is said."""
        errors: Counter[str] = Counter()
        n_blank, waiting, is_next_of_units = 0, 0, bool(self._units)
        with self._rows(errors) as (_, rows):
            header = next(rows, None)
            batch: list[tuple[Any, ...]] = []
            for row in () if header is None else rows:
                if all(value is None or (isinstance(value, str) and not value.strip()) for value in row):
                    waiting += 1
                    continue
                n_blank, waiting = n_blank + waiting, 0
                if is_next_of_units:
                    is_next_of_units = False
                    continue
                batch.append(row)
                if len(batch) == _BATCH_ROWS:
                    yield batch
                    batch = []
            if batch:
                yield batch
        self._said = []
        if n_blank:
            self._said.append(f"Read {blank_rows(n_blank)}.")
        if errors:
            listed = ", ".join(f"{text} ({count:,})" for text, count in sorted(errors.items()))
            self._said.append(f"Errors of formulas count as missing: {listed}.")

    @contextmanager
    def _rows(self, errors: Counter[str] | None = None) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
        """Open the sheet: the names of all, and values of rows from the first one with anything in it on."""
        with self._cells() as (sheets, rows):
            yield sheets, dropwhile(lambda row: all(value is None for value in row), _values(rows, errors))

    @contextmanager
    def _cells(self, *, data_only: bool = True) -> Iterator[tuple[list[str], Iterator[Any]]]:
        """Open the sheet: the names of all, and its rows of cells, with values or formulas."""
        try:
            from openpyxl import load_workbook
        except ImportError:
            raise ImportError(
                f"{self.path.name} needs openpyxl: got no such package, expected it to be installed. Run pip install "
                "'identirep[excel]'."
            ) from None
        try:
            book = load_workbook(self.path, read_only=True, data_only=data_only, keep_links=False)
        except Exception as error:
            # Damaged archives and documents make openpyxl, zipfile and zlib raise anything.
            raise self._explain(error) from None
        try:
            sheets = [sheet.title for sheet in book.worksheets]
            if not sheets:
                raise ValueError(empty_message(self.path))
            name = sheets[0] if self._sheet is None else self._sheet
            if name not in sheets:
                listed = ", ".join(map(repr, sheets))
                raise ValueError(f"sheet is not in {self.path.name}: got {name!r}, expected one of {listed}. Name one.")
            sheet = book[name]
            # What writers note of the size of a sheet is often wrong.
            sheet.reset_dimensions()
            yield sheets, self._readable(sheet.iter_rows())
        finally:
            book.close()

    def _readable(self, rows: Iterator[Any]) -> Iterator[Any]:
        """Yield rows, faults of the file as errors that say so."""
        while True:
            try:
                row = next(rows, None)
            except Exception as error:
                raise self._explain(error) from None
            if row is None:
                return
            yield row

    def _explain(self, error: Exception) -> ValueError:
        """Say what is wrong with a file that is no workbook."""
        if isinstance(error, MemoryError):
            raise error
        with self.path.open("rb") as file:
            found = look(file.read(1 << 12))
        what = f"what looks like {found.what}" if found and not found.what.startswith("an Excel") else str(error)
        return ValueError(
            f"{self.path.name} cannot be read: got {what}, expected an Excel workbook (.xlsx). Check that the ending "
            "of its name tells its format, and that it is whole and has no password."
        )


def _values(rows: Iterator[Any], errors: Counter[str] | None) -> Iterator[tuple[Any, ...]]:
    """Yield values of rows, errors of formulas as missing, and count these."""
    for row in rows:
        if errors is not None:
            errors.update(cell.value for cell in row if cell.data_type == "e")
        yield tuple(None if cell.data_type == "e" else cell.value for cell in row)


def _label(value: Any) -> Any:
    """Return a label: nothing for an empty text, a whole number as one, a day without the midnight that sheets add."""
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    value = as_label(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _texts(values: Sequence[Any]) -> Any:
    """Return values as a text file would have them."""
    import pyarrow as pa

    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    value = _label(value) if isinstance(value, float) else value
    return value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)


def _typed(values: Sequence[Any], markers: Markers) -> Any:
    """Return a column with the type that all values have; texts as what they say if they all say it."""
    import pyarrow as pa

    kept = [None if str(value).strip() in markers.texts else value for value in values]
    known = {type(value) for value in kept if value is not None}
    if known in ({bool}, {dt.time}, {dt.timedelta}):
        return pa.array(kept)
    if known and known <= {int, float}:
        return as_typed(pa.array([None if value is None else float(value) for value in kept]), markers.numbers)
    if known and known <= {dt.datetime, dt.date}:
        moments = [_moment(value) for value in kept]
        if all(moment is None or moment.time() == dt.time() for moment in moments):
            return pa.array([None if moment is None else moment.date() for moment in moments], pa.date32())
        return pa.array(moments, pa.timestamp("us"))
    return typed_texts(_texts(values), markers)


def _moment(value: Any) -> dt.datetime | None:
    if value is None or isinstance(value, dt.datetime):
        return value
    return dt.datetime.combine(value, dt.time())
