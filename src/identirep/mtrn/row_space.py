"""Predictions of very many targets in the coordinates of the space that their rows span.

The covariance of T predicted targets has no more directions than there are rows, nor than the regressor tells apart:
all that is done with it costs the cube of their number, instead of that of T.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from identirep._typing import Array
from identirep.mtrn.reduction import Heads

__all__ = ["RowSpace"]

# Directions of less than this share of the largest amplitude are rounding; `reduce_features` takes far larger ones.
_TOLERANCE = 1e-7
# Below so many targets nothing is saved.
_FEWEST = 256


class RowSpace(NamedTuple):
    """``F = mean + coordinates @ heads.T``, up to rounding; `coordinates` are uncorrelated, shape (n_samples, rank)."""

    coordinates: Array
    mean: Array
    # Orthonormal in targets divided by that noise, in which `reduce_features` looks for directions: what is outside of
    # the space, such as a row that a regressor memorises, is left out of these alike.
    basis: Array
    scale: Array

    @classmethod
    def of(cls, F: Array, scale: Array, weights: Array | None = None) -> RowSpace | None:
        """Find the space of predictions F, shape (n_samples, T), of targets with that noise; None if T is small."""
        n, T = F.shape
        if max(_FEWEST, n - 1) >= T:
            return None
        mean, scale = np.average(F, axis=0, weights=weights), np.where(np.isfinite(scale), scale, 1.0)
        centred = (F - mean) / scale
        values, vectors = np.linalg.eigh(centred @ centred.T)
        amplitude = np.sqrt(np.maximum(values[::-1], 0.0))
        rank = max(int(np.sum(amplitude > _TOLERANCE * amplitude[0])), 1)
        left = vectors[:, ::-1][:, :rank]
        basis = centred.T @ left / np.where(amplitude[:rank] > 0, amplitude[:rank], 1.0)
        return cls(centred @ basis, mean, basis, scale)

    def heads(self, noise: Array) -> Heads:
        """Return what predicts the targets from the coordinates, and their noise."""
        return Heads(self.basis * self.scale[:, None], self.mean, noise)

    def of_targets(self, components: Array) -> Array:
        """Return a map from coordinates, shape (D, rank), as one from predicted targets, shape (D, T)."""
        return np.asarray(components @ self.basis.T / self.scale)
