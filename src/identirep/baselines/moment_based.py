"""Base of the baselines that need no more of features and targets than `TaskMoments`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from identirep._typing import Array
from identirep.baselines.base import N_COMPONENTS, POSITIVE, whiten
from identirep.baselines.linear import LinearBaseline
from identirep.moments import TaskMoments
from identirep.parameters import Rule, Whole, parameter_faults, raise_faults
from identirep.seeds import as_generator
from identirep.validation import TaskData

__all__ = ["End", "MomentBaseline"]


class End(NamedTuple):
    """Where a start has led: axes of whitened features (rows), objective, iterations, and how far it was from rest."""

    axes: Array
    objective: float
    n_iter: int
    unrest: float


class MomentBaseline(LinearBaseline):
    """Base of the baselines that turn whitened features by what moments say of the targets, from several starts."""

    n_init: int
    max_iter: int
    tol: float

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "n_components": N_COMPONENTS,
        "n_init": Whole(),
        "max_iter": Whole(),
        "tol": POSITIVE,
    }
    # What is compared with `tol`, to be put after "after ... iterations, ".
    _unrest: ClassVar[str]

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        whitening = whiten(data.X, data.weights)
        D = self._set_n_components(len(whitening.components))
        H = whitening(data.X)[:, :D]
        if data.task_index is None:
            moments = TaskMoments.from_arrays(H, data.targets, sample_weight=data.weights)
        else:
            moments = TaskMoments.from_long(H, data.targets, data.task_index, sample_weight=data.weights)
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

    def _fit_axes(self, moments: TaskMoments, mean: Array, whitener: Array, rng: np.random.Generator) -> str | None:
        """Turn whitened features, and store the map from the features as they came; return what went wrong."""
        D = len(whitener)
        starts = [np.eye(D), *(np.linalg.qr(rng.standard_normal((D, D)))[0] for _ in range(self.n_init - 1))]
        best = self._best_end(moments, starts)
        self.objective_, self.n_iter_, self.converged_ = best.objective, best.n_iter, best.unrest <= self.tol
        self.mean_, self.components_ = mean, best.axes @ whitener
        if self.converged_:
            return None
        rest = f"{self._unrest} {best.unrest:.1e} > tol={self.tol:.1e}"
        return f"after {self.max_iter} iterations, {rest}. Increase max_iter."

    @abstractmethod
    def _best_end(self, moments: TaskMoments, starts: list[Array]) -> End:
        """Iterate from each start, a rotation, on the moments of whitened features, and return the best end."""
