"""What both estimators of stage one share: from base features to reduced features, predictions and moments."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from identirep._typing import Array, IntArray, RandomState
from identirep.evaluation import score_tasks
from identirep.gross_errors import gross_error_remark
from identirep.known_tasks import left_out_meta, remember_left_out, restore_left_out
from identirep.mapped_rows import MappedRows, some_of
from identirep.moments import TaskMoments
from identirep.mtrn.fit_data import check_fit_data, refuse_levels
from identirep.mtrn.logistic_heads import as_zero_and_one, fit_logistic, levels_of
from identirep.mtrn.reduction import Heads, HeldOut, Reduction, linear_heads, reduce_features
from identirep.mtrn.sides import feature_moments, with_levels
from identirep.mtrn.spectrum import FEW_PERMUTATIONS, PERMUTATIONS, Spectrum, finds_as_much, predictive_spectrum
from identirep.parameters import Fault, Rule, parameter_faults
from identirep.persistence import prefixed, taken
from identirep.seeds import as_generator
from identirep.shapes import FINITE, SIZE, check_shapes, check_values
from identirep.signal_check import Signal, check_signal
from identirep.target_kinds import TargetType, has_binary_targets, kinds_of, stored_kinds
from identirep.validation import TaskData, check_features, left_out_remark

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["StageOne"]

# What is stored, and its shape: tasks, features, base features, directions.
_STORED = {"components_": "DK", "mean_": "K", "coef_": "TD", "intercept_": "T", "noise_std_": "T"}
_STORED |= {"spectrum_": "S", "spectrum_threshold_": "S"}
_VALUES = dict.fromkeys(("components_", "mean_", "coef_", "intercept_"), FINITE) | {
    "noise_std_": SIZE,
    "spectrum_": FINITE,
}


class StageOne(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RegressorMixin, BaseEstimator, ABC):
    """Base of the estimators whose features are the leading directions of predicted targets."""

    _parameter_rules: ClassVar[Mapping[str, Rule]]
    n_components: int | str
    random_state: RandomState
    n_components_: int
    n_components_range_: tuple[int, int]
    signal_: Signal
    n_features_in_: int
    # Axes of a sample, where it has several: n_features_in_ is the number of values in it.
    _input_shape: tuple[int, ...] = ()
    task_names_: tuple[Hashable, ...]
    components_: Array
    mean_: Array
    coef_: Array
    intercept_: Array
    noise_std_: Array
    spectrum_: Array
    spectrum_threshold_: Array
    _flat_target: bool
    # What learns to predict, in words.
    _who: str = "the network"
    # Labels that a task needs, not all the same; with stage two behind it one more.
    _least_labels: int = 2
    left_out_tasks_: dict[Hashable, str]
    _given_tasks: tuple[Hashable, ...]
    # Whether rows may be on disk.
    _takes_rows_on_disk: ClassVar[bool] = False
    # Whether to find out if there is signal; refits with a given number of components have no use for the answer.
    _judges_signal: bool = True
    # What "auto" takes, whatever number was asked for.
    _auto_components: int
    moments_: TaskMoments
    target_type: TargetType
    target_kinds_: tuple[str, ...]
    # Both values of each binary target, NaN for others, (n_tasks, 2).
    _levels: Array
    # All directions, strongest first, of which the features are the leading ones; known while fitting alone.
    _directions: tuple[Reduction, Spectrum]

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        tasks: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        order: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn to predict the targets, choose the directions and fit the heads on them.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets; NaN means label missing. One dimension with `tasks` is the long layout.
        tasks : array-like, optional
            Wide layout: names of the columns of `y`. Long layout: the task of each row.
        groups : array-like, shape (n_samples,), optional
            Rows of one group (the same molecule, patient, composition) are dependent: they are held out together, as
            are rows with equal inputs.
        order : array-like, shape (n_samples,), optional
            Numbers, dates or texts that sort: rows next to each other are alike (a series in time). Validation rows are
            then the last ones, folds are stretches, and rows next to them are left out.
        sample_weight : array-like, shape (n_samples,), optional
            How much each row says relative to the others of its task, at least 0; default: all alike. Rows of weight 0
            are left out, and a task counts for its effective number of rows, see `TaskMoments`.

        Returns
        -------
        estimator
            This estimator.

        Raises
        ------
        ValueError
            If data or parameters are out of range; the message lists all faults.
        TypeError
            If a parameter has the wrong type.
        RuntimeError
            If training diverges.
        """
        rng = as_generator(self.random_state)
        faults = [*parameter_faults(self), *self._faults(groups, order)]
        faults += [] if sample_weight is None else self._weight_faults()
        data, group_index = check_fit_data(self, X, y, tasks, groups, faults, order=order, sample_weight=sample_weight)
        self.task_names_, self._flat_target = data.task_names, data.is_flat
        if remark := gross_error_remark(self.limited_labels_, self.task_names_):
            warnings.warn(remark, UserWarning, stacklevel=2)
        self.target_kinds_ = kinds_of(
            data.targets, data.task_index, data.task_names, self.target_type, data.given_tasks
        )
        if isinstance(data.X, MappedRows):
            refuse_levels(self.target_kinds_, self.task_names_)
            self._check_takes_rows_on_disk()
        self._levels = levels_of(data.targets, data.task_index, self.target_kinds_)
        remember_left_out(self, data)
        if data.left_out:
            warnings.warn(left_out_remark(data.left_out, self._least_labels), UserWarning, stacklevel=2)
        self._fit(data, group_index, rng)
        if self._judges_signal:
            self.signal_ = self._judge_signal(data, group_index, rng)
        return self

    @abstractmethod
    def _fit(self, data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> None:
        """Fit to checked data, groups numbered from 0."""

    def _faults(self, groups: ArrayLike | None, order: ArrayLike | None) -> list[Fault]:
        """Return what is wrong with parameters together, each of which is valid or has been found to be not."""
        return []

    def _weight_faults(self) -> list[Fault]:
        """Return why rows cannot have weights."""
        return []

    def _check_takes_rows_on_disk(self) -> None:
        if not self._takes_rows_on_disk:
            raise ValueError(
                f"X is on disk: got {type(self).__name__}, which is fitted to rows in memory, expected MTRN. Pass one, "
                "or fewer rows in memory."
            )

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
            Predicted targets; of a binary target the mean of its values, for 0 and 1 the probability of 1.
        """
        H = self._reduce(check_features(self, X))
        prediction = self._of_link(H @ self.coef_.T + self.intercept_, self._levels)
        return prediction[:, 0] if self._flat_target else prediction

    @available_if(has_binary_targets)
    def predict_proba(self, X: ArrayLike) -> Array:
        """Predict the probability of the larger value of each binary target.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.

        Returns
        -------
        array, shape (n_samples, n_tasks)
            One column for each task; NaN for targets that are not binary. Probabilities of the other value are one
            less these.
        """
        H = self._reduce(check_features(self, X))
        probability = expit(H @ self.coef_.T + self.intercept_)
        probability[:, np.isnan(self._levels[:, 0])] = np.nan
        return np.asarray(probability)

    @staticmethod
    def _of_link(linear: Array, levels: Array) -> Array:
        """Return predictions in units of the targets: of binary ones the mean of both values."""
        low, high = levels[..., 0], levels[..., 1]
        return np.where(np.isnan(low), linear, low + (high - low) * expit(linear))

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        tasks: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the coefficient of determination, averaged over tasks.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, shape (n_samples, n_tasks) or (n_samples,)
            Targets, in a layout that `fit` takes; NaN means label missing.
        tasks : array-like, optional
            Names of the columns of `y`, or the task of each row.
        sample_weight : array-like, shape (n_samples,), optional
            Weight of each row in the sums of squares; default: all alike.

        Returns
        -------
        float
            Mean of R^2 over the tasks whose targets vary in these data; NaN if there is none.
        """
        r2 = score_tasks(self, X, y, tasks, sample_weight=sample_weight)
        return float(np.mean(r2[~np.isnan(r2)])) if not np.isnan(r2).all() else float("nan")

    def _predict_rows(self, X: ArrayLike, task_index: IntArray) -> Array:
        """Predict for each row the target of one task, shape (n_samples,): in the long layout tasks may be many."""
        H = self._reduce(check_features(self, X))
        linear = np.einsum("nd,nd->n", H, self.coef_[task_index]) + self.intercept_[task_index]
        return self._of_link(linear, self._levels[task_index])

    def _reduce(self, X: NDArray[Any]) -> Array:
        if isinstance(X, MappedRows):
            return np.concatenate([self._reduce(block) for block in X.blocks()])
        return (self._base_features(X) - self.mean_) @ self.components_.T

    def _fit_reduction(
        self,
        trained: TaskMoments,
        heads: Heads,
        everything: TaskMoments,
        held_out: HeldOut,
        rng: np.random.Generator,
        inflation: float = 1.0,
    ) -> Reduction:
        """Choose the directions by the heads of `trained` rows, and fit the heads on them; return all directions."""
        reduction = reduce_features(trained, heads.coef, heads.noise)
        n_permutations = PERMUTATIONS if self._judges_signal else FEW_PERMUTATIONS
        n_trained = float(trained.n_samples.sum())
        spectrum = predictive_spectrum(reduction, held_out, rng, n_trained, inflation, n_permutations)
        reduction = reduction.ordered(spectrum.order)
        self._directions = reduction, spectrum
        self.spectrum_, self.spectrum_threshold_ = spectrum.values, spectrum.threshold
        self.n_components_range_, self._auto_components = spectrum.range, spectrum.n_components
        self.n_components_ = self._choose_components(spectrum)
        self.components_, self.mean_ = reduction.components[: self.n_components_], reduction.mean
        self.moments_ = everything.map_features(self.components_, -self.components_ @ self.mean_)
        self.moments_.task_names = self.task_names_
        final = linear_heads(self.moments_)
        self.coef_, self.intercept_, self.noise_std_ = final.coef, final.intercept, np.sqrt(final.noise)
        return reduction

    def _with_components(self, components: Array, F: Array, data: TaskData) -> Self:
        """Return this stage with other features, the span of `components` (D, K) of base features of all rows."""
        found = copy(self)
        spanning = feature_moments(
            (F - self.mean_) @ components.T, data.targets, data.task_index, data.n_tasks, data.weights
        )
        values, vectors = np.linalg.eigh(spanning.pooled_covariance())
        whitener = vectors / np.sqrt(values) @ vectors.T
        found.components_, found.moments_ = whitener @ components, spanning.map_features(whitener)
        found.moments_.task_names = self.task_names_
        heads = linear_heads(found.moments_)
        found.coef_, found.intercept_, found.noise_std_ = heads.coef, heads.intercept, np.sqrt(heads.noise)
        found._fit_kinds((F - self.mean_) @ found.components_.T, data)
        return found

    def _fit_kinds(self, H: Array, data: TaskData) -> None:
        """Fit heads of binary targets to reduced features of rows, and give stage two moments that know the kinds."""
        kinds, index, weights = self.target_kinds_, data.task_index, data.weights
        if set(kinds) <= {"continuous"}:
            return
        self.moments_ = with_levels(self.moments_, H, data, kinds)
        for t in np.flatnonzero(~np.isnan(self._levels[:, 0])):
            rows = ~np.isnan(data.targets[:, t]) if index is None else index == t
            y = as_zero_and_one(data.targets[rows, t] if index is None else data.targets[rows], self._levels[t])
            own = None if weights is None else weights[rows]
            head = fit_logistic(H[rows], y, own)
            self.coef_[t], self.intercept_[t] = head
            residual = (y - expit(head.logit(H[rows]))) * (self._levels[t, 1] - self._levels[t, 0])
            self.noise_std_[t] = np.sqrt(np.average(residual**2, weights=own))

    def _widen_range(self, numbers: Sequence[int]) -> None:
        """Let the range reach what "auto" takes in fits to fewer rows; that these take fewer says nothing."""
        low, high = self.n_components_range_
        self.n_components_range_ = low, max([high, *numbers]) if low else high

    def _choose_components(self, spectrum: Spectrum) -> int:
        """Return the number of directions to keep."""
        if self.n_components == "auto":
            return self._auto_components
        n_available = len(spectrum.values)
        if int(self.n_components) > n_available:
            raise ValueError(
                f"n_components exceeds the rank of the predictions: got {self.n_components}, expected at most "
                f"{n_available} for {len(self.task_names_)} tasks. Lower n_components or add tasks."
            )
        return int(self.n_components)

    def _judge_signal(self, data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> Signal:
        """Say whether there is signal; where the directions show none, let others try, and warn."""
        if np.any(self.spectrum_ > self.spectrum_threshold_):
            return Signal("signal", "", {})
        data, rows = data.in_memory()
        signal = check_signal(data, some_of(groups, rows), rng, self._who, getattr(self, "regressor", None))
        if finds_as_much(self._directions[1], self.n_components_, signal):
            # Which directions have it, the held-out groups cannot tell.
            self.spectrum_threshold_ = np.zeros_like(self.spectrum_threshold_)
            return Signal("signal", "", signal.r2)
        warnings.warn(signal.statement, UserWarning, stacklevel=3)
        return signal

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the fitted state but for what predicts, as arrays and as what JSON can hold."""
        moments, moments_meta = self.moments_.to_arrays()
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _STORED}
        meta = {
            "moments": moments_meta,
            "n_features_in": self.n_features_in_,
            "flat_target": self._flat_target,
            "n_components_range": list(self.n_components_range_),
            "signal": asdict(self.signal_),
            "target_kinds": list(self.target_kinds_),
            **left_out_meta(self),
        }
        if not np.isnan(self._levels).all():
            arrays["levels"] = self._levels
        return arrays | prefixed("moments", moments), meta

    def _from_arrays(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Self:
        """Take over a state that `_to_arrays` has returned, of an estimator with the same parameters."""
        self.moments_ = moments = TaskMoments.from_parts(taken("moments", arrays), meta["moments"])
        check_shapes(arrays, _STORED, T=moments.n_tasks, D=moments.n_features)
        check_values(arrays, _VALUES)
        for name in _STORED:
            setattr(self, name, arrays[name])
        self.task_names_, self.n_components_ = self.moments_.task_names, len(self.components_)
        # Runs from before there were kinds have numbers alone.
        self.target_kinds_ = (
            stored_kinds(meta.get("target_kinds"), moments.n_tasks) or ("continuous",) * moments.n_tasks
        )
        self._levels = arrays.get("levels", np.full((moments.n_tasks, 2), np.nan))
        check_shapes({"levels": self._levels}, {"levels": "TL"}, T=moments.n_tasks, L=2)
        check_values({"levels": self._levels}, {"levels": FINITE}, gaps=True)
        restore_left_out(self, meta)
        self.n_features_in_, self._flat_target = int(meta["n_features_in"]), bool(meta["flat_target"])
        # Runs from before this was stored have what their spectrum says.
        low, high = meta.get("n_components_range", (self.n_components_, self.n_components_))
        answer = "signal" if np.any(self.spectrum_ > self.spectrum_threshold_) else "none"
        self.n_components_range_ = int(low), int(high)
        self.signal_ = Signal(**meta.get("signal", {"answer": answer, "statement": "", "r2": {}}))
        return self

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
