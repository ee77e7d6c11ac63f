"""Checked rows as moments: of all of them, and of a random half, by which a fit checks itself."""

from __future__ import annotations

import numpy as np

from identirep._typing import BoolArray
from identirep.moments import TaskMoments
from identirep.splits import split_rows
from identirep.validation import TaskData

__all__ = ["half_of", "moments_of"]

# Labelled rows of a task of which halves can be made.
_LEAST_IN_HALVES = 6


def moments_of(data: TaskData, rows: BoolArray | None = None) -> TaskMoments:
    """Moments of checked rows, or of some of them, in either layout."""
    data = data if rows is None else data.rows(rows)
    if data.task_index is None:
        names = data.task_names
        return TaskMoments.from_arrays(data.X, data.targets, task_names=names, sample_weight=data.weights)
    labels = np.empty(data.n_tasks, dtype=object)
    labels[:] = data.task_names
    return TaskMoments.from_long(data.X, data.targets, labels[data.task_index], sample_weight=data.weights)


def half_of(data: TaskData) -> TaskMoments | None:
    """Moments of a random half of checked rows, of each task in the long layout; None if some task has too few."""
    rng = np.random.default_rng(0)
    if data.task_index is None:
        return moments_of(data, split_rows(len(data.X), 0.5, rng))
    seen = ~np.isnan(data.targets)
    if np.bincount(data.task_index[seen], minlength=data.n_tasks).min() < _LEAST_IN_HALVES:
        return None
    seen[seen] = split_rows(int(np.sum(seen)), 0.5, rng, tasks=data.task_index[seen])
    return moments_of(data, seen)
