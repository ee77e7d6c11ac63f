"""What all baselines share: the surface of an estimator, checks of parameters, and whitening of the inputs."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from identirep._typing import Array
from identirep.validation import TaskData, check_features, check_task_data

__all__ = [
    "Baseline",
    "Whitening",
    "check_inputs",
    "choice_faults",
    "components_faults",
    "count_faults",
    "positive_faults",
    "range_faults",
    "warn_not_converged",
    "whiten",
]

# Principal components with less than this share of the largest standard deviation are rounding.
_RANK_TOLERANCE = 1e-6


class Baseline(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """Base of the baselines: latents of checked inputs, and names of the outputs."""

    n_components_: int
    n_features_in_: int
    task_names_: tuple[Hashable, ...]

    @abstractmethod
    def _latents(self, X: NDArray[Any]) -> Array:
        """Return the latents, shape (n_samples, n_components_), of checked inputs."""

    def transform(self, X: ArrayLike) -> Array:
        """Compute the latents.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.

        Returns
        -------
        array, shape (n_samples, n_components_)
            Latents, in no particular order, sign or scale.
        """
        return self._latents(check_features(self, X))

    @property
    def _n_features_out(self) -> int:
        return self.n_components_


@dataclass(frozen=True)
class Whitening:
    """Principal components with unit variance, ``(X - mean) @ components.T``.

    Attributes
    ----------
    mean : array, shape (n_features,)
        Mean of the inputs.
    components : array, shape (n_kept, n_features)
        Scaled principal axes, the one with the largest variance first; directions without variance are left out.
    """

    mean: Array
    components: Array

    def __call__(self, X: NDArray[Any]) -> Array:
        """Return whitened inputs."""
        return np.asarray((X - self.mean) @ self.components.T, dtype=np.float64)


def whiten(X: NDArray[Any]) -> Whitening:
    """Learn the whitening of inputs.

    Parameters
    ----------
    X : array, shape (n_samples, n_features)
        Inputs.

    Returns
    -------
    Whitening
        Of full rank.

    Raises
    ------
    ValueError
        If the inputs do not vary.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    centred = X - mean
    values, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred / len(X))
    values, vectors = values[::-1], vectors[:, ::-1]
    scale = np.sqrt(np.maximum(values, 0.0))
    if scale[0] <= _RANK_TOLERANCE * np.abs(mean).max(initial=np.finfo(np.float64).tiny):
        raise ValueError("X is constant: got equal rows, expected inputs that vary. Pass more rows.")
    kept = scale > _RANK_TOLERANCE * scale[0]
    return Whitening(mean, (vectors[:, kept] / scale[kept]).T)


def check_inputs(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    tasks: ArrayLike | None,
    faults: list[str],
    *,
    needs_labels: bool = True,
) -> TaskData:
    """Validate the arguments of ``fit``; rows of the long layout without a label are dropped if labels are needed.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``.
    X, y, tasks : array-like
        Arguments of ``fit``.
    faults : list of str
        Faults in the parameters, raised with those in the data.
    needs_labels : bool, default True
        Whether targets are used. If not, they may be None, missing or constant.

    Returns
    -------
    TaskData
        The data.

    Raises
    ------
    ValueError
        If anything is wrong; the message lists all faults.
    """
    if y is None and not needs_labels:
        if tasks is None:
            if faults:
                raise ValueError("\n".join(faults))
            inputs = validate_data(estimator, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
            return TaskData(inputs, np.zeros((len(inputs), 0)), None, ())
        y = np.full(len(np.asarray(tasks)), np.nan)
    data = check_task_data(X, y, tasks, estimator=estimator, found=faults, min_labels=2 if needs_labels else 0)
    if needs_labels and data.task_index is not None and np.isnan(data.targets).any():
        seen = ~np.isnan(data.targets)
        data = TaskData(data.X[seen], data.targets[seen], data.task_index[seen], data.task_names)
    return data


def components_faults(value: Any, n_features: int | None = None) -> list[str]:
    """Return what is wrong with `n_components`: an int from 1 to the number of features, or None for all of them."""
    if value is None:
        return []
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"n_components has the wrong type: got {value!r}, expected an int or None. Pass the number of latents."
        )
    if int(value) < 1:
        return [f"n_components is too small: got {value}, expected at least 1. Raise n_components."]
    if n_features is not None and int(value) > n_features:
        return [
            f"n_components is too large: got {value}, expected at most {n_features}, the features of X that vary. "
            "Lower n_components."
        ]
    return []


def count_faults(values: Mapping[str, Any], low: int = 1) -> list[str]:
    """Return which of the named values are under `low`; raise TypeError if one is not an int."""
    faults = []
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"{name} has the wrong type: got {value!r}, expected an int. Pass a whole number.")
        if int(value) < low:
            faults.append(f"{name} is too small: got {value}, expected at least {low}. Raise {name}.")
    return faults


def range_faults(values: Mapping[str, tuple[Any, float, float]]) -> list[str]:
    """Return which of the named values are outside [low, high]; raise TypeError if one is not a number."""
    faults = []
    for name, (value, low, high) in values.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name} has the wrong type: got {value!r}, expected a number. Pass a float.")
        if not low <= float(value) <= high:
            faults.append(
                f"{name} is out of range: got {value}, expected a number from {low:g} to {high:g}. Change {name}."
            )
    return faults


def positive_faults(values: Mapping[str, Any]) -> list[str]:
    """Return which of the named values are not positive and finite; raise TypeError if one is not a number."""
    tiny, huge = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    return range_faults({name: (value, tiny, huge) for name, value in values.items()})


def choice_faults(values: Mapping[str, tuple[Any, Sequence[Any]]]) -> list[str]:
    """Return which of the named values are not among their choices."""
    return [
        f"{name} is unknown: got {value!r}, expected one of {', '.join(map(repr, choices))}. Choose one."
        for name, (value, choices) in values.items()
        if value not in choices
    ]


def warn_not_converged(name: str, change: float, tol: float) -> None:
    """Warn that the loss was still falling when training ended."""
    warnings.warn(
        f"{name} stopped while its loss fell by {change:.1e} in the last tenth of its epochs > tol={tol:.1e}. Increase "
        "max_epochs or the learning rate.",
        ConvergenceWarning,
        stacklevel=4,
    )
