"""Tables in files: names of the columns, and their numbers in batches of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from identirep._typing import Array

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_COLUMNAR = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "feather", ".ipc": "feather"}
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
# Rows decoded at once from Parquet; Feather files have batches of their own and CSV comes in blocks of bytes.
_BATCH_ROWS = 8_192
_BUFFER_BYTES = 1 << 16
_CSV_BLOCK_BYTES = 4 << 20

READABLE = "CSV or TSV (.csv, .tsv, also .gz), Parquet (.parquet) or Feather (.feather, .arrow)"


@dataclass(frozen=True)
class Batch:
    """Consecutive rows: numbers with NaN for missing values, and labels."""

    numbers: Array
    labels: list[Any] | None


@dataclass(frozen=True)
class BadCell:
    """The first cell of a column that is not a number, with its row counted from 1."""

    column: str
    row: int
    value: Any


class NotNumericError(Exception):
    """Some of the requested columns hold something else than numbers."""

    def __init__(self, cells: Sequence[BadCell]) -> None:
        super().__init__(cells)
        self.cells = list(cells)


class DelimitedFile:
    """A CSV or TSV file, possibly compressed, read as a stream."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path = path
        self.delimiter = delimiter
        try:
            with self._open(column_types={}) as reader:
                self.columns: list[str] = reader.schema.names
        except _unreadable() as error:
            raise self._explain(error) from None
        _check_distinct(path, self.columns)

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        import pyarrow as pa

        types = dict.fromkeys(numeric, pa.float64())
        if label is not None:
            # Inferred types come from the first block alone, and labels may look like numbers there and not later.
            types[label] = pa.string()
        try:
            with self._open(column_types=types) as reader:
                for batch in reader:
                    labels = None if label is None else batch.column(label).to_pylist()
                    yield Batch(_as_matrix([batch.column(name) for name in numeric], batch.num_rows), labels)
        except _unreadable() as error:
            cells = self._bad_cells(numeric)
            raise (NotNumericError(cells) if cells else self._explain(error)) from None

    def _bad_cells(self, columns: Sequence[str]) -> list[BadCell]:
        """Read the columns as text and find the first cell of each that is not a number."""
        import pyarrow as pa

        found: dict[str, BadCell] = {}
        row = 0
        try:
            with self._open(column_types=dict.fromkeys(columns, pa.string())) as reader:
                for batch in reader:
                    for name in columns:
                        if name not in found and not _is_castable(batch.column(name)):
                            texts = batch.column(name).to_pylist()
                            bad = next(i for i, text in enumerate(texts) if not _is_number(text))
                            found[name] = BadCell(name, row + bad + 1, texts[bad])
                    row += batch.num_rows
        except _unreadable():
            # The file is malformed further down; what was found before it is reported first.
            pass
        return [found[name] for name in columns if name in found]

    def _open(self, column_types: dict[str, Any]) -> Any:
        """Open the stream; only the columns with a type are decoded, or all names if there are none."""
        from pyarrow import csv

        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=column_types, include_columns=list(column_types), strings_can_be_null=True
            ),
        )

    def _explain(self, error: Exception) -> ValueError:
        """Say what is wrong with a file that is no table."""
        if "Empty CSV file" in str(error):
            return ValueError(empty_message(self.path))
        return ValueError(
            f"{self.path.name} cannot be read: got {error}, expected UTF-8 text with rows of equal length. Repair the "
            "file."
        )


