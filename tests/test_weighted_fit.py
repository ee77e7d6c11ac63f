"""Which regressors take weights, and in which of their parts."""

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from identirep import IdentifiableRegressor, PredictiveFeatures
from identirep.weighted_fit import fitted, weight_fault

_TAKE = [
    LinearRegression(),
    make_pipeline(StandardScaler(), Ridge()),
    make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Ridge())),
    TransformedTargetRegressor(Ridge()),
    MultiOutputRegressor(Ridge()),
    GridSearchCV(Ridge(), {"alpha": [1.0]}),
    TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge())),
    MultiOutputRegressor(make_pipeline(StandardScaler(), Ridge())),
    GridSearchCV(
        make_pipeline(StandardScaler(), TransformedTargetRegressor(Ridge())),
        {"transformedtargetregressor__regressor__alpha": [1.0]},
    ),
]
_REFUSE = [
    (KNeighborsRegressor(), "KNeighborsRegressor"),
    (PLSRegression(), "PLSRegression"),
    (make_pipeline(StandardScaler(), KNeighborsRegressor()), "KNeighborsRegressor"),
    (MultiOutputRegressor(KNeighborsRegressor()), "KNeighborsRegressor"),
    (TransformedTargetRegressor(PLSRegression()), "PLSRegression"),
    (BaggingRegressor(make_pipeline(StandardScaler(), Ridge())), "a pipeline in BaggingRegressor"),
]


def _rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    Y = X @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(80, 4))
    bad = np.arange(80) % 4 == 0
    Y[bad] += 50.0 * rng.normal(size=(bad.sum(), 4))
    return X, Y, np.where(bad, 1e-9, 1.0)


@pytest.mark.parametrize("regressor", _TAKE, ids=lambda regressor: type(regressor).__name__)
def test_weights_reach_the_regressor(regressor):
    X, Y, w = _rows()
    assert weight_fault(regressor) is None
    found = fitted(regressor, X, Y, w).predict(X)
    expected = fitted(regressor, X[w == 1], Y[w == 1], None).predict(X)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)


def test_all_members_have_to_take_weights():
    assert weight_fault(StackingRegressor([("a", Ridge()), ("b", LinearRegression())])) is None
    assert "PLSRegression" in weight_fault(StackingRegressor([("a", Ridge()), ("b", PLSRegression())]))
    piped = StackingRegressor([("a", make_pipeline(StandardScaler(), Ridge())), ("b", Ridge())])
    assert "a pipeline in StackingRegressor" in weight_fault(piped)


def test_weights_reach_the_scaler_of_a_pipeline():
    X, Y, w = _rows()
    X[w < 1] += 1e6
    scaler = fitted(make_pipeline(StandardScaler(), Ridge()), X, Y, w)[0]
    np.testing.assert_allclose(scaler.mean_, np.average(X, axis=0, weights=w))


@pytest.mark.parametrize(("regressor", "name"), _REFUSE)
@pytest.mark.parametrize(
    "estimator", [PredictiveFeatures, lambda regressor: IdentifiableRegressor(regressor=regressor)]
)
def test_regressors_that_take_none_are_refused_by_name(estimator, regressor, name):
    X, Y, w = _rows()
    with pytest.raises(ValueError, match=f"sample_weight is not possible with {name}: got weights"):
        estimator(regressor).fit(X, Y, sample_weight=w)
