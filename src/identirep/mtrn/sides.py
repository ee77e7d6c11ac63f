"""Features of checked rows as moments: of the rows of training, of those held out, and of all."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.mapped_rows import MappedRows, some_rows
from identirep.moments import TaskMoments
from identirep.mtrn.reduction import HeldOut
from identirep.processes import of_all, place
from identirep.splits import stretches
from identirep.task_rows import sums_of_levels
from identirep.validation import TaskData

__all__ = ["dependent_rows", "feature_moments", "mapped_moments", "split_moments", "with_levels"]

# Rows held out that tell how much signal directions have, of rows on disk.
_MOST_HELD_OUT = 65_536


def feature_moments(
    F: NDArray[Any], targets: Array, task_index: IntArray | None, n_tasks: int, weights: Array | None = None
) -> TaskMoments:
    """Return moments in either layout of tasks 0, 1, ..., with zero counts for those without a row."""
    if task_index is None:
        return TaskMoments.from_arrays(F, targets, sample_weight=weights)
    K = F.shape[1]
    zeros = np.zeros(n_tasks)
    none = TaskMoments(
        range(n_tasks),
        np.arange(n_tasks),
        zeros,
        np.zeros((n_tasks, K)),
        np.zeros((n_tasks, K, K)),
        zeros,
        np.zeros((n_tasks, K)),
        zeros,
        n_rows=0,
    )
    return none + TaskMoments.from_long(F, targets, task_index, sample_weight=weights)


def split_moments(
    F: NDArray[Any], data: TaskData, groups: IntArray | None, held_out: BoolArray
) -> tuple[TaskMoments, TaskMoments, HeldOut]:
    """Return the moments of features on the rows of training and on those held out, and the latter themselves."""
    sides = []
    for rows in (~held_out, held_out):
        part = data.rows(rows)
        sides.append((F[rows], part.targets, part.task_index, part.weights))
    trained, untouched = (feature_moments(*side[:3], data.n_tasks, side[3]) for side in sides)
    features, targets, index, weights = sides[1]
    return trained, untouched, HeldOut(features, targets, index, dependent_rows(data, groups, held_out), weights)


def mapped_moments(
    features: Callable[[NDArray[Any]], Array], data: TaskData, groups: IntArray | None, held_out: BoolArray
) -> tuple[TaskMoments, TaskMoments, HeldOut]:
    """Return what `split_moments` does, block by block; of very many rows held out some are kept.

    Of several processes each goes through its share of the blocks.
    """
    sides: list[TaskMoments | None] = [None, None]
    assert isinstance(data.X, MappedRows)
    rank, size = place()
    for i, rows in enumerate(data.X.slices()):
        if i % size != rank:
            continue
        F, y = features(data.X[rows]), data.targets[rows]
        for side, chosen in enumerate((~held_out[rows], held_out[rows])):
            if chosen.any():
                index, weights = (None if of is None else of[rows][chosen] for of in (data.task_index, data.weights))
                part = feature_moments(F[chosen], y[chosen], index, data.n_tasks, weights)
                before = sides[side]
                sides[side] = part if before is None else before + part
    parts = list(zip(*of_all(sides), strict=True))
    trained, untouched = (reduce(add, [part for part in own if part is not None]) for own in parts)
    places = np.flatnonzero(held_out)
    kept = np.zeros_like(held_out)
    kept[places[some_rows(len(places), _MOST_HELD_OUT)]] = True
    part_of = data.rows(kept)
    rest = part_of.task_index, dependent_rows(data, groups, kept), part_of.weights
    return trained, untouched, HeldOut(features(np.asarray(part_of.X)), np.asarray(part_of.targets), *rest)


def with_levels(moments: TaskMoments, H: Array, data: TaskData, kinds: tuple[str, ...]) -> TaskMoments:
    """Return moments of features H of checked rows with targets of levels as the Gaussian variables behind them."""
    if not moments.n_features:
        return moments
    sums = sums_of_levels(moments._sums, H, data.targets, data.task_index, kinds, data.weights)
    found = moments._replaced(scatter_hy=sums.scatter_hy, scatter_y=sums.scatter_y)
    found.target_kinds_ = kinds
    return found


def dependent_rows(data: TaskData, groups: IntArray | None, chosen: BoolArray) -> IntArray | None:
    """Number what depends on each other among the chosen rows: stretches of the order, else the groups, if any."""
    if data.order is not None:
        return stretches(data.order[chosen])
    return None if groups is None else groups[chosen]
