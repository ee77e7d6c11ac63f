"""Rows of tables that no memory holds, in a scratch directory of ours, as inputs and targets of a fit."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array
from identirep.engines.blocks import as_one_error
from identirep.engines.streams import tables_of
from identirep.engines.tables import Patterns, TableBlocks
from identirep.mapped_rows import MappedFile, MappedRows, RowWriter, check_room
from identirep.processes import by_first, of_all, place
from identirep.scratch import scratch as scratch_directory
from identirep.scratch import swept, taking_turns

__all__ = ["RowsOnDisk", "rows_on_disk", "written_rows"]

# Bytes of a number as it was read, and as it is trained on.
_READ, _TRAINED = 8, 4


@dataclass(frozen=True)
class RowsOnDisk:
    """Inputs and targets on disk, as the arguments of `fit`: ``fit(rows.X, rows.y, rows.tasks)``.

    Parameters
    ----------
    X : matrix on disk, shape (n_samples, n_features)
        Inputs.
    y : matrix on disk, shape (n_samples, n_tasks), or array, shape (n_samples,)
        Targets, NaN where a label is missing; in the long layout in memory.
    tasks : array, shape (n_samples,), or None
        Task of each row in the long layout.
    sample_weight : array, shape (n_samples,), or None
        Weights of the rows.
    left_out : dict of str to str
        Columns that are no inputs, and why.
    """

    X: MappedRows
    y: MappedRows | Array
    tasks: NDArray[Any] | None
    sample_weight: Array | None
    left_out: dict[str, str] = field(default_factory=dict)


@contextmanager
def rows_on_disk(
    source: Any,
    targets: Patterns,
    *,
    scratch: str | os.PathLike[str],
    tasks: str | None = None,
    features: Patterns | None = None,
    drop: Patterns | None = None,
    weights: str | None = None,
    missing: Patterns | None = None,
) -> Iterator[RowsOnDisk]:
    """Write the rows of a table to disk, from where both stages can be fitted to more rows than memory holds.

    Parameters
    ----------
    source : path, object with ``__arrow_c_stream__``, or iterable of such objects
        What `stream_moments` takes: a file, a folder, a pattern, a frame, or record batches.
    targets : str or sequence of str
        Target columns, by name or pattern. Nulls are missing labels.
    scratch : path
        Directory with room for the rows, 12 bytes for each number. They lie in a directory of their own there, which is
        removed at the end of the block, by an error, Ctrl-C or SIGTERM as well. What a killed process has left there is
        removed the next time that rows were written.
    tasks : str, optional
        Column with the task label of each row: the long layout. Default: each column of `targets` is a task.
    features : str or sequence of str, optional
        Columns of inputs, in this order. Default: all that are nothing else.
    drop : str or sequence of str, optional
        Columns to leave out of the inputs. Default: none.
    weights : str, optional
        Column with the weight of each row. Default: all alike.
    missing : str or sequence of str, optional
        What stands for a missing number, as in `load_table`.

    Yields
    ------
    RowsOnDisk
        The arguments of ``IdentifiableRegressor.fit`` or ``MTRN.fit``: ``fit(rows.X, rows.y, rows.tasks,
        sample_weight=rows.sample_weight)``.

    Raises
    ------
    FileNotFoundError
        If a path names no file, or `scratch` no directory.
    OSError
        If the directory has no room for the rows, before a fit begins.
    ValueError
        If a table has other columns or types than the first, an input is missing, a value is infinite, or there are no
        rows; the message names the file or the batch.

    Notes
    -----
    Inputs are numbers without gaps, and targets are continuous (``target_type="continuous"`` takes any as such).
    Networks are trained on batches from disk: runs of 256 rows in random order, whose rows are mixed with those of 63
    other runs. Up to 16,384 rows of training are in the order of a fit in memory, whose result this then has up to
    rounding. Of more than 65,536 rows held out so many tell how much signal directions have, and of more rows than that
    so many tell how inputs are scaled. Labels of tasks, weights and 8 bytes for what numbers rows stay in memory.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> from identirep import MTRN
    >>> from identirep.engines import rows_on_disk
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(400, 2))
    >>> Y = Z @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(400, 6))
    >>> table = pa.table({f"x{j}": Z[:, j] for j in range(2)} | {f"y{t}": Y[:, t] for t in range(6)})
    >>> model = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=10, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder, rows_on_disk(table, "y*", scratch=folder) as rows:
    ...     model.fit(rows.X, rows.y).n_components_
    2
    """
    columns = TableBlocks(targets, tasks, features, drop, weights, missing)
    with as_one_error(), written_rows(columns, tables_of(source), Path(scratch)) as rows:
        yield rows


@contextmanager
def written_rows(columns: TableBlocks, tables: Iterable[tuple[str, Any]], folder: Path) -> Iterator[RowsOnDisk]:
    """Write tables, each with what messages call it, into a directory of ours in a folder while the block lasts."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"scratch is no directory: got '{folder}', expected one with room for the rows. Create it, or name another."
        )
    if place()[0]:
        # Of several processes the first one writes, and all read.
        yield _mapped(columns, *by_first(lambda: _written(columns, tables, folder)))
        return
    with scratch_directory(folder.resolve() / "rows") as directory:
        yield _mapped(columns, *by_first(lambda: _written(columns, tables, directory)))


