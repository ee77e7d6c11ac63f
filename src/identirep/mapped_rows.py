"""Matrices larger than memory: record batches of an Arrow file that is mapped, and views of some of their rows.

What is read of a map counts as memory of the process, though the system may take it back at any time: pages are given
back after so many, so that the process has no more than it works on.
"""

from __future__ import annotations

import errno
import mmap
import shutil
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from identirep._typing import Array, IntArray

__all__ = ["MappedFile", "MappedRows", "RowWriter", "check_room", "some_of", "some_rows"]

# Rows of a record batch, its bytes if rows are long, and rows that are worked on at once.
_BATCH_ROWS, _BATCH_BYTES, _BLOCK_ROWS = 8_192, 2**25, 16_384
# Bytes of a map that are kept, and those that the system may map around one that is read: a large page.
_MOST_MAPPED, _AROUND = 2**26, 2**21
# Bytes that become an array without being asked for: whoever needs more works in blocks.
_MOST_BYTES = 2**28
# Rows that are neighbours in a sample.
_RUN = 256


class RowWriter:
    """Writes matrices with the same rows to an Arrow file, in batches of equally many rows, as blocks come.

    Values of a row lie beside each other; of matrices `by_column` those of a column of a batch do.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, tuple[int, DTypeLike]],
        n_rows: int | None = None,
        *,
        by_column: Collection[str] = (),
    ) -> None:
        import pyarrow as pa

        size = sum(width * np.dtype(kind).itemsize for width, kind in columns.values())
        if n_rows is not None:
            check_room(path.parent, n_rows * size)
        self._most_held = min(max(_BATCH_BYTES // size, _RUN), _BATCH_ROWS)
        self._held = {name: np.empty((self._most_held, width), dtype=kind) for name, (width, kind) in columns.items()}
        self._by_column = by_column
        fields: list[tuple[str, Any]] = []
        for name, of in self._held.items():
            kind = pa.from_numpy_dtype(of.dtype)
            fields += (
                [(f"{name}.{j}", kind) for j in range(of.shape[1])]
                if name in by_column
                else [(name, pa.list_(kind, of.shape[1]))]
            )
        self._schema = pa.schema(fields)
        self._n_held = 0
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left, and the end of the file; where that fails it is no file that can be mapped."""
        if self._file.closed:
            return
        try:
            if self._n_held:
                self._flush()
            self._writer.close()
        finally:
            self._file.close()

    def write(self, **blocks: NDArray[Any]) -> None:
        """Add rows, a block of each matrix."""
        n_rows = len(next(iter(blocks.values())))
        start = 0
        while start < n_rows:
            n = min(n_rows - start, self._most_held - self._n_held)
            for name, block in blocks.items():
                held = self._held[name]
                held[self._n_held : self._n_held + n] = block[start : start + n].reshape(n, held.shape[1])
            self._n_held += n
            start += n
            if self._n_held == self._most_held:
                self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        arrays: list[Any] = []
        for name, held in self._held.items():
            block = held[: self._n_held]
            if name in self._by_column:
                arrays += [pa.array(np.ascontiguousarray(column)) for column in block.T]
            else:
                kind = self._schema.field(name).type
                arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), type=kind))
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._n_held = 0


