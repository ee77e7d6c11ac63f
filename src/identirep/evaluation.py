"""What a run is worth on rows that it was not fitted to: scores of each task, and their file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, IntArray
from identirep.known_tasks import known_task_data
from identirep.mapped_rows import MappedRows
from identirep.metrics import StabilityResult
from identirep.parameters import raise_faults
from identirep.row_weights import as_weights, effective_weights
from identirep.splits import split_rows as split_rows
from identirep.target_kinds import stored_kinds
from identirep.validation import TaskData

__all__ = ["Evaluation", "score_binary", "score_tasks"]

_LEAST_PROBABILITY = 1e-12
_TYPES = {"data": str, "n_training_rows": int, "n_held_out_rows": int}


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
    ordered_by : str or None
        What the rows are ordered by, in words, so that the last ones are held out; None for random rows.
    weighted_by : str or None
        Column of the weights by which rows count, in fit and scores; None if all count alike.
    kinds : tuple of str, length n_tasks, or None
        Kind of each target; None in files from before there were kinds.
    auc, deviance_explained : array, shape (n_tasks,), or None
        Of binary targets the area under the ROC curve, and the share of the deviance of a constant probability that
        predictions take away; NaN for others, None if there are none.
    """

    data: str
    n_training_rows: int
    n_held_out_rows: int
    grouped_by: str | None
    r2: Array
    stability: StabilityResult | None = None
    weak_mcc: float | None = None
    ordered_by: str | None = None
    weighted_by: str | None = None
    kinds: tuple[str, ...] | None = None
    auc: Array | None = None
    deviance_explained: Array | None = None

    def save(self, path: str | Path) -> None:
        """Write the scores to a JSON file.

        Parameters
        ----------
        path : str or Path
            File to write.
        """
        document = asdict(self)
        for name in ("r2", "auc", "deviance_explained"):
            values = getattr(self, name)
            document[name] = None if values is None else [None if np.isnan(v) else float(v) for v in values]
        text = json.dumps(document, indent=2, ensure_ascii=False, default=lambda array: array.tolist())
        # Names of files need not be in UTF-8.
        Path(path).write_bytes(f"{text}\n".encode("utf-8", "surrogatepass"))

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
            document: dict[str, Any] = json.loads(Path(path).read_bytes())
            document["r2"] = np.array(document["r2"], dtype=np.float64)
            if document["r2"].ndim != 1 or not all(type(document[name]) is of for name, of in _TYPES.items()):
                raise TypeError("other entries")
            for name in ("auc", "deviance_explained"):
                if document.get(name) is not None:
                    document[name] = np.array(document[name], dtype=np.float64)
                    if document[name].shape != document["r2"].shape:
                        raise TypeError("scores of other tasks")
            document["kinds"] = stored_kinds(document.get("kinds"), len(document["r2"]))
            stability = document["stability"]
            if stability is not None:
                stability["matrix"] = np.array(stability["matrix"], dtype=np.float64)
                stability["per_latent"] = np.array(stability["per_latent"], dtype=np.float64)
                document["stability"] = StabilityResult(**stability)
            return cls(**document)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"'{path}' is damaged: got no valid scores ({error}), expected the file as it was written. Fit again."
            ) from None


def score_tasks(
    model: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
) -> Array:
    """Return R^2 of each task of a fitted model, NaN where labels do not vary; arguments as for `MTRN.score`."""
    if isinstance(X, MappedRows):
        return _r2_on_disk(model, X, y, tasks, sample_weight)
    data, predicted, weight = _predicted(model, X, y, tasks, sample_weight)
    return _r2(data.targets, predicted, data.task_index, data.n_tasks, weight)


def score_binary(
    model: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None
) -> tuple[Array, Array] | None:
    """Return area under the ROC curve and deviance explained of binary targets, NaN for others; None if none is."""
    kinds = getattr(model, "target_kinds_", ())
    if "binary" not in kinds:
        return None
    data, predicted, weight = _predicted(model, X, y, tasks, sample_weight)
    auc, deviance = np.full((2, data.n_tasks), np.nan)
    stage = model._fitted() if hasattr(model, "_fitted") else model
    for t in np.flatnonzero(np.array(kinds) == "binary"):
        own = data.targets[:, t] if data.task_index is None else data.targets
        rows = ~np.isnan(own) if data.task_index is None else (data.task_index == t) & ~np.isnan(own)
        rows &= True if weight is None else weight > 0
        low, high = stage._levels[t]
        truth = (own[rows] > 0.5 * (low + high)).astype(np.float64)
        if not len(truth) or np.ptp(truth) == 0.0:
            continue
        p = ((predicted[:, t] if data.task_index is None else predicted)[rows] - low) / (high - low)
        w = None if weight is None else weight[rows]
        auc[t] = roc_auc_score(truth, p, sample_weight=w)
        constant = np.full(len(p), np.average(truth, weights=w))
        deviance[t] = 1.0 - _log_loss(truth, p, w) / _log_loss(truth, constant, w)
    return auc, deviance


