"""Which rows are trained on and which are held out, so that rows which know of each other are on one side.

Rows of one group stay together, and so do rows whose inputs are equal: a model that has seen one of them has seen all.
Rows with an order are cut into stretches, since neighbours are alike: the last ones are held out, and what lies next to
a cut is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold, KFold

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import factorize
from identirep.label_sides import Labels, keep_labels
from identirep.mapped_rows import MappedRows
from identirep.missing import as_labels, missing_labels
from identirep.wording import place_of

__all__ = ["folds", "halves", "number_groups", "order_ranks", "row_groups", "row_hashes", "split_rows", "stretches"]
__all__ += ["two_sides"]

# Share of all rows that is dropped in front of later rows that are held out, and on both sides of a fold.
GAP = 1 / 20
# Halves of ordered rows are made of stretches: more of them make more different halves, and more cuts.
_STRETCHES = 6
# Stretches that get a sign of their own where chance is measured; with fewer, the true signs would often be drawn.
_STRETCHES_OF_CHANCE = 20
# Share of all rows that is dropped at a cut between two halves, of which there are several.
_GAP_OF_HALVES = 1 / 40
# Rows hashed at once: they stay in cache.
_CHUNK_ROWS = 4096


def row_groups(X: NDArray[Any], groups: IntArray | None = None) -> IntArray | None:
    """Number the groups of rows that belong together: given ones, merged where inputs are equal, or None.

    Merged are connected components: rows of two groups stay together if one row of each has the same inputs. If
    that leaves a single group, equal inputs are disregarded.
    """
    equal = _equal_rows(X)
    if equal is None or equal.max(initial=0) == 0:
        return groups
    if groups is None:
        return equal
    n_groups, n_rows = int(groups.max()) + 1, int(equal.max()) + 1
    links = coo_array((np.ones(len(X), dtype=np.int8), (groups, n_groups + equal)), shape=(n_groups + n_rows,) * 2)
    n_merged, component = connected_components(links, directed=False)
    return groups if n_merged == 1 else np.unique(component[groups], return_inverse=True)[1].astype(np.int64)


def _equal_rows(X: NDArray[Any]) -> IntArray | None:
    """Number the distinct rows; None if no two are equal."""
    hashes = row_hashes(X)
    _, first, index = np.unique(hashes, return_index=True, return_inverse=True)
    if len(first) == len(X):
        return None
    index = index.reshape(-1)
    repeated = np.flatnonzero(np.bincount(index)[index] > 1)
    if isinstance(X, MappedRows):
        # Of different rows with one hash, which hardly ever are, it does no harm to keep them together.
        return np.asarray(index, dtype=np.int64)
    if not np.array_equal(X[repeated], X[first[index[repeated]]], equal_nan=True):
        # Two different rows with one hash, which hardly ever happens.
        index = np.unique(X, axis=0, return_inverse=True)[1].reshape(-1)
    return np.asarray(index, dtype=np.int64)


def row_hashes(X: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 bits for each row that are equal where its values are (zeros of both signs, too)."""
    bits: Any = np.uint32 if X.dtype == np.float32 else np.uint64
    salt = np.random.default_rng(0).integers(2**64, size=X.shape[1], dtype=np.uint64)
    hashes = np.empty(len(X), dtype=np.uint64)
    for start in range(0, len(X), _CHUNK_ROWS):
        values = np.ascontiguousarray(X[start : start + _CHUNK_ROWS] + X.dtype.type(0.0)).view(bits).astype(np.uint64)
        # The finaliser of splitmix64: every bit of a value reaches every bit of its hash.
        values += salt
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes[start : start + _CHUNK_ROWS] = (values ^ (values >> np.uint64(31))).sum(axis=1, dtype=np.uint64)
    return hashes


def number_groups(groups: Any) -> IntArray:
    """Number the groups of rows by their labels; a row whose label is missing is a group of its own."""
    labels = as_labels(groups, "groups")
    missing = missing_labels(labels)
    index = np.empty(len(labels), dtype=np.int64)
    names, index[~missing] = factorize(labels[~missing], "groups")
    index[missing] = len(names) + np.arange(np.count_nonzero(missing))
    return index


def order_ranks(order: ArrayLike, *, of_table: bool = False) -> IntArray:
    """Return the rank of each row among the distinct values of `order`: numbers, dates, or texts that sort."""
    values = as_labels(order, "order")
    missing = missing_labels(values)
    if missing.any():
        raise ValueError(
            f"order contains {int(missing.sum())} missing values: got {values[missing][0]} first at "
            f"{place_of(int(np.argmax(missing)), of_table)}, expected a value for each row. Drop those rows."
        )
    try:
        return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)
    except TypeError as error:
        raise ValueError(
            f"order cannot be sorted: got values of several kinds ({error}), expected numbers, dates or texts. Convert "
            "them to one kind."
        ) from None


