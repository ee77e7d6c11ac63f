"""Tables of the command line: columns by name in, columns by name out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.datasets import load_table, open_table
from identirep.files import replaced_file
from identirep.parameters import raise_faults
from identirep.row_weights import weight_faults
from identirep.splits import number_groups, order_ranks

__all__ = ["Table", "check_output", "read_inputs", "read_table", "write_table"]

_WRITABLE = (".csv", ".parquet", ".feather")
_MAX_NAMED = 5


@dataclass(frozen=True)
class Table:
    """Inputs and targets of a fit."""

    name: str
    X: Any  # pyarrow.Table, so that the model learns the names of its features
    targets: Array  # wide layout: (n_rows, n_tasks), long layout: (n_rows,)
    tasks: Any  # long layout: the task of each row, wide layout: names of the targets
    is_long: bool
    target: str | None = None  # long layout: name of the target column
    groups: IntArray | None = None  # rows with equal number belong together
    grouped_by: str | None = None
    order: IntArray | None = None  # rank of each row
    ordered_by: str | None = None
    weights: Array | None = None  # above zero; rows of weight 0 are not here
    weighted_by: str | None = None
    n_without_weight: int = 0
    left_out: dict[str, str] = field(default_factory=dict)  # columns that number the rows, and why they do not count

    def rows(self, index: IntArray) -> Table:
        """Return some of the rows."""
        return replace(
            self,
            X=self.X.take(index),
            targets=self.targets[index],
            tasks=self.tasks[index] if self.is_long else self.tasks,
            groups=None if self.groups is None else self.groups[index],
            order=None if self.order is None else self.order[index],
            weights=None if self.weights is None else self.weights[index],
        )

    def inputs(self) -> Array:
        """Return the inputs as a matrix."""
        return np.column_stack([column.to_numpy() for column in self.X.columns])


def read_table(
    path: Path,
    targets: Sequence[str],
    *,
    tasks: str | None = None,
    groups: str | None = None,
    order: str | None = None,
    weights: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    missing: Sequence[str] | None = None,
) -> Table:
    """Read the table of a fit."""
    file = open_table(path, missing)
    columns = file.columns
    for option, name in (("--groups", groups), ("--order", order), ("--weights", weights)):
        if name is not None and name not in columns:
            raise ValueError(
                f"{option} matches no column: got {name!r}, expected a column of {path.name}. "
                f"'identirep inspect {path}' lists them."
            )
    dropped = [*(drop or []), *(name for name in (groups, order, weights) if name is not None)]
    data = load_table(
        path, list(targets), tasks=tasks, features=features or None, drop=dropped or None, missing=missing
    )
    if weights in data.target_names:
        raise ValueError(
            f"--weights is a target: got {weights!r} for both, expected a column of its own. Leave it out of --targets."
        )
    is_long = tasks is not None
    table = Table(
        path.name,
        named(data.X, data.feature_names),
        data.y if is_long else data.Y,
        data.tasks if is_long else data.target_names,
        is_long,
        data.target_names[0] if is_long else None,
        None if groups is None else number_groups(_labels(path, groups)),
        groups,
        None if order is None else order_ranks(_sortable(_labels(path, order), file.markers)),
        order,
        left_out=data.left_out,
    )
    return table if weights is None else _weighted(table, path, weights, missing)


def _weighted(table: Table, path: Path, column: str, missing: Sequence[str] | None) -> Table:
    """Return a table with the weights of its rows, without those of weight 0."""
    values = load_table(path, features=[column], missing=missing or None).X[:, 0]
    weights = np.asarray(values, dtype=np.float64)
    # Rows of a table are counted from 1.
    faults = weight_faults(weights, len(weights), first=1)
    raise_faults([fault.replace("sample_weight", f"--weights {column!r}") for fault in faults])
    rows = np.flatnonzero(weights > 0)
    n_without = len(weights) - len(rows)
    return replace(table, weights=weights, weighted_by=column, n_without_weight=n_without).rows(rows)


def read_inputs(path: Path, feature_names: Sequence[str], missing: Sequence[str] | None = None) -> Any:
    """Read the inputs of a fitted model by name, in its order, whatever else is in the table."""
    columns = set(open_table(path).columns)
    missing = [name for name in feature_names if name not in columns]
    if missing:
        listed = ", ".join(repr(name) for name in missing[:_MAX_NAMED])
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise ValueError(
            f"{path.name} lacks {len(missing)} of the {len(feature_names)} inputs of the model: got no column "
            f"{listed}{more}, expected each by its name. Add or rename columns."
        )
    return named(load_table(path, features=list(feature_names), missing=missing).X, feature_names)


def named(X: Array, names: Sequence[str]) -> Any:
    """Return a matrix as a table with named columns."""
    import pyarrow as pa

    return pa.table([pa.array(column) for column in X.T], names=list(names))


def check_output(path: Path, data: Path) -> None:
    """Raise if a table cannot be written there, before anything is computed."""
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
    write = {".csv": csv.write_csv, ".parquet": parquet.write_table, ".feather": feather.write_feather}
    with replaced_file(path) as staging:
        write[path.suffix.lower()](table, staging)


def _sortable(labels: list[Any], markers: Any) -> NDArray[Any]:
    """Return values of an order, as numbers if all texts are: as texts 10 would come before 9."""
    known = [None if label in markers.numbers else label for label in labels]
    numbers = np.full(len(labels), np.nan)
    texts = [(i, label.strip()) for i, label in enumerate(known) if isinstance(label, str)]
    if len(texts) + known.count(None) == len(known):
        try:
            for i, text in texts:
                numbers[i] = np.nan if text in markers.texts else float(text)
        except ValueError:
            pass
        else:
            numbers[np.isin(numbers, markers.numbers)] = np.nan
            return numbers
    values = np.empty(len(labels), dtype=object)
    values[:] = known
    return values


def _labels(path: Path, column: str) -> list[Any]:
    return [label for batch in open_table(path).batches([], column) for label in batch.labels or []]
