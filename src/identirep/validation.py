"""Checks of input data, shared by all estimators: everything is looked at first, then all faults are raised at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import factorize
from identirep.missing import as_labels, as_numbers, missing_labels
from identirep.parameters import Fault, raise_faults
from identirep.row_weights import as_weights, unless_ones
from identirep.units import spread_of, spread_of_tasks, unit_faults

__all__ = ["TaskData", "check_features", "check_task_data"]

# Tasks named in one message; a data set with thousands of faulty tasks should not print them all.
_MAX_NAMED = 5


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

    def rows(self, kept: BoolArray) -> TaskData:
        """Return some of the rows, of the same tasks."""
        names = [name for name in ("task_index", "order", "weights") if getattr(self, name) is not None]
        parts = {name: getattr(self, name)[kept] for name in ("X", "targets", *names)}
        return replace(self, **parts)

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
    sample_weight: Any = None,
) -> TaskData:
    """Validate samples and targets, and report every fault in one error, together with those `found` before.

    Targets with one dimension are in the long layout with `tasks`, one label for each row, and one task without. In the
    wide layout `tasks` names the columns; default the names that `y` has, else 0, 1, ... With `known_tasks` targets are
    arranged in the order of these, and others are faults. Each task needs `min_labels`, from 2 on not all the same.
    Rows of weight 0 are left out, once it is sure that they are rows.
    """
    faults: list[Fault | str] = list(found)
    inputs = _collect_inputs(X, estimator, reset, name, faults)
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
    infinite = np.isinf(targets)
    if infinite.any():
        row = int(np.argwhere(infinite)[0][0])
        faults.append(
            f"y contains {int(infinite.sum())} infinite values: got inf first at row {row}, expected finite numbers or "
            "NaN for a missing label. Drop those labels."
        )
    labels = None if tasks is None else as_labels(tasks)
    if labels is not None and targets.ndim == 2 and targets.shape[1] == 1 and len(labels) == len(targets) > 1:
        targets = targets[:, 0]
    weights, bad = as_weights(sample_weight, len(targets))
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
        index, names = _long_tasks(labels, len(targets), known_tasks, faults)
    else:
        targets = targets.reshape(len(targets), -1)
        index = None
        targets, names = _wide_tasks(targets, columns if labels is None else labels, known_tasks, faults)
    if index is None or len(index) == len(targets):
        finite = np.where(np.isinf(targets), np.nan, targets)
        spread = spread_of(finite) if index is None else spread_of_tasks(finite, index, len(names))
        faults += unit_faults(spread, "y", names, "task", small=reset, digits=reset)
        _check_labels(targets, index, names, min_labels, spread.deviation == 0.0, faults)
    raise_faults(faults)
    assert inputs is not None
    return TaskData(inputs, targets, index, names, is_flat, weights=unless_ones(weights))


def check_features(estimator: Any, X: Any, *, name: str = "X") -> NDArray[Any]:
    """Validate the inputs of a fitted estimator: finite, and the features of its fit."""
    check_is_fitted(estimator)
    faults: list[Fault | str] = []
    inputs = _collect_inputs(X, estimator, False, name, faults)
    raise_faults(faults)
    assert inputs is not None
    return inputs


def column_names(frame: Any) -> tuple[Hashable, ...] | None:
    """Return the column names of a data frame or Arrow table, or None for anything else."""
    names = getattr(frame, "column_names", None)
    if names is None and hasattr(frame, "dtypes"):
        names = getattr(frame, "columns", None)
    return None if names is None else tuple(names)


def _collect_inputs(X: Any, estimator: Any, reset: bool, name: str, faults: list[Fault | str]) -> NDArray[Any] | None:
    """Return `X` as a matrix; None and an entry in `faults` if it is not one."""
    options: dict[str, Any] = {
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": False,
        "ensure_min_samples": 2 if reset else 1,
    }
    X = _without_masks(X)
    try:
        if estimator is None:
            array = check_array(X, input_name=name, **options)
        else:
            array = validate_data(estimator, X, reset=reset, **options)
    except ValueError as error:
        faults.append(str(error))
        return None
    # The sum is finite unless an entry is not (or it overflows): one cheap pass before the exact look.
    if not np.isfinite(np.sum(array, dtype=np.float64)):
        bad = ~np.isfinite(array)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            names = column_names(X)
            label = "" if names is None else f" ({names[column]!r})"
            faults.append(
                f"{name} contains {int(bad.sum())} non-finite values (NaN or inf): got {array[row, column]} first at "
                f"row {row}, column {column}{label}, expected finite numbers. Impute or drop those rows."
            )
            return np.asarray(array)
    if estimator is None or reset:
        labels = column_names(X) or range(array.shape[1])
        faults += unit_faults(spread_of(array), name, labels, "column", small=reset, digits=reset)
    return np.asarray(array)


def _without_masks(X: Any) -> Any:
    """Return `X` with NaN where a mask or pandas' NA says missing, which scikit-learn drops or cannot convert."""
    if hasattr(X, "notna"):
        return X.where(X.notna(), np.nan) if "O" in {getattr(dtype, "kind", "") for dtype in X.dtypes} else X
    if isinstance(X, np.ma.MaskedArray | list | tuple) or getattr(getattr(X, "dtype", None), "kind", "") == "O":
        return as_numbers(X)
    return X


