"""From checked data to trained encoders: scaling, sizes, batches and seeds. The only door between NumPy and torch."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtrn.batches import LongBatches, WideBatches, split_rows
from identirep.mtrn.encoders import FeatureMap, ModuleEncoder, ReplicatedMLP, make_encoder, side_by_side
from identirep.mtrn.network import LongObjective, WideObjective
from identirep.mtrn.training import TrainingOptions, make_fabric, train
from identirep.validation import TaskData

if TYPE_CHECKING:
    from typing import Any

    from identirep.mtrn.estimator import MTRN

__all__ = ["FittedNetwork", "encode", "feature_map", "fit_network"]

# Principal components count with at least this variance (columns have 1), so none is raised more than threefold.
_WHITENING_FLOOR = 0.1
_DEFAULT_FEATURES = 40
_MIN_EPOCHS, _MAX_EPOCHS, _MIN_STEPS = 30, 300, 1500
_LONG_BATCH = 2048
# Rows encoded at once.
_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class FittedNetwork:
    """Result of training.

    Attributes
    ----------
    encoder : nn.Module
        Inputs to features, shape (n_replicates, n_samples, n_features); on the CPU, in evaluation mode.
    history : list of dict
        Losses of each epoch and replicate.
    held_out : array of bool, shape (n_samples,)
        Rows that were not trained on.
    """

    encoder: ReplicatedMLP | ModuleEncoder
    history: list[dict[str, float]]
    held_out: BoolArray


def fit_network(
    estimator: MTRN,
    data: TaskData,
    groups: IntArray | None,
    rng: np.random.Generator,
    *,
    held_out: BoolArray | None = None,
) -> FittedNetwork:
    """Train the replicates of an estimator.

    Parameters
    ----------
    estimator : MTRN
        Its parameters are read.
    data : TaskData
        Checked data; in the long layout every row has a label.
    groups : array of int, shape (n_samples,), or None
        Groups that validation keeps whole.
    rng : numpy.random.Generator
        Source of all randomness.
    held_out : array of bool, shape (n_samples,), optional
        Rows that are not trained on; drawn if not given.

    Returns
    -------
    FittedNetwork
        Trained encoders.

    Raises
    ------
    ValueError
        If groups leave a task without training rows, or a module of the user returns the wrong shape.
    """
    seed = int(rng.integers(2**62))
    generator = torch.Generator().manual_seed(seed)
    if held_out is None:
        held_out = split_rows(
            len(data.X), estimator.validation_fraction, task_index=data.task_index, groups=groups, rng=rng
        )
    _check_split(estimator, data, held_out)
    fabric = make_fabric(estimator.device, estimator.precision)
    # Dropout and the like draw from the global generators, which are put back afterwards.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        own = not isinstance(estimator.encoder, str)
        scaling = None if own else _input_scaling(data.X[~held_out], estimator.input_scaling)
        x = torch.from_numpy(np.ascontiguousarray(scaling(data.X) if scaling else data.X, dtype=np.float32))
        sizes = (x.shape[1], *estimator.hidden_sizes, _n_features(estimator, data, held_out))
        encoder = make_encoder(
            estimator.encoder,
            sizes=sizes,
            n_replicates=estimator.n_replicates,
            generator=generator,
            dropout=estimator.dropout,
        )
        n_features = _probe(encoder, x[:2])
        y = torch.from_numpy(_standardised(data, held_out).astype(np.float32))
        objective: LongObjective | WideObjective
        batches: LongBatches | WideBatches
        if data.task_index is None:
            objective = WideObjective(encoder, estimator.n_replicates, n_features, data.n_tasks, generator)
            size = min(max(int((~held_out).sum()) // 20, 32), 256)
            batches = WideBatches(x, y, held_out, _auto(estimator.batch_size, size))
        else:
            objective = LongObjective(encoder)
            batches = LongBatches(x, y, data.task_index, held_out, _auto(estimator.batch_size, _LONG_BATCH))
        epochs = min(max(math.ceil(_MIN_STEPS / len(batches)), _MIN_EPOCHS), _MAX_EPOCHS)
        options = TrainingOptions(
            max_epochs=_auto(estimator.max_epochs, epochs),
            learning_rate=estimator.learning_rate,
            weight_decay=estimator.weight_decay,
            patience=estimator.patience,
            verbose=bool(estimator.verbose),
        )
        history = train(objective, batches, options, fabric, generator)
    encoder.eval()
    if scaling is not None and isinstance(encoder, ReplicatedMLP):
        encoder.absorb(*(torch.from_numpy(part) for part in (scaling.mean, scaling.scale, scaling.rotation)))
    return FittedNetwork(encoder, history, held_out)


def encode(encoder: ReplicatedMLP | ModuleEncoder, X: NDArray[Any], device: str) -> Array:
    """Compute the features of all replicates, side by side.

    Parameters
    ----------
    encoder : ReplicatedMLP or ModuleEncoder
        Trained.
    X : array, shape (n_samples, n_inputs)
        Inputs.
    device : str
        Where to compute, as the `device` parameter of `MTRN`.

    Returns
    -------
    array, shape (n_samples, n_replicates * n_features)
        Features. The perceptron is evaluated in float64, so they do not depend on the other rows of the batch.
    """
    target = make_fabric(device, "32-true").device
    double = isinstance(encoder, ReplicatedMLP) and target.type != "mps"
    dtype = torch.float64 if double else torch.float32
    module = copy.deepcopy(encoder).to(target)
    module = module.double() if double else module
    parts = []
    with torch.no_grad():
        for start in range(0, len(X), _CHUNK_ROWS):
            rows = torch.from_numpy(np.array(X[start : start + _CHUNK_ROWS]))
            parts.append(side_by_side(module(rows.to(target, dtype))).cpu().double().numpy())
    return np.concatenate(parts)


def feature_map(encoder: ReplicatedMLP | ModuleEncoder, components: Array, mean: Array) -> FeatureMap:
    """Return inputs to reduced features as one float32 module, which shares nothing with `encoder`.

    Parameters
    ----------
    encoder : ReplicatedMLP or ModuleEncoder
        Trained.
    components : array, shape (n_components, n_replicates * n_features)
        Linear map of the features.
    mean : array, shape (n_replicates * n_features,)
        Subtracted from the features.

    Returns
    -------
    FeatureMap
        In evaluation mode.
    """
    weight, offset = torch.from_numpy(components).float(), torch.from_numpy(-components @ mean).float()
    return FeatureMap(copy.deepcopy(encoder), weight, offset).eval()


@dataclass(frozen=True)
class _InputScaling:
    """``((x - mean) * scale) @ rotation``."""

    mean: Array
    scale: Array
    rotation: Array

    def __call__(self, X: NDArray[Any]) -> Array:
        return np.asarray(((X - self.mean) * self.scale) @ self.rotation)


def _input_scaling(X: NDArray[Any], kind: str) -> _InputScaling:
    """Learn how to scale the inputs of the perceptron."""
    mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    # What is constant in training is ignored, whatever it is later.
    constant = std <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, std))
    if kind == "standard":
        return _InputScaling(mean, scale, np.eye(len(mean)))
    Z = (X - mean) * scale
    values, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
    return _InputScaling(mean, scale, vectors / np.sqrt(np.maximum(values, 0.0) + _WHITENING_FLOOR))


def _standardised(data: TaskData, held_out: BoolArray) -> Array:
    """Return targets with mean 0 and variance 1 in each task's training rows."""
    y, index = data.targets, data.task_index
    train = ~held_out
    if index is None:
        seen = ~np.isnan(y) & train[:, None]
        count = np.maximum(seen.sum(axis=0), 1)
        mean = np.where(seen, y, 0.0).sum(axis=0) / count
        std = np.sqrt(np.where(seen, y - mean, 0.0).__pow__(2).sum(axis=0) / count)
        return np.asarray((y - mean) / np.where(std > 0, std, 1.0))
    count = np.maximum(np.bincount(index[train], minlength=data.n_tasks), 1)
    mean = np.bincount(index[train], y[train], data.n_tasks) / count
    std = np.sqrt(np.bincount(index[train], (y - mean[index])[train] ** 2, data.n_tasks) / count)
    return np.asarray((y - mean[index]) / np.where(std > 0, std, 1.0)[index])


