"""Gaps in inputs: which regressors take them, and a stand-in where something else is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["takes_gaps", "without_gaps"]

# They hand inputs on as they are, though scikit-learn does not say so for them.
_WRAPPERS = {"MultiOutputRegressor", "TransformedTargetRegressor", "GridSearchCV", "RandomizedSearchCV"}
_WRAPPERS |= {"HalvingGridSearchCV", "HalvingRandomSearchCV"}


def takes_gaps(regressor: Any) -> bool:
    """Tell whether a regressor takes NaN in its inputs: by itself, or behind an imputer in its pipeline."""
    from sklearn.pipeline import Pipeline
    from sklearn.utils import get_tags

    if isinstance(regressor, Pipeline):
        for _, step in regressor.steps:
            if type(step).__name__.endswith("Imputer"):
                return True
            if step not in (None, "passthrough") and not takes_gaps(step):
                return False
        return bool(regressor.steps)
    if type(regressor).__name__ in _WRAPPERS:
        parameters = regressor.get_params(deep=False)
        return takes_gaps(parameters.get("estimator", parameters.get("regressor")))
    try:
        return bool(get_tags(regressor).input_tags.allow_nan)
    except (AttributeError, TypeError, ValueError):
        # Not of scikit-learn: what it takes is not known.
        return False


def without_gaps(X: NDArray[Any]) -> NDArray[Any]:
    """Return inputs with the mean of each column in its gaps, 0 where it has nothing else; others as they are."""
    if not np.isnan(np.sum(X)):
        return X
    gaps = np.isnan(X)
    count = (~gaps).sum(axis=0)
    mean = np.where(gaps, 0.0, X).sum(axis=0) / np.maximum(count, 1)
    return np.where(gaps, mean, X).astype(X.dtype, copy=False)
