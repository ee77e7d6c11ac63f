"""What follows from moments: sizes, covariances and what is pooled over tasks."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.accumulation import Sums
from identirep.moments_file import StoredMoments

__all__ = ["MomentStatistics"]


class MomentStatistics(StoredMoments):
    """Base of `TaskMoments`: what is derived from its parts."""

    group: IntArray
    counts: IntArray
    mean_h: Array
    scatter_h: Array
    mean_y: Array
    scatter_hy: Array
    scatter_y: Array

    @property
    def n_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.task_names)

    @property
    def n_features(self) -> int:
        """Number of features K."""
        return int(self.mean_h.shape[1])

    @property
    def n_samples(self) -> IntArray:
        """Number of labelled rows of each task, shape (n_tasks,)."""
        return self.counts[self.group]

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
        return self.scatter_h / np.maximum(self.counts, 1)[:, None, None]

    @property
    def cov_hy(self) -> Array:
        """Covariance of features and target, shape (n_tasks, n_features)."""
        return self.scatter_hy / np.maximum(self.n_samples, 1)[:, None]

    @property
    def var_y(self) -> Array:
        """Variance of the target, shape (n_tasks,)."""
        return self.scatter_y / np.maximum(self.n_samples, 1)

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
    def _sums(self) -> Sums:
        return Sums(*(getattr(self, name) for name in Sums._fields))