def _log_loss(truth: Array, p: Array, weight: Array | None) -> float:
    # Rounded to 0 or 1, a probability that is wrong costs as much as float64 can say.
    p = np.clip(p, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    return float(np.average(-truth * np.log(p) - (1.0 - truth) * np.log1p(-p), weights=weight))


def _predicted(
    model: Any, X: Any, y: ArrayLike, tasks: ArrayLike | None, sample_weight: ArrayLike | None
) -> tuple[TaskData, Array, Array | None]:
    """Return checked rows, what a fitted model predicts of them, and their weights."""
    check_is_fitted(model)
    gaps = bool(get_tags(model).input_tags.allow_nan)
    if hasattr(model, "_fitted"):
        # Of both stages, by what stage one predicts of inputs that may have been a table.
        model, X = model._fitted(), model._inputs(X)
    # Not there, which drops rows of weight 0: the model names its inputs, and takes what was given.
    data = known_task_data(model, X, y, tasks, gaps=gaps)
    given = data.given_rows
    weight, faults = as_weights(sample_weight, len(data.targets) if given is None else len(given))
    raise_faults(faults)
    if given is not None:
        X, weight = data.inputs, None if weight is None else weight[given]
    if data.task_index is None:
        predicted = np.asarray(model.predict(X), dtype=np.float64).reshape(data.targets.shape)
    else:
        predicted = model._predict_rows(X, data.task_index)
    return data, predicted, weight


def _r2_on_disk(model: Any, X: MappedRows, y: Any, tasks: Any, sample_weight: Any) -> Array:
    """Return R^2 of each task on rows on disk, block by block."""
    check_is_fitted(model)
    stage = model._fitted() if hasattr(model, "_fitted") else model
    data = known_task_data(stage, X, y, tasks, sample_weight=sample_weight)
    T, origin = data.n_tasks, stage.moments_.mean_y
    count, total, squares, residual = np.zeros((4, T))
    inputs: Any = data.X
    for rows in inputs.slices():
        part, index = inputs[np.arange(rows.start, rows.stop)], data.task_index
        targets = data.targets[rows]
        if index is None:
            predicted, task = stage.predict(part).reshape(targets.shape), np.broadcast_to(np.arange(T), targets.shape)
        else:
            predicted, task = stage._predict_rows(part, index[rows]), index[rows]
        weight = np.ones(len(part)) if data.weights is None else data.weights[rows]
        seen = ~np.isnan(targets)
        w = np.broadcast_to(weight if targets.ndim == 1 else weight[:, None], targets.shape)[seen]
        own, moved, left = task[seen], targets[seen] - origin[task[seen]], (targets - predicted)[seen]
        for sums, values in ((count, w), (total, w * moved), (squares, w * moved**2), (residual, w * left**2)):
            sums += np.bincount(own, values, T)
    mean = total / np.where(count > 0, count, 1.0)
    spread = squares - count * mean**2
    varies = spread > 1e-12 * np.maximum(squares, 1e-300)
    return np.where(varies, 1.0 - residual / np.where(varies, spread, 1.0), np.nan)


def _r2(
    targets: Array, predicted: Array, task_index: IntArray | None, n_tasks: int, weight: Array | None = None
) -> Array:
    """Return 1 - residual / total sum of squares of each task."""
    if weight is not None:
        w = weight if targets.ndim == 1 else weight[:, None]
        targets = np.where(w > 0, targets, np.nan)
    task = np.broadcast_to(np.arange(n_tasks), targets.shape) if task_index is None else task_index
    seen = ~np.isnan(targets)
    y, task, residual = targets[seen], task[seen], (targets - predicted)[seen]
    w = np.ones(len(y)) if weight is None else effective_weights(np.broadcast_to(w, seen.shape)[seen], task)
    count = np.bincount(task, w, n_tasks)
    count = np.where(count > 0, count, 1.0)
    mean = np.bincount(task, w * y, n_tasks) / count
    total = np.bincount(task, w * (y - mean[task]) ** 2, n_tasks)
    varies = total > 1e-24 * np.maximum(count * mean**2, 1e-300)
    return np.where(varies, 1.0 - np.bincount(task, w * residual**2, n_tasks) / np.where(varies, total, 1.0), np.nan)
