"""The auxiliary variable u of iVAE and iCaRL: the task, the targets, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.validation import TaskData

__all__ = ["Auxiliary", "AuxiliaryScaling", "learn_scaling"]


class Auxiliary(NamedTuple):
    """Auxiliary variable of rows: standardised targets, 0 where unlabelled; 1 where there is a label; task of each row.

    Targets (n_samples, n_targets) are all of them in the wide layout, where the task is 0, and that of the row's task
    in the long one; there are none if the auxiliary variable is the task alone.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.float32]
    task: IntArray


@dataclass(frozen=True)
class AuxiliaryScaling:
    """How targets become the auxiliary variable: mean and standard deviation of each task's target, shape (T,)."""

    mean: Array
    scale: Array
    uses_targets: bool
    is_long: bool

    @property
    def n_tasks(self) -> int:
        """Number of tasks that a row can belong to: 1 in the wide layout, where all rows have all of them."""
        return len(self.mean) if self.is_long else 1

    @property
    def n_targets(self) -> int:
        """Number of targets in the auxiliary variable of a row."""
        if not self.uses_targets:
            return 0
        return 1 if self.is_long else len(self.mean)

    def standardized(self, data: TaskData) -> Array:
        """Return targets with mean 0 and variance 1 in each task, in the layout they came in."""
        task = slice(None) if data.task_index is None else data.task_index
        return np.asarray((data.targets - self.mean[task]) / self.scale[task])

    def __call__(self, data: TaskData) -> Auxiliary:
        """Return the auxiliary variable of checked data."""
        unknown = self.unknown(len(data.X))
        targets: NDArray[Any] = unknown.values
        if self.uses_targets:
            targets = self.standardized(data).reshape(len(data.X), -1)
        seen = ~np.isnan(targets)
        task = unknown.task if data.task_index is None else data.task_index
        return Auxiliary(np.where(seen, targets, 0.0).astype(np.float32), seen.astype(np.float32), task)

    def unknown(self, n_rows: int) -> Auxiliary:
        """Return the auxiliary variable of rows of which nothing but the inputs is known."""
        blank = np.zeros((n_rows, self.n_targets), dtype=np.float32)
        return Auxiliary(blank, blank, np.zeros(n_rows, dtype=np.int64))


def learn_scaling(data: TaskData, *, uses_targets: bool = True) -> AuxiliaryScaling:
    """Learn mean and standard deviation of each task's target, 1 for targets that do not vary."""
    T = data.n_tasks
    seen = ~np.isnan(data.targets)
    task = np.broadcast_to(np.arange(T), data.targets.shape) if data.task_index is None else data.task_index
    task, y = task[seen], data.targets[seen]
    if data.weights is None:
        w, count = np.ones(len(y)), np.maximum(np.bincount(task, minlength=T), 1)
    else:
        w = data.weights[np.nonzero(seen)[0]]
        count = np.bincount(task, w, T)
        count = np.where(count > 0, count, 1.0)
    mean = np.bincount(task, w * y, T) / count
    scale = np.sqrt(np.bincount(task, w * (y - mean[task]) ** 2, T) / count)
    return AuxiliaryScaling(mean, np.where(scale > 0, scale, 1.0), uses_targets, data.is_long)
