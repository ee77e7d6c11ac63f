r"""Covariances of the tasks, as joint diagonalisation needs them: two products, linear in the covariances.

For the rows b_i of an unmixing matrix an iteration asks for the variances lambda_ti = b_i' R_t b_i, and for the sums
sum_t c_ti R_t b_i with coefficients c_ti. Neither needs B R_t B'. With the distinct entries of each R_t as one row of a
matrix of T rows and D (D + 1) / 2 columns both are one matrix product for all tasks and starts together, at a quarter
of the cost of transforming every R_t, and starts share one copy of the covariances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from identirep._typing import Array, IntArray

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Covariances",
    "DenseCovariances",
    "DiagonalisedCovariances",
    "Measured",
    "SharedCovariances",
    "TaskVariances",
]


class Measured(Protocol):
    """What the tasks add up to at unmixing matrices of several starts, with their weights p_t and variances lambda."""

    def mean_log(self) -> Array:
        """Return sum_ti p_t log lambda_ti, shape (n_starts,)."""
        ...

    def mean_variances(self) -> Array:
        """Return sum_t p_t lambda_ti, shape (n_starts, D)."""
        ...

    def scaled(self, scale: Array) -> Self:
        """Return the same with the rows of the unmixing matrices multiplied, (n_starts, D)."""
        ...

    def select(self, starts: Any) -> Self:
        """Keep some of the starts."""
        ...

    def replaced(self, starts: IntArray, other: Self) -> Self:
        """Return the same with other values at some of the starts."""
        ...

    def gradient(self, B: Array) -> tuple[Array, Array]:
        """Return sum_t p_t / lambda_ti R_t b_i and sum_t p_t lambda_tj / lambda_ti, both (n_starts, D, D)."""
        ...

    def rounding(self, B: Array) -> Array:
        """Return the size of what is rounded in `mean_log`, shape (n_starts,)."""
        ...


class DiagonalisedCovariances(Protocol):
    """Covariances as joint diagonalisation asks for them, wherever they are."""

    def measured(self, B: Array, start: IntArray) -> Measured:
        """Return what the tasks add up to at B, the unmixing matrices of the starts at these positions."""
        ...


class Covariances(DiagonalisedCovariances, Protocol):
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
class TaskVariances:
    """`Measured` of tasks that are all here: their variances (n_starts, n_tasks, D) and weights (n_starts, n_tasks)."""

    covariances: Covariances
    lam: Array
    weights: Array

    @classmethod
    def of(cls, covariances: Covariances, B: Array, start: IntArray) -> TaskVariances:
        """Variances at B; where each start has weights of its own, those of the starts at these positions."""
        weights = covariances.weights
        own = weights[start] if weights.ndim == 2 else np.broadcast_to(weights, (len(B), len(weights)))
        return cls(covariances, covariances.variances(B), own)

    def mean_log(self) -> Array:
        return np.asarray(np.einsum("st,sti->s", self.weights, np.log(self.lam)))

    def mean_variances(self) -> Array:
        return np.asarray(np.einsum("st,sti->si", self.weights, self.lam))

    def scaled(self, scale: Array) -> TaskVariances:
        return TaskVariances(self.covariances, self.lam * scale[:, None, :] ** 2, self.weights)

    def select(self, starts: Any) -> TaskVariances:
        return TaskVariances(self.covariances, self.lam[starts], self.weights[starts])

    def replaced(self, starts: IntArray, other: TaskVariances) -> TaskVariances:
        if len(starts) == len(self.lam):
            return other
        lam = self.lam.copy()
        lam[starts] = other.lam
        return TaskVariances(self.covariances, lam, self.weights)

    def gradient(self, B: Array) -> tuple[Array, Array]:
        ratio = self.weights[:, :, None] / self.lam
        return self.covariances.weighted_rows(ratio, B), ratio.swapaxes(1, 2) @ self.lam

    def rounding(self, B: Array) -> Array:
        sizes = np.abs(np.log(self.lam)) + self.covariances.magnitudes(B) / self.lam
        return np.asarray(np.einsum("st,sti->s", self.weights, sizes))


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
        # One start at a time: unpacked, the sums are D matrices a start, and a stack of products is four times as slow.
        return np.stack([((coefficients[s].T @ self.packed)[:, place] @ B[s, :, :, None])[..., 0] for s in range(S)])

    def magnitudes(self, B: Array) -> Array:
        # No entry of a covariance exceeds the geometric mean of its variances.
        deviations = np.sqrt(self.packed[:, np.diag(_triangle(B.shape[1]).place)])
        return np.asarray((deviations @ np.abs(B).swapaxes(1, 2)) ** 2)

    def measured(self, B: Array, start: IntArray) -> TaskVariances:
        return TaskVariances.of(self, B, start)

    def select(self, tasks: IntArray) -> DenseCovariances:
        """Return the covariances of some tasks, weighted by their share in these."""
        return DenseCovariances(self.packed[tasks], self.weights[tasks] / self.weights[tasks].sum())

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

    def measured(self, B: Array, start: IntArray) -> TaskVariances:
        return TaskVariances.of(self, B, start)

    def reweighted(self, weights: Array) -> SharedCovariances:
        return SharedCovariances(self.common, self.vectors, weights)

    def _projections(self, B: Array) -> Array:
        return np.asarray(self.vectors @ B.swapaxes(1, 2))
