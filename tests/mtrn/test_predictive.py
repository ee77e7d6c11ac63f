"""Features of any regressor: cross-fitted, reproducible, and honest about noise."""

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor

from identirep import PredictiveFeatures, TaskMoments
from identirep.metrics import canonical_correlations


def _problem(n=500, D=3, T=20, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, D))
    return Z @ rng.normal(size=(D, 6)), Z @ rng.normal(size=(D, T)) + noise * rng.normal(size=(n, T)), Z


def test_linear_regression_recovers_features_and_their_number():
    X, Y, Z = _problem()
    model = PredictiveFeatures(LinearRegression(), random_state=0).fit(X, Y, [f"task {t}" for t in range(20)])
    assert model.n_components_ == 3
    assert canonical_correlations(model.transform(X), Z).min() > 0.999
    assert model.task_names_[1] == "task 1"
    assert model.noise_std_ == pytest.approx(0.3, rel=0.2)
    assert model.score(X, Y) > 0.9


@pytest.mark.parametrize(
    "regressor",
    [
        ExtraTreesRegressor(30),
        MultiOutputRegressor(GradientBoostingRegressor(n_estimators=30)),
        KNeighborsRegressor(10),
    ],
)
def test_other_regressors(regressor):
    X, Y, Z = _problem()
    first, second = (PredictiveFeatures(regressor, 3, cross_fit=3, random_state=0).fit(X, Y) for _ in range(2))
    assert canonical_correlations(first.transform(X), Z).min() > 0.85
    # Seeds are handed on to regressors, nested ones too, that have none.
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
@pytest.mark.parametrize("seed", range(3))
def test_shuffled_targets_carry_no_signal_although_trees_memorise(seed):
    X, Y, _ = _problem(seed=seed)
    Y = Y[np.random.default_rng(seed).permutation(len(Y))]
    forest = RandomForestRegressor(20)
    assert forest.set_params(random_state=0).fit(X, Y).score(X, Y) > 0.7
    for cross_fit in (3, "oob"):
        assert PredictiveFeatures(forest, cross_fit=cross_fit, random_state=seed).fit(X, Y).n_components_ == 0


def test_moments_come_from_rows_that_the_regressor_has_not_seen():
    X, Y, _ = _problem(noise=1.0)
    model = PredictiveFeatures(ExtraTreesRegressor(20), 3, random_state=0).fit(X, Y)
    # In-sample trees leave no residual; on unseen rows it is the noise.
    assert np.abs(model.regressor_.predict(X) - Y).max() < 1e-6
    assert model.noise_std_.mean() > 1.0
    in_sample = TaskMoments.from_arrays(model.transform(X), Y)
    assert np.linalg.norm(in_sample.cov_hy) > 1.1 * np.linalg.norm(model.moments_.cov_hy)


def test_out_of_bag_predictions():
    X, Y, Z = _problem()
    model = PredictiveFeatures(RandomForestRegressor(60), 3, cross_fit="oob", random_state=0).fit(X, Y)
    assert canonical_correlations(model.transform(X), Z).min() > 0.9
    assert model.moments_.n_samples[0] == 500


def test_groups_stay_in_one_fold():
    X, Y, _ = _problem(n=100, noise=1.0)
    X, Y, groups = np.tile(X, (2, 1)), np.tile(Y, (2, 1)), np.tile(np.arange(100), 2)
    nearest = KNeighborsRegressor(1)
    leaky = PredictiveFeatures(nearest, 3, cross_fit=10, random_state=0).fit(X, Y)
    honest = PredictiveFeatures(nearest, 3, cross_fit=10, random_state=0).fit(X, Y, groups=groups)
    assert honest.noise_std_.mean() > 1.25 * leaky.noise_std_.mean()


def test_one_target():
    X, Y, _ = _problem()
    model = PredictiveFeatures(LinearRegression(), random_state=0).fit(X, Y[:, 0])
    assert model.n_components_ == 1
    assert model.predict(X).shape == (500,)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"regressor": 3}, TypeError, "regressor has the wrong type: got 3"),
        ({"cross_fit": 1}, ValueError, "cross_fit is not valid: got 1"),
        ({"cross_fit": 2.5}, TypeError, "cross_fit has the wrong type: got 2.5"),
        ({"cross_fit": 501}, ValueError, "cross_fit exceeds the number of rows: got 501 for 500"),
        ({"cross_fit": "oob"}, ValueError, "cross_fit is not possible: got 'oob' with LinearRegression"),
        ({"n_components": -1}, ValueError, "n_components is not valid: got -1"),
        ({"n_components": 21}, ValueError, "n_components exceeds .*: got 21"),
        ({"regressor": DummyRegressor(), "n_components": 6}, ValueError, "n_components exceeds the rank"),
    ],
)
@pytest.mark.filterwarnings("ignore:y has no predictive signal")
def test_bad_parameters(settings, error, message):
    X, Y, _ = _problem()
    with pytest.raises(error, match=message):
        PredictiveFeatures(**{"regressor": LinearRegression()} | settings).fit(X, Y)


def test_data_that_regressors_do_not_take():
    X, Y, _ = _problem()
    with pytest.raises(ValueError, match=r"tasks is one label for each row: .* Use MTRN"):
        PredictiveFeatures(LinearRegression()).fit(X, Y[:, 0], np.arange(500) % 5)
    with pytest.raises(ValueError, match="groups cannot be kept together out of bag"):
        PredictiveFeatures(RandomForestRegressor(), cross_fit="oob").fit(X, Y, groups=np.arange(500))
    Y[4, 1] = np.nan
    with pytest.raises(ValueError, match="1 missing labels: got NaN first at row 4, task 1"):
        PredictiveFeatures(LinearRegression()).fit(X, Y)


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
def test_many_targets_without_signal_are_none():
    # Directions and their signal come from the same rows: without a test of all targets nearly every table would pass.
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(100, 3)), rng.normal(size=(100, 20))
        found += PredictiveFeatures(LinearRegression(), random_state=seed).fit(X, Y).n_components_ > 0
    assert found <= 1
