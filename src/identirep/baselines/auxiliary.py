"""The auxiliary variable u of iVAE and iCaRL: the task, the targets, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.validation import TaskData

__all__ = ["Auxiliary", "AuxiliaryScaling", "learn_scaling"]


@dataclass(frozen=True)
class Auxiliary:
    """Auxiliary variable of each row.

    Attributes
    ----------
    values : array of float32, shape (n_samples, n_targets)
        Standardised targets, 0 where the label is missing: all of them in the wide layout, that of the row's task in
        the long one, none if the auxiliary variable is the task alone.
    seen : array of float32, shape (n_samples, n_targets)
        1 where there is a label.
    task : array of int64, shape (n_samples,)
        Task of each row; 0 in the wide layout.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.float32]
    task: IntArray


@dataclass(frozen=True)
class AuxiliaryScaling:
    """How targets become the auxiliary variable.

    Attributes
    ----------
    mean, scale : array, shape (n_tasks,)
        Mean and standard deviation of the target of each task.
    uses_targets : bool
        Whether targets are part of the auxiliary variable.
    is_long : bool
        Layout of the data.
    """

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

    def __call__(self, data: TaskData) -> Auxiliary:
        """Return the auxiliary variable of checked data."""
        task = np.zeros(len(data.X), dtype=np.int64) if data.task_index is None else data.task_index
        targets: NDArray[Any]
        if not self.uses_targets:
            targets = np.zeros((len(data.X), 0))
        elif data.task_index is None:
            targets = (data.targets - self.mean) / self.scale
        else:
            targets = ((data.targets - self.mean[task]) / self.scale[task])[:, None]
        seen = ~np.isnan(targets)
        return Auxiliary(np.where(seen, targets, 0.0).astype(np.float32), seen.astype(np.float32), task)


def learn_scaling(data: TaskData, *, uses_targets: bool) -> AuxiliaryScaling:
    """Learn mean and standard deviation of each task's target.

    Parameters
    ----------
    data : TaskData
        Checked data.
    uses_targets : bool
        Whether targets are part of the auxiliary variable.

    Returns
    -------
    AuxiliaryScaling
        With scale 1 for targets that do not vary.
    """
    T = data.n_tasks
    seen = ~np.isnan(data.targets)
    task = np.broadcast_to(np.arange(T), data.targets.shape) if data.task_index is None else data.task_index
    task, y = task[seen], data.targets[seen]
    count = np.maximum(np.bincount(task, minlength=T), 1)
    mean = np.bincount(task, y, T) / count
    scale = np.sqrt(np.bincount(task, (y - mean[task]) ** 2, T) / count)
    return AuxiliaryScaling(mean, np.where(scale > 0, scale, 1.0), uses_targets, data.is_long)
