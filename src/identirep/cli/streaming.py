"""Tables of any length through a fitted model: inputs in blocks, what is kept beside them, output as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.cli.keeping import Kept
from identirep.cli.tables import named, read_inputs, reading_of, table_writer
from identirep.datasets import NotNumericError, open_table
from identirep.encoding import as_numbers, check_names, plain

__all__ = ["apply_to_blocks"]

# Rows that pass through the model at once, and rows or numbers that are written at once.
_BLOCK_ROWS = 8_192
_WRITE_ROWS, _WRITE_NUMBERS = 131_072, 2_000_000


def apply_to_blocks(
    path: Path, model: Any, reading: dict[str, Any], compute: Callable[[Any], Array], kept: Kept, out: Path, schema: Any
) -> tuple[int, list[str]]:
    """Write what is kept of a table and what is computed of its inputs; return the number of rows, and remarks."""
    import pyarrow as pa

    inputs = _Inputs(path, model, reading)
    encoder = getattr(model, "table_encoder_", None)
    rows, n_rows = _Rows(kept), 0
    said = nullcontext() if encoder is None else encoder._blocks_of_one_table()
    with said, table_writer(out, schema) as write:
        waiting: list[Any] = []
        for block in inputs.blocks():
            with _rows_of_blocks(path, n_rows, block.num_rows):
                values = compute(block)
            values = values.reshape(len(values), -1)
            columns = [*rows.take(len(values)), *(pa.array(column) for column in values.T)]
            waiting.append(pa.Table.from_arrays(columns, schema=schema))
            n_rows += len(values)
            n_waiting = sum(table.num_rows for table in waiting)
            if n_waiting >= min(_WRITE_ROWS, _WRITE_NUMBERS // max(len(schema), 1)):
                write(pa.concat_tables(waiting))
                waiting = []
        rows.check_end(n_rows)
        if waiting:
            write(pa.concat_tables(waiting))
    return n_rows, inputs.remarks()


class _Inputs:
    """The inputs of a model in a table, in blocks wherever no block needs the others to be read."""

    def __init__(self, path: Path, model: Any, reading: dict[str, Any]) -> None:
        self._path, self._model, self._reading = path, model, reading
        self._names = list(model.feature_names_in_)
        self._encoder = getattr(model, "table_encoder_", None)
        self._file = open_table(path, **reading_of(model, reading))
        self._of_whole: list[str] | None = None
        check_names(self._names, self._file.columns, path.name)

    def blocks(self) -> Iterator[Any]:
        """Yield tables of at most so many rows, at least one."""
        n_rows = 0
        for table in self._tables():
            for start in range(0, table.num_rows, _BLOCK_ROWS):
                block = table.slice(start, _BLOCK_ROWS)
                n_rows += block.num_rows
                yield block
        if not n_rows:
            # Whoever takes it says so as of any table.
            table, self._of_whole = read_inputs(self._path, self._model, self._reading)
            yield table

    def remarks(self) -> list[str]:
        """Return what is said of how the table was read, once it has been."""
        return list(self._file.remarks) if self._of_whole is None else self._of_whole

    def _tables(self) -> Iterator[Any]:
        typed_blocks = getattr(self._file, "typed_blocks", None)
        if self._encoder is not None and typed_blocks is not None and "" not in self._names:
            inputs = [column for column in self._encoder.columns_ if column.is_input]
            categories = {column.name for column in inputs if column.kind == "category"}
            for table in typed_blocks(self._names):
                yield self._without_marks(table, categories)
        elif self._takes_numbers:
            yield from self._numbers()
        else:
            # Of a text file types are known once all values are; so are those of sheets.
            table, self._of_whole = read_inputs(self._path, self._model, self._reading)
            yield table

    @property
    def _takes_numbers(self) -> bool:
        if self._encoder is None:
            return True
        kinds = {column.kind for column in self._encoder.columns_ if column.is_input}
        return kinds <= {"number", "whole number"} and "" not in self._names

    def _numbers(self) -> Iterator[Any]:
        """Yield inputs that are all numbers; what is none is said as it is of a whole table."""
        start = 0
        try:
            for batch in self._file.batches(self._names, None):
                if self._encoder is None and not np.isfinite(batch.numbers).all():
                    break
                yield _with_nulls(batch.numbers, self._names)
                start += len(batch.numbers)
            else:
                return
        except NotNumericError:
            pass
        whole, self._of_whole = read_inputs(self._path, self._model, self._reading)
        # Where all is well with these values after all: booleans, or numbers as texts.
        yield whole.slice(start)

    def _without_marks(self, table: Any, categories: set[str]) -> Any:
        """Return a block with nulls for numbers that stand for missing ones, in texts, too."""
        import pyarrow as pa

        markers = self._file.markers
        if not markers.numbers:
            return table
        columns = []
        for name, values in zip(table.column_names, table.columns, strict=True):
            numbers = None if name in categories else as_numbers(plain(values), markers)
            columns.append(values if numbers is None else pa.array(numbers, mask=np.isnan(numbers)))
        return pa.table(columns, names=table.column_names)


class _Rows:
    """Rows that are kept, taken in step with those that are computed."""

    def __init__(self, kept: Kept) -> None:
        import pyarrow as pa

        self._schema, self._blocks = kept.schema, kept.blocks()
        self._left: Any = pa.Table.from_batches([], kept.schema)
        self._n_taken = 0

    def take(self, n: int) -> list[Any]:
        """Return the columns of the next rows, chunked; none if no column is kept."""
        import pyarrow as pa

        if not len(self._schema):
            return []
        found = [self._left]
        while (n_found := sum(table.num_rows for table in found)) < n:
            if (block := next(self._blocks, None)) is None:
                raise _changed(self._n_taken + n_found, self._n_taken + n)
            found.append(block)
        table = pa.concat_tables(found)
        self._left = table.slice(n)
        self._n_taken += n
        return table.slice(0, n).columns

    def check_end(self, n_rows: int) -> None:
        """Raise if there are more rows to keep than were computed."""
        left = self._left.num_rows + sum(block.num_rows for block in self._blocks)
        if len(self._schema) and left:
            raise _changed(n_rows + left, n_rows)


def _changed(n_kept: int, n_inputs: int) -> ValueError:
    return ValueError(
        f"DATA has changed: got {n_kept:,} rows to keep and {n_inputs:,} with inputs, expected the same file. Run it "
        "again."
    )


def _with_nulls(numbers: Array, names: list[str]) -> Any:
    import pyarrow as pa

    if not np.isnan(numbers).any():
        return named(numbers, names)
    return pa.table([pa.array(column, mask=np.isnan(column)) for column in numbers.T], names=names)


@contextmanager
def _rows_of_blocks(path: Path, start: int, n_rows: int) -> Iterator[None]:
    """Say of what is wrong with a block which rows of the table it has."""
    try:
        yield
    except ValueError as error:
        if not start:
            raise
        raise ValueError(
            f"{path.name}, in rows {start + 1:,} to {start + n_rows:,}, counted from the first of these: {error}"
        ) from None