class ColumnarFile:
    """A Parquet or Feather file, of which only the requested columns are decoded."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.kind = kind
        try:
            self._schema = self._read_schema()
        except _unreadable() as error:
            raise ValueError(
                f"{path.name} cannot be read: got {error}, expected a {kind} file. Check that the ending of its name "
                "tells its format."
            ) from None
        self.columns: list[str] = self._schema.names
        _check_distinct(path, self.columns)

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        from pyarrow import types

        castable = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
        bad = [name for name in numeric if not any(test(self._schema.field(name).type) for test in castable)]
        if bad:
            raise NotNumericError([self._first_value(name) for name in bad])
        for batch in self._record_batches([*numeric] if label is None else [*numeric, label]):
            labels = None if label is None else batch.column(label).to_pylist()
            yield Batch(_as_matrix([batch.column(name) for name in numeric], batch.num_rows), labels)

    def _first_value(self, name: str) -> BadCell:
        """Find the first value of a column that is not missing; missing ones are no hint to what it holds."""
        row = 0
        for batch in self._record_batches([name]):
            for i, value in enumerate(batch.column(name).to_pylist()):
                if value is not None:
                    return BadCell(name, row + i + 1, value)
            row += batch.num_rows
        return BadCell(name, 1, None)

    def _read_schema(self) -> Any:
        from pyarrow import ipc, parquet

        if self.kind == "parquet":
            return parquet.read_schema(self.path)
        with ipc.open_file(self.path) as file:
            return file.schema

    def _record_batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the columns in batches, without reading ahead: a row group may be the whole file."""
        from pyarrow import ipc, parquet

        if self.kind == "parquet":
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns))
            return
        included = sorted(self.columns.index(name) for name in columns)
        with ipc.open_file(self.path, options=ipc.IpcReadOptions(included_fields=included)) as file:
            for i in range(file.num_record_batches):
                yield file.get_batch(i)


def open_table(path: Path) -> DelimitedFile | ColumnarFile:
    """Open a file by the ending of its name."""
    if not path.exists():
        raise FileNotFoundError(f"path does not exist: got '{path}', expected a {READABLE} file. Check the spelling.")
    if path.is_dir():
        raise IsADirectoryError(f"path is a directory: got '{path}', expected a {READABLE} file. Name one file in it.")
    if path.stat().st_size == 0:
        raise ValueError(empty_message(path))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = suffixes[-1] if suffixes else ""
    if ending in _COLUMNAR:
        return ColumnarFile(path, _COLUMNAR[ending])
    if ending in _COMPRESSED and len(suffixes) > 1:
        ending = suffixes[-2]
    if ending in _DELIMITERS:
        return DelimitedFile(path, _DELIMITERS[ending])
    raise ValueError(
        f"path has an unknown format: got '{path.name}', expected {READABLE}. Convert the file, or rename it if "
        "only its ending is unusual."
    )


def read_whole(path: Path) -> Any:
    """Read a table, as one of pyarrow, with the types that its values suggest."""
    import pyarrow as pa
    from pyarrow import csv, ipc, parquet

    file = open_table(path)
    try:
        if isinstance(file, DelimitedFile):
            table = csv.read_csv(
                path,
                parse_options=csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True),
                convert_options=csv.ConvertOptions(strings_can_be_null=True),
            )
        elif file.kind == "parquet":
            table = parquet.read_table(path)
        else:
            with ipc.open_file(path) as stream:
                table = stream.read_all()
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{path.name} cannot be read: got {error}, expected rows of equal length. Repair the file."
        ) from None
    if not table.num_rows:
        raise ValueError(empty_message(path))
    return table


def empty_message(path: Path) -> str:
    """Say that a file holds no data."""
    return (
        f"{path.name} is empty: got 0 rows, expected a header and at least one row of data. Check how it was written."
    )


def _as_matrix(columns: Sequence[Any], n_rows: int) -> Array:
    """Stack Arrow columns into a matrix of float64, missing values as NaN."""
    import pyarrow as pa

    matrix = np.empty((n_rows, len(columns)))
    for j, column in enumerate(columns):
        matrix[:, j] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return matrix


def _is_castable(column: Any) -> bool:
    """Tell whether all texts of a column are numbers."""
    import pyarrow as pa
    from pyarrow import compute

    try:
        compute.utf8_trim_whitespace(column).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _is_number(text: str | None) -> bool:
    """Tell whether a text is a number or missing."""
    import pyarrow as pa

    return text is None or _is_castable(pa.array([text]))


def _check_distinct(path: Path, columns: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{path.name} has repeated column names: got {repeated[0]!r} {columns.count(repeated[0])} times, expected "
            "distinct names. Rename them."
        )


def _unreadable() -> tuple[type[Exception], ...]:
    """List what Arrow raises for content that it cannot decode or decompress."""
    import pyarrow as pa

    return (pa.ArrowInvalid, OSError, UnicodeDecodeError)
