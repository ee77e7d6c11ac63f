r"""Covariances of the tasks, as joint diagonalisation needs them: two products, linear in the covariances.

For the rows b_i of an unmixing matrix an iteration asks for the variances lambda_ti = b_i' R_t b_i, and for the sums
sum_t c_ti R_t b_i with coefficients c_ti. Neither needs B R_t B'. With the distinct entries of each R_t as one row of a
matrix of T rows and D (D + 1) / 2 columns both are one matrix product for all tasks and starts together, at a quarter
of the cost of transforming every R_t, and starts share one copy of the covariances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from identirep._typing import Array, IntArray

__all__ = ["Covariances", "DenseCovariances", "SharedCovariances"]


class Covariances(Protocol):
    """Covariances R_t of the tasks with their weights; B stands for unmixing matrices of shape (n_starts, D, D)."""

    @property
    def weights(self) -> Array:
        """Task weights, shape (n_tasks,), or (n_starts, n_tasks) if every start has its own."""
        ...

    def variances(self, B: Array) -> Array:
        """Return b_i' R_t b_i, shape (n_starts, n_tasks, D)."""
        ...

    def weighted_rows(self, coefficients: Array, B: Array) -> Array:
        """Return sum_t coefficients_ti R_t b_i as row i, shape (n_starts, D, D)."""
        ...

    def magnitudes(self, B: Array) -> Array:
        """Return the size of the terms that `variances` adds up, shape (n_starts, n_tasks, D): its rounding error."""
        ...

    def reweighted(self, weights: Array) -> Covariances:
        """Return the same covariances with other weights."""
        ...


class _Triangle(NamedTuple):
    """Upper triangle of a D x D matrix as a vector: rows and columns, how often each entry counts, its place."""

    rows: IntArray
    columns: IntArray
    counts: Array
    place: IntArray

    @classmethod
    def of(cls, D: int) -> _Triangle:
        rows, columns = np.triu_indices(D)
        place = np.empty((D, D), dtype=np.int64)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        return cls(rows, columns, np.where(rows == columns, 1.0, 2.0), place)


_triangle = lru_cache(maxsize=8)(_Triangle.of)


@dataclass(frozen=True)
class DenseCovariances:
    """One covariance matrix for each task, shape (n_tasks, D, D), stored as its upper triangle."""

    packed: Array
    weights: Array

    @classmethod
    def from_matrices(cls, matrices: Array, weights: Array) -> DenseCovariances:
        """Pack symmetric matrices of shape (n_tasks, D, D)."""
        triangle = _triangle(matrices.shape[1])
        return cls(matrices[:, triangle.rows, triangle.columns], weights)

    def variances(self, B: Array) -> Array:
        S, D, _ = B.shape
        triangle = _triangle(D)
        products = B[:, :, triangle.rows] * B[:, :, triangle.columns] * triangle.counts
        found = self.packed @ products.reshape(S * D, -1).T
        return np.maximum(found.reshape(-1, S, D).swapaxes(0, 1), np.finfo(np.float64).tiny)

    def weighted_rows(self, coefficients: Array, B: Array) -> Array:
        S, D, _ = B.shape
        place = _triangle(D).place
        sums = coefficients.swapaxes(1, 2) @ self.packed
        # One start at a time: unpacked, the sums are D matrices a start.
        return np.stack([(sums[s][:, place] @ B[s, :, :, None])[..., 0] for s in range(S)])

    def magnitudes(self, B: Array) -> Array:
        # No entry of a covariance exceeds the geometric mean of its variances.
        deviations = np.sqrt(self.packed[:, np.diag(_triangle(B.shape[1]).place)])
        return np.asarray((deviations @ np.abs(B).swapaxes(1, 2)) ** 2)

    def reweighted(self, weights: Array) -> DenseCovariances:
        return DenseCovariances(self.packed, weights)


@dataclass(frozen=True)
class SharedCovariances:
    """Covariances G - m_t m_t' of shared inputs: one G, shape (D, D), and a vector m_t a task, shape (n_tasks, D)."""

    common: Array
    vectors: Array
    weights: Array

    def variances(self, B: Array) -> Array:
        own = self.magnitudes(B)
        # A target that the features predict perfectly leaves rounding noise, never a negative variance.
        return np.maximum(own - self._projections(B) ** 2, 1e-12 * own)

    def weighted_rows(self, coefficients: Array, B: Array) -> Array:
        total = coefficients.sum(axis=1)[:, :, None] * (B @ self.common)
        return np.asarray(total - (coefficients * self._projections(B)).swapaxes(1, 2) @ self.vectors)

    def magnitudes(self, B: Array) -> Array:
        return np.sum(B @ self.common * B, axis=2)[:, None]

    def reweighted(self, weights: Array) -> SharedCovariances:
        return SharedCovariances(self.common, self.vectors, weights)

    def _projections(self, B: Array) -> Array:
        return np.asarray(self.vectors @ B.swapaxes(1, 2))
