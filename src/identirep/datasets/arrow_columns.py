"""What tables with typed columns have in common, wherever their record batches come from."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
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
    first_places,
)
from identirep.datasets.markers import Markers
from identirep.datasets.typed import as_typed, plain, plain_type


class ArrowColumns(ABC):
    """Rows with typed columns, of which only those that are asked for are decoded."""

    # What is said of how the columns are read.
    remarks: Sequence[str] = ()
    has_types = True
    decimal = "."

    def __init__(self, path: Path, schema: Any, markers: Markers) -> None:
        self.path = path
        self.markers = markers
        self._schema = schema
        self._names: list[str] = schema.names
        self.columns = [name.strip() for name in self._names]
        check_distinct(path, self.columns)
        self._place = first_places(self.columns)

    @abstractmethod
    def _record_batches(self, places: Sequence[int]) -> Iterator[Any]:
        """Yield the columns at these places, in their order."""

    @property
    def index_columns(self) -> list[str]:
        """Columns that the table itself declares to be an index, as pandas writes them."""
        return [name.strip() for name in declared_index(self._schema)]

    def batches(self, numeric: Sequence[str], label: str | None) -> Iterator[Batch]:
        """Yield the numeric columns and the label column, in order of the rows."""
        from pyarrow import types

        castable = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
        places = self._places(numeric)
        kinds = [plain_type(self._schema.field(place).type) for place in places]
        bad = [name for name, kind in zip(numeric, kinds, strict=True) if not any(holds(kind) for holds in castable)]
        if bad:
            raise NotNumericError([self._first_value(name) for name in bad])
        for batch in self._record_batches(places if label is None else [*places, *self._places([label])]):
            labels = None if label is None else as_labels(plain(batch.column(len(places))))
            numbers = [plain(batch.column(j)) for j in range(len(places))]
            yield Batch(as_matrix(numbers, batch.num_rows, self.markers.numbers), labels)

    def read_whole(self, columns: Sequence[str] | None = None) -> Any:
        """Read columns of any type, all by default: numbers as float64, texts as string, what is missing as null."""
        import pyarrow as pa

        names = self.columns if columns is None else list(columns)
        places = range(len(names)) if columns is None else self._places(columns)
        fields = [self._schema.field(place) for place in places]
        read: list[list[Any]] = [[] for _ in places]
        for batch in self._record_batches(list(places)):
            for chunks, column in zip(read, batch.columns, strict=True):
                chunks.append(as_typed(column, self.markers.numbers))
        empty = [as_typed(pa.array([], plain_type(field.type)), self.markers.numbers) for field in fields]
        chunked = [pa.chunked_array(chunks or [none]) for chunks, none in zip(read, empty, strict=True)]
        return pa.table(chunked, names=names)

    def typed_blocks(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield what `read_whole` returns, block by block."""
        import pyarrow as pa

        for batch in self._record_batches(self._places(columns)):
            typed = [as_typed(column, self.markers.numbers) for column in batch.columns]
            yield pa.table(typed, names=list(columns))

    def as_they_are(self, columns: Sequence[str]) -> Any:
        """Read columns in the types of the table, with nothing changed."""
        import pyarrow as pa

        none = pa.Table.from_batches([], self.schema_of(columns))
        return pa.concat_tables([none, *self.blocks_as_they_are(columns)])

    def blocks_as_they_are(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield columns in the types of the table, with nothing changed, block by block."""
        import pyarrow as pa

        schema = self.schema_of(columns)
        for batch in self._record_batches(self._places(columns)):
            yield pa.Table.from_batches([pa.RecordBatch.from_arrays(batch.columns, schema=schema)], schema)

    def schema_of(self, columns: Sequence[str]) -> Any:
        """Return the names and types of columns as they are."""
        import pyarrow as pa

        fields = zip(self._places(columns), columns, strict=True)
        return pa.schema([self._schema.field(place).with_name(name) for place, name in fields])

    def _places(self, names: Sequence[str]) -> list[int]:
        return [self._place[name] for name in names]

    def _first_value(self, name: str) -> BadCell:
        """Find the first value of a column that is not missing; missing ones are no hint to what it holds."""
        row = 0
        for batch in self._record_batches(self._places([name])):
            for i, cell in enumerate(batch.column(0)):
                if cell.is_valid:
                    return BadCell(name, row + i + 1, _in_python(cell))
            row += batch.num_rows
        return BadCell(name, 1, None)


def _in_python(cell: Any) -> Any:
    """Return the value of a cell; of dates beyond those of Python the type and the number that it is stored as."""
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        return f"{cell.type} {getattr(cell, 'value', '')}".rstrip()


def declared_index(schema: Any) -> list[str]:
    """List the columns that a table itself declares to be an index, as pandas writes them."""
    try:
        declared = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        return []
    return [name for name in declared if isinstance(name, str) and name in schema.names]
