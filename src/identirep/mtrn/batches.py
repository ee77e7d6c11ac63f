"""In which batches the network sees the rows that train and those that validate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from identirep._typing import Array, BoolArray, IntArray
from identirep.row_weights import effective_weights, effective_weights_of_labels

__all__ = ["LongBatches", "WideBatches"]

# Rows of a batch in evaluation, where no gradient is stored.
_EVALUATION_ROWS = 8192
# Tasks on which the long layout is validated while training: its heads need the features of their training rows too.
_VALIDATION_TASKS = 64


class WideBatches:
    """Mini-batches of rows `x` that carry the standardised targets `y` of all tasks; NaN means label missing."""

    def __init__(
        self, x: Tensor, y: Tensor, held_out: BoolArray, batch_size: int, weights: Array | None = None
    ) -> None:
        self.x, self.y = x, y
        self.weight = None
        if weights is not None:
            scaled = effective_weights_of_labels(weights, (~torch.isnan(y)).numpy(), ~held_out)
            self.weight = torch.from_numpy(scaled.astype(np.float32))
        # Rows without any label teach nothing.
        labelled = ~torch.isnan(y).all(dim=1)
        self.train = torch.nonzero(labelled & ~torch.from_numpy(held_out))[:, 0]
        self.valid = torch.nonzero(labelled & torch.from_numpy(held_out))[:, 0]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(_batches(self.train, self.batch_size))

    def epoch(self, generator: torch.Generator, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of training rows in random order, the share of one process."""
        for rows in _batches(self.train[torch.randperm(len(self.train), generator=generator)], self.batch_size):
            share = rows[rank::world_size] if len(rows) >= 2 * world_size else rows
            yield self._batch(share)

    def validation(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of held-out rows."""
        for rows in self.valid.split(_EVALUATION_ROWS):
            yield self._batch(rows)

    def _batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        return (self.x[rows], self.y[rows], *([] if self.weight is None else [self.weight[rows]]))


def _batches(rows: Tensor, batch_size: int) -> list[Tensor]:
    """Split rows into batches; a last one of a single row, of which BatchNorm has no variance, joins the one before."""
    batches = list(rows.split(batch_size))
    if batch_size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class LongBatches:
    """Batches of whole tasks, padded to the same number of rows; targets are centred and scaled in each task."""

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        task_index: IntArray,
        held_out: BoolArray,
        batch_size: int,
        weights: Array | None = None,
    ) -> None:
        self.x, self.y = x, y
        weight = None if weights is None else effective_weights(weights, task_index, ~held_out)
        n_tasks = int(task_index.max()) + 1
        trained = np.bincount(task_index[~held_out], minlength=n_tasks)
        # A task needs two rows for its head to say anything.
        tasks = np.flatnonzero(trained >= 2)
        self.train_rows, self.train_weight = _padded(task_index, ~held_out, tasks, weight)
        some = tasks[np.unique(np.linspace(0, len(tasks) - 1, min(_VALIDATION_TASKS, len(tasks))).astype(int))]
        self.valid_rows, self.valid_weight = _padded(task_index, np.ones(len(task_index), dtype=bool), some, weight)
        self.held_out = torch.from_numpy(held_out)
        self.tasks_per_batch = max(round(batch_size / max(trained[tasks].mean(), 1)), 1)

    def __len__(self) -> int:
        return -(-len(self.train_rows) // self.tasks_per_batch)

    def epoch(self, generator: torch.Generator, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of tasks in random order, the share of one process."""
        for tasks in torch.randperm(len(self.train_rows), generator=generator).split(self.tasks_per_batch):
            share = tasks[rank::world_size] if len(tasks) >= world_size else tasks
            rows = self.train_rows[share]
            yield self.x[rows.flatten()], self.y[rows], self.train_weight[share]

    def validation(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of tasks with the weights of their training rows and of their held-out rows."""
        per_batch = max(_EVALUATION_ROWS // self.valid_rows.shape[1], 1)
        for rows, weight in zip(self.valid_rows.split(per_batch), self.valid_weight.split(per_batch), strict=True):
            held_out = self.held_out[rows] * weight
            yield self.x[rows.flatten()], self.y[rows], weight - held_out, held_out


def _padded(
    task_index: IntArray, chosen: BoolArray, tasks: IntArray, weight: Array | None = None
) -> tuple[Tensor, Tensor]:
    """Return the chosen rows of each task, shape (n_tasks, longest), and their weights, or ones; zero for padding."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(task_index[rows], kind="stable")]
    counts = np.bincount(task_index[rows], minlength=int(task_index.max()) + 1)
    starts = np.cumsum(counts) - counts
    offset = np.arange(counts[tasks].max())
    inside = offset < counts[tasks][:, None]
    index = np.where(inside, starts[tasks][:, None] + offset, 0)
    counted = inside if weight is None else np.where(inside, weight[rows[index]], 0.0)
    return torch.from_numpy(rows[index]), torch.from_numpy(counted.astype(np.float32))
