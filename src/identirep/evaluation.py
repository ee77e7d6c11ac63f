"""What a run is worth on rows that it was not fitted to: splits, scores of each task, and their file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, BoolArray, IntArray
from identirep.metrics import StabilityResult
from identirep.validation import check_task_data

__all__ = ["Evaluation", "score_tasks", "split_rows"]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a fitted model on held-out rows, and where the rows came from.

    Parameters
    ----------
    data : str
        Name of the data.
    n_training_rows, n_held_out_rows : int
        Sizes of the split.
    grouped_by : str or None
        What was never split between the two, in words; None for a split of single rows.
    r2 : array, shape (n_tasks,)
        Held-out R^2 of each task; NaN where it cannot be told.
    stability : StabilityResult or None
        Agreement of this fit (the first) with others on the held-out rows, if there are others.
    weak_mcc : float or None
        Mean agreement of the same fits up to linear maps.
    """

    data: str
    n_training_rows: int
    n_held_out_rows: int
    grouped_by: str | None
    r2: Array
    stability: StabilityResult | None = None
    weak_mcc: float | None = None

    def save(self, path: str | Path) -> None:
        """Write the scores to a JSON file.

        Parameters
        ----------
        path : str or Path
            File to write.
        """
        document = asdict(self)
        document["r2"] = [None if np.isnan(value) else float(value) for value in self.r2]
        text = json.dumps(document, indent=2, ensure_ascii=False, default=lambda array: array.tolist())
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read scores that `save` has written.

        Parameters
        ----------
        path : str or Path
            File to read.

        Returns
        -------
        Evaluation
            The scores.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        try:
            document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            document["r2"] = np.array(document["r2"], dtype=np.float64)
            stability = document["stability"]
            if stability is not None:
                stability["matrix"] = np.array(stability["matrix"], dtype=np.float64)
                stability["per_latent"] = np.array(stability["per_latent"], dtype=np.float64)
                document["stability"] = StabilityResult(**stability)
            return cls(**document)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"'{path}' is damaged: got no valid scores ({error}), expected the file as it was written. Fit again."
            ) from None


def split_rows(
    n_rows: int,
    share: float,
    rng: np.random.Generator,
    *,
    groups: ArrayLike | None = None,
    tasks: ArrayLike | None = None,
) -> BoolArray:
    """Choose rows to hold out, True in the mask returned: whole groups, else a share of each task, else of all rows.

    Groups are gone through in random order, and held out if they still fit into the share of rows; if none does, the
    smallest. With the task of each row in `tasks`, each task keeps at least two rows for training, as do rows without
    groups and tasks. Of a share above zero at least one row or group is held out, except where tasks are too small.
    """
    wanted = round(share * n_rows)
    if groups is not None:
        _, index, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
        order = rng.permutation(len(counts))
        chosen, room = np.zeros(len(counts), dtype=bool), min(wanted, n_rows - 1)
        for group, count in zip(order.tolist(), counts[order].tolist(), strict=True):
            if count <= room:
                chosen[group], room = True, room - count
        if share > 0 and not chosen.any() and len(counts) > 1:
            chosen[order[np.argmin(counts[order])]] = True
        return np.asarray(chosen[index.reshape(-1)])
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


def score_tasks(model: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None = None) -> Array:
    """Return R^2 of each task of a fitted model, NaN where labels do not vary; arguments as for `MTRN.score`."""
    check_is_fitted(model)
    data = check_task_data(X, y, tasks, reset=False, min_labels=0, known_tasks=model.task_names_)
    if data.task_index is None:
        predicted = np.asarray(model.predict(X), dtype=np.float64).reshape(data.targets.shape)
    else:
        predicted = model._predict_rows(X, data.task_index)
    return _r2(data.targets, predicted, data.task_index, data.n_tasks)


def _r2(targets: Array, predicted: Array, task_index: IntArray | None, n_tasks: int) -> Array:
    """Return 1 - residual / total sum of squares of each task."""
    task = np.broadcast_to(np.arange(n_tasks), targets.shape) if task_index is None else task_index
    seen = ~np.isnan(targets)
    y, task, residual = targets[seen], task[seen], (targets - predicted)[seen]
    count = np.maximum(np.bincount(task, minlength=n_tasks), 1)
    mean = np.bincount(task, y, n_tasks) / count
    total = np.bincount(task, (y - mean[task]) ** 2, n_tasks)
    varies = total > 1e-24 * np.maximum(count * mean**2, 1e-300)
    return np.where(varies, 1.0 - np.bincount(task, residual**2, n_tasks) / np.where(varies, total, 1.0), np.nan)
