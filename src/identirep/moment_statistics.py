"""What follows from moments: sizes, covariances and what is pooled over tasks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.accumulation import Sums
from identirep.moments_file import StoredMoments
from identirep.parameters import raise_faults
from identirep.task_rows import Found
from identirep.units import Spread, spread_of, unit_faults

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MomentStatistics", "check_units"]


class MomentStatistics(StoredMoments):
    """Base of `TaskMoments`: what is derived from its parts."""

    group: IntArray
    counts: Counts
    row_counts: IntArray
    weight_sums: Array
    mean_h: Array
    scatter_h: Array
    mean_y: Array
    scatter_hy: Array
    scatter_y: Array
    row_weights_: Array | None
    target_kinds_: tuple[str, ...] | None
    effect_degree_: int
    _curves: Array | None

    @property
    def n_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.task_names)

    @property
    def n_features(self) -> int:
        """Number of features K."""
        return int(self.mean_h.shape[1])

    @property
    def n_samples(self) -> Counts:
        """Number of labelled rows of each task, shape (n_tasks,); of rows with weights the effective number."""
        return self.counts[self.group]

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        return self.counts.dtype.kind == "f"

    @property
    def is_shared(self) -> bool:
        """Whether all tasks are observed on the same rows, and so share one covariance."""
        return len(self.counts) == 1

    @property
    def weights(self) -> Array:
        """Share of each task in all labelled rows, shape (n_tasks,); sums to one."""
        n = self.n_samples.astype(np.float64)
        return n / n.sum()

    @property
    def cov_h(self) -> Array:
        """Covariance of the features in each row group, shape (n_groups, n_features, n_features)."""
        return self.scatter_h / _at_least_some(self.counts)[:, None, None]

    @property
    def cov_hy(self) -> Array:
        """Covariance of features and target, shape (n_tasks, n_features)."""
        return self.scatter_hy / _at_least_some(self.n_samples)[:, None]

    @property
    def var_y(self) -> Array:
        """Variance of the target, shape (n_tasks,)."""
        return self.scatter_y / _at_least_some(self.n_samples)

    def pooled_mean(self) -> Array:
        """Return the mean of the features, each task weighted by its rows.

        Returns
        -------
        array, shape (n_features,)
            The mean.
        """
        return np.bincount(self.group, self.weights, len(self.counts)) @ self.mean_h

    def pooled_covariance(self) -> Array:
        """Return the within-task covariance of the features, averaged over tasks by their rows.

        Returns
        -------
        array, shape (n_features, n_features)
            The covariance.
        """
        weight = np.bincount(self.group, self.weights, len(self.counts))
        return np.tensordot(weight, self.cov_h, axes=1)

    @property
    def _has_own_rows(self) -> bool:
        """Whether no row has labels of two tasks."""
        return self._n_labels <= self.n_rows

    @property
    def _n_labels(self) -> int:
        """Number of labels, whatever their weights."""
        return int(self.row_counts[self.group].sum())

    @property
    def _n_effective_rows(self) -> float:
        """Effective number of distinct rows: as many of them as count in their row groups, on average."""
        if not self.is_weighted:
            return self.n_rows
        return self.n_rows * float(self.counts.sum() / max(self.row_counts.sum(), 1))

    def __repr__(self) -> str:
        return (
            f"TaskMoments(n_tasks={self.n_tasks}, n_features={self.n_features}, n_groups={len(self.counts)}, "
            f"n_labels={self._n_labels})"
        )

    def _with_found(self, found: Found, kept: BoolArray | None) -> Self:
        """Keep what was found of rows and targets; rows that were left out have weights of nothing."""
        self.row_weights_, self.target_kinds_ = found.weights, found.kinds
        self.effect_degree_, self._curves = found.degree, found.curves
        if found.weights is not None and kept is not None:
            self.row_weights_ = np.zeros(len(kept))
            self.row_weights_[kept] = found.weights
        return self

    @property
    def _sums(self) -> Sums:
        sums = Sums(*(getattr(self, name) for name in Sums._fields))
        return sums if self.is_weighted else sums._replace(weight_sums=None, row_counts=None)


def _at_least_some(counts: Counts) -> Counts:
    """Return counts that can be divided by; an effective number is 0 or at least 1, up to rounding."""
    return np.where(counts > 0, counts, 1)


def check_units(sums: Sums, H: NDArray[Any], of_targets: Callable[[], Spread], names: Sequence[Hashable]) -> None:
    """Name the columns whose squares have left doubles; rows are looked at again only if the sums say so."""
    faults: list[str] = []
    if not _squares_fit(sums.mean_h, np.einsum("gii->gi", sums.scatter_h)):
        faults += unit_faults(spread_of(H), "H", range(H.shape[1]), "column", digits=False)
    if not _squares_fit(sums.mean_y, sums.scatter_y):
        faults += unit_faults(of_targets(), "Y", names, "task", digits=False)
    raise_faults(faults)


def _squares_fit(mean: Array, squares: Array) -> bool:
    return bool(np.all(np.abs(mean) < 1e75) and np.all((squares < 1e150) & (squares > 1e-150)))
