"""More targets than rows: the space of the predictions gives what their covariance would, at a fraction of the cost."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from identirep import PredictiveFeatures
from identirep.mtrn import row_space


def _problem(n=60, T=90):
    rng = np.random.default_rng(0)
    Z = rng.laplace(size=(n, 3))
    # Targets of all sizes, one of which is predicted by nothing.
    Y = (Z @ rng.normal(size=(3, T)) + 0.3 * rng.normal(size=(n, T))) * 10.0 ** rng.uniform(-3, 3, T)
    Y[:, 5] = rng.normal(size=n)
    return Z @ rng.normal(size=(3, 5)), Y, np.repeat(rng.uniform(0.5, 2.0, n // 2), 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("regressor", [LinearRegression(), KNeighborsRegressor(3, weights="distance")], ids=type)
def test_same_features_as_of_all_targets(monkeypatch, regressor, weighted):
    X, Y, weights = _problem()
    weights = weights if weighted and isinstance(regressor, LinearRegression) else None
    fits = []
    for fewest in (256, 10):
        monkeypatch.setattr(row_space, "_FEWEST", fewest)
        fits.append(PredictiveFeatures(regressor, 3, random_state=0).fit(X, Y, sample_weight=weights))
    one, two = fits
    np.testing.assert_allclose(two.spectrum_[:3], one.spectrum_[:3], rtol=1e-6)
    np.testing.assert_allclose(two.transform(X), one.transform(X), atol=1e-8)
    np.testing.assert_allclose(two.predict(X), one.predict(X), atol=1e-8 * Y.std())
    np.testing.assert_allclose(two.moments_.scatter_hy, one.moments_.scatter_hy, atol=1e-6 * Y.std())
    np.testing.assert_allclose(two.noise_std_, one.noise_std_, rtol=1e-8)


def test_space_holds_the_predictions_and_no_more():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 300)) * 10.0 ** rng.uniform(-3, 3, 300) + 7.0
    space = row_space.RowSpace.of(F, F.std(axis=0))
    assert space.coordinates.shape == (200, 4)
    np.testing.assert_allclose(
        space.mean + space.coordinates @ space.heads(np.ones(300)).coef.T, F, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose((F - space.mean) @ space.of_targets(np.eye(4)).T, space.coordinates, atol=1e-8)
    assert row_space.RowSpace.of(F[:, :250], F.std(axis=0)[:250]) is None
    assert row_space.RowSpace.of(np.ones((200, 300)), np.full(300, np.inf)).coordinates.shape == (200, 1)
