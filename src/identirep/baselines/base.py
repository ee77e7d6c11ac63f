"""What all baselines share: `fit` with its checks, the surface of an estimator, and whitening of the inputs."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags

from identirep._typing import Array
from identirep.inputs import collect_inputs
from identirep.known_tasks import remember_left_out
from identirep.missing import as_labels
from identirep.parameters import Choice, Either, Fault, Number, Rule, Whole, parameter_faults, raise_faults
from identirep.row_weights import as_weights, weights_of_tasks
from identirep.seeds import as_generator
from identirep.validation import TaskData, check_features, check_task_data, left_out_remark

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["N_COMPONENTS", "POSITIVE", "Baseline", "LabelFreeBaseline", "TrainedBaseline", "Whitening", "whiten"]

# Principal components with less than this share of the largest standard deviation are rounding.
_RANK_TOLERANCE = 1e-6
# Training counts as converged if the loss falls by less than this (nats for a row and latent) in its last tenth.
_TOLERANCE = 0.01
# Labels that a task needs where labels are used.
_LEAST_LABELS = 2

N_COMPONENTS = Either(Whole(), Choice(None))
POSITIVE = Number(0.0, open_low=True)


class Baseline(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """Base of the baselines: checks, and names of the outputs; a baseline adds `_fit` and `_latents`."""

    _parameter_rules: ClassVar[Mapping[str, Rule]]
    n_components: int | None
    n_components_: int
    n_features_in_: int
    task_names_: tuple[Hashable, ...]

    # Why a method takes no weights of rows; empty if it does.
    _why_no_weights: ClassVar[str] = ""
    _uses_tasks: ClassVar[bool] = True

    @property
    def _needs_labels(self) -> bool:
        """Whether targets are used. If not, they may be None, missing or constant."""
        return True

    @abstractmethod
    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        """Fit to checked data; return what has kept the fit from converging, if anything has."""

    @abstractmethod
    def _latents(self, X: NDArray[Any]) -> Array:
        """Return the latents, shape (n_samples, n_components_), of checked inputs."""

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        tasks: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,), or None
            Targets; NaN means label missing. One dimension with `tasks` is the long layout. None where they are not
            used.
        tasks : array-like, optional
            Wide layout: names of the columns of `y`. Long layout: the task of each row.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, at least 0: what it says relative to the others of its task; 0 leaves it out. Default:
            all alike.

        Returns
        -------
        Baseline
            This estimator.

        Raises
        ------
        ValueError
            If data or parameters are out of range; the message lists all faults. If rows have unequal weights and the
            method takes none.
        TypeError
            If parameters have the wrong type.
        ImportError
            If a parameter asks for a package that is not installed.
        RuntimeError
            If training diverges.
        """
        rng = as_generator(getattr(self, "random_state", None))
        data = self._check(X, y, tasks, sample_weight)
        self.task_names_ = data.task_names
        remember_left_out(self, data)
        if data.left_out:
            warnings.warn(left_out_remark(data.left_out, _LEAST_LABELS), UserWarning, stacklevel=2)
        self._warn(self._fit(data, rng))
        return self

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

    def _check(self, X: Any, y: Any, tasks: ArrayLike | None, sample_weight: Any) -> TaskData:
        """Return checked data; rows of the long layout without a label are dropped if labels are needed."""
        data = self._checked(X, y, tasks, sample_weight)
        weights = data.weights
        if weights is not None and data.task_index is not None and self._uses_tasks:
            weights = weights_of_tasks(weights, data.task_index)
        data = replace(data, weights=None if weights is None or np.all(weights == weights[0]) else weights)
        if data.weights is not None and self._why_no_weights:
            raise ValueError(
                f"sample_weight cannot be used: got unequal weights, expected none, since {self._why_no_weights}. "
                "Leave sample_weight out, or make rows of weight 0 of those that are not to count."
            )
        return data

    def _checked(self, X: Any, y: Any, tasks: ArrayLike | None, sample_weight: Any) -> TaskData:
        """Return checked data with weights as they were given."""
        faults: list[Fault | str] = [*parameter_faults(self)]
        needs_labels = self._needs_labels
        if y is None and not needs_labels:
            if tasks is None:
                inputs = collect_inputs(X, self, True, "X", faults)
                weights, bad = (None, []) if inputs is None else as_weights(sample_weight, len(inputs))
                raise_faults([*faults, *bad])
                assert inputs is not None
                data = TaskData(inputs, np.zeros((len(inputs), 0)), None, (), weights=weights)
                return data if weights is None else data.rows(weights > 0)
            y = np.full(len(as_labels(tasks, "tasks")), np.nan)
        rows: dict[str, Any] = {"found": faults, "leaves_out": True, "sample_weight": sample_weight}
        data = check_task_data(X, y, tasks, estimator=self, min_labels=_LEAST_LABELS if needs_labels else 0, **rows)
        if needs_labels and data.task_index is not None:
            return data.rows(~np.isnan(data.targets))
        return data

    def _set_n_components(self, available: int) -> int:
        """Set and return the number of latents, by default as many as there can be; refuse more."""
        if self.n_components is not None and self.n_components > available:
            raise ValueError(
                f"n_components is too large: got {self.n_components}, expected at most {available}, the features of X "
                "that vary. Lower n_components."
            )
        self.n_components_ = available if self.n_components is None else int(self.n_components)
        return self.n_components_

    def _warn(self, problem: str | None) -> None:
        """Warn the caller of a public method that the fit has not converged."""
        if problem is not None:
            warnings.warn(f"{type(self).__name__} stopped {problem}", ConvergenceWarning, stacklevel=3)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = tags.target_tags.multi_output = self._needs_labels
        return tags


