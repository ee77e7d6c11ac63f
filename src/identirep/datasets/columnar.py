"""Parquet and Feather files, of which only the requested columns are decoded."""

from __future__ import annotations

import json
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
    unreadable,
)
from identirep.datasets.markers import Markers
from identirep.datasets.typed import as_typed

# Rows decoded at once from Parquet; Feather files have batches of their own.
_BATCH_ROWS = 8_192
_BUFFER_BYTES = 1 << 16


class ColumnarFile:
    """A Parquet or Feather file, of which only the requested columns are decoded."""

    def __init__(self, path: Path, kind: str, markers: Markers) -> None:
        self.path = path
        self.kind = kind
        self.markers = markers
        try:
            self._schema = self._read_schema()
        except unreadable() as error:
            raise self._explain(error) from None
        self.columns: list[str] = self._schema.names
        check_distinct(path, self.columns)

    @property
    def index_columns(self) -> list[str]:
        """Columns that the file itself declares to be an index, as pandas writes them."""
        try:
            declared = json.loads((self._schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
        except (ValueError, AttributeError):
            return []
        return [name for name in declared if isinstance(name, str) and name in self.columns]

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        from pyarrow import types

        castable = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)

        def holds_numbers(value_type: Any) -> bool:
            return any(test(value_type) for test in castable)

        kinds = {name: self._schema.field(name).type for name in numeric}
        values = {name: kind.value_type if types.is_dictionary(kind) else kind for name, kind in kinds.items()}
        bad = [name for name in numeric if not holds_numbers(values[name])]
        if bad:
            raise NotNumericError([self._first_value(name) for name in bad])
        for batch in self._record_batches([*numeric] if label is None else [*numeric, label]):
            labels = None if label is None else as_labels(batch.column(label))
            numbers = [batch.column(name) for name in numeric]
            yield Batch(as_matrix(numbers, batch.num_rows, self.markers.numbers), labels)

    def read_whole(self, columns: Sequence[str] | None = None) -> Any:
        """Read columns of any type, all by default: numbers as float64, texts as string, what is missing as null."""
        import pyarrow as pa

        names = self.columns if columns is None else list(columns)
        batches = list(self._record_batches(names))
        schema = batches[0].schema if batches else pa.schema([self._schema.field(name) for name in names])
        table = pa.Table.from_batches(batches, schema)
        # By place: several columns may have no name.
        read = table.columns if columns is None else [table.column(name) for name in names]
        return pa.table([as_typed(column, self.markers.numbers) for column in read], names=names)

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
        """Yield the columns in batches that were validated: offsets of a damaged file would end the process."""
        try:
            for batch in self._decoded(columns):
                batch.validate(full=True)
                yield batch
        except unreadable() as error:
            raise self._explain(error) from None

    def _decoded(self, columns: Sequence[str]) -> Iterator[Any]:
        """Decode without reading ahead: a row group may be the whole file."""
        from pyarrow import ipc, parquet

        if self.kind == "parquet":
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns))
            return
        included = sorted(self.columns.index(name) for name in columns)
        with ipc.open_file(self.path, options=ipc.IpcReadOptions(included_fields=included)) as file:
            for i in range(file.num_record_batches):
                yield file.get_batch(i)

    def _explain(self, error: Exception) -> ValueError:
        """Say what is wrong with a file that cannot be decoded."""
        return ValueError(
            f"{self.path.name} cannot be read: got {error}, expected a {self.kind} file. Check that the ending of its "
            "name tells its format, and that it is whole."
        )
