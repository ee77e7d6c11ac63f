"""What an `MTRN` asks of its network, and what "auto" means for given data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from identirep._typing import BoolArray
from identirep.validation import TaskData

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LATENTS_BATCH", "NetworkSettings"]

_DEFAULT_FEATURES = 40
_MIN_EPOCHS, _MAX_EPOCHS, _MIN_STEPS = 30, 300, 1500
_LONG_BATCH = 2048
# Where every row carries all latents, gradients are less noisy than those of single labels.
LATENTS_BATCH = 512


@dataclass(frozen=True)
class NetworkSettings:
    """Parameters that the network depends on; `MTRN` says what they mean."""

    n_components: int | str
    encoder: str | nn.Module | Callable[[], nn.Module]
    hidden_sizes: Sequence[int]
    n_features: int | None
    n_replicates: int
    dropout: float
    input_scaling: str
    max_epochs: int | str
    batch_size: int | str
    learning_rate: float
    weight_decay: float
    validation_fraction: float
    patience: int | None
    device: str
    precision: str
    verbose: bool

    @classmethod
    def of(cls, estimator: Any) -> NetworkSettings:
        """Read the parameters of an estimator."""
        return cls(**{field.name: getattr(estimator, field.name) for field in fields(cls)})

    def width(self, data: TaskData, held_out: BoolArray) -> int:
        """Return the number of features of each replicate of the perceptron."""
        if self.n_features is not None:
            return int(self.n_features)
        wanted = 1 if self.n_components == "auto" else int(self.n_components)
        width = max(_DEFAULT_FEATURES, 2 * wanted)
        if data.task_index is not None:
            # Heads of a task with few rows could use that many features to fit anything.
            width = min(width, max(int(np.median(np.bincount(data.task_index[~held_out]))) // 4, wanted))
        return max(width, 1)

    def batch_rows(self, data: TaskData, held_out: BoolArray) -> int:
        """Return the number of rows of a batch, about."""
        return _auto(self.batch_size, _LONG_BATCH if data.is_long else min(max(int((~held_out).sum()) // 20, 32), 256))

    def epochs(self, n_batches: int) -> int:
        """Return the number of passes over the rows."""
        return _auto(self.max_epochs, min(max(math.ceil(_MIN_STEPS / n_batches), _MIN_EPOCHS), _MAX_EPOCHS))


def _auto(value: int | str, default: int) -> int:
    return default if value == "auto" else int(value)
