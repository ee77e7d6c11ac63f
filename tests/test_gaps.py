"""Gaps in inputs: which regressors take them."""

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from identirep.gaps import takes_gaps, without_gaps


@pytest.mark.parametrize(
    ("regressor", "expected"),
    [
        (ExtraTreesRegressor(3), True),
        (LinearRegression(), False),
        (make_pipeline(SimpleImputer(), Ridge()), True),
        (make_pipeline(StandardScaler(), KNNImputer(), Ridge()), True),
        (make_pipeline(StandardScaler(), Ridge()), False),
        (make_pipeline(StandardScaler(), ExtraTreesRegressor(3)), True),
        (make_pipeline(PolynomialFeatures(), SimpleImputer(), Ridge()), False),
        (MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=2)), True),
        (RegressorChain(HistGradientBoostingRegressor(max_iter=2)), False),
        (TransformedTargetRegressor(ExtraTreesRegressor(3)), True),
        (GridSearchCV(ExtraTreesRegressor(3), {"max_depth": [2]}), True),
        (object(), False),
    ],
)
def test_what_is_said_is_true(regressor, expected):
    assert takes_gaps(regressor) == expected
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    X[3, 1] = np.nan
    if expected:
        assert np.isfinite(regressor.fit(X, Y).predict(X)).all()
    elif hasattr(regressor, "fit"):
        with pytest.raises(ValueError, match="NaN"):
            regressor.fit(X, Y)


def test_gaps_have_the_mean_of_their_column():
    X = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan]])
    np.testing.assert_array_equal(without_gaps(X), [[1.0, 0.0, 2.0], [3.0, 0.0, 2.0]])
    full = np.ones((2, 2))
    assert without_gaps(full) is full
