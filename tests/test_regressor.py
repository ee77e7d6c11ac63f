"""Both stages together: truth, any stage one, no signal, export, conventions."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from identirep import MTRN, IdentifiableRegressor, PredictiveFeatures
from identirep.datasets import make_nonlinear_tasks
from identirep.metrics import mcc_score

QUICK = {"hidden_sizes": (64,), "n_replicates": 2, "max_epochs": 60, "device": "cpu"}


def _wide(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 4))
    X = np.tanh(Z @ rng.normal(size=(4, 12))) + 0.02 * rng.normal(size=(n, 12))
    heads = rng.normal(size=(4, 40)) * (rng.random((4, 40)) < 0.35)
    return X, Z @ heads + 0.2 * rng.normal(size=(n, 40)), Z


@pytest.fixture(scope="module")
def fitted():
    X, Y, Z = _wide()
    model = IdentifiableRegressor(4, regressor=MTRN(**QUICK), random_state=0).fit(X[:1500], Y[:1500])
    return model, X, Y, Z


def test_latents_are_the_true_ones_on_held_out_rows(fitted):
    model, X, Y, Z = fitted
    assert mcc_score(model.transform(X[1500:]), Z[1500:]) > 0.95
    assert model.score(X[1500:], Y[1500:]) > 0.6


def test_two_fits_agree_far_better_than_features_do(fitted):
    model, X, Y, _ = fitted
    other = IdentifiableRegressor(4, regressor=MTRN(**QUICK), random_state=1).fit(X[:1500], Y[:1500])
    canonical = mcc_score(model.transform(X[1500:]), other.transform(X[1500:]))
    assert canonical > 0.97
    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    features = mcc_score(model.regressor_.transform(X[1500:]), other.regressor_.transform(X[1500:]) @ mixed)
    assert features < canonical - 0.05


def test_any_regressor_is_a_stage_one():
    X, Y, Z = _wide()
    model = IdentifiableRegressor(4, regressor=LinearRegression(), random_state=0).fit(X[:1500], Y[:1500])
    assert isinstance(model.regressor_, PredictiveFeatures)
    assert mcc_score(model.transform(X[1500:]), Z[1500:]) > 0.9
    trees = IdentifiableRegressor(4, regressor=ExtraTreesRegressor(10, random_state=0), random_state=0)
    assert trees.fit(X[:500], Y[:500]).transform(X[:3]).shape == (3, 4)


def test_long_layout_end_to_end():
    data = make_nonlinear_tasks(
        n_tasks=120, n_samples=100, n_latents=3, n_observed=20, n_causal=1, activation="leaky_relu", random_state=0
    )
    stage = MTRN(hidden_sizes=(64,), n_replicates=2, max_epochs=60, device="cpu")
    model = IdentifiableRegressor(3, regressor=stage, random_state=0).fit(data.X, data.y, data.tasks)
    assert mcc_score(model.transform(data.X), data.Z) > 0.95
    assert model.causal_probability_.shape == (120, 3)


@pytest.mark.parametrize("n_components", ["auto", 3])
def test_shuffled_targets_are_said_to_carry_no_signal(n_components):
    X, Y, _ = _wide(n=600)
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="no predictive signal"):
        model = IdentifiableRegressor(n_components, regressor=MTRN(**QUICK | {"max_epochs": 15}), random_state=0).fit(
            X, Y[rng.permutation(len(Y))]
        )
    assert model.transform(X).shape == (600, 0 if n_components == "auto" else 3)
    assert "identified" not in model.certificate_.verdict
    assert all("no signal" in reason for reason in model.certificate_.reasons)
    assert model.certificate_.head_rank == 0
    assert model.causal_probability_.shape == (40, model.n_components_)
    assert model.predict(X).shape == (600, 40)


def test_torch_module_gives_the_same_latents(fitted):
    model, X, _, _ = fitted
    with torch.no_grad():
        exported = model.to_torch()(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(exported, model.transform(X), atol=1e-4)


def test_settings_of_a_stage_one_object_are_kept_and_the_object_is_not_touched():
    X, Y, _ = _wide(n=400)
    stage = PredictiveFeatures(LinearRegression(), cross_fit=3)
    model = IdentifiableRegressor(2, regressor=stage, random_state=0).fit(X, Y)
    assert model.regressor_.cross_fit == 3
    assert model.regressor_.n_components == 2
    assert not hasattr(stage, "components_")
    # n_components="auto" leaves the stage's own choice alone.
    own = IdentifiableRegressor(regressor=PredictiveFeatures(LinearRegression(), 3), random_state=0).fit(X, Y)
    assert own.n_components_ == 3


def test_same_seed_same_bits():
    X, Y, _ = _wide(n=400)
    settings = {"regressor": MTRN(**QUICK | {"max_epochs": 5}), "random_state": 3}
    first, second = (IdentifiableRegressor(3, **settings).fit(X, Y).transform(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("regressor", "error", "message"),
    [
        ("mlp", ValueError, "regressor is not valid: got 'mlp', expected 'mtrn' or an estimator"),
        (3.0, TypeError, "regressor has the wrong type: got float"),
    ],
)
def test_bad_regressors_are_named(regressor, error, message):
    X, Y, _ = _wide(n=50)
    with pytest.raises(error, match=message):
        IdentifiableRegressor(2, regressor=regressor).fit(X, Y)


def test_trees_have_no_torch_form():
    X, Y, _ = _wide(n=200)
    model = IdentifiableRegressor(2, regressor=LinearRegression(), random_state=0).fit(X, Y)
    with pytest.raises(TypeError, match="regressor has no torch form: got PredictiveFeatures"):
        model.to_torch()


def test_not_fitted_yet():
    for use in (
        lambda model: model.transform(np.zeros((2, 2))),
        lambda model: model.certificate_,
        lambda model: model.n_components_,
        lambda model: model.save("nowhere"),
    ):
        with pytest.raises(NotFittedError):
            use(IdentifiableRegressor())


@parametrize_with_checks([IdentifiableRegressor(1, regressor=LinearRegression(), random_state=0)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)
