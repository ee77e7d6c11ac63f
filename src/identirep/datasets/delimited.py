"""CSV and TSV files, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from identirep.datasets.batches import (
    BadCell,
    Batch,
    NotNumericError,
    as_labels,
    as_matrix,
    check_distinct,
    empty_message,
    unreadable,
)
from identirep.datasets.markers import Markers
from identirep.datasets.quotes import check_quotes
from identirep.datasets.typed import as_typed

_BLOCK_BYTES = 4 << 20
_MAX_SHOWN = 200
_TRUE, _FALSE = ["True", "true", "TRUE", "1"], ["False", "false", "FALSE", "0"]


class DelimitedFile:
    """A CSV or TSV file, possibly compressed, read as a stream."""

    def __init__(self, path: Path, delimiter: str, markers: Markers) -> None:
        self.path = path
        self.delimiter = delimiter
        self.markers = markers
        try:
            with self._open(column_types={}) as reader:
                # Names are decoded here, which fails if they are not UTF-8.
                fields = [(field.name, str(field.type)) for field in reader.schema]
        except unreadable() as error:
            self._check_quotes(0)
            raise self._explain(error) from None
        self.columns: list[str] = [name for name, _ in fields]
        check_distinct(path, self.columns)
        self._boolean = {name for name, kind in fields if kind == "bool"}

    @property
    def index_columns(self) -> list[str]:
        """Columns that the file itself declares to be an index: text has no room for that."""
        return []

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        import pyarrow as pa

        self._check_quotes(len(self.columns))
        types = {name: pa.bool_() if name in self._boolean else pa.float64() for name in numeric}
        if label is not None:
            # Inferred types come from the first block alone, and labels may look like numbers there and not later.
            types[label] = pa.string()
        n_rows = 0
        try:
            with self._open(column_types=types) as reader:
                for batch in reader:
                    yield self._batch([batch.column(name) for name in numeric], batch, label)
                    n_rows += batch.num_rows
        except unreadable():
            yield from self._from_texts(numeric, label, n_rows)

    def read_whole(self, columns: Sequence[str] | None = None) -> Any:
        """Read columns, all by default, with the types that all their values suggest; what is missing is null."""
        import pyarrow as pa
        from pyarrow import csv

        self._check_quotes(len(self.columns))
        options = self._convert_options({})
        options.include_columns = [] if columns is None else list(columns)
        try:
            table = csv.read_csv(self.path, parse_options=self._parse_options(), convert_options=options)
        except unreadable() as error:
            raise self._explain(error) from None
        read = [self._typed(column, name) for name, column in zip(table.column_names, table.columns, strict=True)]
        return pa.table(read, names=table.column_names)

    def _check_quotes(self, n_columns: int) -> None:
        try:
            check_quotes(self.path, self.delimiter, n_columns)
        except unreadable() as error:
            raise self._explain(error) from None

    def _typed(self, column: Any, name: str) -> Any:
        """Return texts as numbers if that is what a fit would read, else with blank ones missing."""
        import pyarrow as pa

        if pa.types.is_string(column.type):
            numbers = self._as_numbers(column, name)
            if numbers is not None and numbers.null_count < len(numbers):
                column = numbers
        return as_typed(column, self.markers.numbers)

    def _from_texts(self, numeric: Sequence[str], label: str | None, n_read: int) -> Iterator[Batch]:
        """Yield the rows after those that were read, cells trimmed; slower, but it finds what is not a number."""
        import pyarrow as pa

        found: dict[str, BadCell] = {}
        row = 0
        try:
            with self._open(column_types=dict.fromkeys([*numeric, *filter(None, [label])], pa.string())) as reader:
                for batch in reader:
                    numbers = []
                    for name in numeric:
                        texts = batch.column(name)
                        numbers.append(self._as_numbers(texts, name))
                        if numbers[-1] is None and name not in found:
                            found[name] = self._bad_cell(texts, name, row)
                    row += batch.num_rows
                    if row > n_read and not found:
                        yield self._batch(numbers, batch, label)
        except unreadable() as error:
            if not found:
                raise self._explain(error) from None
            # The file is malformed further down; what was found before it is reported first.
        if found:
            raise NotNumericError([found[name] for name in numeric if name in found])

    def _batch(self, numbers: Sequence[Any], batch: Any, label: str | None) -> Batch:
        labels = None if label is None else as_labels(batch.column(label))
        return Batch(as_matrix(numbers, batch.num_rows, self.markers.numbers), labels)

    def _as_numbers(self, texts: Any, name: str) -> Any:
        """Return texts as numbers, markers as missing; None if one is neither."""
        import pyarrow as pa
        from pyarrow import compute

        texts = compute.utf8_trim_whitespace(texts)
        is_marker = compute.is_in(texts, value_set=pa.array(sorted(self.markers.texts)))
        texts = compute.if_else(is_marker, None, texts)
        if name in self._boolean:
            for number, forms in (("1", _TRUE), ("0", _FALSE)):
                texts = compute.if_else(compute.is_in(texts, value_set=pa.array(forms)), number, texts)
        try:
            return texts.cast(pa.float64())
        except pa.ArrowInvalid:
            return None

    def _bad_cell(self, texts: Any, name: str, row: int) -> BadCell:
        """Find the first text that is neither a number nor missing; `row` rows come before."""
        import pyarrow as pa

        numbers = [self._as_numbers(pa.array([text]), name) for text in texts.to_pylist()]
        bad = [i for i, number in enumerate(numbers) if number is None]
        n_numbers = sum(number is not None and number[0].is_valid for number in numbers)
        return BadCell(name, row + bad[0] + 1, texts[bad[0]].as_py(), n_numbers > len(bad))

    def _open(self, column_types: dict[str, Any]) -> Any:
        """Open the stream; only the columns with a type are decoded, or all names if there are none."""
        from pyarrow import csv

        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=self._parse_options(),
            convert_options=self._convert_options(column_types),
        )

    def _parse_options(self) -> Any:
        from pyarrow import csv

        return csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True)

    def _convert_options(self, column_types: dict[str, Any]) -> Any:
        """Return what makes cells values: markers count in columns of numbers alone."""
        from pyarrow import csv

        return csv.ConvertOptions(
            column_types=column_types,
            include_columns=list(column_types),
            null_values=sorted(self.markers.texts),
            true_values=_TRUE,
            false_values=_FALSE,
            strings_can_be_null=False,
        )

    def _explain(self, error: Exception) -> ValueError:
        """Say what is wrong with a file that is no table."""
        if "Empty CSV file" in str(error):
            return ValueError(empty_message(self.path))
        # Arrow shows the rest of the file after the first line.
        what = str(error).splitlines()[0][:_MAX_SHOWN]
        return ValueError(
            f"{self.path.name} cannot be read: got {what}, expected UTF-8 text with rows of equal length. Repair the "
            "file."
        )
