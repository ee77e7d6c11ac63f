"""Base of the baselines that need no more of features and targets than `TaskMoments`."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from identirep._typing import Array
from identirep.baselines.base import whiten
from identirep.baselines.linear import LinearBaseline
from identirep.moments import TaskMoments
from identirep.parameters import parameter_faults, raise_faults
from identirep.seeds import as_generator
from identirep.validation import TaskData

__all__ = ["MomentBaseline"]


class MomentBaseline(LinearBaseline):
    """Base of the baselines that turn whitened features by what moments say of the targets."""

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        whitening = whiten(data.X)
        D = self._set_n_components(len(whitening.components))
        H = whitening(data.X)[:, :D]
        if data.task_index is None:
            moments = TaskMoments.from_arrays(H, data.targets)
        else:
            moments = TaskMoments.from_long(H, data.targets, data.task_index)
        return self._fit_axes(moments, whitening.mean, whitening.components[:D], rng)

    def fit_moments(self, moments: TaskMoments) -> MomentBaseline:
        """Find the axes from moments, all that the method needs.

        Parameters
        ----------
        moments : TaskMoments
            Moments of the features.

        Returns
        -------
        MomentBaseline
            This estimator.

        Raises
        ------
        ValueError
            If parameters are out of range.
        """
        raise_faults(parameter_faults(self))
        D = self._set_n_components(moments.n_features)
        values, vectors = np.linalg.eigh(moments.pooled_covariance())
        whitener = (vectors[:, ::-1][:, :D] / np.sqrt(values[::-1][:D])).T
        self.n_features_in_ = moments.n_features
        self.task_names_ = tuple(moments.task_names)
        mean = moments.weights @ moments.mean_h[moments.group]
        rng = as_generator(getattr(self, "random_state", None))
        self._warn(self._fit_axes(moments.map_features(whitener), mean, whitener, rng))
        return self

    @abstractmethod
    def _fit_axes(self, moments: TaskMoments, mean: Array, whitener: Array, rng: np.random.Generator) -> str | None:
        """Turn whitened features, and store the map from the features as they came; return what went wrong."""
