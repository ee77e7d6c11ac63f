"""Features of any regressor: cross-fitted, reproducible, and honest about noise."""

import warnings
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor

from identirep import PredictiveFeatures, TaskMoments
from identirep.metrics import canonical_correlations
from identirep.mtrn.sides import dependent_rows
from identirep.validation import check_task_data


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
    X, Y, Z = _problem(n=300, T=8)
    first, second = (PredictiveFeatures(regressor, 3, cross_fit=3, random_state=0).fit(X, Y) for _ in range(2))
    assert canonical_correlations(first.transform(X), Z).min() > 0.85
    # Seeds are handed on to regressors, nested ones too, that have none.
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
@pytest.mark.parametrize("seed", range(3))
def test_shuffled_targets_carry_no_signal_although_trees_memorise(seed):
    X, Y, _ = _problem(n=300, T=10, seed=seed)
    Y = Y[np.random.default_rng(seed).permutation(len(Y))]
    forest = RandomForestRegressor(20)
    assert forest.set_params(random_state=0).fit(X, Y).score(X, Y) > 0.7
    for cross_fit in (3, "oob"):
        assert PredictiveFeatures(forest, cross_fit=cross_fit, random_state=seed).fit(X, Y).n_components_ == 0


def test_moments_come_from_rows_that_the_regressor_has_not_seen():
    X, Y, _ = _problem(noise=1.0)
    model = PredictiveFeatures(ExtraTreesRegressor(20), 3, random_state=0).fit(X, Y)
    # In-sample trees leave no residual; on unseen rows it is the noise.
    assert np.abs(model.regressor_.predict(X) - (Y - Y.mean(axis=0)) / Y.std(axis=0)).max() < 1e-6
    assert model.noise_std_.mean() > 1.0
    in_sample = TaskMoments.from_arrays(model.transform(X), Y)
    assert np.linalg.norm(in_sample.cov_hy) > 1.1 * np.linalg.norm(model.moments_.cov_hy)


def test_out_of_bag_predictions():
    X, Y, Z = _problem()
    model = PredictiveFeatures(RandomForestRegressor(60), 3, cross_fit="oob", random_state=0).fit(X, Y)
    assert canonical_correlations(model.transform(X), Z).min() > 0.9
    assert model.moments_.n_samples[0] == 500


def test_groups_and_equal_rows_stay_in_one_fold(rng):
    X, Y, _ = _problem(n=100, noise=1.0)
    X, Y, groups = np.tile(X, (2, 1)), np.tile(Y, (2, 1)), np.tile(np.arange(100), 2)
    apart = X + 1e-9 * rng.normal(size=X.shape)
    stage = PredictiveFeatures(KNeighborsRegressor(1), 3, cross_fit=10, random_state=0)
    noise = {
        "leaky": clone(stage).fit(apart, Y).noise_std_.mean(),
        "groups": clone(stage).fit(apart, Y, groups=groups).noise_std_.mean(),
        "equal": clone(stage).fit(X, Y).noise_std_.mean(),
    }
    assert min(noise["groups"], noise["equal"]) > 1.25 * noise["leaky"], noise


def test_out_of_bag_predictions_of_repeated_rows_do_not_count():
    X, Y, _ = _problem(n=300, noise=1.0)
    X, Y = np.concatenate([X, X[:100]]), np.concatenate([Y, Y[:100]])
    forest = RandomForestRegressor(40, bootstrap=True)
    model = PredictiveFeatures(forest, 3, cross_fit="oob", random_state=0).fit(X, Y)
    assert model.moments_.n_samples[0] == 200
    with pytest.raises(ValueError, match="equal inputs cannot be kept together out of bag"):
        clone(model).fit(X[:100].repeat(2, axis=0), Y[:100].repeat(2, axis=0))


class _Recorder(LinearRegression):
    """Keeps which times it was fitted to and asked for; the last input is the time."""

    asked: ClassVar[list] = []

    def fit(self, X, y):
        self.times_ = X[:, -1]
        return super().fit(X, y)

    def predict(self, X):
        self.asked.append((self.times_, X[:, -1]))
        return super().predict(X)


def test_out_of_bag_predictions_of_zero_count(rng):
    X = rng.normal(size=(300, 5))
    busy = (X[:, 0] > 1)[:, None]
    Y = np.where(busy, rng.poisson(3 + 2 * np.abs(X[:, 1:4])), 0).astype(float)
    forest = RandomForestRegressor(30, bootstrap=True)
    models = [PredictiveFeatures(forest, 1, cross_fit="oob", random_state=0).fit(X, Y + shift) for shift in (0, 1)]
    assert [model.moments_.n_rows for model in models] == [300, 300]
    np.testing.assert_allclose(models[0].noise_std_, models[1].noise_std_)


