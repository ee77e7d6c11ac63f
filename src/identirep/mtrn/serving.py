"""Base features of a fitted stage one as a torch module, in the precision in which `transform` computes them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    MultiTaskElasticNet,
    MultiTaskElasticNetCV,
    MultiTaskLasso,
    MultiTaskLassoCV,
    Ridge,
    RidgeCV,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from identirep._typing import Array
from identirep.mtrn.encoders import ModuleEncoder, ReplicatedMLP, side_by_side
from identirep.mtrn.estimator import MTRN
from identirep.mtrn.predictive import PredictiveFeatures
from identirep.serving import Affine, Standardised
from identirep.training import ordinary_torch

__all__ = ["base_features", "example_rows"]

_LINEAR: tuple[type, ...] = (
    LinearRegression,
    Ridge,
    RidgeCV,
    Lasso,
    ElasticNet,
    MultiTaskLasso,
    MultiTaskLassoCV,
    MultiTaskElasticNet,
    MultiTaskElasticNetCV,
)
_N_ROWS = 16


class _Encoded(nn.Module):
    """Features of all replicates, side by side: a perceptron is computed in float64, another encoder in its own."""

    def __init__(self, encoder: ReplicatedMLP | ModuleEncoder) -> None:
        super().__init__()
        self.is_double = isinstance(encoder, ReplicatedMLP)
        self.encoder = encoder.double() if self.is_double else encoder

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of rows in float64."""
        return side_by_side(self.encoder(x if self.is_double else x.float())).double()


@ordinary_torch()
def base_features(stage: MTRN | PredictiveFeatures) -> nn.Module:
    """Return what maps inputs in float64 to the features before reduction; of a network or a linear regressor."""
    if isinstance(stage, MTRN):
        return _Encoded(copy.deepcopy(stage.module_)).eval()
    found = _linear_steps(stage.regressor_)
    if found is None:
        raise TypeError(
            f"regressor has no graph: got {type(stage.regressor_).__name__}, expected an MTRN or linear regression. "
            "Fit with regressor='mtrn', or serve the run with IdentifiableRegressor.load."
        )
    scalings, last = found
    units = stage._units
    steps = [Standardised(*scaling) for scaling in ((units.input_center, units.input_scale), *scalings)]
    coef = np.asarray(last.coef_, dtype=np.float64).reshape(len(stage.task_names_), -1)
    return nn.Sequential(*steps, Affine(np.zeros(coef.shape[1]), coef, np.asarray(last.intercept_, dtype=np.float64)))


def _linear_steps(regressor: Any) -> tuple[list[tuple[Array, Array]], Any] | None:
    """Return origins and units of the scalers before a linear regression, and that; None if it is something else."""
    *before, last = [step for _, step in regressor.steps] if type(regressor) is Pipeline else [regressor]
    if type(last) not in _LINEAR or any(type(step) is not StandardScaler for step in before):
        return None
    width = last.n_features_in_
    zeros, ones = np.zeros(width), np.ones(width)
    return [
        (zeros if step.mean_ is None else step.mean_, ones if step.scale_ is None else step.scale_) for step in before
    ], last


def example_rows(stage: MTRN | PredictiveFeatures) -> NDArray[np.float64]:
    """Return inputs like those of the fit, or of [0, 1) for encoders that are not known, to try a graph on."""
    rng = np.random.default_rng(0)
    if isinstance(stage, MTRN):
        if not isinstance(stage.module_, ReplicatedMLP):
            return rng.random((_N_ROWS, *(stage._input_shape or (stage.n_features_in_,))))
        mean, scale = stage.module_.mean.numpy(), stage.module_.scale.numpy()
        return mean + rng.normal(size=(_N_ROWS, len(mean))) / np.where(scale > 0, scale, 1.0)
    units = stage._units
    rows = rng.normal(size=(_N_ROWS, stage.n_features_in_))
    found = _linear_steps(stage.regressor_)
    for mean, scale in reversed(found[0] if found else []):
        rows = rows * scale + mean
    return np.asarray(rows * units.input_scale + units.input_center)