def _n_features(estimator: MTRN, data: TaskData, held_out: BoolArray) -> int:
    """Return the width of the perceptron's features."""
    if estimator.n_features is not None:
        return int(estimator.n_features)
    wanted = 1 if estimator.n_components == "auto" else int(estimator.n_components)
    width = max(_DEFAULT_FEATURES, 2 * wanted)
    if data.task_index is not None:
        # Heads of a task with few rows could use that many features to fit anything.
        width = min(width, max(int(np.median(np.bincount(data.task_index[~held_out]))) // 4, wanted))
    return max(width, 1)


def _check_split(estimator: MTRN, data: TaskData, held_out: BoolArray) -> None:
    """Refuse a split that leaves nothing to train or to validate on."""
    seen = ~np.isnan(data.targets)
    for name, rows in (("training", ~held_out), ("validation", held_out)):
        if not seen[rows].any():
            raise ValueError(
                f"validation_fraction leaves no labels for {name}: got {estimator.validation_fraction} of {len(rows)} "
                "rows, expected labels on both sides. Change validation_fraction or pass more rows."
            )


def _probe(encoder: nn.Module, x: torch.Tensor) -> int:
    """Return the number of features of each replicate; refuse a module with another shape."""
    encoder.eval()
    with torch.no_grad():
        features = encoder(x)
    if features.ndim != 3 or features.shape[1] != len(x):
        raise ValueError(
            f"encoder returns the wrong shape: got {tuple(features.shape[1:])} for {len(x)} rows, expected "
            f"({len(x)}, n_features). Flatten its output to one vector for each row."
        )
    return int(features.shape[2])


def _auto(value: int | str, default: int) -> int:
    return default if value == "auto" else int(value)