def test_rows_in_every_bag_have_no_prediction(rng):
    X, Y, _ = _problem(n=200)
    model = PredictiveFeatures(RandomForestRegressor(3), 2, cross_fit="oob", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, Y)
    in_all = np.all([np.isin(np.arange(200), rows) for rows in model.regressor_.estimators_samples_], axis=0)
    assert in_all.any()
    assert model.moments_.n_rows == 200 - in_all.sum()


def test_folds_of_ordered_rows_are_stretches_with_gaps(rng):
    X, Y, _ = _problem(n=200)
    times = rng.permutation(200).astype(float)
    X = np.column_stack([X, times])
    _Recorder.asked.clear()
    PredictiveFeatures(_Recorder(), 3, random_state=0).fit(X, Y, order=times)
    folds = _Recorder.asked[:5]
    for trained, asked in folds:
        assert np.ptp(asked) == len(asked) - 1, "a stretch"
        assert np.abs(trained[:, None] - asked).min() in (10, 11), "a twentieth of the rows on each side is left out"
    np.testing.assert_array_equal(np.sort(np.concatenate([asked for _, asked in folds])), np.arange(200))


def test_order_is_refused_out_of_bag():
    X, Y, _ = _problem(n=100)
    with pytest.raises(ValueError, match="order cannot be respected out of bag"):
        PredictiveFeatures(RandomForestRegressor(5), cross_fit="oob").fit(X, Y, order=np.arange(100))


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
    with pytest.raises(ValueError, match="1 missing labels: got NaN first at index 4, task 1"):
        PredictiveFeatures(LinearRegression()).fit(X, Y)


def test_series_without_relation_have_no_signal_in_their_order():
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        series = rng.normal(size=(600, 14))
        for i in range(1, 600):
            series[i] = 0.9 * series[i - 1] + np.sqrt(1 - 0.81) * series[i]
        model = PredictiveFeatures(LinearRegression(), random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(model.fit(series[:, :4], series[:, 4:], order=np.arange(600)).n_components_)
    assert np.count_nonzero(found) <= 1, found


def test_chance_takes_stretches_of_an_order_for_one(rng):
    X, Y, _ = _problem(n=200)
    times = rng.permutation(200)
    chosen = rng.random(200) < 0.8
    data = replace(check_task_data(X, Y), order=times)
    found = dependent_rows(data, None, chosen)[np.argsort(times[chosen])]
    assert np.all(np.diff(found) >= 0)
    assert 2 < len(np.unique(found)) < chosen.sum() / 2
    assert dependent_rows(check_task_data(X, Y), None, chosen) is None


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
def test_many_targets_without_signal_are_none():
    # Directions and their signal come from the same rows: without a test of all targets nearly every table would pass.
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(100, 3)), rng.normal(size=(100, 20))
        found += PredictiveFeatures(LinearRegression(), random_state=seed).fit(X, Y).n_components_ > 0
    assert found <= 1


def test_out_of_bag_a_value_on_repeated_rows_alone_spoils_no_other_target():
    X, Y, _ = _problem(n=200, T=8)
    # Rows with equal inputs have no predictions out of bag.
    X[:4], Y[:, 3] = X[0], np.arange(200) < 4
    model = PredictiveFeatures(RandomForestRegressor(60), cross_fit="oob", random_state=0).fit(X, Y)
    assert model.n_components_ >= 2


@pytest.mark.parametrize("seed", range(3))
def test_strong_signal_shows_in_few_groups(seed):
    # Multiples of what random signs give hid it, since signs leave signal in what they are measured by.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 4))
    Y = np.repeat(X[:, :2], 4, axis=1) + 0.2 * rng.normal(size=(120, 8))
    model = PredictiveFeatures(LinearRegression(), random_state=seed).fit(X, Y, groups=np.arange(120) // 4)
    assert model.n_components_ == 2


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
@pytest.mark.parametrize("n_groups", [2, 3])
def test_few_groups_are_as_many_folds(n_groups, monkeypatch):
    X, Y, _ = _problem()
    groups, fitted, fit = np.arange(500) % n_groups, [], LinearRegression.fit
    monkeypatch.setattr(LinearRegression, "fit", lambda self, X, y: fitted.append(len(X)) or fit(self, X, y))
    PredictiveFeatures(LinearRegression(), random_state=0).fit(X, Y, groups=groups)
    # Each fold is a group, and the last fit is to all rows.
    assert sorted(fitted) == sorted([*(500 - np.bincount(groups)), 500])
