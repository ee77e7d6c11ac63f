"""What a fit to rows on disk does block by block: inputs and targets of training, and their batches."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identirep._typing import Array, BoolArray
from identirep.mapped_rows import MappedFile, MappedRows, RowWriter
from identirep.mtrn.batches import WideBatches
from identirep.processes import by_first, of_all, of_first
from identirep.row_weights import effective_weights
from identirep.units import Spread, spread_of
from identirep.validation import TaskData

__all__ = ["MappedTensor", "MappedWideBatches", "mapped_inputs", "mapped_tensors"]

# Rows that stay neighbours in the order of training, and runs of them that are mixed: fewer rows than these two make
# are in any order.
_RUN, _RUNS = 256, 64


class MappedTensor:
    """Rows on disk that are indexed as a tensor is."""

    def __init__(self, rows: MappedRows) -> None:
        self.rows, self.shape = rows, rows.shape

    def __getitem__(self, key: Any) -> Tensor:
        return torch.from_numpy(self.rows[key] if isinstance(key, slice) else self.rows.read(key.numpy()))

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

    def blocks() -> Iterator[dict[str, NDArray[Any]]]:
        for rows in X.slices():
            yield {"x": _scaled(X[rows], scaling), "y": spread.scaled(Y[rows]).astype(np.float32)}

    file = _written(X, {"x": X.shape[1], "y": Y.shape[1]}, blocks())
    return MappedTensor(file.rows("x")), MappedTensor(file.rows("y"))


def mapped_inputs(data: TaskData, scaling: Callable[[NDArray[Any]], Array] | None) -> MappedTensor:
    """Do so with the inputs of the long layout, those of a task beside each other; targets are in memory."""
    X = data.X
    assert isinstance(X, MappedRows)
    assert data.task_index is not None
    order = np.argsort(data.task_index, kind="stable")
    file = _written(X, {"x": X.shape[1]}, ({"x": _scaled(X.read(order[rows]), scaling)} for rows in X.slices()))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return MappedTensor(file.rows("x")[place])


def _scaled(block: NDArray[Any], scaling: Callable[[NDArray[Any]], Array] | None) -> NDArray[Any]:
    return np.asarray(block if scaling is None else scaling(block), dtype=np.float32)


def _written(X: MappedRows, widths: dict[str, int], blocks: Iterable[dict[str, NDArray[Any]]]) -> MappedFile:
    """Write what is trained on beside the rows that it is made of, and map it."""
    path = X.folder / f"training-{of_first(secrets.token_hex(4))}.arrow"

    def write() -> None:
        with RowWriter(path, {name: (width, np.float32) for name, width in widths.items()}, n_rows=len(X)) as writer:
            for block in blocks:
                writer.write(**block)

    try:
        # Of several processes the first one writes; all have mapped it before it can be removed.
        by_first(write)
        file = MappedFile(path)
        of_all(None)
        return file
    finally:
        # What is mapped stays until nobody needs it, and takes no room after that, however the fit ends.
        with suppress(OSError):
            path.unlink()


def _spread(Y: MappedRows, train: BoolArray, weights: Array | None) -> Spread:
    """Look at the targets of training, column by column."""
    own = None if weights is None else weights[train]
    found = [spread_of(column[train][:, None], own) for column in Y.T]
    center, deviation, peak, last_place = (np.concatenate(parts) for parts in zip(*(f[:4] for f in found), strict=True))
    return Spread(center, deviation, peak, last_place)


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
