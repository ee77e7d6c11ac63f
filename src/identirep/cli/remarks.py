"""What can be said of the rows and columns of a table before anything is fitted to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from identirep._typing import Array
from identirep.accumulation import factorize
from identirep.cli.tables import Table
from identirep.encoding import kinds_remark
from identirep.encoding import left_out_remark as columns_remark
from identirep.exchangeability import LEVEL, check_row_order, consecutive_rows, neighbours_alike
from identirep.fitted_stages import STAGE_TWO_LABELS
from identirep.linear_copies import copy_remarks, linear_copies
from identirep.planning import too_few
from identirep.sentinels import sentinel_remarks
from identirep.splits import row_groups
from identirep.target_kinds import kinds_of_columns, kinds_of_tasks, kinds_sentence
from identirep.validation import TaskData, check_task_data, left_out_remark

__all__ = ["remarks_of_columns", "remarks_of_table", "remarks_of_values", "repeated_rows"]

# Columns whose values repeat so much may be inputs of repeated rows.
_FEW_VALUES = 0.5
# Far fewer different rows than chance combinations of the same values.
_FEW_COMBINATIONS = 0.9
_MAX_NAMED = 5


def repeated_rows(table: Table) -> int:
    """Return the number of rows whose inputs an earlier row has."""
    equal = row_groups(table.inputs())
    return 0 if equal is None else len(equal) - int(equal.max()) - 1


def kinds_of_table(table: Table) -> tuple[str, ...]:
    """Return the kind of each target, or task, that its values tell."""
    if not table.is_long:
        return kinds_of_columns(table.targets, table.tasks, "auto")
    seen = ~np.isnan(table.targets)
    names, index = factorize(np.asarray(table.tasks)[seen])
    return kinds_of_tasks(table.targets[seen], index, names, "auto")


def remarks_of_values(table: Table) -> list[str]:
    """Return what is said before a fit: columns that are no inputs, and numbers that may stand for something else."""
    targets = [table.target] if table.is_long else table.tasks
    remarks = list(table.read_as)
    is_text = any(why.startswith(("text", "a text")) for why in table.left_out.values())
    keep = f"To keep one, name it with --features{', or a text with --categorical' if is_text else ''}."
    remarks += filter(None, [columns_remark(table.left_out, keep), kinds_remark(table.columns)])
    kinds = kinds_of_table(table)
    if not set(kinds) <= {"continuous"}:
        remarks.append(f"{'Tasks' if table.is_long else 'Targets'}: {kinds_sentence(kinds)}.")
    names, numbers = table.looks
    return remarks + sentinel_remarks([*names, *targets], np.column_stack([numbers, table.targets]))


def remarks_of_table(table: Table) -> list[str]:
    """Return sentences on rows that are not exchangeable, and on targets that are copies, where targets are known."""
    inputs = table.inputs()
    data = check_task_data(inputs, table.targets, table.tasks, min_labels=STAGE_TWO_LABELS, leaves_out=True, gaps=True)
    order, groups = table.order, table.groups
    if data.given_rows is not None:
        order, groups = (None if part is None else part[data.given_rows] for part in (order, groups))
    remarks = remarks_of_values(table)
    if data.left_out:
        remarks.append(left_out_remark(data.left_out, STAGE_TWO_LABELS))
    data = TaskData(data.X, data.targets, data.task_index, data.task_names, order=order)
    if data.task_index is not None and data.n_tasks:
        labelled = data.task_index[~np.isnan(data.targets)]
        remarks += filter(None, [too_few(np.bincount(labelled, minlength=data.n_tasks).astype(np.float64))])
    remarks += [*copy_remarks(linear_copies(data, table.looks[0]))]
    n_repeated = repeated_rows(table)
    if n_repeated:
        remarks.append(f"{n_repeated:,} rows repeat the inputs of others: equal rows stay together in every split")
    of_rows = check_row_order(data, row_groups(data.X, groups)).remark
    return [f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in [*remarks, of_rows] if text]


def remarks_of_columns(names: Sequence[str], columns: Array) -> list[str]:
    """Return the same as far as it can be told of columns of numbers, NaN for gaps, with nothing known of targets."""
    remarks = sentinel_remarks(names, columns)
    data = TaskData(np.empty((len(columns), 0)), columns, None, tuple(names))
    copies = linear_copies(data)
    for copy in copies[:_MAX_NAMED]:
        remarks.append(f"{copy.target!r} is a linear copy of {copy.of!r}: leave one out.")
    complete = np.flatnonzero(~np.isnan(columns).any(axis=0))
    if not len(complete):
        return remarks
    columns = columns[:, complete]
    distinct = np.array([len(np.unique(column)) for column in columns.T])
    few = np.flatnonzero((distinct > 1) & (distinct <= _FEW_VALUES * len(columns)))
    rng = np.random.default_rng(0)
    n_rows, n_chance = (_n_distinct(part) for part in (columns[:, few], rng.permuted(columns[:, few], axis=0)))
    if n_rows < _FEW_COMBINATIONS * n_chance:
        listed = ", ".join(names[complete[i]] for i in few[:_MAX_NAMED]) + (", ..." if len(few) > _MAX_NAMED else "")
        remarks.append(
            f"Repeated rows: {len(columns):,} rows hold {n_rows:,} different ones in {listed}. If these are the "
            "inputs, equal rows stay together in every split."
        )
    if neighbours_alike(_runs_of(columns)) < LEVEL:
        remarks.append(
            "Neighbouring rows are alike: a series, or a sorted table. Name the --targets to see what it costs, and "
            "fit with --order COLUMN, or shuffle the table."
        )
    return remarks


def _n_distinct(columns: Array) -> int:
    equal = row_groups(np.ascontiguousarray(columns)) if columns.shape[1] else np.zeros(1, dtype=np.int64)
    return len(columns) if equal is None else int(equal.max()) + 1


def _runs_of(columns: Array) -> list[Array]:
    """Return what varies and is not sorted, in the runs that are looked at."""
    steps = np.diff(columns, axis=0)
    is_sorted = (steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)
    return [columns[rows][:, ~is_sorted] for rows in consecutive_rows(len(columns), columns.shape[1])]
