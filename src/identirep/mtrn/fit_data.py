"""The arguments of a fit of stage one as checked data: rows that count, tasks that can be learnt of, groups, order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from identirep._typing import BoolArray, IntArray
from identirep.gross_errors import limited
from identirep.parameters import Fault, raise_faults
from identirep.row_labels import warn_of_other_order
from identirep.row_weights import weights_of_tasks
from identirep.splits import number_groups, order_ranks, row_groups
from identirep.validation import TaskData, check_task_data

__all__ = ["check_fit_data", "refuse_levels"]


def check_fit_data(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    tasks: ArrayLike | None,
    groups: ArrayLike | None,
    faults: Sequence[Fault | str] = (),
    *,
    order: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> tuple[TaskData, IntArray | None]:
    """Validate the arguments of ``fit``, and number the groups, which hold rows with equal inputs together as well.

    Rows of the long layout without a label are dropped, rows of weight 0, and tasks that nothing can be learnt of;
    labels that are gross errors are limited. All faults are raised at once, with those given, and `estimator` gets
    ``n_features_in_`` and ``feature_names_in_``.
    """
    group_index, ranks, found = None, None, list(faults)
    warn_of_other_order("X", X, groups=groups, order=order)
    if groups is not None:
        group_index = number_groups(groups)
        n_rows = _n_rows(X, len(group_index))
        if len(group_index) != n_rows:
            found.append(
                f"groups does not match X: got {len(group_index)} labels for {n_rows} rows, expected one for each row. "
                "Pass the group of each row."
            )
    if order is not None:
        try:
            ranks = order_ranks(order)
            found += _order_faults(ranks, X)
        except ValueError as error:
            found.append(str(error))
    found += _alike_faults(group_index, ranks)
    rows: dict[str, Any] = {"sample_weight": sample_weight, "leaves_out": True}
    rows["min_labels"] = getattr(estimator, "_least_labels", 2)
    data = check_task_data(X, y, tasks, estimator=estimator, found=found, **rows)
    if (given := data.given_rows) is not None:
        group_index, ranks = (None if of is None else of[given] for of in (group_index, ranks))
    data = replace(data, order=ranks)
    if data.task_index is not None and np.isnan(data.targets).any():
        seen = ~np.isnan(data.targets)
        data = data.rows(seen)
        group_index = None if group_index is None else group_index[seen]
        given = seen if given is None else _part_of(given, seen)
    if data.weights is not None:
        # Ratios within a task are all that weights say, so that whatever looks at rows of several tasks needs one
        # scale for all. And equal weights are none.
        weights = data.weights if data.task_index is None else weights_of_tasks(data.weights, data.task_index)
        data = replace(data, weights=None if np.all(weights == weights[0]) else weights)
    if given is not None:
        raise_faults(_alike_faults(group_index, data.order, " that count"))
        # Without gaps: how many there are is read from the largest number.
        group_index = None if group_index is None else np.unique(group_index, return_inverse=True)[1].reshape(-1)
    targets, counts = data.targets, np.zeros(data.n_tasks, dtype=np.int64)
    if getattr(estimator, "_limits_labels", True):
        targets, counts = limited(targets, data.task_index, data.n_tasks)
    estimator.limited_labels_ = counts
    return replace(data, targets=targets, given_rows=given), row_groups(data.X, group_index)


def _part_of(rows: BoolArray, kept: BoolArray) -> BoolArray:
    """Return which of all rows are among some, and kept of these."""
    found = np.zeros(len(rows), dtype=bool)
    found[np.flatnonzero(rows)[kept]] = True
    return found


def _order_faults(ranks: IntArray, X: Any) -> list[str]:
    """Return what is wrong with the order of the rows."""
    n_rows = _n_rows(X, len(ranks))
    if len(ranks) != n_rows:
        return [
            f"order does not match X: got {len(ranks)} values for {n_rows} rows, expected one for each row. Pass the "
            "place of each row in the order."
        ]
    return []


def _alike_faults(groups: IntArray | None, ranks: IntArray | None, where: str = "") -> list[str]:
    """Say so if groups, or an order, do not tell any two rows apart."""
    found = []
    if groups is not None and len(groups) and (groups == groups[0]).all():
        of_which = f" in the rows{where}" if where else ""
        found.append(f"groups has a single group{of_which}: got 1, expected at least 2. Leave groups out.")
    if ranks is not None and len(ranks) and (ranks == ranks[0]).all():
        found.append(
            f"order is the same for all rows{where}: got a single value, expected at least 2. Leave order out."
        )
    return found


def _n_rows(X: Any, otherwise: int) -> int:
    """Return the number of rows of inputs that are not checked yet: sparse ones have a shape and no length."""
    shape = getattr(X, "shape", None)
    return int(shape[0]) if shape else len(X) if hasattr(X, "__len__") else otherwise


def refuse_levels(kinds: Sequence[str], names: Sequence[Hashable]) -> None:
    """Raise if rows on disk have targets of levels, whose heads and moments need all rows at once."""
    other = [(name, kind) for name, kind in zip(names, kinds, strict=True) if kind != "continuous"]
    if other:
        raise ValueError(
            f"y on disk has targets of levels: got {other[0][0]!r}, which looks {other[0][1]}"
            f"{f', and {len(other) - 1} more' if len(other) > 1 else ''}, expected continuous ones. Pass "
            "target_type='continuous' to take them as numbers, or fit to fewer rows in memory."
        )