class MappedFile:
    """An Arrow file of a `RowWriter`, mapped: where the rows of its matrices lie."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.folder = path.parent
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        names = list(dict.fromkeys(name.partition(".")[0] for name in reader.schema.names))
        # Of each batch a matrix, or its columns.
        self._batches: dict[str, list[NDArray[Any] | list[NDArray[Any]]]] = {name: [] for name in names}
        self.n_rows = 0
        self._batch_rows = reader.get_batch(0).num_rows
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            self.n_rows += batch.num_rows
            of_names: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                is_matrix = pa.types.is_fixed_size_list(column.type)
                values = (column.flatten() if is_matrix else column).to_numpy(zero_copy_only=True)
                if is_matrix:
                    self._batches[name].append(values.reshape(batch.num_rows, column.type.list_size))
                else:
                    of_names[name.partition(".")[0]].append(values)
            for name, found in of_names.items():
                if found:
                    self._batches[name].append(found)
        first = {name: batches[0] for name, batches in self._batches.items()}
        self.widths = {name: len(of) if isinstance(of, list) else of.shape[1] for name, of in first.items()}
        self.kinds = {name: (of[0] if isinstance(of, list) else of).dtype for name, of in first.items()}
        self._n_mapped = 0

    def rows(self, name: str) -> MappedRows:
        """Return all rows of a matrix."""
        return MappedRows(self, name)

    def gather(self, name: str, at: IntArray, column: int | None = None) -> NDArray[Any]:
        """Return the rows of a matrix at some places, in that order, or what these have in one column."""
        shape = (len(at), self.widths[name]) if column is None else (len(at),)
        found = np.empty(shape, dtype=self.kinds[name])
        batches = self._batches[name]
        batch = at // self._batch_rows
        order = np.argsort(batch, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(batch[order])) + 1) if len(at) else []:
            number = int(batch[places[0]])
            block, rows = batches[number], at[places] - number * self._batch_rows
            if isinstance(block, np.ndarray):
                found[places] = block[rows] if column is None else block[rows, column]
                n_bytes = min(len(np.unique(rows * block[0].nbytes // _AROUND)) * _AROUND, block.nbytes)
            elif column is None:
                found[places] = np.stack([values[rows] for values in block], axis=1)
                n_bytes = sum(values.nbytes for values in block)
            else:
                found[places] = block[column][rows]
                n_bytes = block[column].nbytes
            # Neither end lies where what is mapped at once begins.
            self._n_mapped += n_bytes + 2 * _AROUND
            if self._n_mapped >= _MOST_MAPPED:
                self.release()
        return found

    def release(self) -> None:
        """Give back the pages that were read, which stay in the cache of the system."""
        if hasattr(self._map, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
        self._n_mapped = 0


class MappedRows:
    """A matrix on disk, or some of its rows and columns, as far as fits index matrices.

    Slices of rows, and columns, are arrays in memory; masks and places of rows, and lists of columns, are views.
    """

    ndim = 2

    def __init__(
        self,
        file: MappedFile,
        name: str,
        rows: IntArray | None = None,
        columns: IntArray | None = None,
        limits: tuple[Array, Array] | None = None,
        names: tuple[Hashable, ...] | None = None,
    ) -> None:
        self._file, self._name, self._rows, self._columns, self._limits = file, name, rows, columns, limits
        self.names = names
        n_rows = file.n_rows if rows is None else len(rows)
        self.shape = n_rows, file.widths[name] if columns is None else len(columns)
        self.dtype = file.kinds[name]

    @property
    def folder(self) -> Path:
        """The scratch directory that the rows are in."""
        return self._file.folder

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: IntArray) -> NDArray[Any]:
        """Return rows at some places, as an array."""
        found = self._file.gather(self._name, rows if self._rows is None else self._rows[rows])
        found = found if self._columns is None else found[:, self._columns]
        return found if self._limits is None else np.clip(found, *self._limits)

    def take(self, rows: IntArray) -> MappedRows:
        """Return rows at some places, as a view."""
        return self[rows]

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all rows, block by block."""
        for rows in self.slices():
            yield self[rows]

    def slices(self) -> Iterator[slice]:
        """Yield the places of the rows of each block."""
        for start in range(0, len(self), _BLOCK_ROWS):
            yield slice(start, min(start + _BLOCK_ROWS, len(self)))

    def column(self, j: int) -> NDArray[Any]:
        """Return one column."""
        found, own = np.empty(len(self), dtype=self.dtype), j if self._columns is None else int(self._columns[j])
        for rows in self.slices():
            at = np.arange(rows.start, rows.stop) if self._rows is None else self._rows[rows]
            found[rows] = self._file.gather(self._name, at, own)
        return found if self._limits is None else np.clip(found, self._limits[0][j], self._limits[1][j])

    @property
    def T(self) -> Iterator[NDArray[Any]]:
        """The columns, one after the other."""
        return (self.column(j) for j in range(self.shape[1]))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            rows, columns = key
            if not isinstance(rows, slice):
                return self.read(np.asarray(rows))[:, columns]
            if isinstance(columns, int | np.integer):
                return self.column(int(columns))
            return self._of_columns(np.asarray(columns, dtype=np.int64))
        if isinstance(key, slice):
            return self.read(np.arange(*key.indices(len(self))))
        key = np.asarray(key)
        places = np.flatnonzero(key) if key.dtype == bool else key.astype(np.int64)
        rows = places if self._rows is None else self._rows[places]
        return MappedRows(self._file, self._name, rows, self._columns, self._limits, self.names)

    def named(self, names: Iterable[Hashable] | None) -> MappedRows:
        """Return the same matrix with names of its columns, or without."""
        given = None if names is None else tuple(names)
        return MappedRows(self._file, self._name, self._rows, self._columns, self._limits, given)

    def limited(self, low: Array, high: Array) -> MappedRows:
        """Return the same matrix with each column clipped, after what clips it already."""
        if self._limits is not None:
            low, high = np.clip(low, *self._limits), np.clip(high, *self._limits)
        limits = None if np.isinf(low).all() and np.isinf(high).all() else (low, high)
        return MappedRows(self._file, self._name, self._rows, self._columns, limits, self.names)

    def _of_columns(self, columns: IntArray) -> MappedRows:
        own = columns if self._columns is None else self._columns[columns]
        limits = None if self._limits is None else (self._limits[0][columns], self._limits[1][columns])
        names = None if self.names is None else tuple(self.names[j] for j in columns)
        return MappedRows(self._file, self._name, self._rows, own, limits, names)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        n_bytes = self.shape[0] * self.shape[1] * self.dtype.itemsize
        if n_bytes > _MOST_BYTES:
            raise MemoryError(
                f"rows on disk do not fit into memory: got {self.shape[0]:,} rows of {n_bytes / 2**30:.1f} GiB where "
                f"all are needed at once, expected at most {_MOST_BYTES / 2**30:g}. Take fewer rows of them."
            )
        found = self.read(np.arange(len(self)))
        return found if dtype is None else found.astype(dtype)


def check_room(folder: Path, n_bytes: int) -> None:
    """Raise if a directory has no room for so much."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise OSError(
            errno.ENOSPC,
            f"scratch has too little room: got {free / 2**30:.2f} GiB free in '{folder}', expected "
            f"{n_bytes / 2**30:.2f} GiB. Name a directory on a disk with more, or take fewer columns",
        )


def some_of(values: NDArray[Any] | None, rows: IntArray | None) -> NDArray[Any] | None:
    """Return what some rows have of what all have, if they have it; of None all."""
    return values if values is None or rows is None else values[rows]


def some_rows(n_rows: int, most: int) -> IntArray:
    """Return the places of at most so many rows from all over a table, neighbours kept together."""
    if n_rows <= most:
        return np.arange(n_rows)
    n_runs = max(most // _RUN, 1)
    starts = np.linspace(0, n_rows - _RUN, n_runs).astype(np.int64)
    return (starts[:, None] + np.arange(_RUN)).reshape(-1)
