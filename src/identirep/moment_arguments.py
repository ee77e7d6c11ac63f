"""What is passed to `TaskMoments`: names, positions of tasks, batches and other moments, checked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import as_float_matrix, as_floats, check_finite, factorize, unlike_labels
from identirep.missing import as_labels, as_numbers
from identirep.moments_file import StoredMoments
from identirep.parameters import raise_faults
from identirep.row_weights import as_weights
from identirep.wording import short

__all__ = [
    "RowsOfTasks",
    "batches_of",
    "check_moments",
    "names_of_columns",
    "offset_of",
    "positions",
    "rows_of_known_tasks",
    "rows_of_tasks",
]


class RowsOfTasks(NamedTuple):
    """Features, targets, positions of tasks, their names, weights, and which of the rows that were given these are."""

    H: NDArray[Any]
    target: Array
    task_index: IntArray
    names: tuple[Hashable, ...]
    weight: Array | None
    kept: BoolArray


def names_of_columns(task_names: Any, n_columns: int) -> tuple[Hashable, ...]:
    """Return the names of the tasks of so many columns, by default their numbers."""
    if task_names is None:
        return tuple(range(n_columns))
    names = tuple(as_labels(task_names, "task_names").tolist())
    try:
        distinct = len(set(names))
    except TypeError as error:
        raise ValueError(unlike_labels("task_names", error)) from None
    if len(names) != n_columns or distinct != n_columns:
        raise ValueError(
            f"task_names does not label the columns of Y: got {len(names)} names ({distinct} distinct) for "
            f"{n_columns} columns, expected one distinct name each. Pass a name for each column."
        )
    return names


def positions(index: ArrayLike, n_tasks: int) -> IntArray:
    """Return positions of tasks, which may be given as a mask."""
    array = np.atleast_1d(as_numbers(index, "index"))
    if array.dtype == bool and array.shape == (n_tasks,):
        return np.flatnonzero(array)
    wrong = None
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        wrong = f"{array.dtype.name} of shape {array.shape}"
    elif (bad := (array < -n_tasks) | (array >= n_tasks)).any():
        wrong = str(array[bad][0])
    if wrong is not None:
        raise ValueError(
            f"index has no positions of tasks: got {wrong}, expected ints from {-n_tasks} to {n_tasks - 1}, or "
            f"{n_tasks} bools. Pass positions in task_names."
        )
    return array.astype(np.int64)


def offset_of(offset: ArrayLike | None, n_features: int) -> Array | float:
    """Return what is added to so many mapped features."""
    if offset is None:
        return 0.0
    shift = as_floats(offset, "offset").astype(np.float64)
    if shift.shape not in ((), (n_features,)):
        raise ValueError(
            f"offset has the wrong shape: got {shift.shape}, expected ({n_features},), a number for each new feature. "
            "Pass one for each row of M."
        )
    return shift


def batches_of(batches: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield features, targets, tasks and weights of each batch, None where there are none."""
    if not isinstance(batches, Iterable):
        raise ValueError(
            f"batches is no sequence: got {type(batches).__name__}, expected batches (H, Y) or (H, y, tasks). Pass a "
            "list or an iterator of them."
        )
    for number, batch in enumerate(batches):
        if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 4:
            got = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
            raise ValueError(
                f"batch {number} is none: got {short(got)}, expected (H, Y), (H, y, tasks) or (H, y, tasks, "
                "sample_weight). Pass tuples."
            )
        H, Y, tasks, weight = (*batch, None, None)[:4]
        yield H, Y, tasks, weight


def check_moments(value: Any, name: str) -> None:
    """Raise TypeError for what is no `TaskMoments`."""
    if not isinstance(value, StoredMoments):
        raise TypeError(
            f"{name} has the wrong type: got {type(value).__name__}, expected TaskMoments. Compute them by "
            "TaskMoments.from_arrays or from_long."
        )


def rows_of_tasks(H: Any, y: Any, tasks: Any, sample_weight: Any) -> RowsOfTasks:
    """Return rows of the long layout that have a label and a weight above 0; ValueError if they are not valid."""
    H, target = as_float_matrix(H, "H"), as_floats(y, "y").astype(np.float64)
    check_finite(H, "H", np.isfinite)
    weight, faults = as_weights(sample_weight, len(H))
    raise_faults(faults)
    kept = ~np.isnan(target) if target.shape == (len(H),) else np.ones(len(H), dtype=bool)
    if weight is not None and not weight.all() and target.shape == (len(H),):
        counted, labels = weight > 0, as_labels(tasks, "tasks")
        if labels.shape == target.shape:
            H, target, tasks, weight = H[counted], target[counted], labels[counted], weight[counted]
            kept &= counted
    names, index = factorize(tasks, "tasks")
    if target.shape != (len(H),) or index.shape != (len(H),):
        raise ValueError(
            f"y and tasks do not match H: got {target.shape} and {index.shape}, expected ({len(H)},) for both. "
            "Pass one target and one task label for each row."
        )
    return _labelled(RowsOfTasks(H, target, index, names, weight, kept))


def rows_of_known_tasks(
    H: NDArray[Any], target: Array, index: IntArray, names: Sequence[Hashable], weight: Array | None
) -> RowsOfTasks:
    """Return checked rows whose tasks are known by positions in `names` as `rows_of_tasks` does, no label looked at.

    Tasks that have no row are left out, and the others are in the order that labels of rows would have them in.
    """
    here = np.flatnonzero(np.bincount(index, minlength=len(names)))
    labels = np.empty(len(here), dtype=object)
    labels[:] = [names[t] for t in here.tolist()]
    ordered, place = factorize(labels, "tasks")
    number = np.zeros(len(names), dtype=np.int64)
    number[here] = place
    H, target = as_float_matrix(H, "H"), np.asarray(target, dtype=np.float64)
    return _labelled(RowsOfTasks(H, target, number[index], ordered, weight, ~np.isnan(target)))


def _labelled(rows: RowsOfTasks) -> RowsOfTasks:
    """Leave rows without a label out."""
    seen = ~np.isnan(rows.target)
    if seen.all():
        return rows
    weight = None if rows.weight is None else rows.weight[seen]
    return rows._replace(H=rows.H[seen], target=rows.target[seen], task_index=rows.task_index[seen], weight=weight)