def split_rows(
    n_rows: int,
    share: float,
    rng: np.random.Generator,
    *,
    groups: ArrayLike | None = None,
    tasks: ArrayLike | None = None,
) -> BoolArray:
    """Choose rows to hold out, True in the mask returned: whole groups, a share of each task, else of all rows.

    Groups are gone through in random order, and held out if they still fit into the share of rows; if none does, the
    smallest. With the task of each row in `tasks`, those that lie within one task have to fit into the share of that
    task; if they leave room over all, groups of several rows fill it. Each task keeps at least two rows for training,
    unless groups stand against it, as do rows without groups and tasks. Of a share above zero at least one row or group
    is held out, except where tasks are too small.
    """
    wanted = round(share * n_rows)
    if groups is not None:
        _, index, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
        index = index.reshape(-1)
        order, room = rng.permutation(len(counts)), min(wanted, n_rows - 1)
        chosen = np.zeros(len(counts), dtype=bool)
        if tasks is not None:
            stratum, rooms = _strata(index, counts, np.unique(np.asarray(tasks), return_inverse=True)[1], share)
            for group, count, task in zip(order.tolist(), counts[order].tolist(), stratum[order].tolist(), strict=True):
                if count <= rooms[task]:
                    chosen[group], rooms[task] = True, rooms[task] - count
            room -= int(counts[chosen].sum())
        for group, count in zip(order.tolist(), counts[order].tolist(), strict=True):
            if count <= room and not chosen[group] and (tasks is None or count > 1):
                chosen[group], room = True, room - count
        if share > 0 and not chosen.any() and len(counts) > 1:
            chosen[order[np.argmin(counts[order])]] = True
        return np.asarray(chosen[index])
    if tasks is not None:
        _, index, counts = np.unique(np.asarray(tasks), return_inverse=True, return_counts=True)
        index = index.reshape(-1)
        rank = np.empty(n_rows, dtype=np.int64)
        order, starts = np.lexsort((rng.random(n_rows), index)), np.cumsum(counts) - counts
        rank[order] = np.arange(n_rows) - np.repeat(starts, counts)
        return np.asarray(rank < np.minimum(np.round(share * counts), counts - 2)[index])
    held_out = np.zeros(n_rows, dtype=bool)
    held_out[rng.permutation(n_rows)[: max(min(max(wanted, int(share > 0)), n_rows - 2), 0)]] = True
    return held_out


def _strata(index: IntArray, counts: IntArray, task: IntArray, share: float) -> tuple[IntArray, list[int]]:
    """Return the task of each group, one number more for groups in several tasks, and the room of each of these."""
    task = task.reshape(-1)
    n_tasks, n_groups = int(task.max()) + 1, len(counts)
    lowest, highest = np.full(n_groups, n_tasks), np.full(n_groups, -1)
    np.minimum.at(lowest, index, task)
    np.maximum.at(highest, index, task)
    stratum = np.where(lowest == highest, lowest, n_tasks)
    rows = np.bincount(stratum, counts, n_tasks + 1)
    rooms = np.minimum(np.round(share * rows), rows - 2)
    rooms[n_tasks] = min(np.round(share * rows[n_tasks]), len(index) - 1)
    return stratum, rooms.astype(int).tolist()


def two_sides(
    n_rows: int,
    share: float,
    rng: np.random.Generator,
    *,
    groups: ArrayLike | None = None,
    tasks: ArrayLike | None = None,
    order: IntArray | None = None,
    labels: Labels | None = None,
) -> tuple[BoolArray, BoolArray]:
    """Return which rows are trained on and which are held out; with the ranks of an order some are neither.

    With `labels` each task keeps on both sides what it needs, where that is possible and there is no order. With an
    order the last share is held out, and the twentieth of rows in front of it is dropped. A group on both sides stays
    where most of its rows are, and its others are dropped. In the long layout one moment cuts all tasks; where that
    would leave a task fewer than two rows of training, each task is cut at a moment of its own.
    """
    if order is None:
        held_out = split_rows(n_rows, share, rng, groups=groups, tasks=tasks)
        if labels is not None:
            index = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
            held_out = keep_labels(held_out, labels, rng, groups=index)
        return ~held_out, held_out
    if share <= 0 or not n_rows:
        return np.ones(n_rows, dtype=bool), np.zeros(n_rows, dtype=bool)

    def sides(position: Array) -> IntArray:
        cut = min(1.0 - share, float(position.max()))
        return np.where(position >= cut, 1, np.where(position >= cut - GAP, -1, 0))

    return _unmixed(_by_position(sides, order, tasks, {0}), groups)


