"""IdentifiableRegressor: a new task from few rows of inputs, and predictions from causes alone."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from identirep import IdentifiableRegressor
from identirep.mtlcm import AdaptedTask


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    mixing, heads = rng.normal(size=(8, 4)), rng.normal(size=(4, 41)) * (rng.random((4, 41)) < 0.5)
    heads[:, 40] = [1.0, 0.0, -1.5, 0.0]
    Z = rng.normal(size=(1500, 4))
    X = Z @ mixing.T
    Y = Z @ heads + 0.1 * rng.normal(size=(1500, 41))
    model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X[:1000], Y[:1000, :40])
    return X, Y, model


def test_a_new_task_is_predicted_from_inputs(problem):
    X, Y, model = problem
    y = Y[:, 40]
    task = model.adapt(X[1000:1020], y[1000:1020])
    assert isinstance(task, AdaptedTask)
    for use in ("all", "causal"):
        residual = y[1020:] - task.predict(X[1020:], use=use)
        assert 1.0 - np.mean(residual**2) / y.var() > 0.98
        lower, upper = task.predict_interval(X[1020:], level=0.9, use=use)
        assert np.mean((lower <= y[1020:]) & (y[1020:] <= upper)) == pytest.approx(0.9, abs=0.07)
    # Roles and coefficients are about the latents of this model.
    expected = model.transform(X[1020:]) @ (task.trust * task.causal_coef) + task.intercept
    np.testing.assert_allclose(task.predict(X[1020:], use="causal"), expected, rtol=1e-9)
    assert np.sum(task.causal_probability > 0.5) == 2


def test_predictions_from_causes(problem):
    X, Y, model = problem
    np.testing.assert_array_equal(model.predict(X), model.regressor_.predict(X))
    causal = model.predict(X, use="causal")
    assert causal.shape == (1500, 40)
    slope = np.diff(model.transform(X), axis=0) @ model.causal_coef_.T
    np.testing.assert_allclose(np.diff(causal, axis=0), slope, atol=1e-8)
    np.testing.assert_allclose(causal[:1000].mean(axis=0), Y[:1000, :40].mean(axis=0), atol=1e-3)
    assert not np.allclose(causal, model.predict(X), atol=1e-3)
    assert 1.0 - np.mean((Y[1000:, :40] - causal[1000:]) ** 2) / Y[:, :40].var() > 0.5


def test_one_flat_target_gives_flat_predictions(problem):
    X, Y, _ = problem
    model = IdentifiableRegressor(1, regressor=LinearRegression(), random_state=0).fit(X, Y[:, 40])
    assert model.predict(X, use="causal").shape == model.predict(X).shape == (1500,)


def test_without_signal_there_is_nothing_to_adapt():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(300, 5)), rng.normal(size=(300, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = IdentifiableRegressor(regressor=LinearRegression(), random_state=0).fit(X, Y)
    assert model.n_components_ == 0
    np.testing.assert_array_equal(model.predict(X, use="causal"), model.predict(X))
    with pytest.raises(ValueError, match="the model has no latents: got targets without signal"):
        model.adapt(X, Y[:, 0])


def test_bad_calls_are_named(problem):
    X, Y, model = problem
    with pytest.raises(ValueError, match="use is unknown: got 'spurious', expected 'all' or 'causal'"):
        model.predict(X, use="spurious")
    with pytest.raises(ValueError, match="y has too few labels: got 1, expected at least 2"):
        model.adapt(X[:1], Y[:1, 40])
    with pytest.raises(ValueError, match="y does not match X: got 19 rows for 20 in X"):
        model.adapt(X[:20], Y[:19, 40])
    with pytest.raises(ValueError, match="X contains 1 non-finite values"):
        model.adapt(np.where(X[:20] == X[0, 0], np.nan, X[:20]), Y[:20, 40])
    with pytest.raises(NotFittedError):
        IdentifiableRegressor().adapt(X, Y[:, 40])


def test_weights_of_rows_reach_both_stages(problem):
    X, Y, model = problem
    y, kept = Y[1000:1060, 40], np.arange(60) % 3 > 0
    weighed = model.adapt(X[1000:1060], y, sample_weight=kept)
    part = model.adapt(X[1000:1060][kept], y[kept])
    np.testing.assert_array_equal(weighed.predict(X[1060:]), part.predict(X[1060:]))
    unequal = model.adapt(X[1000:1060], y, sample_weight=1.0 + kept)
    assert np.abs(unequal.predict(X[1060:]) - model.adapt(X[1000:1060], y).predict(X[1060:])).max() > 0
