"""Stage one from any regressor: features are the leading directions of its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags

from identirep._typing import Array, BoolArray, IntArray, RandomState
from identirep.checkpoints import array_digest, kept_array
from identirep.gaps import takes_gaps
from identirep.moments import TaskMoments
from identirep.mtrn.base import StageOne
from identirep.mtrn.reduction import Heads, HeldOut, least_noise
from identirep.mtrn.regressor_units import RegressorUnits, has_a_say
from identirep.mtrn.row_space import RowSpace
from identirep.mtrn.sides import dependent_rows
from identirep.parameters import Choice, Either, Fault, Made, Rule, Whole
from identirep.persistence import prefixed, taken
from identirep.signal_check import CROSS_FITTED, above_chance
from identirep.splits import folds
from identirep.target_kinds import TOLD_TYPE, TargetType
from identirep.validation import TaskData
from identirep.weighted_fit import fitted, weight_fault

__all__ = ["PredictiveFeatures"]


class PredictiveFeatures(StageOne):
    r"""Features from the predictions of any multi-output regressor.

    Linear identifiability needs nothing but the conditional mean of the targets, so whatever estimates it will do:
    trees, boosting, a Gaussian process. The features are the leading eigenvectors of the covariance of the predicted
    targets, each divided by its noise. Regressors memorise their training rows; moments, noise and spectrum therefore
    come from predictions for rows that the predicting regressor has not seen.

    Parameters
    ----------
    regressor : estimator
        A scikit-learn regressor that takes `y` with a column for each task; wrap others in
        :class:`sklearn.multioutput.MultiOutputRegressor`. It gets targets with unit variance, so that none counts more
        for its units, or as they are if it transforms them or models counts; and inputs as they are, but for those
        that vary by less than 1e-3, more than 1e15 or a thousandth of their offset: these get unit variance.
    n_components : int or "auto", default "auto"
        Number of features D. "auto" keeps the directions whose signal exceeds what permuted targets give.
    cross_fit : int or "oob", default 5
        Number of folds, each predicted by a regressor that was fitted on the others, or as many as there are groups,
        where these are fewer; or "oob" for the out-of-bag predictions of a regressor with ``bootstrap`` and
        ``oob_score``, which costs no extra fit.
    target_type : str or dict of task to str, default "auto"
        What targets are: "continuous", "binary", "ordinal", "count"; "auto" tells it from their values, see
        `TaskMoments.from_long`. The regressor predicts numbers; on the features binary targets have logistic heads,
        and stage two knows levels.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed of folds, permutations, and of regressors whose ``random_state`` is None.

    Attributes
    ----------
    n_components_ : int
        Number of features D; 0 if "auto" finds no signal.
    n_components_range_ : tuple of int
        Least and largest number of features that are as good for "auto".
    signal_ : Signal
        Whether the targets carry signal, and what to do: `answer` is "signal", "none" or "too few rows".
    spectrum_ : array, shape (n_directions,)
        Signal to noise ratio of each direction on unseen rows, descending.
    spectrum_threshold_ : array, shape (n_directions,)
        The largest value that permuted targets gave to any direction, in units of what they do to each; no less than a
        fiftieth of the strongest signal.
    components_ : array, shape (n_components_, n_tasks)
        Linear map from the targets as the regressor predicts them to features.
    mean_ : array, shape (n_tasks,)
        Mean of the targets as the regressor predicts them.
    coef_ : array, shape (n_tasks, n_components_)
        Heads on the features.
    intercept_ : array, shape (n_tasks,)
        Intercepts of the heads.
    noise_std_ : array, shape (n_tasks,)
        Standard deviation of the residuals on unseen rows.
    moments_ : TaskMoments
        Moments of the features on unseen rows, for stage two.
    target_kinds_ : tuple of str, length n_tasks
        Kind of each target.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    regressor_ : estimator
        The regressor, fitted on all rows, in the units that it gets.
    n_features_in_ : int
        Number of inputs.

    Notes
    -----
    Takes the wide layout without missing labels, as regressors do, and gaps in inputs (NaN) if the regressor does;
    groups stay in one fold, so not with "oob".

    Costs `cross_fit` + 1 fits of the regressor. Without signal the predictions of folds are constant up to noise.

    References
    ----------
    V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural parameters", The
    Econometrics Journal 21 (2018) C1-C68: cross-fitting.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from identirep import PredictiveFeatures
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(400, 2))
    >>> y = Z @ rng.normal(size=(2, 10)) + 0.1 * rng.normal(size=(400, 10))
    >>> model = PredictiveFeatures(LinearRegression(), random_state=0).fit(Z, y)
    >>> model.n_components_, model.transform(Z).shape
    (2, (400, 2))
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "regressor": Made("an estimator with fit and predict", ("fit", "predict")),
        "n_components": Either(Choice("auto"), Whole()),
        "cross_fit": Either(Choice("oob"), Whole(2)),
        "target_type": TOLD_TYPE,
    }

    def __init__(
        self,
        regressor: Any,
        n_components: int | str = "auto",
        *,
        cross_fit: int | str = 5,
        target_type: TargetType = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.regressor = regressor
        self.n_components = n_components
        self.cross_fit = cross_fit
        self.target_type = target_type
        self.random_state = random_state

    def _fit(self, data: TaskData, groups: IntArray | None, rng: np.random.Generator) -> None:
        self._check_data(data, groups)
        regressor = _seeded(self.regressor, rng)
        given = data
        self._units = RegressorUnits.of(regressor, data.X, data.targets, data.weights)
        data = replace(data, X=self._units.inputs(data.X), targets=self._units.targets(data.targets))
        Y_fit = data.targets[:, 0] if data.n_tasks == 1 else data.targets
        if self.cross_fit == "oob":
            self.regressor_ = fitted(regressor.set_params(oob_score=True), data.X, Y_fit, data.weights)
            unseen = self._out_of_bag(len(data.X), data.n_tasks)
            unseen[_repeated(groups, len(data.X))] = np.nan
        else:
            n_folds = int(self.cross_fit) if groups is None else min(int(self.cross_fit), int(groups.max()) + 1)
            unseen = _cross_fitted(regressor, data, Y_fit, groups, n_folds, rng)
            self.regressor_ = fitted(clone(regressor), data.X, Y_fit, data.weights)
        self._unseen = unseen
        predicted = np.asarray(~np.isnan(unseen).any(axis=1))
        F, part = unseen[predicted], data.rows(predicted)
        targets, weights = part.targets, part.weights
        noise = np.average((targets - F) ** 2, axis=0, weights=weights)
        spread = np.average((targets - np.average(targets, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
        space = RowSpace.of(F, least_noise(noise, spread), weights)
        if space is None:
            features, heads = F, Heads(np.eye(data.n_tasks), np.zeros(data.n_tasks), noise)
        else:
            features, heads = space.coordinates, space.heads(noise)
        moments = TaskMoments.from_arrays(features, targets, sample_weight=weights)
        held_out = HeldOut(features, targets, None, dependent_rows(data, groups, predicted), weights)
        # Directions and their signal come from the same rows: of many targets without any, those that folds happen to
        # predict alike come first. All targets together cannot be chosen.
        inflation = CROSS_FITTED
        if self._judges_signal:
            # Out of bag a rare value may be on none of the rows that are predicted.
            scale = np.sqrt(np.where(moments.var_y > 0, moments.var_y, 1.0))
            p, y = ((of - np.average(of, axis=0, weights=weights)) / scale for of in (F, targets))
            unit = np.arange(len(F)) if held_out.groups is None else held_out.groups
            inflation = CROSS_FITTED if above_chance(p, y, None, unit, rng, weights) else np.inf
        self._fit_reduction(moments, heads, moments, held_out, rng, inflation)
        if space is not None:
            self.components_, self.mean_ = space.of_targets(self.components_), space.mean
        scale = self._units.target_scale
        self.moments_ = self._units.own_moments(self.moments_)
        self.coef_, self.intercept_ = self.coef_ * scale[:, None], self._units.own(self.intercept_)
        self.noise_std_ = self.noise_std_ * scale
        self._fit_kinds((F - self.mean_) @ self.components_.T, given.rows(predicted))

    @property
    def _limits_labels(self) -> bool:
        # Who transforms targets or models counts expects values far from all others.
        return not has_a_say(self.regressor)

    @property
    def _who(self) -> str:  # type: ignore[override]
        return type(self.regressor).__name__

    def _base_features(self, X: NDArray[Any]) -> Array:
        predicted = self.regressor_.predict(self._units.inputs(X))
        return np.asarray(predicted, dtype=np.float64).reshape(len(X), len(self.task_names_))

    def _to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the fitted state but for the regressor."""
        arrays, meta = super()._to_arrays()
        return arrays | prefixed("units", self._units.arrays()), meta

    def _from_arrays(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> PredictiveFeatures:
        """Take over a state that `_to_arrays` has returned; regressors of before got everything as it was."""
        super()._from_arrays(arrays, meta)
        parts = taken("units", arrays)
        n_tasks = len(self.task_names_)
        plain = RegressorUnits.as_they_are(self.n_features_in_, n_tasks)
        self._units = RegressorUnits.of_arrays(parts, self.n_features_in_, n_tasks) if parts else plain
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = takes_gaps(self.regressor)
        return tags

    def _out_of_bag(self, n_rows: int, n_tasks: int) -> Array:
        """Return out-of-bag predictions; NaN for rows that were in every bag."""
        values = np.array(self.regressor_.oob_prediction_, dtype=np.float64).reshape(n_rows, n_tasks)
        # scikit-learn leaves zeros where no member had the row out of bag, but predictions may be zero as well.
        in_every_bag = np.ones(n_rows, dtype=bool)
        for rows in self.regressor_.estimators_samples_:
            in_every_bag &= np.bincount(rows, minlength=n_rows) > 0
        values[in_every_bag] = np.nan
        return values

    def _weight_faults(self) -> list[Fault]:
        found = weight_fault(self.regressor)
        return [] if found is None else [Fault(found)]

    def _faults(self, groups: ArrayLike | None, order: ArrayLike | None) -> list[Fault]:
        if self.cross_fit != "oob":
            return []
        faults = []
        if groups is not None:
            faults.append(
                "groups cannot be kept together out of bag: got groups with cross_fit='oob', expected a number of "
                "folds. Set cross_fit=5."
            )
        if order is not None:
            faults.append(
                "order cannot be respected out of bag: got an order with cross_fit='oob', expected a number of folds. "
                "Set cross_fit=5."
            )
        parameters = self.regressor.get_params() if hasattr(self.regressor, "get_params") else {}
        knows_bags = hasattr(type(self.regressor), "estimators_samples_")
        if not parameters.get("bootstrap") or "oob_score" not in parameters or not knows_bags:
            faults.append(
                f"cross_fit is not possible: got 'oob' with {type(self.regressor).__name__}, expected a regressor with "
                "bootstrap=True, oob_score and estimators_samples_. Set cross_fit=5."
            )
        return [Fault(message) for message in faults]

    def _check_data(self, data: TaskData, groups: IntArray | None) -> None:
        """Refuse data that regressors, or these folds, do not take."""
        if data.is_long:
            raise ValueError(
                "tasks is one label for each row: got the long layout, expected y with a column for each task, which "
                "the regressor needs. Use MTRN for the long layout."
            )
        missing = np.isnan(data.targets)
        if missing.any():
            row, task = (int(i) for i in np.argwhere(missing)[0])
            raise ValueError(
                f"y contains {int(missing.sum())} missing labels: got NaN first at index {row}, task "
                f"{data.task_names[task]!r}, expected complete targets, which the regressor needs. Use MTRN, or drop "
                "rows or tasks."
            )
        if self.cross_fit == "oob" and 2 * np.count_nonzero(_repeated(groups, len(data.X))) > len(data.X):
            raise ValueError(
                "rows with equal inputs cannot be kept together out of bag: got more than half of the rows repeated "
                "with cross_fit='oob', expected a number of folds. Set cross_fit=5."
            )
        if isinstance(self.cross_fit, Integral) and groups is None and self.cross_fit > len(data.X):
            raise ValueError(
                f"cross_fit exceeds the number of rows: got {self.cross_fit} for {len(data.X)}, expected at most as "
                "many. Lower cross_fit."
            )


def _repeated(groups: IntArray | None, n_rows: int) -> BoolArray:
    """Tell which rows are not alone in their group: out of bag they are known from the others."""
    return np.zeros(n_rows, dtype=bool) if groups is None else np.asarray(np.bincount(groups)[groups] > 1)


def _seeded(regressor: BaseEstimator, rng: np.random.Generator) -> Any:
    """Return a clone of the regressor in which every ``random_state`` left at None has a seed."""
    copy = clone(regressor)
    for name, value in sorted(copy.get_params().items()):
        if name.split("__")[-1] == "random_state" and value is None:
            copy.set_params(**{name: int(rng.integers(2**31 - 1))})
    return copy


def _cross_fitted(
    regressor: Any,
    data: TaskData,
    y: Array,
    groups: IntArray | None,
    n_folds: int,
    rng: np.random.Generator,
) -> Array:
    """Predict each fold by a regressor fitted on the others, shape (n_samples, n_tasks)."""
    X = data.X
    predictions = np.empty((len(X), y.size // len(X)))
    for rest, fold in folds(len(X), n_folds, rng, groups=groups, order=data.order):
        weights = None if data.weights is None else data.weights[rest]

        def predicted(rest: IntArray = rest, fold: IntArray = fold, weights: Array | None = weights) -> Array:
            found = fitted(clone(regressor), X[rest], y[rest], weights).predict(X[fold])
            return np.asarray(found, dtype=np.float64).reshape(len(fold), -1)

        def about(rest: IntArray = rest, fold: IntArray = fold, weights: Array | None = weights) -> dict[str, str]:
            return {"regressor": type(regressor).__name__, "data": array_digest(X, y, rest, fold, weights)}

        predictions[fold] = kept_array("fold", about, predicted, (len(fold), predictions.shape[1]))
    return predictions