def halves(
    n_rows: int,
    rng: np.random.Generator,
    *,
    groups: ArrayLike | None = None,
    tasks: ArrayLike | None = None,
    order: IntArray | None = None,
    labels: Labels | None = None,
) -> tuple[BoolArray, BoolArray]:
    """Return two disjoint halves of the rows, as masks: random groups or rows, or with the ranks of an order stretches.

    With `labels` each task keeps in both what it needs, where that is possible. With an order there are six stretches,
    three in each half, and a fortieth of the rows is dropped at each cut between the halves.
    """
    if order is None:
        return two_sides(n_rows, 0.5, rng, groups=groups, tasks=tasks, labels=labels)
    half = rng.permutation(np.arange(_STRETCHES) % 2)

    def sides(position: Array) -> IntArray:
        def of(where: Array) -> IntArray:
            return half[np.minimum(where * _STRETCHES, _STRETCHES - 1).astype(int)]

        return np.where(of(position) == of(position + _GAP_OF_HALVES), of(position), -1)

    return _unmixed(_by_position(sides, order, tasks, {0, 1}), groups)


def folds(
    n_rows: int,
    n_folds: int,
    rng: np.random.Generator,
    *,
    groups: IntArray | None = None,
    order: IntArray | None = None,
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the rows of training and those of each fold: groups or rows at random, or with an order stretches.

    The rows next to a stretch, and those of its groups, are not trained on.
    """
    seed = int(rng.integers(2**31 - 1))
    if order is not None:
        position = _positions(order, None)
        fold_of = np.minimum(position * n_folds, n_folds - 1).astype(int)
        for fold in np.unique(fold_of):
            inside = fold_of == fold
            first, last = position[inside].min(), position[inside].max()
            apart = (position < first - GAP) | (position > last + GAP)
            if not apart.any():
                raise ValueError(_TOO_FEW_PLACES)
            if groups is not None:
                apart &= ~np.isin(groups, groups[inside])
            if not apart.any():
                raise ValueError(_CONTRADICTION)
            yield np.flatnonzero(apart), np.flatnonzero(inside)
    elif groups is None:
        yield from KFold(n_folds, shuffle=True, random_state=seed).split(np.empty(n_rows))
    else:
        yield from GroupKFold(n_folds, shuffle=True, random_state=seed).split(np.empty(n_rows), groups=groups)


def stretches(order: IntArray) -> IntArray:
    """Number stretches of the order: what chance gives on rows that are alike is seen by signs for whole stretches."""
    return np.minimum(_positions(order, None) * _STRETCHES_OF_CHANCE, _STRETCHES_OF_CHANCE - 1).astype(np.int64)


_TOO_FEW_PLACES = (
    "order cannot be cut: got nearly all rows at one place of the order, expected rows on both sides of a cut, away "
    "from it. Pass an order that tells more rows apart, or leave order out."
)
_CONTRADICTION = (
    "order and groups contradict each other: got groups (or rows with equal inputs) that are spread over all of the "
    "order, expected some on one side of a cut. Leave order or groups out."
)


def _by_position(sides: Any, order: IntArray, tasks: ArrayLike | None, trained: set[int]) -> IntArray:
    """Return the sides of rows by their position among all, or within tasks if some have too few on a trained side."""
    side = sides(_positions(order, None))
    if tasks is None:
        return side
    index = np.unique(np.asarray(tasks), return_inverse=True)[1].reshape(-1)
    if all(np.bincount(index[side == s], minlength=int(index.max()) + 1).min() >= 2 for s in trained):
        return side
    return sides(_positions(order, index))


def _positions(order: IntArray, task: IntArray | None) -> Array:
    """Return the share of rows (of the same task) that come before each row; equal ranks have one position."""
    index = np.zeros(len(order), dtype=np.int64) if task is None else task
    sorted_rows = np.lexsort((order, index))
    o, t, place = order[sorted_rows], index[sorted_rows], np.arange(len(order))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (o[1:] != o[:-1]) | (t[1:] != t[:-1])
    counts = np.bincount(index)
    before = np.maximum.accumulate(np.where(is_new, place, 0)) - (np.cumsum(counts) - counts)[t]
    position = np.empty(len(order))
    position[sorted_rows] = before / counts[t]
    return position


def _unmixed(side: IntArray, groups: ArrayLike | None) -> tuple[BoolArray, BoolArray]:
    """Return both sides (0 and 1, -1 is dropped) as masks, each group where most of its rows are."""
    if not (side == 0).any() or not (side == 1).any():
        raise ValueError(_TOO_FEW_PLACES)
    if groups is not None:
        index = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        ones, zeros = (np.bincount(index[side == s], minlength=int(index.max()) + 1) for s in (1, 0))
        side = np.where(side == (ones >= zeros)[index], side, -1)
    first, second = side == 0, side == 1
    if not first.any() or not second.any():
        raise ValueError(_CONTRADICTION)
    return first, second
