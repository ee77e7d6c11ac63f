"""In which units a regressor gets inputs and targets, so that what it finds depends on neither units nor origins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.shapes import FINITE, POSITIVE, check_shapes, check_values
from identirep.units import plain_units, spread_of

__all__ = ["RegressorUnits", "has_a_say"]

# Regressors of targets that have an origin; whoever transforms targets has chosen their units, too.
_OWN_UNITS = ("poisson", "gamma", "tweedie")


@dataclass(frozen=True)
class RegressorUnits:
    """Origin and unit of each input, and of each target."""

    input_center: Array
    input_scale: Array
    target_center: Array
    target_scale: Array

    @classmethod
    def of(cls, regressor: Any, X: NDArray[Any], targets: Array, weights: Array | None = None) -> RegressorUnits:
        """Choose units: of inputs where they need others, of targets unit variance, unless the regressor has a say."""
        spread, T = spread_of(targets, weights), targets.shape[1]
        if has_a_say(regressor):
            return cls(*plain_units(X), np.zeros(T), np.ones(T))
        varies = spread.deviation > 0.0
        return cls(*plain_units(X), np.where(varies, spread.center, 0.0), np.where(varies, spread.deviation, 1.0))

    @classmethod
    def as_they_are(cls, n_inputs: int, n_tasks: int) -> RegressorUnits:
        """Leave everything in its own units."""
        return cls(np.zeros(n_inputs), np.ones(n_inputs), np.zeros(n_tasks), np.ones(n_tasks))

    def inputs(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return inputs as the regressor gets them; untouched ones as they came."""
        if not self.input_center.any() and np.all(self.input_scale == 1.0):
            return X
        return np.asarray((X - self.input_center) / self.input_scale)

    def targets(self, Y: Array) -> Array:
        """Return targets as the regressor gets them."""
        return np.asarray((Y - self.target_center) / self.target_scale)

    def own(self, Y: Array) -> Array:
        """Return targets that it predicts in their own units."""
        return np.asarray(Y * self.target_scale + self.target_center)

    def own_moments(self, moments: TaskMoments) -> TaskMoments:
        """Return moments of features and targets with the targets in their own units."""
        scale = self.target_scale
        return moments._replaced(
            mean_y=self.own(moments.mean_y),
            scatter_hy=moments.scatter_hy * scale[:, None],
            scatter_y=moments.scatter_y * scale**2,
        )

    def arrays(self) -> dict[str, Array]:
        """Return the parts by name, to be stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_inputs: int, n_tasks: int) -> RegressorUnits:
        """Take back what `arrays` has returned."""
        shapes = {"input_center": "I", "input_scale": "I", "target_center": "T", "target_scale": "T"}
        check_shapes(arrays, shapes, I=n_inputs, T=n_tasks)
        check_values(arrays, {name: POSITIVE if name.endswith("scale") else FINITE for name in shapes})
        return cls(**{name: arrays[name] for name in shapes})


def has_a_say(regressor: Any) -> bool:
    """Tell whether the regressor, or a part of it, reads targets in their own units."""
    parameters = regressor.get_params() if hasattr(regressor, "get_params") else {}
    for part in (regressor, *parameters.values()):
        words = part if isinstance(part, str) else type(part).__name__
        if isinstance(part, TransformedTargetRegressor) or any(word in words.lower() for word in _OWN_UNITS):
            return True
    return False
