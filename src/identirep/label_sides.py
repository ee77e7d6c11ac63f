"""Sides of a split on which targets keep labels: those with few of them, or with rare values, would be left with none.

Labels of rows with weights count for their effective number, where more than two are needed: two unequal ones are two.
Random rows do for most targets. For the others single rows, or groups, change sides: into the rows held out where a
target has labels to spare, then back to training where one would have too few. Each move is of a row, or a whole
group, that such a target has a label in; nothing is moved where every target has enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import effective_number
from identirep.mapped_rows import MappedRows
from identirep.row_weights import effective_numbers

__all__ = ["Labels", "keep_labels"]

# Rows held out may grow by this share for targets that have no label there, and by so many rows at least.
_GROWTH, _LEAST_GROWTH = 0.25, 2
# Targets without labels on the second side for which rows are moved: of very many some do.
_MOST_TARGETS = 2000


@dataclass(frozen=True)
class Labels:
    """Labels of all tasks in either layout, and how many each task needs on both sides; where two, they must differ."""

    # (n_samples, n_tasks), or (n_samples,) in the long layout; NaN is missing.
    targets: Array
    # Task of each row in the long layout, numbered from 0.
    task_index: IntArray | None
    least: tuple[int, int]
    # Whether the first side comes first: what it needs is taken from the second whatever this keeps.
    trains: bool = True
    # (n_samples,), above zero: what each row says relative to the others of its task.
    weights: Array | None = None

    def of(self, rows: BoolArray) -> Labels:
        """Return the labels of some rows."""
        index = None if self.task_index is None else self.task_index[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Labels(self.targets[rows], index, self.least, self.trains, weights)

    def enough(self, rows: BoolArray, least: int) -> BoolArray:
        """Tell which tasks have so many labels in some rows, not all the same where two are needed, (n_tasks,)."""
        if isinstance(self.targets, MappedRows):
            columns = (replace(self, targets=column[:, None]) for column in self.targets.T)
            return np.array([own.enough(rows, least)[0] for own in columns])
        if self.task_index is None:
            y = self.targets[rows]
            count = self._counts(rows, least)
            low, high = np.fmin.reduce(y, axis=0, initial=np.inf), np.fmax.reduce(y, axis=0, initial=-np.inf)
        else:
            used = rows & ~np.isnan(self.targets)
            index, y = self.task_index[used], self.targets[used]
            n_tasks = int(self.task_index.max(initial=-1)) + 1
            count = self._counts(rows, least)
            low, high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)
            np.minimum.at(low, index, y)
            np.maximum.at(high, index, y)
        return np.asarray((count >= least) & ((high > low) | (least < 2)))

    def _counts(self, rows: BoolArray, least: int) -> Array:
        """Number of labels of each task in some rows, (n_tasks,); effective where so many are needed."""
        seen, weights = ~np.isnan(self.targets[rows]), self._weights_for(least)
        if self.task_index is None:
            if weights is None:
                return np.asarray(np.count_nonzero(seen, axis=0))
            return np.array([effective_number(weights[rows][column]) for column in seen.T])
        n_tasks, index = int(self.task_index.max(initial=-1)) + 1, self.task_index[rows][seen]
        if weights is None:
            return np.asarray(np.bincount(index, minlength=n_tasks))
        return effective_numbers(weights[rows][seen], index, n_tasks)

    def _weights_for(self, least: int) -> Array | None:
        return self.weights if least > 2 else None

    def count(self, rows: IntArray, least: int) -> float:
        """Number of labels of one task in rows that have them, effective where so many are needed."""
        weights = self._weights_for(least)
        return len(rows) if weights is None else effective_number(weights[rows])

    def suffice(self, rows: IntArray, values: Array, least: int) -> bool:
        """Tell whether the labels of one task in some rows are so many, not all the same where two are needed."""
        return self.count(rows, least) >= least and (least < 2 or bool((values != values[0]).any()))

    def rows_of(self) -> Callable[[int], IntArray]:
        """Return what gives the rows that have a label of a task."""
        if self.task_index is None:
            return lambda task: np.flatnonzero(~np.isnan(self.targets[:, task]))
        seen = np.flatnonzero(~np.isnan(self.targets))
        seen = seen[np.argsort(self.task_index[seen], kind="stable")]
        starts = np.searchsorted(self.task_index[seen], np.arange(int(self.task_index.max(initial=-1)) + 2))
        return lambda task: seen[starts[task] : starts[task + 1]]

    def values(self, rows: IntArray, task: int) -> Array:
        """Return the labels of a task in rows that have them."""
        return self.targets[rows] if self.task_index is not None else self.targets[rows, task]


def keep_labels(
    second: BoolArray, labels: Labels, rng: np.random.Generator, *, groups: IntArray | None = None
) -> BoolArray:
    """Return the rows of the second side, all others being on the first, such that targets have enough on both."""
    second = second.copy()
    if not second.any() or second.all():
        return second
    sides = _Sides(second, labels, rng, groups)
    n = int(second.sum())
    most = max(int((1.0 + _GROWTH) * n), n + _LEAST_GROWTH)
    sides.fill(True, most=most, keeps=True)
    sides.fill(False, most=len(second) - 1, keeps=not labels.trains)
    return second


@dataclass
class _Sides:
    """Which rows are on the second side; the array is changed in place."""

    second: BoolArray
    labels: Labels
    rng: np.random.Generator
    groups: IntArray | None

    def fill(self, side: bool, *, most: int, keeps: bool) -> None:
        """Move rows to a side for each target that has too few labels there, at most until it has `most` rows.

        With `keeps` no target gives away labels that it needs itself on the other side.
        """
        need, own = self.labels.least[side], self.labels.least[not side]
        lacking = ~self.labels.enough(self.second == side, need)
        # Of targets that have too few of all labels nothing can be saved.
        lacking &= self.labels.enough(np.ones(len(self.second), dtype=bool), need + own * keeps)
        tasks = np.flatnonzero(lacking)
        if not len(tasks):
            return
        rows_of = self.labels.rows_of()
        for task in self.rng.permutation(tasks)[:_MOST_TARGETS].tolist():
            rows = rows_of(task)
            values = self.labels.values(rows, task)
            while not self.labels.suffice(rows[there := self.second[rows] == side], values[there], need):
                moved = self._next(rows, values, side, own if keeps else 0, most)
                if moved is None:
                    break
                self.second[moved] = side

    def _next(self, rows: IntArray, values: Array, side: bool, own: int, most: int) -> IntArray | None:
        """Return a row, or the rows of a group, whose labels of a target another side lacks; None if there is none."""
        there = self.second[rows] == side
        present, wanted = values[there], ~there
        if len(present) and (present == present[0]).all() and (differs := wanted & (values != present[0])).any():
            wanted = differs
        elif self.labels.count(rows[there], self.labels.least[side]) >= self.labels.least[side]:
            return None
        n_there = int(np.count_nonzero(self.second == side))
        for row in self.rng.permutation(rows[wanted]).tolist():
            unit = np.array([row]) if self.groups is None else np.flatnonzero(self.groups == self.groups[row])
            kept = ~there & ~np.isin(rows, unit)
            fits = n_there + len(unit) <= min(most, len(self.second) - 1)
            if fits and self.labels.suffice(rows[kept], values[kept], own):
                return unit
        return None
