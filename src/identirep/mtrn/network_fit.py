"""From checked data to trained encoders: scaling, sizes, batches and seeds. The only door between NumPy and torch."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from identirep._typing import Array, BoolArray, IntArray
from identirep.checkpoints import array_digest, current_step
from identirep.gross_errors import fences
from identirep.label_sides import Labels
from identirep.mapped_rows import MappedRows
from identirep.mtrn.batches import LongBatches, WideBatches
from identirep.mtrn.devices import means_cpu
from identirep.mtrn.encoders import FeatureMap, ModuleEncoder, ReplicatedMLP, make_encoder, side_by_side
from identirep.mtrn.initial_weights import refuse_equal_starts
from identirep.mtrn.logistic_heads import as_zero_and_one
from identirep.mtrn.mapped_fit import MappedTensor, MappedWideBatches, mapped_inputs, mapped_tensors
from identirep.mtrn.network import LongObjective, WideObjective
from identirep.mtrn.settings import NetworkSettings
from identirep.mtrn.training import TrainingOptions, make_fabric, train
from identirep.parameters import raise_faults
from identirep.processes import common_generator
from identirep.splits import two_sides
from identirep.training import ordinary_torch
from identirep.units import spread_of, spread_of_tasks, unit_faults
from identirep.validation import TaskData

__all__ = ["FittedNetwork", "encode", "feature_map", "fit_network"]

# Principal components count with at least this variance (columns have 1), so none is raised more than threefold.
_WHITENING_FLOOR = 0.1
# Inputs count as far as this share of the range in training beyond it: rows like those of training stay as they are.
_MARGIN = 0.5
# Labels that a task keeps for training, and for validation.
_LEAST_LABELS = (2, 1)
# Rows encoded at once.
_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class FittedNetwork:
    """Result of training: encoders on the CPU, in evaluation mode, and the rows that were not trained on."""

    encoder: ReplicatedMLP | ModuleEncoder
    # Losses of each epoch and replicate.
    history: list[dict[str, float]]
    held_out: BoolArray


@ordinary_torch()
def fit_network(
    settings: NetworkSettings,
    data: TaskData,
    groups: IntArray | None,
    rng: np.random.Generator,
    *,
    held_out: BoolArray | None = None,
    levels: Array | None = None,
) -> FittedNetwork:
    """Train all replicates; which rows are held out from training is drawn if not given.

    `levels` (n_tasks, 2) are both values of targets that are binary, NaN for others, in the wide layout.
    """
    seed = int(common_generator(rng).integers(2**62))
    generator = torch.Generator().manual_seed(seed)
    if held_out is None:
        labels = Labels(data.targets, data.task_index, _LEAST_LABELS)
        share, index = settings.validation_fraction, data.task_index
        held_out = two_sides(len(data.X), share, rng, groups=groups, tasks=index, labels=labels)[1]
    _check_split(settings, data, held_out)
    fabric = make_fabric(settings.device, settings.precision)
    # Dropout and the like draw from the global generators, which are put back afterwards.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        own = not isinstance(settings.encoder, str)
        if own:
            spread = spread_of(data.in_memory()[0].X)
            raise_faults(unit_faults(spread.in_float32(), "X as float32", range(data.X.shape[1]), "column"))
        trained = data.rows(~held_out).in_memory()[0]
        scaling = None if own else _input_scaling(trained.X, settings.input_scaling, trained.weights)
        targets: Any
        x: Any
        if isinstance(data.X, MappedRows) and data.task_index is None:
            x, targets = mapped_tensors(data, held_out, scaling)
        elif isinstance(data.X, MappedRows):
            x, targets = mapped_inputs(data, scaling), _standardised(data, held_out)
        else:
            x = torch.from_numpy(np.ascontiguousarray(scaling(data.X) if scaling else data.X, dtype=np.float32))
            targets = _standardised(data, held_out)
        sizes = (x.shape[1], *settings.hidden_sizes, settings.width(data, held_out))
        encoder = make_encoder(
            settings.encoder,
            sizes=sizes,
            n_replicates=settings.n_replicates,
            generator=generator,
            dropout=settings.dropout,
            input_shape=data.input_shape,
        )
        if isinstance(encoder, ModuleEncoder) and not isinstance(settings.encoder, str):
            refuse_equal_starts(settings.encoder, encoder.replicates)
            _check_batch_size(settings, encoder)
        n_features = _probe(encoder, x[:2])
        log_odds = None
        if levels is not None and not np.isnan(levels).all():
            targets, log_odds = _with_binary(targets, data, held_out, levels)
        y: Any = targets if isinstance(targets, MappedTensor) else torch.from_numpy(targets.astype(np.float32))
        objective: LongObjective | WideObjective
        batches: LongBatches | WideBatches
        batch_rows = settings.batch_rows(data, held_out)
        if data.task_index is None:
            objective = WideObjective(encoder, settings.n_replicates, n_features, data.n_tasks, generator, log_odds)
            kind = MappedWideBatches if isinstance(y, MappedTensor) else WideBatches
            batches = kind(x, y, held_out, batch_rows, data.weights)
        else:
            objective = LongObjective(encoder)
            batches = LongBatches(x, y, data.task_index, held_out, batch_rows, data.weights)
        options = TrainingOptions(
            max_epochs=settings.epochs(len(batches)),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            patience=settings.patience,
            verbose=bool(settings.verbose),
        )
        step = current_step("training", lambda: _starts_from(x, y, held_out, data.weights, objective, options, fabric))
        history = train(objective, batches, options, fabric, generator, step)
    encoder.eval()
    if scaling is not None and isinstance(encoder, ReplicatedMLP):
        encoder.absorb(*(torch.from_numpy(part) for part in scaling))
    return FittedNetwork(encoder, history, held_out)


def _starts_from(
    x: torch.Tensor | MappedTensor,
    y: torch.Tensor | MappedTensor,
    held_out: BoolArray,
    row_weights: Array | None,
    objective: nn.Module,
    options: TrainingOptions,
    fabric: Fabric,
) -> dict[str, Any]:
    """Return what a training starts from; one that was cut off goes on where this is the same."""
    weights = [value.detach().cpu().contiguous() for value in objective.state_dict().values()]
    return {
        "data": array_digest(x.numpy(), y.numpy(), held_out, row_weights),
        "weights": array_digest(*(value.reshape(-1).view(torch.uint8).numpy() for value in weights)),
        "options": {**asdict(options), "verbose": None},
        "device": str(fabric.device),
        "threads": torch.get_num_threads(),
    }


@ordinary_torch()
def encode(encoder: ReplicatedMLP | ModuleEncoder, X: NDArray[Any], device: str) -> Array:
    """Compute the features of all replicates, side by side, shape (n_samples, n_replicates * n_features).

    The perceptron is evaluated in float64, so they do not depend on the other rows of the batch.
    """
    target = torch.device("cpu") if means_cpu(device) else make_fabric(device, "32-true").device
    double = isinstance(encoder, ReplicatedMLP) and target.type != "mps"
    dtype = torch.float64 if double else torch.float32
    module = copy.deepcopy(encoder).to(target).eval()
    module = module.double() if double else module
    features = module.of_standardised if isinstance(module, ReplicatedMLP) else module
    parts = []
    with torch.no_grad():
        for start in range(0, len(X), _CHUNK_ROWS):
            rows = torch.from_numpy(np.array(X[start : start + _CHUNK_ROWS]))
            if isinstance(encoder, ReplicatedMLP):
                # Here, since not every device has float64.
                rows = encoder.standardised(rows)
            parts.append(side_by_side(features(rows.to(target, dtype))).cpu().double().numpy())
    return np.concatenate(parts)


@ordinary_torch()
def feature_map(encoder: ReplicatedMLP | ModuleEncoder, components: Array, mean: Array) -> FeatureMap:
    """Return inputs to reduced features as one float32 module, for evaluation; it shares nothing with `encoder`."""
    weight, offset = torch.from_numpy(components).float(), torch.from_numpy(-components @ mean).float()
    return FeatureMap(copy.deepcopy(encoder), weight, offset).eval()


class _InputScaling(NamedTuple):
    """``clip((x - mean) * scale, low, high) @ rotation``."""

    mean: Array
    scale: Array
    low: Array
    high: Array
    rotation: Array

    def __call__(self, X: NDArray[Any]) -> Array:
        return np.asarray(np.clip((X - self.mean) * self.scale, self.low, self.high) @ self.rotation)


def _input_scaling(X: NDArray[Any], kind: str, weights: Array | None = None) -> _InputScaling:
    """Learn how to scale the inputs of the perceptron, and where they end: far outside it says nothing, and loudly."""
    X = np.clip(X, *fences(X))
    mean, std, *_ = spread_of(X, weights)
    # What is constant in training is ignored, whatever it is later.
    scale = np.where(std > 0.0, 1.0 / np.where(std > 0.0, std, 1.0), 0.0)
    Z = (X - mean) * scale
    ends = np.stack([Z.min(axis=0), Z.max(axis=0)])
    low, high = ends + _MARGIN * np.ptp(ends, axis=0) * np.array([[-1.0], [1.0]])
    if kind == "standard":
        return _InputScaling(mean, scale, low, high, np.eye(len(mean)))
    if weights is not None:
        Z = Z * np.sqrt(weights / weights.mean())[:, None]
    return _InputScaling(mean, scale, low, high, _whitener(Z))


def _whitener(Z: Array) -> Array:
    """Return the map of standardised rows to components, those of small variance raised by no more than the floor."""
    if len(Z) >= Z.shape[1]:
        values, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
        return np.asarray(vectors / np.sqrt(np.maximum(values, 0.0) + _WHITENING_FLOOR))
    # Wide tables: all directions without variance alike. Which basis components are in is nothing to random weights.
    _, deviations, axes = np.linalg.svd(Z / np.sqrt(len(Z)), full_matrices=False)
    least = 1.0 / np.sqrt(_WHITENING_FLOOR)
    gain = 1.0 / np.sqrt(deviations**2 + _WHITENING_FLOOR) - least
    return np.asarray(least * np.eye(Z.shape[1]) + (axes.T * gain) @ axes)


def _standardised(data: TaskData, held_out: BoolArray) -> Array:
    """Return targets with mean 0 and variance 1 in each task's training rows."""
    y, index, train = data.targets, data.task_index, data.rows(~held_out)
    if index is None or train.task_index is None:
        return spread_of(train.targets, train.weights).scaled(y)
    return spread_of_tasks(train.targets, train.task_index, data.n_tasks, train.weights).scaled(y, index)


