"""Blocks of tables by the names of their columns: of files, and of what other programs pass on by Arrow's protocol."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array
from identirep.datasets import NotNumericError, choose_columns, index_columns, open_table
from identirep.engines.blocks import BlockError, shown
from identirep.moments import TaskMoments
from identirep.row_weights import first_bad_weight

__all__ = ["Block", "Patterns", "TableBlocks", "files_of", "relabelled"]

Patterns = str | Sequence[str]

# Rows and numbers of a block: enough for the work on it to outweigh merging, far below what memory holds.
_BLOCK_ROWS, _BLOCK_NUMBERS = 65_536, 4_000_000
_COLUMNAR = (".parquet", ".pq", ".feather", ".arrow", ".arrows", ".ipc")


@dataclass(frozen=True)
class Block:
    """Rows of a table: features, targets, labels of tasks in the long layout, weights, each if there are any."""

    where: str
    H: Array
    y: Array
    tasks: NDArray[Any] | None
    sample_weight: Array | None


@dataclass
class TableBlocks:
    """Which columns of many tables are what; those of the first one decide for all."""

    targets: Patterns
    tasks: str | None = None
    features: Patterns | None = None
    drop: Patterns | None = None
    weights: str | None = None
    missing: Patterns | None = None
    takes_gaps: bool = False  # features may be missing, as encoders take them
    reading: Mapping[str, Any] = field(default_factory=dict)  # separator, decimal and sheet of files
    feature_names: list[str] = field(default_factory=list)
    target_names: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # columns that are an index, and why they are no features
    first: str = ""

    def start(self, columns: Sequence[str], where: str, index: Sequence[str] = ()) -> None:
        """Choose the columns of all tables by the names of those of the first."""
        self.feature_names, self.target_names, self.left_out = self._chosen(columns, where, index)
        self.first = where

    def blocks(self, source: Any, where: str) -> Iterator[Block]:
        """Yield the rows of a table, a file or any object with ``__arrow_c_stream__``, in blocks."""
        try:
            table = open_table(source, self.missing, **self.reading)
            self._check_columns(table.columns, where, table.index_columns)
            numeric = [*self.feature_names, *self.target_names, *([] if self.weights is None else [self.weights])]
            n_rows = 0
            for numbers, labels in _gathered(table.batches(numeric, self.tasks)):
                yield self._block(where, n_rows, numbers, labels)
                n_rows += len(numbers)
        except NotNumericError as error:
            cell = error.cells[0]
            raise BlockError(
                f"{where}: column {cell.column!r} is not numeric: got {cell.value!r} first at row "
                f"{cell.row}{cell.of}, expected numbers. {cell.remedy or 'Leave the column out, or convert it.'}"
            ) from None
        except BlockError:
            raise
        except ValueError as error:
            # It names the table.
            raise BlockError(str(error)) from None

    def _block(self, where: str, start: int, numbers: Array, labels: list[Any] | None) -> Block:
        K, T = len(self.feature_names), len(self.target_names)
        for j, name in enumerate([*self.feature_names, *self.target_names]):
            values = numbers[:, j]
            # Sums tell what is not finite faster than a look at each value.
            if np.isfinite(values.sum()):
                continue
            for bad, what in ((np.isinf(values), "an infinite value"), (np.isnan(values), "no value")):
                if bad.any() and (what != "no value" or (j < K and not self.takes_gaps)):
                    raise _bad_value(where, name, what, start + int(np.argmax(bad)) + 1)
        tasks: NDArray[Any] | None = None
        if labels is not None:
            if None in labels:
                raise _bad_value(where, str(self.tasks), "no label of a task", start + labels.index(None) + 1)
            tasks = np.empty(len(labels), dtype=object)
            tasks[:] = labels
        y = numbers[:, K : K + T]
        weight = None if self.weights is None else numbers[:, K + T]
        if weight is not None and (bad_weight := first_bad_weight(weight)) is not None:
            raise BlockError(
                f"{where}: column {self.weights!r} has no weight: got {weight[bad_weight]:g} first at row "
                f"{start + bad_weight + 1:,}, expected a finite number from 0 on in each row. Set it, or drop that row."
            )
        return Block(where, numbers[:, :K], y if tasks is None else y[:, 0], tasks, weight)

    def _check_columns(self, columns: Sequence[str], where: str, index: Sequence[str]) -> None:
        """Raise if the same choice gives other columns than in the first table."""
        if not self.first:
            self.start(columns, where, index)
        needed = {
            *self.feature_names,
            *self.target_names,
            *(name for name in (self.tasks, self.weights) if name is not None),
        }
        lacking = [name for name in sorted(needed) if name not in columns]
        if lacking:
            raise BlockError(
                f"{where} has other columns than {self.first}: got none named {shown(lacking)}, expected the same in "
                "all. Take out that table, or name columns that all have."
            )
        features, targets, _ = self._chosen(columns, where, index)
        more = [name for name in [*features, *targets] if name not in needed]
        if more:
            raise BlockError(
                f"{where} has other columns than {self.first}: got {shown(more)} as well, expected the same in all. "
                "Drop them, or name the features."
            )

    def _chosen(
        self, columns: Sequence[str], where: str, index: Sequence[str]
    ) -> tuple[list[str], list[str], dict[str, str]]:
        dropped = [] if self.drop is None else [self.drop] if isinstance(self.drop, str) else list(self.drop)
        dropped += [] if self.weights is None else [self.weights]
        if self.weights is not None and self.weights not in columns:
            raise ValueError(
                f"weights matches no column: got {self.weights!r}, expected a column of {where}. Check the spelling."
            )
        features, targets, kept = choose_columns(
            Path(where), columns, self.targets, self.tasks, self.features, dropped or None
        )
        left_out = index_columns([name for name in features if name not in kept], index)
        return [name for name in features if name not in left_out], targets, left_out


def files_of(pattern: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a path, a folder or a pattern names, sorted by name."""
    path = Path(pattern)
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in _COLUMNAR and file.is_file()]
        found = [file for file in found if not any(part[0] in "._" for part in file.relative_to(path).parts)]
        keyed = [file for file in found if any("=" in part for part in file.relative_to(path).parts[:-1])]
        if keyed:
            raise ValueError(
                f"path has folders that hold values of a column: got '{keyed[0].relative_to(path)}', expected files "
                "with all columns. Read it with pyarrow.dataset in Python, and pass its batches to stream_moments."
            )
        if not found:
            raise FileNotFoundError(
                f"path has no tables: got '{path}', expected a folder with Parquet, Feather or Arrow files. Name the "
                "files by a pattern such as 'folder/*.csv'."
            )
        return found
    if path.exists() or not has_magic(str(pattern)):
        return [path]
    matched = [Path(name) for name in sorted(glob(str(pattern), recursive=True)) if Path(name).is_file()]
    if not matched:
        raise FileNotFoundError(
            f"path matches no file: got '{pattern}', expected a file, a folder or a pattern of files. Check the "
            "spelling."
        )
    return matched


