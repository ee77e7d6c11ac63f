"""Sensors: what two of them record after a knock, whose pitch, decay, strength and drift are the latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from identirep._typing import Array
from identirep.experiments.domains.domain import Domain, draw_observed
from identirep.experiments.trust import Drawn

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FACTORS", "SENSORS", "record"]

FACTORS = ("frequency", "decay", "strength", "drift")
_LENGTH = 128
# Least and largest value of each factor: turns a step, steps until a third is left, amplitude, change over the record.
_RANGES = ((0.05, 0.15), (15.0, 60.0), (0.5, 2.0), (-1.0, 1.0))
_NOISE = 0.1


def record(Z: Array, rng: np.random.Generator) -> NDArray[Any]:
    """Return records (n_samples, 2, 128) of latents (n_samples, 4) in the order of `FACTORS`.

    Two sensors a quarter turn apart see the same oscillation, begun at a random angle, which no latent has, and drift
    in opposite directions; both have white noise.
    """
    low, high = np.array(_RANGES).T
    frequency, decay, strength, drift = (low + (high - low) * ndtr(Z)).T[:, :, None]
    step = np.arange(_LENGTH)
    angle = 2.0 * np.pi * (frequency * step + rng.random((len(Z), 1)))
    swing, slope = strength * np.exp(-step / decay), drift * step / _LENGTH
    clean = np.stack([swing * np.cos(angle) + slope, swing * np.sin(angle) - slope], axis=1)
    return np.asarray(clean + _NOISE * rng.standard_normal(clean.shape), dtype=np.float32)


def _encoder() -> nn.Module:
    """Make three convolutions over time and two dense layers: 20 features."""
    from torch import nn

    convolutions = (nn.Conv1d(2, 16, 8, stride=4, padding=2), nn.Conv1d(16, 32, 4, stride=2, padding=1))
    last = nn.Conv1d(32, 32, 4, stride=2, padding=1)
    layers = [layer for convolution in (*convolutions, last) for layer in (convolution, nn.ReLU())]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * _LENGTH // 16, 64), nn.ReLU(), nn.Linear(64, 20))


def _draw(rng: np.random.Generator, quick: bool) -> Drawn:
    n_tasks, n_rows = (20, 40) if quick else (100, 60)
    return draw_observed(rng, n_tasks, n_rows, len(FACTORS), record)


SENSORS = Domain(_draw, len(FACTORS), {"encoder": _encoder, "batch_size": 256, "max_epochs": 40}, factors=FACTORS)