def _with_binary(targets: Array, data: TaskData, held_out: BoolArray, levels: Array) -> tuple[Array, torch.Tensor]:
    """Return targets with binary ones as 0 and 1, and the log odds of these in training, NaN for others."""
    binary = ~np.isnan(levels[:, 0])
    targets = targets.copy()
    targets[:, binary] = as_zero_and_one(data.targets[:, binary], levels[binary])
    own, seen = targets[~held_out], ~np.isnan(targets[~held_out])
    ones = np.where(seen, own, 0.0).sum(axis=0) + 0.5
    share = ones / (seen.sum(axis=0) + 1.0)
    log_odds = np.full(len(levels), np.nan)
    log_odds[binary] = np.log(share[binary] / (1.0 - share[binary]))
    return targets, torch.from_numpy(log_odds)


def _check_split(settings: NetworkSettings, data: TaskData, held_out: BoolArray) -> None:
    """Refuse a split that leaves nothing to train or to validate on."""
    labels = Labels(data.targets, data.task_index, _LEAST_LABELS)
    for name, rows in (("training", ~held_out), ("validation", held_out)):
        if not labels.enough(rows, 1).any():
            raise ValueError(
                f"validation_fraction leaves no labels for {name}: got {settings.validation_fraction} of {len(rows)} "
                "rows, expected labels on both sides. Change validation_fraction or pass more rows."
            )


def _check_batch_size(settings: NetworkSettings, encoder: nn.Module) -> None:
    """Refuse batches of one row for layers that look at the variance of a batch."""
    looks_at_batches = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in encoder.modules())
    if settings.batch_size == 1 and looks_at_batches:
        raise ValueError(
            "batch_size is too small for the encoder: got 1 with BatchNorm, expected at least 2, since one row has no "
            "variance. Raise batch_size, or use LayerNorm."
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