def relabelled(moments: TaskMoments) -> TaskMoments:
    """Return moments with labels as a single table has them: texts that are all whole numbers are ints."""
    names = moments.task_names
    if not all(isinstance(name, str) for name in names):
        return moments
    try:
        numbers = [int(str(name)) for name in names]
    except ValueError:
        return moments
    # "01" and "1" are different labels.
    if [str(number) for number in numbers] != list(names):
        return moments
    found = moments.select_tasks(np.argsort(numbers))
    found.task_names = tuple(sorted(numbers))
    return found


def _gathered(batches: Iterable[Any]) -> Iterator[tuple[Array, list[Any] | None]]:
    """Join small batches, so that merging costs little beside the moments of a block."""
    kept: list[Any] = []
    n_rows = 0
    for batch in batches:
        kept.append(batch)
        n_rows += len(batch.numbers)
        if n_rows >= min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(batch.numbers.shape[1], 1)):
            yield _joined(kept)
            kept, n_rows = [], 0
    if kept:
        yield _joined(kept)


def _joined(batches: Sequence[Any]) -> tuple[Array, list[Any] | None]:
    numbers = batches[0].numbers if len(batches) == 1 else np.concatenate([batch.numbers for batch in batches])
    labels = None if batches[0].labels is None else [label for batch in batches for label in batch.labels]
    return numbers, labels


def _bad_value(where: str, column: str, what: str, row: int) -> BlockError:
    return BlockError(
        f"{where}: column {column!r} has {what}: got it first at row {row:,}, expected one in each row, finite. Drop "
        "those rows, or leave the column out."
    )
