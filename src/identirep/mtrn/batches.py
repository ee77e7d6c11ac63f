"""In which batches the network sees the rows that train and those that validate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from identirep._typing import Array, BoolArray, IntArray
from identirep.row_weights import effective_weights, effective_weights_of_labels

__all__ = ["LongBatches", "WideBatches"]

# Rows of a batch in evaluation, where no gradient is stored.
_EVALUATION_ROWS = 8192
# A task of the long layout with more rows than so many batches have is cut.
_LONGEST = 8
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
        for rows in _batches(self.train[self._order(generator)], self.batch_size):
            share = rows[rank::world_size] if len(rows) >= 2 * world_size else rows
            yield self._batch(share)

    def validation(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of held-out rows."""
        for rows in self.valid.split(_EVALUATION_ROWS):
            yield self._batch(rows)

    def _order(self, generator: torch.Generator) -> Tensor:
        """Draw an order of the training rows."""
        return torch.randperm(len(self.train), generator=generator)

    def _batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        return (self.x[rows], self.y[rows], *([] if self.weight is None else [self.weight[rows]]))


def _batches(rows: Tensor, batch_size: int) -> list[Tensor]:
    """Split rows into batches; a last one of a single row, of which BatchNorm has no variance, joins the one before."""
    batches = list(rows.split(batch_size))
    if batch_size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class LongBatches:
    """Batches of whole tasks; targets are centred and scaled in each task, NaN where a shorter one is padded.

    A batch is the inputs of its rows, their targets (n_tasks, longest) and weights, 0 where there is none. Tasks of
    very many rows are cut at random, anew in each epoch, into parts that count as tasks: one does not fill memory.
    """

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
        self.weight = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        trained = np.bincount(task_index[~held_out], minlength=int(task_index.max()) + 1)
        # A task needs two rows for its head to say anything.
        tasks = np.flatnonzero(trained >= 2)
        rows = _sorted_rows(task_index, ~held_out)
        starts = np.cumsum(trained) - trained
        longest = _LONGEST * batch_size
        # Where tasks that are cut lie among the rows, and all parts.
        self.cut = [(int(starts[t]), int(trained[t])) for t in tasks[trained[tasks] > longest]]
        n_parts = -(-trained[tasks] // longest)
        task, n = np.repeat(tasks, n_parts), np.repeat(n_parts, n_parts)
        part = np.arange(len(task)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
        first, last = part * trained[task] // n, (part + 1) * trained[task] // n
        self.train = _Ragged(torch.from_numpy(rows), starts[task] + first, last - first)
        some = tasks[np.unique(np.linspace(0, len(tasks) - 1, min(_VALIDATION_TASKS, len(tasks))).astype(int))]
        parts = [_some_rows(task_index == t, held_out) for t in some]
        counts = np.array([len(part) for part in parts])
        self.valid = _Ragged(torch.from_numpy(np.concatenate(parts)), np.cumsum(counts) - counts, counts)
        self.held_out = torch.from_numpy(held_out)
        self.tasks_per_batch = max(round(batch_size / max(self.train.counts.mean(), 1)), 1)

    def __len__(self) -> int:
        return -(-len(self.train.counts) // self.tasks_per_batch)

    def epoch(self, generator: torch.Generator, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of tasks in random order, the share of one process."""
        train = self.train
        if self.cut:
            train = _Ragged(train.rows.clone(), train.starts, train.counts)
            for start, n in self.cut:
                train.rows[start : start + n] = train.rows[start + torch.randperm(n, generator=generator)]
        for parts in torch.randperm(len(train.counts), generator=generator).split(self.tasks_per_batch):
            share = parts[rank::world_size] if len(parts) >= world_size else parts
            rows, inside = train.of(share.numpy())
            yield self.x[rows], _padded(self.y[rows], inside, torch.nan), self._weight(rows, inside)

    def validation(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield batches of tasks with the weights of their training rows and of their held-out rows."""
        per_batch = max(_EVALUATION_ROWS // int(self.valid.counts.max()), 1)
        for tasks in np.split(np.arange(len(self.valid.counts)), range(per_batch, len(self.valid.counts), per_batch)):
            rows, inside = self.valid.of(tasks)
            weight = self._weight(rows, inside)
            held_out = _padded(self.held_out[rows].float(), inside) * weight
            yield self.x[rows], _padded(self.y[rows], inside, torch.nan), weight - held_out, held_out

    def _weight(self, rows: Tensor, inside: Tensor) -> Tensor:
        """Return what the rows of a batch count for, ones without weights, 0 for padding."""
        return inside.float() if self.weight is None else _padded(self.weight[rows], inside)


class _Ragged(NamedTuple):
    """Rows of tasks, one task after the other, of as many rows as each has."""

    rows: Tensor
    starts: IntArray
    counts: IntArray

    def of(self, tasks: IntArray) -> tuple[Tensor, Tensor]:
        """Return the rows of some tasks, and where they are if tasks are padded to one length, (n_tasks, longest)."""
        counts = self.counts[tasks]
        inside = np.arange(int(counts.max())) < counts[:, None]
        place = self.starts[tasks][:, None] + np.arange(inside.shape[1])
        return self.rows[torch.from_numpy(place[inside])], torch.from_numpy(inside)


def _padded(values: Tensor, inside: Tensor, padding: float = 0.0) -> Tensor:
    """Return what rows have in the shape of their tasks."""
    found = values.new_full(inside.shape, padding)
    found[inside] = values
    return found


def _sorted_rows(task_index: IntArray, chosen: BoolArray) -> IntArray:
    """Return the chosen rows, those of a task beside each other."""
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(task_index[rows], kind="stable")]


def _some_rows(own: BoolArray, held_out: BoolArray) -> IntArray:
    """Return the rows of a task; of very many some of training and some held out, from all over them."""
    n = int(own.sum())
    if n <= _EVALUATION_ROWS:
        return np.flatnonzero(own)
    sides = [np.flatnonzero(own & side) for side in (~held_out, held_out)]
    taken = [max(round(_EVALUATION_ROWS * len(side) / n), min(len(side), 1)) for side in sides]
    return np.concatenate(
        [side[np.linspace(0, len(side) - 1, k).astype(int)] for side, k in zip(sides, taken, strict=True)]
    )