class LabelFreeBaseline(Baseline):
    """Base of the baselines that know nothing of targets, which are checked and otherwise ignored."""

    _needs_labels = False
    _uses_tasks = False

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        tasks: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model to inputs.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features)
            Inputs.
        y : array-like, optional
            Checked and not used.
        tasks : array-like, optional
            Checked and not used.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row, at least 0; 0 leaves it out. Default: all alike.

        Returns
        -------
        estimator
            This estimator.
        """
        return super().fit(X, y, tasks, sample_weight=sample_weight)


class TrainedBaseline(Baseline):
    """Base of the baselines that are trained in epochs."""

    history_: list[dict[str, float]]
    converged_: bool

    def _judge(self) -> str | None:
        """Set `converged_` by whether the loss was still falling when training ended."""
        losses = [entry["loss"] for entry in self.history_]
        width = max(len(losses) // 10, 1)
        fall = late_loss(losses[:-width]) - late_loss(losses) if len(losses) >= 2 * width else np.inf
        change = fall / self.n_components_
        self.converged_ = bool(change < _TOLERANCE)
        if self.converged_:
            return None
        return (
            f"while its loss fell by {change:.1e} in the last tenth of its epochs > tol={_TOLERANCE:.1e}. Increase "
            "max_epochs or the learning rate."
        )


def late_loss(losses: list[float]) -> float:
    """Return the mean loss of the last tenth of the epochs."""
    return float(np.mean(losses[-max(len(losses) // 10, 1) :]))


@dataclass(frozen=True)
class Whitening:
    """Principal components with unit variance, the largest first: ``(X - mean) @ components.T``, of full rank."""

    mean: Array
    components: Array

    def __call__(self, X: NDArray[Any]) -> Array:
        """Return whitened inputs."""
        return np.asarray((X - self.mean) @ self.components.T, dtype=np.float64)


def whiten(X: NDArray[Any], weight: Array | None = None) -> Whitening:
    """Learn the whitening of inputs, which leaves out directions without variance; ValueError if all are."""
    mean = X.mean(axis=0, dtype=np.float64) if weight is None else (weight / weight.sum()) @ X
    centred = X - mean
    if weight is None:
        covariance = centred.T.astype(np.float64) @ centred / len(X)
    else:
        covariance = (centred * (weight / weight.sum())[:, None]).T @ centred
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    scale = np.sqrt(np.maximum(values, 0.0))
    if scale[0] <= _RANK_TOLERANCE * np.abs(mean).max(initial=np.finfo(np.float64).tiny):
        raise ValueError("X is constant: got equal rows, expected inputs that vary. Pass more rows.")
    kept = scale > _RANK_TOLERANCE * scale[0]
    return Whitening(mean, (vectors[:, kept] / scale[kept]).T)
