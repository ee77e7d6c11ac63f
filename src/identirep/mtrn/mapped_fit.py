"""What a fit to rows on disk does block by block: inputs and targets of training, their batches, moments of features."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identirep._typing import Array, BoolArray, IntArray
from identirep.mapped_rows import MappedFile, MappedRows, RowWriter, some_rows
from identirep.moments import TaskMoments
from identirep.mtrn.batches import WideBatches
from identirep.mtrn.reduction import HeldOut
from identirep.mtrn.sides import dependent_rows, feature_moments
from identirep.row_weights import effective_weights
from identirep.units import Spread, spread_of
from identirep.validation import TaskData

__all__ = ["MappedTensor", "MappedWideBatches", "mapped_moments", "mapped_tensors"]

# Rows that stay neighbours in the order of training, and runs of them that are mixed: fewer rows than these two make
# are in any order.
_RUN, _RUNS = 256, 64
# Rows held out that tell how much signal directions have.
_MOST_HELD_OUT = 65_536


class MappedTensor:
    """Rows on disk that are indexed as a tensor is."""

    def __init__(self, rows: MappedRows) -> None:
        self.rows, self.shape = rows, rows.shape

    def __getitem__(self, key: Any) -> Tensor:
        return torch.from_numpy(self.rows[key] if isinstance(key, slice) else self.rows.take(key.numpy()))

    def numpy(self) -> MappedRows:
        """Return the rows."""
        return self.rows


def mapped_tensors(
    data: TaskData, held_out: BoolArray, scaling: Callable[[NDArray[Any]], Array] | None
) -> tuple[MappedTensor, MappedTensor]:
    """Write inputs and targets (wide layout) of training beside those of the data, in float32, and map them."""
    X, Y, train = data.X, data.targets, ~held_out
    assert isinstance(X, MappedRows)
    assert isinstance(Y, MappedRows)
    spread = _spread(Y, train, data.weights)
    path = X.folder / f"training-{secrets.token_hex(4)}.arrow"
    columns = {"x": (X.shape[1], np.float32), "y": (Y.shape[1], np.float32)}
    try:
        with RowWriter(path, columns, n_rows=len(X)) as writer:
            for rows in X.slices():
                block = X[rows]
                x = np.asarray(block if scaling is None else scaling(block), dtype=np.float32)
                writer.write(x=x, y=spread.scaled(Y[rows]).astype(np.float32))
        file = MappedFile(path)
    finally:
        # What is mapped stays until nobody needs it, and takes no room after that, however the fit ends.
        with suppress(OSError):
            path.unlink()
    return MappedTensor(file.rows("x")), MappedTensor(file.rows("y"))


def _spread(Y: MappedRows, train: BoolArray, weights: Array | None) -> Spread:
    """Look at the targets of training, column by column."""
    own = None if weights is None else weights[train]
    found = [spread_of(column[train][:, None], own) for column in Y.T]
    return Spread(*(np.concatenate([getattr(each, name) for each in found]) for name in Spread._fields[:4]))


class MappedWideBatches(WideBatches):
    """Mini-batches of rows on disk: runs of rows in random order, whose rows are mixed with those of other runs."""

    x: Any
    y: Any

    def __init__(
        self, x: MappedTensor, y: MappedTensor, held_out: BoolArray, batch_size: int, weights: Array | None = None
    ) -> None:
        self.x, self.y, self.weight, self.batch_size = x, y, None, batch_size
        labelled = np.concatenate([~np.isnan(block).all(axis=1) for block in y.rows.blocks()])
        self.train = torch.from_numpy(np.flatnonzero(labelled & ~held_out))
        self.valid = torch.from_numpy(np.flatnonzero(labelled & held_out))
        self._weights, self._scale = weights, np.ones(0)
        if weights is not None:
            # Weights of rows, times one factor for each task, are those of `effective_weights_of_labels`.
            self._scale = np.array([_factor(weights, ~np.isnan(column), ~held_out) for column in y.rows.T])

    def _order(self, generator: torch.Generator) -> Tensor:
        n = len(self.train)
        if n <= _RUN * _RUNS:
            return super()._order(generator)
        runs = torch.randperm(-(-n // _RUN), generator=generator)
        order = (runs[:, None] * _RUN + torch.arange(_RUN)).flatten()
        order = order[order < n]
        for mixed in order.split(_RUN * _RUNS):
            mixed.copy_(mixed[torch.randperm(len(mixed), generator=generator)])
        return order

    def _batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        x, y = self.x[rows], self.y[rows]
        if self._weights is None:
            return x, y
        weight = torch.from_numpy(self._weights[rows.numpy()][:, None] * self._scale)
        return x, y, torch.where(torch.isnan(y), 0.0, weight).float()


def _factor(weights: Array, seen: BoolArray, of: BoolArray) -> float:
    own = np.where(seen, weights, 0.0)
    largest = int(np.argmax(own))
    return float(effective_weights(own, of=of)[largest] / own[largest])


def mapped_moments(
    features: Callable[[NDArray[Any]], Array], data: TaskData, groups: IntArray | None, held_out: BoolArray
) -> tuple[TaskMoments, TaskMoments, HeldOut]:
    """Return what `split_moments` does, block by block; of very many rows held out some are kept."""
    sides: list[TaskMoments | None] = [None, None]
    assert isinstance(data.X, MappedRows)
    for rows in data.X.slices():
        F, y = features(data.X[rows]), data.targets[rows]
        for side, chosen in enumerate((~held_out[rows], held_out[rows])):
            if chosen.any():
                index, weights = (None if of is None else of[rows][chosen] for of in (data.task_index, data.weights))
                part = feature_moments(F[chosen], y[chosen], index, data.n_tasks, weights)
                before = sides[side]
                sides[side] = part if before is None else before + part
    trained, untouched = sides
    assert trained is not None
    assert untouched is not None
    places = np.flatnonzero(held_out)
    kept = np.zeros_like(held_out)
    kept[places[some_rows(len(places), _MOST_HELD_OUT)]] = True
    part_of = data.rows(kept)
    rest = part_of.task_index, dependent_rows(data, groups, kept), part_of.weights
    return trained, untouched, HeldOut(features(np.asarray(part_of.X)), np.asarray(part_of.targets), *rest)
