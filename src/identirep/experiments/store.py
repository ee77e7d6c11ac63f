"""Outcomes of cells on disk: one pair of files each, moved into place when complete, so that a kill loses one cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from identirep.directories import check_room
from identirep.experiments.experiment import Cell, Measured, Row, cell_key
from identirep.files import replaced_file

__all__ = ["Store"]

_FORMAT_VERSION = 1


class Store:
    """The finished cells of an experiment, in the folder ``cells`` of the directory of its results."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cells = directory / "cells"

    def claim(self, name: str) -> None:
        """Make the directory that of an experiment, unless it holds other files, or another experiment."""
        check_room(self.directory)
        marker = self.directory / "bench.json"
        found = _read(marker).get("experiment") if marker.is_file() else None
        is_ours = found == name if marker.is_file() else self._has_cells_alone()
        if not is_ours:
            what = f"results of the experiment {found!r}" if isinstance(found, str) else "other files"
            raise ValueError(
                f"'{self.directory}' holds {what}: got a directory that is neither empty nor one of {name!r} (a "
                f"{marker.name} with the format_version of identirep), expected a new name, or one to resume. Choose "
                "another directory."
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        with replaced_file(marker) as staging:
            document = {"format_version": _FORMAT_VERSION, "experiment": name}
            staging.write_text(json.dumps(document) + "\n", encoding="utf-8")

    def _has_cells_alone(self) -> bool:
        """Tell whether there is nothing, or the cells of a directory from before it said whose it is."""
        if not self.directory.is_dir() or not any(self.directory.iterdir()):
            return True
        return any("cell" in _read(path) for path in self._cells.glob("*.json"))

    def has(self, cell: Cell) -> bool:
        """Tell whether a cell is finished."""
        return self._path(cell).is_file()

    def save(self, cell: Cell, measured: Measured) -> None:
        """Write the outcome of a cell; other processes may write other cells, or the same one."""
        self._cells.mkdir(parents=True, exist_ok=True)
        path = self._path(cell)
        arrays = path.with_suffix(".npz")
        # The rows come last: what has rows is complete.
        if measured.arrays:
            with replaced_file(arrays) as staging:
                np.savez(staging, **measured.arrays)  # type: ignore[arg-type]
        with replaced_file(path) as staging:
            staging.write_text(
                json.dumps({"cell": cell, "rows": measured.rows}, default=np.generic.item), encoding="utf-8"
            )

    def load(self, cell: Cell) -> Measured:
        """Read the outcome of a finished cell."""
        path = self._path(cell)
        arrays = path.with_suffix(".npz")
        try:
            rows = json.loads(path.read_bytes())["rows"]
            if not arrays.is_file():
                return Measured(rows)
            with np.load(arrays, allow_pickle=False) as file:
                return Measured(rows, dict(file))
        except (ValueError, LookupError, TypeError, RecursionError, BadZipFile, EOFError) as error:
            raise ValueError(
                f"'{path}' is damaged: got no outcome of a cell ({error}), expected the file as it was written. Delete "
                "it, or run again with --fresh."
            ) from None

    def discard(self, cell: Cell) -> None:
        """Forget a cell, so that it is run again."""
        self._path(cell).unlink(missing_ok=True)

    def write_table(self, rows: list[Row]) -> None:
        """Write all rows to ``results.parquet``."""
        import pyarrow as pa
        from pyarrow import parquet

        names = list(dict.fromkeys(name for row in rows for name in row))
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
        with self.replaced("results.parquet") as staging:
            parquet.write_table(table, staging)

    @contextmanager
    def replaced(self, name: str) -> Iterator[Path]:
        """Yield a file to write to, which then takes the place of that of this name."""
        with replaced_file(self.directory / name) as staging:
            yield staging

    def _path(self, cell: Cell) -> Path:
        return self._cells / f"{cell_key(cell)}.json"


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file of ours holds, nothing if it is not ours."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    is_ours = isinstance(document, dict) and (document.get("format_version") == _FORMAT_VERSION or "rows" in document)
    return document if is_ours else {}
