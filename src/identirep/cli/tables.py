"""Tables of the command line: columns by name in, columns by name out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from identirep._typing import Array, IntArray
from identirep.cli.ordering import sortable
from identirep.cli.raw import labels_of, raw_columns
from identirep.cli.text_targets import read_targets
from identirep.cli.words import quoted_path
from identirep.datasets import (
    choose_columns,
    index_columns,
    load_table,
    match_columns,
    open_table,
)
from identirep.encoding import Column, TableEncoder, check_columns, check_names, judge_columns
from identirep.files import replaced_file
from identirep.mapped_rows import MappedRows
from identirep.parameters import raise_faults
from identirep.row_weights import weight_faults
from identirep.splits import number_groups, order_ranks

__all__ = [
    "Table",
    "check_output",
    "check_place",
    "read_inputs",
    "read_table",
    "reading_of",
    "table_writer",
    "write_table",
]

_WRITABLE = (".csv", ".parquet", ".feather")


@dataclass(frozen=True)
class Table:
    """Inputs and targets of a fit."""

    name: str
    X: Any  # pyarrow.Table with the columns that are inputs, as they were read, or MappedRows
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
    left_out: dict[str, str] = field(default_factory=dict)  # columns that are no inputs, and why
    columns: tuple[Column, ...] = ()  # what the inputs are, if they are encoded
    encoder: TableEncoder | None = None  # how they are to be encoded, not fitted; None for numbers as they are
    read_as: list[str] = field(default_factory=list)  # how the file was read, where that is not what its name tells
    numbers: IntArray | None = None  # places of the rows in the file; None for all of them in their order
    labels: NDArray[np.object_] | None = None  # names of the rows
    task_column: str | None = None  # long layout: name of the column of tasks
    target_words: dict[str, tuple[str, str]] = field(default_factory=dict)  # of columns of texts, the words for 0 and 1

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
            numbers=index if self.numbers is None else self.numbers[index],
            labels=None if self.labels is None else self.labels[index],
        )

    @property
    def names_of_tasks(self) -> list[Any]:
        """Names of the tasks: of the targets, or the labels of the rows."""
        return np.unique(np.asarray(self.tasks)).tolist() if self.is_long else list(self.tasks)

    @cached_property
    def looks(self) -> tuple[list[str], Array]:
        """Names and numbers of the inputs to look at, NaN in gaps; a model learns its own of the rows of training."""
        if isinstance(self.X, MappedRows):
            return list(map(str, self.X.names or ())), self.X  # type: ignore[return-value]
        if self.encoder is None:
            return list(self.X.column_names), np.column_stack([column.to_numpy() for column in self.X.columns])
        encoder = clone(self.encoder).set_params(impute="none").set_output(transform="default")
        numbers = encoder.fit_transform(self.X)
        return encoder.get_feature_names_out().tolist(), numbers

    def inputs(self) -> Array:
        """Return the inputs as a matrix, NaN in gaps."""
        return self.looks[1]


def read_table(
    path: Path,
    targets: Sequence[str],
    *,
    tasks: str | None = None,
    groups: str | None = None,
    order: str | None = None,
    weights: str | None = None,
    labels: str | None = None,
    features: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    missing: Sequence[str] | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
    categorical: Sequence[str] | None = None,
    impute: str = "auto",
    encode: bool = True,
) -> Table:
    """Read the table of a fit, inputs as they are, or with `encode` false as numbers alone."""
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    file = open_table(path, **reading)
    columns = file.columns
    for option, name in (("--groups", groups), ("--order", order), ("--weights", weights), ("--labels", labels)):
        if name is not None and name not in columns:
            raise ValueError(
                f"{option} matches no column: got {name!r}, expected a column of {path.name}. "
                f"To list them: identirep inspect {quoted_path(path)}"
            )
    dropped = [*(drop or []), *(name for name in (groups, order, weights, labels) if name is not None)]
    values_of_order, of_order = (None, "") if order is None else sortable(order, labels_of(file, order), file)
    rest: dict[str, Any] = {
        "groups": None if groups is None else number_groups(labels_of(file, groups)),
        "grouped_by": groups,
        "order": None if values_of_order is None else order_ranks(values_of_order, of_table=True),
        "ordered_by": order,
        "task_column": tasks,
        "labels": None if labels is None else np.array(labels_of(file, labels), dtype=object),
    }
    is_long, chosen = tasks is not None, (list(targets), tasks, features or None, dropped or None)
    if weights is not None:
        target_names = match_columns("targets", chosen[0], columns)
        rest |= {"weights": _read_weights(path, weights, target_names, reading), "weighted_by": weights}
    if not encode:
        data = load_table(path, chosen[0], tasks=tasks, features=chosen[2], drop=chosen[3], **reading)
        y, names = (data.y, data.tasks) if is_long else (data.Y, data.target_names)
        X, rest["left_out"] = named(data.X, data.feature_names), data.left_out
        rest["read_as"] = list(data.remarks)
    else:
        feature_names, data_names, kept = choose_columns(path, columns, *chosen)
        X, encoded = _read_encoded(file, feature_names, kept, missing, categorical, impute)
        rest |= encoded
        y, of_tasks, said, rest["target_words"] = read_targets(file, data_names, tasks)
        names, rest["read_as"] = data_names if of_tasks is None else of_tasks, [*file.remarks, *said]
    rest["read_as"] += [of_order] if of_order else []
    target = match_columns("targets", chosen[0], columns)[0] if is_long else None
    table = Table(path.name, X, y, names, is_long, target, **rest)
    if table.weights is None or table.weights.all():
        return table
    counted = np.flatnonzero(table.weights)
    return replace(table, n_without_weight=len(y) - len(counted)).rows(counted)


def _read_weights(path: Path, column: str, targets: Sequence[str], reading: dict[str, Any]) -> Array:
    """Return the weights of the rows, of which some are 0; ValueError if they are none."""
    if column in targets:
        raise ValueError(
            f"--weights is a target: got {column!r} for both, expected a column of its own. Leave it out of --targets."
        )
    try:
        values = load_table(path, features=[column], **reading).X[:, 0]
    except ValueError as error:
        # What helps with an input does not help here.
        found = str(error).split(", expected ")
        if len(found) < 2 or f"column {column!r}" not in found[0]:
            raise
        raise ValueError(
            f"{found[0]}, expected a number from 0 on in each row, its weight. Repair the column, or name another one "
            "in weights."
        ) from None
    weights = np.asarray(values, dtype=np.float64)
    faults = weight_faults(weights, len(weights), of_table=True)
    raise_faults([fault.replace("sample_weight", f"--weights {column!r}") for fault in faults])
    return weights


def _read_encoded(
    file: Any,
    feature_names: Sequence[str],
    kept: set[str],
    missing: Sequence[str] | None,
    categorical: Sequence[str] | None,
    impute: str,
) -> tuple[Any, dict[str, Any]]:
    """Return the inputs as they are, what each is, which columns are none, and how they are to be encoded."""
    chosen = match_columns("categorical", list(categorical or []) or None, file.columns)
    if other := [name for name in chosen if name not in feature_names]:
        raise ValueError(
            f"categorical has columns that are no inputs: got {other[0]!r}, expected some of the inputs. Take it out."
        )
    left_out = index_columns([name for name in feature_names if name not in kept], file.index_columns)
    candidates = [name for name in feature_names if name not in left_out]
    table = raw_columns(file, candidates, chosen)
    judged = judge_columns(table, markers=file.markers, categorical=chosen, keep=kept, index=file.index_columns)
    check_columns(judged, left_out)
    inputs = tuple(column for column in judged if column.is_input)
    encoder = TableEncoder(
        impute=impute,
        categorical=tuple(column.name for column in inputs if column.kind == "category"),
        # What is an input is known of all rows; those of training may look otherwise.
        keep=tuple(column.name for column in inputs),
        missing=None if not missing else tuple(missing),
    )
    left_out |= {column.name: column.why_not for column in judged if column.why_not}
    return table.select([column.name for column in inputs]), {
        "left_out": left_out,
        "columns": inputs,
        "encoder": encoder,
    }


def read_inputs(path: Path, model: Any, reading: dict[str, Any]) -> tuple[Any, list[str]]:
    """Read the inputs of a fitted model by name, in its order, whatever else is in the table, and how they are read."""
    feature_names = list(model.feature_names_in_)
    encoder, reading = getattr(model, "table_encoder_", None), reading_of(model, reading)
    file = open_table(path, **reading)
    check_names(feature_names, file.columns, path.name)
    if encoder is None:
        data = load_table(path, features=feature_names, **reading)
        return named(data.X, feature_names), data.remarks
    categories = [column.name for column in encoder.columns_ if column.is_input and column.kind == "category"]
    return raw_columns(file, feature_names, categories), list(file.remarks)


def reading_of(model: Any, reading: dict[str, Any]) -> dict[str, Any]:
    """Return how a table is read for a model: what stood for a missing number in its fit does so again."""
    encoder = getattr(model, "table_encoder_", None)
    stored = [] if encoder is None or encoder.missing is None else list(encoder.missing)
    return {**reading, "missing": [*stored, *(reading["missing"] or [])]}


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
    check_place(path, data)


def check_place(path: Path, data: Path) -> None:
    """Raise if a file cannot be written there, or is the input."""
    if path.exists() and data.exists() and path.samefile(data):
        raise ValueError(f"--out is the input: got '{path}' for both, expected another file. Choose another name.")
    if path.is_dir():
        raise IsADirectoryError(f"--out is a directory: got '{path}', expected a file. Add a name.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"--out has no directory: got '{path}', expected one that exists. Create it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"--out is not writable: got '{path}', expected a directory to write to. Choose another.")


@contextmanager
def table_writer(path: Path, schema: Any) -> Iterator[Callable[[Any], None]]:
    """Yield what writes blocks of a table in the format of the ending, all or nothing."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    ending = path.suffix.lower()
    # Arrow takes no names that are not in UTF-8.
    with replaced_file(path) as staging, staging.open("wb") as file:
        if ending == ".csv":
            writer = csv.CSVWriter(file, schema)
        elif ending == ".parquet":
            writer = parquet.ParquetWriter(file, schema)
        else:
            # What write_feather writes, which has no blocks.
            writer = pa.ipc.new_file(file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        with writer:
            yield writer.write_table


def write_table(path: Path, table: Any) -> None:
    """Write an Arrow table in the format of the ending, all or nothing."""
    with table_writer(path, table.schema) as write:
        write(table)
