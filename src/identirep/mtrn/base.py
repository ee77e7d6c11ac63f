"""What both estimators of stage one share: from base features to reduced features, predictions and moments."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Hashable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.utils import Tags

from identirep._typing import Array, IntArray
from identirep.accumulation import factorize
from identirep.moments import TaskMoments
from identirep.mtrn.reduction import Heads, HeldOut, Reduction, linear_heads, predictive_spectrum, reduce_features
from identirep.parameters import Fault
from identirep.validation import TaskData, check_features, check_task_data

__all__ = ["StageOne", "check_fit_data", "feature_moments"]


def feature_moments(F: NDArray[Any], targets: Array, task_index: IntArray | None, n_tasks: int) -> TaskMoments:
    """Compute moments in either layout for tasks named 0, 1, ..., of which these rows may lack some.

    Parameters
    ----------
    F : array, shape (n_rows, n_features)
        Features.
    targets : array, shape (n_rows, n_tasks) or (n_rows,)
        Targets; NaN means label missing.
    task_index : array of int, shape (n_rows,), or None
        Task of each row in the long layout.
    n_tasks : int
        Number of tasks.

    Returns
    -------
    TaskMoments
        Of all tasks, with zero counts for those without a row.
    """
    if task_index is None:
        return TaskMoments.from_arrays(F, targets)
    K = F.shape[1]
    zeros = np.zeros(n_tasks)
    none = TaskMoments(
        range(n_tasks),
        np.arange(n_tasks),
        zeros,
        np.zeros((n_tasks, K)),
        np.zeros((n_tasks, K, K)),
        zeros,
        np.zeros((n_tasks, K)),
        zeros,
        n_rows=0,
    )
    return none + TaskMoments.from_long(F, targets, task_index)


def check_fit_data(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    tasks: ArrayLike | None,
    groups: ArrayLike | None,
    faults: list[Fault | str],
) -> tuple[TaskData, IntArray | None]:
    """Validate the arguments of ``fit``, and drop rows of the long layout without a label.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``.
    X, y, tasks, groups : array-like
        Arguments of ``fit``.
    faults : list of str
        Faults in the parameters, raised with those in the data.

    Returns
    -------
    data : TaskData
        The data.
    groups : array of int, shape (n_samples,), or None
        Number of the group of each row.

    Raises
    ------
    ValueError
        If anything is wrong; the message lists all faults.
    """
    group_index = None
    if groups is not None:
        labels, group_index = factorize(groups)
        n_rows = len(X) if hasattr(X, "__len__") else len(group_index)
        if len(group_index) != n_rows:
            faults.append(
                f"groups does not match X: got {len(group_index)} labels for {n_rows} rows, expected one for each row. "
                "Pass the group of each row."
            )
        if len(labels) < 2:
            faults.append("groups has a single group: got 1, expected at least 2. Leave groups out.")
    data = check_task_data(X, y, tasks, estimator=estimator, found=faults)
    if data.task_index is not None and np.isnan(data.targets).any():
        seen = ~np.isnan(data.targets)
        data = TaskData(data.X[seen], data.targets[seen], data.task_index[seen], data.task_names)
        group_index = None if group_index is None else group_index[seen]
    return data, group_index


class StageOne(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RegressorMixin, BaseEstimator, ABC):
    """Base of the estimators whose features are the leading directions of predicted targets."""

    n_components: int | str
    n_components_: int
    n_features_in_: int
    task_names_: tuple[Hashable, ...]
    components_: Array
    mean_: Array
    coef_: Array
    intercept_: Array
    noise_std_: Array
    spectrum_: Array
    spectrum_threshold_: Array
    _flat_target: bool
    moments_: TaskMoments

    @abstractmethod
    def _base_features(self, X: NDArray[Any]) -> Array:
        """Return the features before reduction, shape (n_samples, n_base_features), of checked inputs."""

    def transform(self, X: ArrayLike) -> Array:
        """Compute the features.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.

        Returns
        -------
        array, shape (n_samples, n_components_)
            Features H, strongest predictive direction first, with unit variance within tasks.
        """
        return self._reduce(check_features(self, X))

    def predict(self, X: ArrayLike) -> Array:
        """Predict the targets of all tasks from the features.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.

        Returns
        -------
        array, shape (n_samples, n_tasks), or (n_samples,) if `fit` got one target without `tasks`
            Predicted targets.
        """
        H = self._reduce(check_features(self, X))
        prediction = H @ self.coef_.T + self.intercept_
        return prediction[:, 0] if self._flat_target else prediction

    def score(self, X: ArrayLike, y: ArrayLike, tasks: ArrayLike | None = None) -> float:
        """Return the coefficient of determination, averaged over tasks.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets, in a layout that `fit` takes; NaN means label missing.
        tasks : array-like, optional
            Names of the columns of `y`, or the task of each row.

        Returns
        -------
        float
            Mean of R^2 over the tasks whose targets vary in these data; NaN if there is none.
        """
        data = check_task_data(X, y, tasks, estimator=self, reset=False, min_labels=0, known_tasks=self.task_names_)
        prediction = self._reduce(data.X) @ self.coef_.T + self.intercept_
        T = data.n_tasks
        if data.task_index is None:
            task = np.broadcast_to(np.arange(T), data.targets.shape)
        else:
            task, prediction = data.task_index, prediction[np.arange(len(data.X)), data.task_index]
        seen = ~np.isnan(data.targets)
        y, task, residual = data.targets[seen], task[seen], (data.targets - prediction)[seen]
        mean = np.bincount(task, y, T) / np.maximum(np.bincount(task, minlength=T), 1)
        total = np.bincount(task, (y - mean[task]) ** 2, T)
        varies = total > 0
        if not varies.any():
            return float("nan")
        return float(np.mean(1.0 - np.bincount(task, residual**2, T)[varies] / total[varies]))

    def _reduce(self, X: NDArray[Any]) -> Array:
        return (self._base_features(X) - self.mean_) @ self.components_.T

    def _fit_reduction(
        self, trained: TaskMoments, heads: Heads, everything: TaskMoments, held_out: HeldOut, rng: np.random.Generator
    ) -> Reduction:
        """Choose the directions, and fit the heads on them.

        Parameters
        ----------
        trained : TaskMoments
            Moments of the base features on the rows of the heads.
        heads : Heads
            Heads on the base features.
        everything : TaskMoments
            Moments of the base features on all rows.
        held_out : HeldOut
            Rows that measure the signal.
        rng : numpy.random.Generator
            Source of the permutations.

        Returns
        -------
        Reduction
            All directions, of which the leading ones are kept.
        """
        reduction = reduce_features(trained, heads.coef, heads.noise)
        spectrum = predictive_spectrum(reduction, held_out, rng)
        self.spectrum_, self.spectrum_threshold_ = spectrum.values, spectrum.threshold
        self.n_components_ = self._choose_components(spectrum.n_components, len(reduction.components))
        self.components_, self.mean_ = reduction.components[: self.n_components_], reduction.mean
        self.moments_ = everything.map_features(self.components_, -self.components_ @ self.mean_)
        self.moments_.task_names = self.task_names_
        final = linear_heads(self.moments_)
        self.coef_, self.intercept_, self.noise_std_ = final.coef, final.intercept, np.sqrt(final.noise)
        return reduction

    def _choose_components(self, n_signal: int, n_available: int) -> int:
        """Return the number of directions to keep; warn if there is no signal."""
        if n_signal == 0:
            warnings.warn(
                "y has no predictive signal on held-out rows: got no direction above the permutation threshold "
                f"{self.spectrum_threshold_.max(initial=0.0):.3g}, expected at least one. Check that X says something "
                "about y.",
                UserWarning,
                stacklevel=4,
            )
        if self.n_components == "auto":
            return n_signal
        if int(self.n_components) > n_available:
            raise ValueError(
                f"n_components exceeds the rank of the predictions: got {self.n_components}, expected at most "
                f"{n_available} for {len(self.task_names_)} tasks. Lower n_components or add tasks."
            )
        return int(self.n_components)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _n_components_faults(self) -> list[str]:
        """Return what is wrong with `n_components` whatever the data are."""
        value = self.n_components
        if value == "auto":
            return []
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(
                f"n_components has the wrong type: got {value!r}, expected an int or 'auto'. Pass 'auto' to let "
                "held-out rows decide."
            )
        return [] if value >= 1 else [f"n_components is too small: got {value}, expected at least 1. Pass 'auto' or 1."]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
