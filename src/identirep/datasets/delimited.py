"""Text files with separators, such as CSV, read as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from identirep.datasets.batches import (
    Batch,
    NotNumericError,
    as_labels,
    as_matrix,
    check_distinct,
    empty_message,
    first_places,
    unreadable,
)
from identirep.datasets.dialects import check_decimal, check_separator
from identirep.datasets.markers import Markers
from identirep.datasets.numerals import FALSE, TRUE
from identirep.datasets.text_files import TextFile
from identirep.datasets.texts import Numbers, typed_texts, typing_remark
from identirep.datasets.typed import as_typed

_BLOCK_BYTES = 4 << 20
_MAX_SHOWN = 200
# What Arrow says of a row that is not as long as the header.
_RAGGED = re.compile(r"Expected \d+ columns, got \d+")
_TRUE, _FALSE = [*TRUE, "1"], [*FALSE, "0"]


class DelimitedFile:
    """Rows of text with a separator, possibly compressed, read as a stream."""

    has_types = False

    def __init__(
        self,
        path: Path,
        separators: Sequence[str],
        markers: Markers,
        separator: str | None = None,
        decimal: str | None = None,
    ) -> None:
        self.path = path
        self.markers = markers
        separator = check_separator(separator)
        check_decimal(decimal)
        try:
            self._file = TextFile(path, separators, separator, decimal, markers.texts)
        except unreadable() as error:
            raise self._explain(error) from None
        dialect = self._file.dialect
        self.columns: list[str] = list(dialect.header)
        self.decimal = self._file.decimal
        check_distinct(path, self.columns)
        self._places = first_places(self.columns)
        # A guess that saves a second reading where it is right.
        words = {*TRUE, *FALSE}
        columns = [{cell for cell in column if cell} for column in zip(*dialect.sample, strict=False)]
        self._boolean = {
            name
            for name, known in zip(self.columns, columns, strict=False)
            if known & words and known <= {*_TRUE, *_FALSE}
        }
        # Arrow takes 0x1F for a whole number, but not for a number: these are labels.
        self._texts = {
            str(place)
            for place, column in enumerate(zip(*dialect.sample, strict=False))
            if any(cell[:2] in ("0x", "0X") for cell in column)
        }
        self._remarks: list[str] = []

    @property
    def index_columns(self) -> list[str]:
        """Columns that the file itself declares to be an index: text has no room for that."""
        return []

    @property
    def remarks(self) -> list[str]:
        """What is said of how the file is read, once it has been."""
        return self._file.remarks() + self._remarks

    def as_they_are(self, columns: Sequence[str]) -> Any:
        """Read columns as texts with nothing changed; a cell without a character in it, quotes included, is null."""
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in columns])
        return pa.concat_tables([pa.Table.from_batches([], schema), *self.blocks_as_they_are(columns)])

    def blocks_as_they_are(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield columns as texts with nothing changed, block by block."""
        import pyarrow as pa

        self._file.check_quotes()
        places = [str(self._places[name]) for name in columns]
        options = self._convert_options(dict.fromkeys(places, pa.string()), places)
        options.null_values, options.strings_can_be_null, options.quoted_strings_can_be_null = [""], True, False
        try:
            with self._open(options) as reader:
                for batch in reader:
                    yield pa.table([batch.column(place) for place in places], names=list(columns))
        except unreadable() as error:
            raise self._explain(error) from None

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        import pyarrow as pa

        self._file.check_quotes()
        types = {name: pa.bool_() if name in self._boolean else pa.float64() for name in numeric}
        if label is not None:
            # Labels may look like numbers in the first block and not later.
            types[label] = pa.string()
        n_rows = 0
        try:
            with self._open(self._options_for(types)) as reader:
                for batch in reader:
                    yield self._batch([self._column(batch, name) for name in numeric], batch, label)
                    n_rows += batch.num_rows
        except unreadable():
            yield from self._from_texts(numeric, label, n_rows)

    def read_whole(self, columns: Sequence[str] | None = None) -> Any:
        """Read columns, all by default, with the types that all their values suggest; what is missing is null."""
        import pyarrow as pa
        from pyarrow import csv

        self._file.check_quotes()
        names = self.columns if columns is None else list(columns)
        places = range(len(names)) if columns is None else [self._places[name] for name in names]
        try:
            table = csv.read_csv(
                self._file.body(),
                read_options=self._read_options(),
                parse_options=self._parse_options(),
                convert_options=self._convert_options(
                    dict.fromkeys(self._texts, pa.string()), [str(place) for place in places]
                ),
            )
        except unreadable() as error:
            if _is_empty(error):
                return pa.table([pa.array([], pa.string())] * len(names), names=names)
            raise self._explain(error) from None
        self._remarks = []
        read = [self._typed(column, name) for column, name in zip(table.columns, names, strict=True)]
        return pa.table(read, names=names)

    def _typed(self, column: Any, name: str) -> Any:
        """Return a column with its type, texts as what they say if they all say it."""
        import pyarrow as pa

        if not pa.types.is_string(column.type):
            return as_typed(column, self.markers.numbers)
        typed = typed_texts(column, self.markers, self.decimal)
        if remark := typing_remark(column, typed, name, self.markers, self.decimal):
            self._remarks.append(remark)
        return typed

    def _from_texts(self, numeric: Sequence[str], label: str | None, n_read: int) -> Iterator[Batch]:
        """Yield the rows after those that were read, cells trimmed; slower, but it finds what is not a number."""
        import pyarrow as pa

        columns = [Numbers(name, self.markers, self.decimal) for name in numeric]
        row = 0
        try:
            types = dict.fromkeys([*numeric, *filter(None, [label])], pa.string())
            with self._open(self._options_for(types)) as reader:
                for batch in reader:
                    numbers = [column.read(self._column(batch, column.name)) for column in columns]
                    row += batch.num_rows
                    if row > n_read and not any(column.bad for column in columns):
                        yield self._batch(numbers, batch, label)
        except unreadable() as error:
            if _is_empty(error):
                return
            if not any(column.bad for column in columns):
                raise self._explain(error) from None
            # The file is malformed further down; what was found before it is reported first.
        if bad := [column.bad for column in columns if column.bad]:
            raise NotNumericError(bad)

    def _column(self, batch: Any, name: str) -> Any:
        return batch.column(str(self._places[name]))

    def _batch(self, numbers: Sequence[Any], batch: Any, label: str | None) -> Batch:
        labels = None if label is None else as_labels(self._column(batch, label))
        return Batch(as_matrix(numbers, batch.num_rows, self.markers.numbers), labels)

    def _open(self, options: Any) -> Any:
        """Open the stream; only the columns that the options include are decoded."""
        from pyarrow import csv

        return csv.open_csv(
            self._file.body(),
            read_options=self._read_options(),
            parse_options=self._parse_options(),
            convert_options=options,
        )

    def _options_for(self, column_types: dict[str, Any]) -> Any:
        """Return what makes values of the columns with a type, and leaves the others out."""
        by_place = {str(self._places[name]): kind for name, kind in column_types.items()}
        return self._convert_options(by_place, list(by_place))

    def _read_options(self) -> Any:
        """Call columns by their place: names may be none, or repeat; blocks hold the longest row."""
        from pyarrow import csv

        block_size = max(_BLOCK_BYTES, 2 * self._file.longest_row)
        return csv.ReadOptions(block_size=block_size, column_names=[str(i) for i in range(len(self.columns))])

    def _parse_options(self) -> Any:
        from pyarrow import csv

        return csv.ParseOptions(delimiter=self._file.delimiter, newlines_in_values=self._file.has_quotes)

    def _convert_options(self, column_types: dict[str, Any], included: list[str]) -> Any:
        """Return what makes cells values: markers count in columns of numbers alone."""
        from pyarrow import csv

        return csv.ConvertOptions(
            column_types=column_types,
            include_columns=included,
            null_values=sorted(self.markers.texts),
            true_values=_TRUE,
            false_values=_FALSE,
            strings_can_be_null=False,
            decimal_point=self.decimal,
        )

    def _explain(self, error: Exception) -> ValueError:
        """Say what is wrong with a file that is no table."""
        if _is_empty(error):
            return ValueError(empty_message(self.path))
        # Arrow shows the rest of the file after the first line.
        what = str(error).splitlines()[0][:_MAX_SHOWN]
        if _RAGGED.search(what) and (ragged := self._file.ragged()) is not None:
            return ragged
        return ValueError(
            f"{self.path.name} cannot be read: got {what}, expected text with rows of equal length, in UTF-8, UTF-16 "
            "or Windows-1252. Repair the file."
        )


def _is_empty(error: Exception) -> bool:
    return "Empty CSV file" in str(error)
