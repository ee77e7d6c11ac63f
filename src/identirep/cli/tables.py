"""Tables of the command line: columns by name in, columns by name out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from identirep._typing import Array, IntArray
from identirep.datasets import load_table
from identirep.datasets.readers import open_table

__all__ = ["Table", "check_output", "read_inputs", "read_table", "write_table"]

_WRITABLE = (".csv", ".parquet", ".feather")
_MAX_NAMED = 5


@dataclass(frozen=True)
class Table:
    """Inputs and targets of a fit.

    Parameters
    ----------
    name : str
        What reports call the data.
    X : pyarrow.Table
        Inputs; a table, so that the model learns the names of its features.
    targets : array, shape (n_rows, n_tasks) or (n_rows,)
        Targets of the wide or the long layout.
    tasks : array or list
        Long layout: the task of each row. Wide layout: names of the targets.
    is_long : bool
        Whether each row belongs to one task.
    groups : array, shape (n_rows,), or None
        Rows with equal number belong together.
    grouped_by : str or None
        What makes them belong together.
    """

    name: str
    X: Any
    targets: Array
    tasks: Any
    is_long: bool
    groups: IntArray | None = None
    grouped_by: str | None = None

    def rows(self, index: IntArray) -> Table:
        """Return some of the rows."""
        return Table(
            self.name,
            self.X.take(index),
            self.targets[index],
            self.tasks[index] if self.is_long else self.tasks,
            self.is_long,
            None if self.groups is None else self.groups[index],
            self.grouped_by,
        )


def read_table(
    path: Path,
    targets: Sequence[str],
    *,
    tasks: str | None = None,
    groups: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
) -> Table:
    """Read the table of a fit.

    Raises
    ------
    ValueError
        If the file or the choice of columns is not valid.
    OSError
        If the file cannot be opened.
    """
    columns = open_table(path).columns
    if groups is not None and groups not in columns:
        raise ValueError(
            f"--groups matches no column: got {groups!r}, expected a column of {path.name}. "
            f"'identirep inspect {path}' lists them."
        )
    dropped = [*(drop or []), *([] if groups is None else [groups])]
    data = load_table(path, targets=list(targets), tasks=tasks, features=features or None, drop=dropped or None)
    is_long = tasks is not None
    return Table(
        path.name,
        named(data.X, data.feature_names),
        data.y if is_long else data.Y,
        data.tasks if is_long else data.target_names,
        is_long,
        None if groups is None else _codes(path, groups),
        groups,
    )


def read_inputs(path: Path, feature_names: Sequence[str]) -> Any:
    """Read the inputs of a fitted model by name, in its order, whatever else is in the table.

    Raises
    ------
    ValueError
        If columns are missing or not numeric, or values are.
    OSError
        If the file cannot be opened.
    """
    columns = set(open_table(path).columns)
    missing = [name for name in feature_names if name not in columns]
    if missing:
        listed = ", ".join(repr(name) for name in missing[:_MAX_NAMED])
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise ValueError(
            f"{path.name} lacks {len(missing)} of the {len(feature_names)} inputs of the model: got no column "
            f"{listed}{more}, expected each by its name. Add or rename columns."
        )
    return named(load_table(path, features=list(feature_names)).X, feature_names)


def named(X: Array, names: Sequence[str]) -> Any:
    """Return a matrix as a table with named columns."""
    import pyarrow as pa

    return pa.table([pa.array(column) for column in X.T], names=list(names))


def check_output(path: Path, data: Path) -> None:
    """Raise if a table cannot be written there, before anything is computed.

    Raises
    ------
    ValueError
        If the format is unknown, or it is the input itself.
    OSError
        If there is no such directory, or it cannot be written to.
    """
    if path.suffix.lower() not in _WRITABLE:
        raise ValueError(
            f"--out has an unknown format: got '{path.name}', expected a name that ends in {', '.join(_WRITABLE)}. "
            "Choose one of these."
        )
    if path.exists() and data.exists() and path.samefile(data):
        raise ValueError(f"--out is the input: got '{path}' for both, expected another file. Choose another name.")
    if path.is_dir():
        raise IsADirectoryError(f"--out is a directory: got '{path}', expected a file. Add a name.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"--out has no directory: got '{path}', expected one that exists. Create it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"--out is not writable: got '{path}', expected a directory to write to. Choose another.")


def write_table(path: Path, values: Array, names: Sequence[str]) -> None:
    """Write named columns in the format of the ending, all or nothing."""
    from pyarrow import csv, feather, parquet

    table = named(values, names)
    ending = path.suffix.lower()
    staging = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        if ending == ".csv":
            csv.write_csv(table, staging)
        elif ending == ".parquet":
            parquet.write_table(table, staging)
        else:
            feather.write_feather(table, staging)
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)


def _codes(path: Path, column: str) -> IntArray:
    """Number the distinct values of a column; rows without a value are groups of their own."""
    number: dict[Any, int] = {}
    codes = []
    for batch in open_table(path).batches([], column):
        for label in batch.labels or []:
            key = object() if label is None else label
            codes.append(number.setdefault(key, len(number)))
    return np.array(codes, dtype=np.int64)
