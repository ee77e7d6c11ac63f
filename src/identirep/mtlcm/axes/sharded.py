"""Joint diagonalisation of tasks that are spread over shards: each holds its covariances, and only sums come together.

A step asks every shard for what its tasks add up to (`Measured`): numbers of the order of D x D for each start. Shards
are asked with the unmixing matrices alone and keep nothing from step to step, so that one that is lost is made again
from its moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from identirep._typing import Array, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.covariances import DenseCovariances, TaskVariances
from identirep.mtlcm.axes.noise import denoised_residual_covariances
from identirep.mtlcm.model import residual_covariances

__all__ = ["ShardedCovariances", "ShardedTasks", "Shards"]


class Shards(Protocol):
    """Parts of the tasks, each held by a process of its own."""

    def made(self, function: Callable[..., Any], *arguments: Any) -> Shards:
        """Return what a function makes of each part, held where the part is."""
        ...

    def summed(self, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> tuple[Any, ...]:
        """Return the sums over parts of the arrays that a function returns, added up in the order of the parts."""
        ...


@dataclass(frozen=True)
class ShardedTasks:
    """Moments of tasks on shards, each task with rows of its own."""

    moments: Shards

    def mapped(self, M: Array) -> ShardedTasks:
        """Return the moments of the features M h."""
        return ShardedTasks(self.moments.made(_mapped, M))

    def whitened(self, noise_variance: float) -> tuple[ShardedCovariances, Array]:
        """Return the covariances given the target, less noise, in whitened coordinates, and the whitening map."""
        n_rows, pooled = self.moments.summed(_pooled)
        pooled = pooled / n_rows
        values, vectors = np.linalg.eigh(self.moments.summed(_denoised, pooled, noise_variance)[0] / n_rows)
        whitener = vectors.T / np.sqrt(values)[:, None]
        parts = self.moments.made(_whitened, pooled, noise_variance, whitener, float(n_rows))
        return ShardedCovariances(parts), whitener


@dataclass(frozen=True)
class ShardedCovariances:
    """`DenseCovariances` on shards, weighted by their share in the rows of all shards."""

    parts: Shards

    def measured(self, B: Array, start: IntArray) -> _Sums:
        """Ask the shards for the criterion at these unmixing matrices."""
        return _Sums(self, *self.parts.summed(_criterion_terms, B))


@dataclass(frozen=True)
class _Sums:
    """`Measured` of tasks on shards: sums that are known, and the others asked for when needed."""

    covariances: ShardedCovariances
    log: Array
    variances: Array

    def mean_log(self) -> Array:
        return self.log

    def mean_variances(self) -> Array:
        return self.variances

    def scaled(self, scale: Array) -> _Sums:
        return _Sums(self.covariances, self.log + 2.0 * np.log(scale).sum(axis=1), self.variances * scale**2)

    def select(self, starts: Any) -> _Sums:
        return _Sums(self.covariances, self.log[starts], self.variances[starts])

    def replaced(self, starts: IntArray, other: _Sums) -> _Sums:
        log, variances = self.log.copy(), self.variances.copy()
        log[starts], variances[starts] = other.log, other.variances
        return _Sums(self.covariances, log, variances)

    def gradient(self, B: Array) -> tuple[Array, Array]:
        rows, ratios = self.covariances.parts.summed(_gradient_terms, B)
        return rows, ratios

    def rounding(self, B: Array) -> Array:
        return np.asarray(self.covariances.parts.summed(_rounding_terms, B)[0])


# What runs where the shards are.


def _mapped(moments: TaskMoments, M: Array) -> TaskMoments:
    return moments.map_features(M)


def _pooled(moments: TaskMoments) -> tuple[float, Array]:
    """Rows, and the sum over them of the covariance given the target."""
    n = moments.n_samples.astype(np.float64)
    return float(n.sum()), np.tensordot(n, residual_covariances(moments), axes=1)


def _denoised(moments: TaskMoments, pooled: Array, noise_variance: float) -> tuple[Array]:
    n = moments.n_samples.astype(np.float64)
    return (np.tensordot(n, denoised_residual_covariances(moments, noise_variance, pooled), axes=1),)


def _whitened(
    moments: TaskMoments, pooled: Array, noise_variance: float, whitener: Array, n_rows: float
) -> DenseCovariances:
    R = denoised_residual_covariances(moments, noise_variance, pooled)
    return DenseCovariances.from_matrices(whitener @ R @ whitener.T, moments.n_samples / n_rows)


def _at(covariances: DenseCovariances, B: Array) -> TaskVariances:
    return covariances.measured(B, np.arange(len(B)))


def _criterion_terms(covariances: DenseCovariances, B: Array) -> tuple[Array, Array]:
    here = _at(covariances, B)
    return here.mean_log(), here.mean_variances()


def _gradient_terms(covariances: DenseCovariances, B: Array) -> tuple[Array, Array]:
    return _at(covariances, B).gradient(B)


def _rounding_terms(covariances: DenseCovariances, B: Array) -> tuple[Array]:
    return (_at(covariances, B).rounding(B),)
