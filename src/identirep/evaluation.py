"""What a run is worth on rows that it was not fitted to: splits, scores of each task, and their file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep._typing import Array, IntArray
from identirep.metrics import StabilityResult

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
) -> tuple[IntArray, IntArray]:
    """Choose rows to hold out: whole groups, or the same share of each task.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    share : float
        Share of the groups, or of the rows, to hold out; 0 for none.
    rng : numpy.random.Generator
        Source of the choice.
    groups : array-like, shape (n_rows,), optional
        Rows of one group stay together.
    tasks : array-like, shape (n_rows,), optional
        Task of each row in the long layout; each keeps at least two rows for training.

    Returns
    -------
    training, held_out : array of int
        Row numbers, ascending.
    """
    held_out = np.zeros(n_rows, dtype=bool)
    if groups is not None:
        _, index = np.unique(np.asarray(groups), return_inverse=True)
        n_groups = int(index.max()) + 1
        chosen = rng.permutation(n_groups)[: min(round(share * n_groups), n_groups - 1)]
        held_out = np.isin(index.reshape(-1), chosen)
    elif tasks is not None:
        _, index = np.unique(np.asarray(tasks), return_inverse=True)
        for t in range(int(index.max()) + 1):
            rows = rng.permutation(np.flatnonzero(index == t))
            held_out[rows[: max(0, min(round(share * len(rows)), len(rows) - 2))]] = True
    else:
        held_out[rng.permutation(n_rows)[: min(round(share * n_rows), n_rows - 2)]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def score_tasks(model: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None = None) -> Array:
    """Return R^2 of each task.

    Parameters
    ----------
    model : IdentifiableRegressor or MTRN
        Fitted.
    X : array-like, shape (n_samples, n_features)
        Inputs.
    y : array-like, shape (n_samples, n_tasks) or (n_samples,)
        Targets; NaN for a missing label.
    tasks : array-like, shape (n_samples,), optional
        Task of each row in the long layout.

    Returns
    -------
    array, shape (n_tasks,)
        1 - residual / total sum of squares; NaN for tasks with fewer than two different labels in these rows.
    """
    n_tasks = len(model.task_names_)
    predicted = np.asarray(model.predict(X), dtype=np.float64).reshape(-1, n_tasks)
    targets = np.asarray(y, dtype=np.float64)
    if tasks is not None:
        position = {name: t for t, name in enumerate(model.task_names_)}
        wide = np.full(predicted.shape, np.nan)
        wide[np.arange(len(targets)), [position[name] for name in np.asarray(tasks).tolist()]] = targets
        targets = wide
    targets = targets.reshape(-1, n_tasks)
    seen = ~np.isnan(targets)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, targets, 0.0).sum(axis=0) / count
    total = np.where(seen, targets - mean, 0.0)
    residual = np.where(seen, targets - predicted, 0.0)
    spread = (total**2).sum(axis=0)
    varies = spread > 1e-24 * np.maximum(count * mean**2, 1e-300)
    return np.where(varies, 1.0 - (residual**2).sum(axis=0) / np.where(varies, spread, 1.0), np.nan)
