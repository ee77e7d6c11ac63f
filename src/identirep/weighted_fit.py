"""Regressors of scikit-learn with weights of rows: which take them, and in which of their parts."""

from __future__ import annotations

import inspect
from typing import Any

from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from identirep._typing import Array
from identirep.wording import short

__all__ = ["fitted", "weight_fault"]

_NAME = "sample_weight"
# Parameters that hold a regressor, or named ones, which get the weights of those that they are part of.
_INNER = ("regressor", "estimator", "base_estimator", "final_estimator")


def weight_fault(regressor: Any) -> str | None:
    """Say which part of a regressor takes no weights of rows; None if all take them that have to."""
    if isinstance(regressor, Pipeline):
        return weight_fault(regressor.steps[-1][1])
    inner = [part for part in (getattr(regressor, name, None) for name in _INNER) if hasattr(part, "fit")]
    inner += [part for _, part in getattr(regressor, "estimators", None) or [] if hasattr(part, "fit")]
    for part in inner:
        if (fault := weight_fault(part)) is not None:
            return fault
    if has_fit_parameter(regressor, _NAME) or (inner and _hands_on(regressor)):
        return None
    return (
        f"sample_weight is not possible with {type(regressor).__name__}: got weights, expected a regressor whose fit "
        "takes sample_weight. Choose another regressor, or leave the weights out."
    )


def fitted(regressor: Any, X: NDArray[Any], Y: Array, weight: Array | None) -> Any:
    """Fit a regressor that has no `weight_fault`, rows by their weights if there are any."""
    try:
        return regressor.fit(X, Y) if weight is None else regressor.fit(X, Y, **_parameters(regressor, weight))
    except (ValueError, TypeError) as error:
        if Y.ndim < 2 or get_tags(regressor).target_tags.multi_output:
            raise
        name = type(regressor).__name__
        raise ValueError(
            f"regressor takes one target: got {Y.shape[1]} for {name} ({short(str(error))}), expected a regressor of "
            f"several. Wrap it: sklearn.multioutput.MultiOutputRegressor({name}(...))."
        ) from error


def _parameters(regressor: Any, weight: Array) -> dict[str, Any]:
    """Return the weights by name, in a pipeline for each step that takes them: its scaler as well as its regressor."""
    if not isinstance(regressor, Pipeline):
        return {_NAME: weight}
    found: dict[str, Any] = {}
    for i, (name, step) in enumerate(regressor.steps):
        last = i == len(regressor.steps) - 1
        if last or isinstance(step, Pipeline) or (hasattr(step, "fit") and has_fit_parameter(step, _NAME)):
            found |= {f"{name}__{key}": value for key, value in _parameters(step, weight).items()}
    return found


def _hands_on(regressor: Any) -> bool:
    """Whether its fit takes any parameters, which are for what it is made of."""
    kinds = (parameter.kind for parameter in inspect.signature(regressor.fit).parameters.values())
    return inspect.Parameter.VAR_KEYWORD in kinds
