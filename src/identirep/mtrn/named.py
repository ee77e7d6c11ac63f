"""Stage one by name, and which one predicts rows held out best."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from identirep._typing import Array, IntArray
from identirep.accumulation import effective_number
from identirep.label_sides import Labels
from identirep.mtrn.estimator import MTRN
from identirep.mtrn.fit_data import check_fit_data
from identirep.mtrn.predictive import PredictiveFeatures
from identirep.mtrn.regressor_units import RegressorUnits
from identirep.signal_check import extra_trees, ridge, units
from identirep.splits import two_sides
from identirep.units import spread_of
from identirep.validation import TaskData
from identirep.weighted_fit import fitted

__all__ = ["REGRESSORS", "ChosenRegressor", "choose_regressor", "named_stage"]

REGRESSORS = ("mtrn", "extra-trees", "ridge")
_WORDS = {"mtrn": "the network", "extra-trees": "extra trees", "ridge": "ridge regression"}
_N_TREES = 100
# Share of rows (or groups) on which the candidates are compared, and the networks that are trained for it.
_HELD_OUT = 0.25
_N_REPLICATES = 2
# Labels that differ, of each target on both sides, where possible.
_LEAST_LABELS = (2, 2)
# Others are taken where they are better than the network by so many standard errors over rows: it comes first because
# all that follows, from refinements to `to_torch`, is there for it.
_CLEARLY = 2.0


@dataclass(frozen=True)
class ChosenRegressor:
    """Which stage one "auto" has taken, and why."""

    name: str
    # Mean over tasks of R^2 on the rows held out for the comparison, by name; empty if there was none.
    r2: Mapping[str, float]
    reason: str


def named_stage(name: str, n_components: int | str, *, verbose: bool = False) -> MTRN | PredictiveFeatures:
    """Return the stage one of a name in `REGRESSORS`, not fitted."""
    if name == "mtrn":
        return MTRN(n_components, verbose=verbose)
    return PredictiveFeatures(_regressor(name), n_components)


def choose_regressor(
    X: Any,
    y: Any,
    tasks: ArrayLike | None,
    groups: ArrayLike | None,
    seed: int,
    network: MTRN | None = None,
    *,
    order: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> ChosenRegressor:
    """Compare the stages one on a quarter of the rows, or groups, that none has seen; of an order the last ones.

    `network` has the settings of the network, default ``MTRN()``; fewer replicates do for the comparison.
    """
    data, group_index = check_fit_data(MTRN(), X, y, tasks, groups, order=order, sample_weight=sample_weight)
    if data.is_long or np.isnan(data.targets).any():
        what = "Each row has the label of one task" if data.is_long else "Labels are missing"
        return ChosenRegressor("mtrn", {}, f"{what}, which only the network takes")
    rng, unit = np.random.default_rng(seed), units(data.X, group_index)
    labels = Labels(data.targets, None, _LEAST_LABELS)
    train, held_out = two_sides(len(data.X), _HELD_OUT, rng, groups=unit, order=data.order, labels=labels)
    target, X_held_out, weights = data.targets[held_out], data.X[held_out], data.rows(held_out).weights
    deviation = spread_of(target, weights).deviation
    # Targets that do not vary there have no R^2.
    varies = deviation > 0.0
    if not varies.any():
        return ChosenRegressor("mtrn", {}, "No target varies on the rows held out for the choice")
    errors = {}
    for name in REGRESSORS:
        predicted = _predicted(name, data.rows(train), unit[train], X_held_out, seed, network)
        errors[name] = (((target - predicted)[:, varies] / deviation[varies]) ** 2).mean(axis=1)
    r2 = {name: float(1.0 - np.average(error, weights=weights)) for name, error in errors.items()}
    best = max(r2, key=lambda name: r2[name])
    gain = errors["mtrn"] - errors[best]
    mean = np.average(gain, weights=weights)
    n_units = float(len(np.unique(unit[held_out])))
    if weights is not None:
        by_unit = np.bincount(unit[held_out], weights)
        n_units = effective_number(by_unit[by_unit > 0])
    if mean <= _CLEARLY * np.sqrt(np.average((gain - mean) ** 2, weights=weights) / n_units):
        best = "mtrn"
    found = ", ".join(f"{_WORDS[name]} {value:.2f}" for name, value in r2.items())
    return ChosenRegressor(best, r2, f"R^2 on {int(held_out.sum()):,} rows held out for the choice: {found}")


def _predicted(name: str, train: TaskData, unit: IntArray, X: Array, seed: int, network: MTRN | None) -> Array:
    """Predict rows that are not for training, by the regressor itself where there is one."""
    n_tasks = train.n_tasks
    with warnings.catch_warnings():
        # What a candidate does not find is no news before one is chosen.
        warnings.simplefilter("ignore", UserWarning)
        if name == "mtrn":
            stage = MTRN() if network is None else clone(network)
            stage.set_params(n_components="auto", n_replicates=min(stage.n_replicates, _N_REPLICATES), verbose=False)
            stage.set_params(random_state=seed)
            stage.fit(train.X, train.targets, groups=unit, order=train.order, sample_weight=train.weights)
            known = np.array([name not in stage.left_out_tasks_ for name in range(n_tasks)])
            predicted = np.tile(np.average(train.targets, axis=0, weights=train.weights), (len(X), 1))
            predicted[:, known] = stage.predict(X).reshape(len(X), -1)
            return predicted
        regressor = _regressor(name)
        if "random_state" in regressor.get_params():
            regressor.set_params(random_state=seed)
        units_of = RegressorUnits.of(regressor, train.X, train.targets, train.weights)
        Y = units_of.targets(train.targets)
        fitted(regressor, units_of.inputs(train.X), Y[:, 0] if n_tasks == 1 else Y, train.weights)
        return units_of.own(np.asarray(regressor.predict(units_of.inputs(X))).reshape(-1, n_tasks))


def _regressor(name: str) -> Any:
    return ridge() if name == "ridge" else extra_trees(_N_TREES)
