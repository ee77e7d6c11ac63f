"""Sides of a split on which targets keep labels: those with few of them, or with rare values, would be left with none.

Random rows do for most targets. For the others single rows, or groups, change sides: into the rows held out where a
target has labels to spare, then back to training where one would have too few. Each move is of a row, or a whole
group, that such a target has a label in; nothing is moved where every target has enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from identirep._typing import Array, BoolArray, IntArray

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

    def of(self, rows: BoolArray) -> Labels:
        """Return the labels of some rows."""
        index = None if self.task_index is None else self.task_index[rows]
        return Labels(self.targets[rows], index, self.least, self.trains)

    def enough(self, rows: BoolArray, least: int) -> BoolArray:
        """Tell which tasks have so many labels in some rows, not all the same where two are needed, (n_tasks,)."""
        if self.task_index is None:
            y = self.targets[rows]
            count = np.count_nonzero(~np.isnan(y), axis=0)
            low, high = np.fmin.reduce(y, axis=0, initial=np.inf), np.fmax.reduce(y, axis=0, initial=-np.inf)
        else:
            used = rows & ~np.isnan(self.targets)
            index, y = self.task_index[used], self.targets[used]
            n_tasks = int(self.task_index.max(initial=-1)) + 1
            count = np.bincount(index, minlength=n_tasks)
            low, high = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)
            np.minimum.at(low, index, y)
            np.maximum.at(high, index, y)
        return np.asarray((count >= least) & ((high > low) | (least < 2)))

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
            while not _enough(values[self.second[rows] == side], need):
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
        elif len(present) >= self.labels.least[side]:
            return None
        n_there = int(np.count_nonzero(self.second == side))
        for row in self.rng.permutation(rows[wanted]).tolist():
            unit = np.array([row]) if self.groups is None else np.flatnonzero(self.groups == self.groups[row])
            kept = ~there & ~np.isin(rows, unit)
            fits = n_there + len(unit) <= min(most, len(self.second) - 1)
            if fits and _enough(values[kept], own):
                return unit
        return None


def _enough(values: Array, least: int) -> bool:
    return len(values) >= least and (least < 2 or bool((values != values[0]).any()))
