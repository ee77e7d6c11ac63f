"""Sprites: images of an L whose place, size, turn and shade are the latents."""

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

__all__ = ["FACTORS", "SPRITES", "render"]

FACTORS = ("x", "y", "scale", "rotation", "shade")
_SIZE = 32
# Least and largest value of each factor: pixels, pixels, pixels, radians, brightness. An L turned by less than a half
# turn looks like no other of them.
_RANGES = ((10.0, 22.0), (10.0, 22.0), (4.0, 8.0), (-0.45 * np.pi, 0.45 * np.pi), (0.3, 1.0))
# Centre and half widths of the two bars, in units of the scale.
_BARS = (((0.0, 0.7), (0.8, 0.3)), ((-0.5, -0.1), (0.3, 1.1)))
_AT_ONCE = 500


def render(Z: Array) -> NDArray[Any]:
    """Draw sprites (n_samples, 1, 32, 32), brightness 0 to 1, of latents (n_samples, 5) in the order of `FACTORS`."""
    low, high = np.array(_RANGES).T
    values = low + (high - low) * ndtr(Z)
    images = np.empty((len(Z), 1, _SIZE, _SIZE), dtype=np.float32)
    for start in range(0, len(Z), _AT_ONCE):
        images[start : start + _AT_ONCE, 0] = _drawn(values[start : start + _AT_ONCE])
    return images


def _drawn(values: Array) -> Array:
    """Draw sprites of factors in their units: pixels at the edge are covered in part."""
    x, y, scale, turn, shade = values.T[:, :, None, None]
    middle = np.arange(_SIZE) + 0.5
    right, down = middle[None, None, :] - x, middle[None, :, None] - y
    u = (np.cos(turn) * right + np.sin(turn) * down) / scale
    v = (np.cos(turn) * down - np.sin(turn) * right) / scale
    outside = np.minimum(*(_distance(u - centre[0], v - centre[1], half) for centre, half in _BARS))
    return np.asarray(shade * np.clip(0.5 - scale * outside, 0.0, 1.0))


def _distance(u: Array, v: Array, half: tuple[float, float]) -> Array:
    """Return the distance from a bar around 0, negative inside."""
    across, along = np.abs(u) - half[0], np.abs(v) - half[1]
    corner = np.hypot(np.maximum(across, 0.0), np.maximum(along, 0.0))
    return np.asarray(corner + np.minimum(np.maximum(across, along), 0.0))


def _encoder() -> nn.Module:
    """Make three convolutions, each of which halves the image, and two dense layers: 20 features."""
    from torch import nn

    channels = (1, 8, 16, 32)
    layers: list[nn.Module] = []
    for k in range(3):
        layers += [nn.Conv2d(channels[k], channels[k + 1], kernel_size=4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 20))


def _draw(rng: np.random.Generator, quick: bool) -> Drawn:
    n_tasks, n_rows = (20, 30) if quick else (100, 60)
    return draw_observed(rng, n_tasks, n_rows, len(FACTORS), lambda Z, _: render(Z))


SPRITES = Domain(
    _draw, len(FACTORS), {"encoder": _encoder, "batch_size": 256, "max_epochs": 30}, quick_epochs=4, factors=FACTORS
)