def _as_targets(y: Any, faults: list[Fault | str]) -> tuple[Array | None, list[Hashable] | None]:
    """Return the targets in float64 and the names of their columns, if they have any."""
    if y is None:
        faults.append(
            "y is missing: got None, expected targets; the estimator requires y to be passed, but the target y is "
            "None. Pass one column of targets for each task."
        )
        return None, None
    if hasattr(y, "toarray"):
        raise TypeError("y is a sparse matrix: got sparse data, expected a dense array. Call y.toarray().")
    names = column_names(y)
    series = getattr(y, "name", None) if names is None else None
    values = as_numbers(y)
    if np.iscomplexobj(values):
        faults.append("y is complex: got complex numbers, expected real ones. Complex data not supported.")
        return None, None
    try:
        targets = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        faults.append(f"y is not numeric: got {error}, expected numbers or NaN. Encode the targets as numbers.")
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
    labels: NDArray[Any], n_rows: int, known: Sequence[Hashable] | None, faults: list[Fault | str]
) -> tuple[IntArray, tuple[Hashable, ...]]:
    """Return the task of each row and the names, in the long layout."""
    if len(labels) != n_rows:
        faults.append(
            f"tasks does not match y: got {len(labels)} labels for {n_rows} rows, expected one label for each row. "
            "Pass the task of each row, or y with a column for each task."
        )
    missing = missing_labels(labels)
    if missing.any():
        faults.append(
            f"tasks contains {int(missing.sum())} missing labels: got {labels[missing][0]} first at row "
            f"{int(np.flatnonzero(missing)[0])}, expected a label for each row. Drop those rows."
        )
        return np.zeros(0, dtype=np.int64), ()
    names, index = factorize(labels)
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
    if len(names) != n_columns or len(set(names)) != n_columns:
        faults.append(
            f"tasks does not label the columns of y: got {len(names)} names ({len(set(names))} distinct) for "
            f"{n_columns} columns, expected one distinct name each. Pass a name for each column."
        )
        return targets, tuple(range(n_columns))
    if known is None or names == tuple(known):
        return targets, names
    position = _known_positions(names, known, faults)
    arranged = np.full((len(targets), len(known)), np.nan)
    arranged[:, position[position >= 0]] = targets[:, position >= 0]
    return arranged, tuple(known)


def _check_labels(
    targets: Array,
    index: IntArray | None,
    names: tuple[Hashable, ...],
    min_labels: int,
    constant: BoolArray,
    faults: list[Fault | str],
) -> None:
    """Append a fault if tasks have too few labels, and another if their targets do not vary."""
    if min_labels <= 0:
        return
    seen = np.isfinite(targets)
    counts = seen.sum(axis=0) if index is None else np.bincount(index[seen], minlength=len(names))
    few = counts < min_labels
    if few.any():
        worst = int(counts[few].min())
        faults.append(
            f"y has {int(few.sum())} tasks with too few labels: got {worst} at least in {_pick(names, few)}, expected "
            f"at least {min_labels} for each task. Leave those tasks out."
        )
    constant = constant & ~few
    if constant.any() and min_labels >= 2:
        faults.append(
            f"y has {int(constant.sum())} constant targets: got a single value in {_pick(names, constant)}, expected "
            "targets that vary. Leave those tasks out."
        )


def _pick(names: Sequence[Hashable], chosen: BoolArray) -> str:
    return _named([name for name, take in zip(names, chosen, strict=True) if take])


def _named(names: Sequence[Hashable]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:_MAX_NAMED])
    rest = len(names) - _MAX_NAMED
    return shown + (f" and {rest} more" if rest > 0 else "")
