"""Regressors of scikit-learn with weights of rows: which take them, and in which of their parts."""

from __future__ import annotations

import inspect
from typing import Any

from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from identirep._typing import Array

__all__ = ["fitted", "weight_fault"]

_NAME = "sample_weight"
# Parameters that hold a regressor, or named ones, which get the weights of those that they are part of.
_INNER = ("regressor", "estimator", "base_estimator", "final_estimator")
# They hand parameters of fit on to the one regressor that they are made of, by any name.
_HAND_ON = {"TransformedTargetRegressor", "MultiOutputRegressor", "RegressorChain"}
_HAND_ON |= {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}


def weight_fault(regressor: Any) -> str | None:
    """Say which part of a regressor takes no weights of rows; None if all take them that have to."""
    if isinstance(regressor, Pipeline):
        return weight_fault(regressor.steps[-1][1])
    inner = _inner(regressor)
    for part in inner:
        if (fault := weight_fault(part)) is not None:
            return fault
    name = type(regressor).__name__
    if not (has_fit_parameter(regressor, _NAME) or (inner and _hands_on(regressor))):
        return _fault(name)
    if name not in _HAND_ON and any(_names(part) != [_NAME] for part in inner):
        # Each step has a parameter of its own, which goes through none of the others.
        return _fault(f"a pipeline in {name}")
    return None


def _fault(name: str) -> str:
    return (
        f"sample_weight is not possible with {name}: got weights, expected a regressor whose fit "
        "takes sample_weight. Choose another regressor, or leave the weights out."
    )


def _inner(regressor: Any) -> list[Any]:
    """Return the regressors that one is made of."""
    found = [part for part in (getattr(regressor, name, None) for name in _INNER) if hasattr(part, "fit")]
    return found + [part for _, part in getattr(regressor, "estimators", None) or [] if hasattr(part, "fit")]


def fitted(regressor: Any, X: NDArray[Any], Y: Array, weight: Array | None) -> Any:
    """Fit a regressor that has no `weight_fault`, rows by their weights if there are any."""
    return regressor.fit(X, Y) if weight is None else regressor.fit(X, Y, **dict.fromkeys(_names(regressor), weight))


def _names(regressor: Any) -> list[str]:
    """Name the parameters that get the weights, in a pipeline of each step that takes them, its scaler included."""
    if isinstance(regressor, Pipeline):
        found = []
        for i, (name, step) in enumerate(regressor.steps):
            last = i == len(regressor.steps) - 1
            if last or isinstance(step, Pipeline) or (hasattr(step, "fit") and has_fit_parameter(step, _NAME)):
                found += [f"{name}__{parameter}" for parameter in _names(step)]
        return found
    inner = _inner(regressor)
    return _names(inner[0]) if type(regressor).__name__ in _HAND_ON and inner else [_NAME]


def _hands_on(regressor: Any) -> bool:
    """Whether its fit takes any parameters, which are for what it is made of."""
    kinds = (parameter.kind for parameter in inspect.signature(regressor.fit).parameters.values())
    return inspect.Parameter.VAR_KEYWORD in kinds
