"""Checks of input data, shared by all estimators: everything is looked at first, then all faults are raised at once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import effective_number, factorize, floats_of, unlike_labels
from identirep.inputs import as_array, collect_inputs, column_names
from identirep.mapped_rows import MappedRows, some_rows
from identirep.missing import as_labels, missing_labels
from identirep.parameters import Fault, raise_faults
from identirep.row_labels import warn_of_other_order
from identirep.row_weights import as_weights, effective_numbers, unless_ones
from identirep.units import spread_of, spread_of_tasks, unit_faults
from identirep.wording import short

__all__ = ["TaskData", "check_features", "check_task_data", "judged_tasks", "label_faults", "left_out_remark"]
__all__ += ["without_tasks"]

# Rows on disk that are looked at where a look at some tells enough.
_MOST_ROWS = 65_536
# Tasks named in one message; a data set with thousands of faulty tasks should not print them all.
_MAX_NAMED = 5
# Why a task says nothing, beside the number of its labels.
CONSTANT = "constant"


@dataclass(frozen=True)
class TaskData:
    """Samples and targets of many tasks, checked and in one of two layouts."""

    # (n_samples, n_features), float32 or float64, all finite.
    X: NDArray[Any]
    # Wide layout: (n_samples, n_tasks). Long layout: (n_samples,), the one target of each row. NaN is a missing label.
    targets: Array
    # Position of each row's task in `task_names`; None in the wide layout.
    task_index: IntArray | None
    task_names: tuple[Hashable, ...]
    # Whether a single task was given as one dimension, so that predictions should have one too.
    is_flat: bool = False
    # Rank of each row where rows have an order: they are alike the closer they are in it.
    order: IntArray | None = None
    # (n_samples,), above zero: what each row says relative to the others of its task, see `row_weights`.
    weights: Array | None = None
    # Axes of one sample behind the rows of X, where it has several; encoders get them.
    input_shape: tuple[int, ...] = ()
    # Tasks that were given and are not here, and why.
    left_out: Mapping[Hashable, str] = field(default_factory=dict)
    # All that were given, in their order.
    given_tasks: tuple[Hashable, ...] = ()
    # Which of the rows that were given are here, where some are not: of weight 0, or, in the long layout, of tasks that
    # are left out or without a label.
    given_rows: BoolArray | None = None

    @property
    def inputs(self) -> NDArray[Any]:
        """The inputs with the axes that they were given with."""
        return self.X.reshape(-1, *self.input_shape) if self.input_shape else self.X

    def rows(self, kept: BoolArray | IntArray) -> TaskData:
        """Return some of the rows, of the same tasks."""
        names = [name for name in ("task_index", "order", "weights") if getattr(self, name) is not None]
        parts = {name: getattr(self, name)[kept] for name in ("X", "targets", *names)}
        return replace(self, **parts, given_rows=None)

    def in_memory(self) -> tuple[TaskData, IntArray | None]:
        """Return the data; of rows on disk some, in memory, and which these are."""
        if not isinstance(self.X, MappedRows):
            return self, None
        chosen = some_rows(len(self.X), _MOST_ROWS)
        part = self.rows(chosen)
        return replace(part, X=np.asarray(part.X), targets=np.asarray(part.targets)), chosen

    def tasks(self, kept: Sequence[int]) -> TaskData:
        """Return some of the tasks; of the long layout their rows."""
        names = tuple(self.task_names[t] for t in kept)
        if self.task_index is None:
            return replace(self, targets=self.targets[:, list(kept)], task_names=names)
        number = np.full(self.n_tasks, -1)
        number[list(kept)] = np.arange(len(kept))
        index = number[self.task_index]
        part = replace(self, task_index=index, task_names=names).rows(index >= 0)
        given = np.ones(len(index), dtype=bool) if self.given_rows is None else self.given_rows.copy()
        given[given] = index >= 0
        return replace(part, given_rows=given)

    @property
    def is_long(self) -> bool:
        """Whether each row belongs to one task."""
        return self.task_index is not None

    @property
    def n_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.task_names)


def check_task_data(
    X: Any,
    y: Any,
    tasks: ArrayLike | None = None,
    *,
    estimator: Any = None,
    reset: bool = True,
    name: str = "X",
    min_labels: int = 2,
    known_tasks: Sequence[Hashable] | None = None,
    found: Sequence[Fault | str] = (),
    leaves_out: bool = False,
    gaps: bool = False,
    sample_weight: Any = None,
) -> TaskData:
    """Validate samples and targets, and report every fault in one error, together with those `found` before.

    Targets with one dimension are in the long layout with `tasks`, one label for each row, and one task without. In the
    wide layout `tasks` names the columns; default the names that `y` has, else 0, 1, ... With `known_tasks` targets are
    arranged in the order of these, and others are faults. Each task needs `min_labels`, from 2 on not all the same;
    with `leaves_out` those that have less are left out, unless all are. Inputs may have `gaps` (NaN) if that is said,
    or if the estimator takes them. Rows of weight 0 are left out, once it is sure that they are rows.
    """
    faults: list[Fault | str] = list(found)
    warn_of_other_order(name, X, y=y, tasks=tasks, sample_weight=sample_weight)
    inputs = collect_inputs(X, estimator, reset, name, faults, gaps)
    n_rows = None if inputs is None else len(inputs)
    targets, columns = _as_targets(y, faults)
    if targets is None:
        raise_faults(faults)
    assert targets is not None
    if n_rows is not None and len(targets) != n_rows:
        faults.append(
            f"y does not match {name}: got {len(targets)} rows for {n_rows} in {name}, expected equal lengths. "
            "Align the rows."
        )
    infinite = np.zeros(0, dtype=bool) if isinstance(targets, MappedRows) else np.isinf(targets)
    if infinite.any():
        row = int(np.argwhere(infinite)[0][0])
        faults.append(
            f"y contains {int(infinite.sum())} infinite values: got inf first at index {row}, expected finite numbers "
            "or NaN for a missing label. Drop those labels."
        )
    labels = None if tasks is None else as_labels(tasks, "tasks")
    if labels is not None and targets.ndim == 2 and targets.shape[1] == 1 and len(labels) == len(targets) > 1:
        targets = targets[:, 0]
    (weights, bad), counted = as_weights(sample_weight, len(targets)), None
    faults += bad
    if weights is not None and not weights.all():
        counted = weights > 0
        if labels is not None and targets.ndim == 1 and len(labels) == len(targets):
            labels = labels[counted]
        targets, weights = targets[counted], weights[counted]
        if inputs is not None and len(inputs) == len(counted):
            inputs = inputs[counted]
    is_flat = targets.ndim == 1 and labels is None
    if targets.ndim == 1 and labels is not None:
        index, names = _long_tasks(labels, len(targets), known_tasks, faults, counted)
    else:
        targets = targets if targets.ndim == 2 else targets.reshape(len(targets), -1)
        index = None
        targets, names = _wide_tasks(targets, columns if labels is None else labels, known_tasks, faults)
    if index is None or len(index) == len(targets):
        found_of_units, unfit = judged_tasks(targets, index, names, min_labels, weights, fits=reset)
        faults += found_of_units
        if not leaves_out or len(unfit) == len(names):
            faults += label_faults(unfit, min_labels)
            unfit = {}
    raise_faults(faults)
    assert inputs is not None
    shape = getattr(estimator, "_input_shape", ())
    parts: dict[str, Any] = {"input_shape": shape, "given_tasks": names, "given_rows": counted}
    data = TaskData(inputs, targets, index, names, is_flat, weights=unless_ones(weights), **parts)
    return without_tasks(data, unfit) if unfit else data


def judged_tasks(
    targets: Array,
    index: IntArray | None,
    names: tuple[Hashable, ...],
    min_labels: int,
    weights: Array | None,
    *,
    fits: bool = True,
) -> tuple[list[str], dict[Hashable, str]]:
    """Return what is wrong with units of targets, and which tasks have too few labels or do not vary, and why."""
    if isinstance(targets, MappedRows):
        parts = [
            judged_tasks(column[:, None], None, (name,), min_labels, weights, fits=fits)
            for column, name in zip(targets.T, names, strict=True)
        ]
        return [fault for found, _ in parts for fault in found], {n: w for _, found in parts for n, w in found.items()}
    finite = np.where(np.isinf(targets), np.nan, targets)
    spread = spread_of(finite) if index is None else spread_of_tasks(finite, index, len(names))
    faults = unit_faults(spread, "y", names, "task", small=fits, digits=fits)
    return faults, _unfit_tasks(targets, index, names, min_labels, spread.deviation == 0.0, weights)


def check_features(estimator: Any, X: Any, *, name: str = "X") -> NDArray[Any]:
    """Validate the inputs of a fitted estimator: finite, and the features of its fit."""
    check_is_fitted(estimator)
    faults: list[Fault | str] = []
    inputs = collect_inputs(X, estimator, False, name, faults)
    raise_faults(faults)
    assert inputs is not None
    return inputs


def _as_targets(y: Any, faults: list[Fault | str]) -> tuple[Array | None, list[Hashable] | None]:
    """Return the targets in float64 and the names of their columns, if they have any."""
    if y is None:
        faults.append(
            "y is missing: got None, expected targets; the estimator requires y to be passed, but the target y is "
            "None. Pass one column of targets for each task."
        )
        return None, None
    if isinstance(y, MappedRows):
        return y.named(None), None if y.names is None else list(y.names)  # type: ignore[return-value]
    y = as_array(y, "y")
    names = column_names(y)
    series = getattr(y, "name", None) if names is None else None
    try:
        targets = floats_of(y, "y").astype(np.float64)
    except (TypeError, ValueError) as error:
        faults.append(Fault(str(error), of_type=isinstance(error, TypeError)))
        return None, None
    if targets.ndim not in (1, 2) or targets.size == 0:
        faults.append(
            f"y has the wrong shape: got {targets.shape}, expected (n_samples, n_tasks), or (n_samples,) for one task "
            "or the long layout. Reshape y."
        )
        return None, None
    if names is None and series is not None:
        names = (series,)
    return targets, None if names is None else list(names)


def _known_positions(names: Sequence[Hashable], known: Sequence[Hashable], faults: list[Fault | str]) -> IntArray:
    """Return the position of each name among the known tasks; -1 and a fault for the others."""
    position = {name: i for i, name in enumerate(known)}
    found = np.array([position.get(name, -1) for name in names], dtype=np.int64)
    unknown = [name for name, i in zip(names, found, strict=True) if i < 0]
    if unknown:
        faults.append(
            f"tasks has names that the model was not fitted on: got {_named(unknown)}, expected some of "
            f"{_named(known)}. Leave those tasks out or fit again."
        )
    return found


def _long_tasks(
    labels: NDArray[Any],
    n_rows: int,
    known: Sequence[Hashable] | None,
    faults: list[Fault | str],
    counted: BoolArray | None = None,
) -> tuple[IntArray, tuple[Hashable, ...]]:
    """Return the task of each row and the names, in the long layout; rows are those `counted` of the given ones."""
    if len(labels) != n_rows:
        given = n_rows if counted is None else len(counted)
        faults.append(
            f"tasks does not match y: got {len(labels)} labels for {given} rows, expected one label for each row. "
            "Pass the task of each row, or y with a column for each task."
        )
    missing = missing_labels(labels)
    if missing.any():
        row = int(np.argmax(missing))
        row = row if counted is None or len(labels) != n_rows else int(np.flatnonzero(counted)[row])
        faults.append(
            f"tasks contains {int(missing.sum())} missing labels: got {labels[missing][0]} first at index "
            f"{row}, expected a label for each row. Drop those rows."
        )
        return np.zeros(0, dtype=np.int64), ()
    names, index = factorize(labels, "tasks")
    if known is None:
        return index, names
    return _known_positions(names, known, faults)[index], tuple(known)


def _wide_tasks(
    targets: Array,
    labels: Sequence[Hashable] | NDArray[Any] | None,
    known: Sequence[Hashable] | None,
    faults: list[Fault | str],
) -> tuple[Array, tuple[Hashable, ...]]:
    """Return the targets, arranged like the known tasks, and the names, in the wide layout."""
    n_columns = targets.shape[1]
    if labels is None:
        if known is not None and len(known) != n_columns:
            faults.append(
                f"y has the wrong number of columns: got {n_columns}, expected {len(known)}, the tasks of the model. "
                "Pass all tasks, or name the columns with tasks."
            )
        return targets, tuple(range(n_columns)) if known is None else tuple(known)
    names: tuple[Hashable, ...] = tuple(labels.tolist() if isinstance(labels, np.ndarray) else labels)
    try:
        distinct = len(set(names))
    except TypeError as error:
        faults.append(unlike_labels("tasks", error))
        return targets, tuple(range(n_columns))
    if len(names) != n_columns or distinct != n_columns:
        faults.append(
            f"tasks does not label the columns of y: got {len(names)} names ({distinct} distinct) for "
            f"{n_columns} columns, expected one distinct name each. Pass a name for each column."
        )
        return targets, tuple(range(n_columns))
    if known is None or names == tuple(known):
        return targets, names
    position = _known_positions(names, known, faults)
    arranged = np.full((len(targets), len(known)), np.nan)
    arranged[:, position[position >= 0]] = targets[:, position >= 0]
    return arranged, tuple(known)


def _unfit_tasks(
    targets: Array,
    index: IntArray | None,
    names: tuple[Hashable, ...],
    min_labels: int,
    constant: BoolArray,
    weights: Array | None,
) -> dict[Hashable, str]:
    """Return the tasks that have too few labels, or that do not vary, and which of the two."""
    if min_labels <= 0:
        return {}
    seen = np.isfinite(targets)
    counts = seen.sum(axis=0) if index is None else np.bincount(index[seen], minlength=len(names))
    few, why = counts < min_labels, [_labels(int(n)) for n in counts]
    # Two labels with unequal weights are two, of which a line can be learnt; variances need what labels count for.
    if weights is not None and min_labels > 2:
        counts = _effective_counts(weights, seen, index, len(names))
        for t in np.flatnonzero(~few & (counts < min_labels)):
            few[t], why[t] = True, f"{counts[t]:.3g} labels by their weights"
    unfit = few | constant if min_labels >= 2 else few
    return {names[t]: why[t] if few[t] else CONSTANT for t in np.flatnonzero(unfit)}


def _effective_counts(weights: Array, seen: BoolArray, index: IntArray | None, n_tasks: int) -> Array:
    """Return the effective number of labels of each task, shape (n_tasks,)."""
    if index is not None:
        return effective_numbers(weights[seen], index[seen], n_tasks)
    return np.array([effective_number(weights[column]) for column in seen.T])


def _labels(n: int) -> str:
    return f"{n} label{'' if n == 1 else 's'}"


def label_faults(bad: Mapping[Hashable, str], min_labels: int) -> list[str]:
    """Return a fault for tasks that have too few labels, and another for those whose targets do not vary."""
    faults = []
    few = [name for name, why in bad.items() if why != CONSTANT]
    if few:
        worst = min((bad[name].split()[0] for name in few), key=float)
        faults.append(
            f"y has {len(few)} tasks with too few labels: got {worst} at least in {_named(few)}, expected at least "
            f"{min_labels} for each task. Leave those tasks out."
        )
    constant = [name for name, why in bad.items() if why == CONSTANT]
    if constant:
        faults.append(
            f"y has {len(constant)} constant targets: got a single value in {_named(constant)}, expected targets that "
            "vary. Leave those tasks out."
        )
    return faults


def without_tasks(data: TaskData, bad: Mapping[Hashable, str]) -> TaskData:
    """Leave tasks out: columns of the wide layout, rows of the long one."""
    return replace(data.tasks([t for t, name in enumerate(data.task_names) if name not in bad]), left_out=dict(bad))


def left_out_remark(left_out: Mapping[Hashable, str], least: int) -> str:
    """Say which tasks a fit leaves out, why, and what to do."""
    listed = [f"{short(repr(name))} ({why})" for name, why in list(left_out.items())[:_MAX_NAMED]]
    more = len(left_out) - _MAX_NAMED
    listed += [f"and {more:,} more"] if more > 0 else []
    return (
        f"y has {len(left_out)} {'task' if len(left_out) == 1 else 'tasks'} that nothing can be learnt of, left out "
        f"of the fit: got {', '.join(listed)}, expected at least {least} labels "
        "that differ among the rows that are fitted to. Label more rows, or leave those tasks out."
    )


def _named(names: Sequence[Hashable]) -> str:
    shown = ", ".join(short(repr(name)) for name in list(names)[:_MAX_NAMED])
    rest = len(names) - _MAX_NAMED
    return shown + (f" and {rest} more" if rest > 0 else "")
