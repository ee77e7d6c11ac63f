"""Rows of many tables on three sides: two halves to fit to, and what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from identirep.engines.blocks import Part, block_part, merged_parts, whole
from identirep.engines.looks import Looks
from identirep.engines.tables import Block, TableBlocks
from identirep.merging import aligned
from identirep.moments import TaskMoments
from identirep.splits import row_hashes

__all__ = ["Sides", "sides_added", "sides_of_file"]


@dataclass(frozen=True)
class Sides:
    """Moments of the rows of each side, and what all values look like; None without rows."""

    first: Part
    second: Part
    held_out: Part
    looks: Looks | None = None

    def to_fit(self) -> tuple[TaskMoments, TaskMoments | None]:
        """Return the moments of both halves together, and of the first one, laid out alike; None if it is empty."""
        halves = merged_parts(self.first, self.second)
        if self.first.moments is None:
            return whole(halves), None
        whole_of = whole(halves)
        names, total, half = aligned(
            whole_of.task_names, whole_of._sums, self.first.moments.task_names, self.first.moments._sums
        )
        return (
            TaskMoments(names, **total._asdict(), n_rows=whole_of.n_rows),
            TaskMoments(names, **half._asdict(), n_rows=self.first.moments.n_rows),
        )


def sides_of_file(columns: TableBlocks, file: Path, where: str, share: float, seed: int) -> Sides:
    """Moments of the rows of a file, a random share of them held out; rows with equal features are on one side."""
    first, second, held_out = (Part(None, where),) * 3
    looks: Looks | None = None
    for block in columns.blocks(file, where):
        hashes = _hashes_of_rows(block.H, seed)
        chosen = _side_of_rows(hashes, share)
        first = merged_parts(first, _part_of(columns, block, chosen == 0))
        second = merged_parts(second, _part_of(columns, block, chosen == 1))
        held_out = merged_parts(held_out, _part_of(columns, block, chosen == 2))
        values = np.column_stack([block.H, block.y])
        looks = Looks.of_all([looks, Looks.of(values, hashes) if len(values) else None])
    return Sides(first, second, held_out, looks)


def sides_added(parts: Sequence[Sides]) -> Sides:
    """Moments of the rows of all, side by side."""
    return reduce(_both, parts)


def _both(a: Sides, b: Sides) -> Sides:
    first, second = merged_parts(a.first, b.first), merged_parts(a.second, b.second)
    looks = Looks.of_all([a.looks, b.looks])
    return Sides(first, second, merged_parts(a.held_out, b.held_out), looks)


def _part_of(columns: TableBlocks, block: Block, rows: NDArray[np.bool_]) -> Part:
    tasks = None if block.tasks is None else block.tasks[rows]
    weight = None if block.sample_weight is None else block.sample_weight[rows]
    names = columns.target_names if tasks is None else None
    return block_part(block.where, block.H[rows], block.y[rows], tasks, weight, task_names=names)


def _hashes_of_rows(H: NDArray[np.float64], seed: int) -> NDArray[np.uint64]:
    """Draw a number for each row, by the row itself, so that no engine changes it."""
    hashes = row_hashes(np.column_stack([H, np.full(len(H), float(seed))]))
    # Sums of mixed values are not mixed themselves where only one column differs: their bits are mixed once more.
    hashes = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(hashes ^ (hashes >> np.uint64(32)))


def _side_of_rows(hashes: NDArray[np.uint64], share: float) -> NDArray[np.int64]:
    """Choose a side for each row, 2 for what is held out."""
    held_out = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53 < share
    return np.where(held_out, 2, (hashes & np.uint64(1)).astype(np.int64))