def _written(
    columns: TableBlocks, tables: Iterable[tuple[str, Any]], directory: Path
) -> tuple[Path, dict[str, Any], NDArray[Any] | None]:
    """Write tables; return the file, what their columns are, and the task of each row in the long layout."""
    path = directory / "rows.arrow"
    writer: RowWriter | None = None
    labels: list[NDArray[Any]] = []
    seen: dict[Any, Any] = {}
    try:
        for where, table in tables:
            for block in columns.blocks(table, where):
                if writer is None:
                    writer = RowWriter(path, _widths(columns), by_column={"y"})
                parts = {"X": block.H, "y": block.y}
                if block.sample_weight is not None:
                    parts["weight"] = block.sample_weight
                writer.write(**parts)
                if block.tasks is not None:
                    # One object for each label, however many rows have it.
                    labels.append(np.array([seen.setdefault(label, label) for label in block.tasks], dtype=object))
        if writer is not None:
            writer.close()
    except OSError as error:
        raise _full(error, directory) from None
    finally:
        if writer is not None:
            with suppress(OSError):
                writer.close()
    if writer is None:
        raise ValueError("the table is empty: got no row, expected at least two. Check the source of the rows.")
    file = MappedFile(path)
    check_room(directory, file.n_rows * _TRAINED * (file.widths["X"] + file.widths["y"]))
    with taking_turns(directory.parent):
        swept(directory.parent)
    return path, vars(columns), None if columns.tasks is None else _joined(labels, seen)


def _mapped(columns: TableBlocks, path: Path, chosen: dict[str, Any], tasks: NDArray[Any] | None) -> RowsOnDisk:
    """Map rows that were written, the columns of which are as they were chosen then."""
    vars(columns).update(chosen)
    file = MappedFile(path)
    # All have mapped it before the first one can remove it.
    of_all(None)
    X, y = file.rows("X").named(columns.feature_names), file.rows("y").named(columns.target_names)
    weight = None if columns.weights is None else file.rows("weight").column(0)
    if columns.tasks is None:
        return RowsOnDisk(X, y, None, weight, dict(columns.left_out))
    return RowsOnDisk(X, y.column(0), tasks, weight, dict(columns.left_out))


def _widths(columns: TableBlocks) -> dict[str, tuple[int, Any]]:
    """Return the matrices of a file of rows."""
    found: dict[str, tuple[int, Any]] = {"X": (len(columns.feature_names), np.float64)}
    found["y"] = (len(columns.target_names), np.float64)
    return found if columns.weights is None else found | {"weight": (1, np.float64)}


def _joined(labels: list[NDArray[Any]], seen: dict[Any, Any]) -> NDArray[Any]:
    """Return the labels of all rows; texts that are all whole numbers are numbers, as in a single table."""
    found = np.concatenate(labels)
    if all(isinstance(label, str) for label in seen):
        try:
            numbers = {label: int(label) for label in seen}
        except ValueError:
            return found
        # "01" and "1" are different labels.
        if all(str(number) == label for label, number in numbers.items()):
            return np.array([numbers[label] for label in found])
    return found


def _full(error: OSError, place: Path) -> OSError:
    """Say that a disk is full where it is; any other error stays."""
    if error.errno != errno.ENOSPC and "No space left" not in str(error):
        return error
    return OSError(
        errno.ENOSPC,
        f"scratch has too little room: got a full disk at '{place.parent}', expected room for all rows, 12 bytes for "
        "each number. Name a directory on a disk with more, or take fewer columns",
    )
