"""Rows of the long layout as stacks of tasks, so that all tasks of a stack are worked on at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray

__all__ = ["RIDGE", "Block", "Rows", "StackedMoments", "Stacks", "squared_distances", "stacked_moments"]

# Variance, relative to that of all rows, that no direction of a task is below.
RIDGE = 1e-9

# Numbers in a stack (float64, 8 MB: what a cache holds, about).
_NUMBERS = 2**20
# A stack is no wider than so many times the rows of its smallest task: the rest is padding.
_WIDEST = 1.25
_TINY = 1e-12


@dataclass(frozen=True)
class Block:
    """Some tasks, with their rows in the order of a `Stacks`; `index` has the position of each, of padding that of any.

    `index` and `real` have shape (n_tasks, width); `real` is False where a shorter task is padded.
    """

    tasks: IntArray
    index: IntArray
    real: BoolArray

    def of(self, values: Array) -> Array:
        """Return what rows have, in the shape of the block."""
        return values[self.index]

    def weights(self, values: Array) -> Array:
        """Return weights of rows, 0 where there is none."""
        return np.where(self.real, values[self.index], 0.0)

    def put(self, into: Array, values: Array) -> None:
        """Write what rows have back to where they are."""
        into[self.index[self.real]] = values[self.real]


@dataclass(frozen=True)
class Stacks:
    """Rows ordered by task, tasks by their number of rows; `order` has the position of each row in the data."""

    order: IntArray
    counts: IntArray
    starts: IntArray
    n_columns: int

    @classmethod
    def of(cls, index: IntArray, n_tasks: int, n_columns: int) -> Stacks:
        """Order rows of which `index` names the task."""
        order = np.argsort(index, kind="stable")
        counts = np.bincount(index, minlength=n_tasks)
        return cls(order, counts, np.cumsum(counts) - counts, n_columns)

    def blocks(self, tasks: IntArray) -> Iterator[Block]:
        """Yield stacks of these tasks, those with about as many rows together."""
        tasks = tasks[np.argsort(self.counts[tasks], kind="stable")]
        sizes = self.counts[tasks]
        first = int(np.searchsorted(sizes, 1))
        while first < len(tasks):
            last = int(np.searchsorted(sizes, _WIDEST * sizes[first], side="right"))
            widest = int(sizes[last - 1])
            last = min(last, first + max(1, _NUMBERS // (widest * self.n_columns)))
            chosen, own = tasks[first:last], sizes[first:last]
            place = np.arange(int(own[-1]))
            real = place < own[:, None]
            yield Block(chosen, self.order[self.starts[chosen][:, None] + np.where(real, place, 0)], real)
            first = last


class Rows(NamedTuple):
    """Rows x = (h, y) in standard coordinates, what each counts for, and how they lie in tasks."""

    x: Array
    counted: Array
    stacks: Stacks


class StackedMoments(NamedTuple):
    """Weighted moments of stacked tasks: sums of weights (t,), centred rows (t, m, p), scatters (t, p, p)."""

    n: Array
    centred: Array
    scatter: Array


def stacked_moments(x: Array, w: Array) -> StackedMoments:
    """Return the moments of rows x, shape (t, m, p), under weights w, shape (t, m)."""
    n = np.maximum(w.sum(axis=1), _TINY)
    centred = x - (np.einsum("tm,tmp->tp", w, x) / n[:, None])[:, None]
    return StackedMoments(n, centred, (centred * w[..., None]).swapaxes(1, 2) @ centred)


def squared_distances(centred: Array, scatter: Array) -> tuple[Array, Array]:
    """Squared distances x' M^-1 x of rows, shape (t, m), and log|M|, shape (t, 1)."""
    p = scatter.shape[1]
    scatter = scatter.copy()
    scatter[:, np.arange(p), np.arange(p)] += RIDGE
    L = np.linalg.cholesky(scatter)
    z = centred @ np.linalg.inv(L).swapaxes(1, 2)
    return np.einsum("tmp,tmp->tm", z, z), 2.0 * np.log(np.einsum("tii->ti", L)).sum(axis=1)[:, None]
