"""Outcomes of cells on disk: one pair of files each, moved into place when complete, so that a kill loses one cell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from identirep.experiments.experiment import Cell, Measured, Row, cell_key
from identirep.files import replaced_file

__all__ = ["Store"]


class Store:
    """The finished cells of an experiment, in the folder ``cells`` of the directory of its results."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cells = directory / "cells"

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
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        arrays = path.with_suffix(".npz")
        if not arrays.is_file():
            return Measured(rows)
        with np.load(arrays, allow_pickle=False) as file:
            return Measured(rows, dict(file))

    def discard(self, cell: Cell) -> None:
        """Forget a cell, so that it is run again."""
        self._path(cell).unlink(missing_ok=True)

    def write_table(self, rows: list[Row]) -> None:
        """Write all rows to ``results.parquet``."""
        import pyarrow as pa
        from pyarrow import parquet

        names = list(dict.fromkeys(name for row in rows for name in row))
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
        with replaced_file(self.directory / "results.parquet") as staging:
            parquet.write_table(table, staging)

    def _path(self, cell: Cell) -> Path:
        return self._cells / f"{cell_key(cell)}.json"
