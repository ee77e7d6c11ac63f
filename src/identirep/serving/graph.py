"""The module that is served: float64 where inputs come in and results go out, whatever lies between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from identirep._typing import Array
from identirep.training import ordinary_torch

__all__ = ["Affine", "Graph", "MeanOfLevels", "ServedModel", "Standardised"]


@dataclass(frozen=True)
class Graph:
    """A module from `inputs` to latents and predictions, rows to try it on, and the scales of what comes out."""

    module: ServedModel
    rows: NDArray[np.float64]
    scales: tuple[Array, Array]


class Affine(nn.Module):
    """``(x - origin) @ matrix.T + offset`` in float64: the subtraction comes first, for the digits beside an origin."""

    origin: Tensor
    matrix: Tensor
    offset: Tensor

    def __init__(self, origin: Array, matrix: Array, offset: Array | float = 0.0) -> None:
        super().__init__()
        parts = {"origin": origin, "matrix": matrix, "offset": np.broadcast_to(offset, len(matrix))}
        for name, value in parts.items():
            self.register_buffer(name, torch.from_numpy(np.array(value, dtype=np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the images of rows."""
        return nn.functional.linear(x - self.origin, self.matrix, self.offset)


class Standardised(nn.Module):
    """``(x - origin) / unit``, column by column, in float64."""

    origin: Tensor
    unit: Tensor

    def __init__(self, origin: Array, unit: Array) -> None:
        super().__init__()
        self.register_buffer("origin", torch.from_numpy(np.array(origin, dtype=np.float64)))
        self.register_buffer("unit", torch.from_numpy(np.array(unit, dtype=np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Return rows in these units."""
        return (x - self.origin) / self.unit


class MeanOfLevels(nn.Module):
    """What heads say of targets: of binary ones, whose both values are `levels`, (n_tasks, 2), the mean of these."""

    is_binary: Tensor
    low: Tensor
    step: Tensor

    def __init__(self, levels: Array) -> None:
        super().__init__()
        known = np.nan_to_num(levels)
        self.register_buffer("is_binary", torch.from_numpy(~np.isnan(levels[:, 0])))
        self.register_buffer("low", torch.from_numpy(known[:, 0].copy()))
        self.register_buffer("step", torch.from_numpy(known[:, 1] - known[:, 0]))

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions in units of the targets."""
        return torch.where(self.is_binary, self.low + self.step * torch.sigmoid(x), x)


class ServedModel(nn.Module):
    """Inputs to latents and predictions: features, and two maps of them."""

    def __init__(self, features: nn.Module, latents: Affine, predictions: nn.Module) -> None:
        super().__init__()
        self.features, self.latents, self.predictions = features, latents, predictions
        self.eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> Mapping[str, Tensor]:
        """Return `latents` and `predictions` of rows, NaN for those with a value that is not finite."""
        h = self.features(inputs)
        # Runtimes do not agree on what NaN becomes where inputs are clipped.
        known = torch.isfinite(inputs.flatten(1).sum(dim=1, keepdim=True))
        h = torch.where(known, h, torch.nan)
        return {"latents": self.latents(h), "predictions": self.predictions(h)}

    @ordinary_torch()
    def of(self, rows: NDArray[Any]) -> dict[str, Array]:
        """Return what comes out for rows, as arrays."""
        with torch.no_grad():
            return {name: value.numpy() for name, value in self(torch.from_numpy(rows)).items()}
