"""Both stages together: truth, any stage one, no signal, export, conventions."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn import config_context
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures
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
    model = IdentifiableRegressor(4, regressor=MTRN(**QUICK), n_checks=0, random_state=0).fit(X[:1500], Y[:1500])
    return model, X, Y, Z


def test_latents_are_the_true_ones_on_held_out_rows(fitted):
    model, X, Y, Z = fitted
    assert mcc_score(model.transform(X[1500:]), Z[1500:]) > 0.95
    assert model.score(X[1500:], Y[1500:]) > 0.6


def test_two_fits_agree_far_better_than_features_do(fitted):
    model, X, Y, _ = fitted
    other = IdentifiableRegressor(4, regressor=MTRN(**QUICK), n_checks=0, random_state=1).fit(X[:1500], Y[:1500])
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
    model = IdentifiableRegressor(3, regressor=stage, n_checks=0, random_state=0).fit(data.X, data.y, data.tasks)
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
        (
            "mlp",
            ValueError,
            "regressor is not valid: got 'mlp', expected 'mtrn' or .* or 'auto' or an estimator",
        ),
        (3.0, TypeError, "regressor has the wrong type: got 3"),
    ],
)
def test_bad_regressors_are_named(regressor, error, message):
    X, Y, _ = _wide(n=50)
    with pytest.raises(error, match=message):
        IdentifiableRegressor(2, regressor=regressor).fit(X, Y)


def test_settings_of_stage_two_are_kept_and_the_object_is_not_touched():
    X, Y, _ = _wide(n=400)
    causal = MTLCM(noise_std=0.1, n_init=2, max_iter=300)
    settings = {"regressor": LinearRegression(), "random_state": 0}
    model = IdentifiableRegressor(2, causal_model=causal, **settings).fit(X, Y)
    assert not hasattr(causal, "mixing_")
    assert causal.random_state is None
    assert model.causal_model_.noise_std_ == 0.1
    seed = model.causal_model_.random_state
    # Features made from the targets tell nothing of rows and tasks, which are not judged by them.
    assert model.causal_model_.get_params() == causal.get_params() | {"random_state": seed, "robust": None}
    # The same draw for both: what is set is kept.
    assert IdentifiableRegressor(2, **settings).fit(X, Y).causal_model_.random_state == seed
    own = IdentifiableRegressor(2, causal_model=MTLCM(2, random_state=5), **settings).fit(X, Y)
    assert own.causal_model_.random_state == 5


class _Untrained(LinearRegression):
    def fit(self, X, y):
        raise AssertionError("stage one was trained")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"causal_model": MTLCM(3)},
            ValueError,
            r"causal_model has an n_components of its own: got 3.* one, 2",
        ),
        ({"n_components": "auto", "causal_model": MTLCM(2)}, ValueError, "got 2, expected None or that .* 'auto'"),
        ({"causal_model": MTLCM(n_init=0)}, ValueError, "causal_model: n_init is not valid: got 0"),
        (
            {"causal_model": "exact"},
            TypeError,
            "causal_model has the wrong type: got 'exact', expected None or an",
        ),
        ({"n_refinements": 1}, ValueError, "n_refinements does not fit the data"),
        ({"verbose": 2}, TypeError, "verbose has the wrong type: got 2"),
        ({"n_components": 0}, ValueError, "n_components is not valid: got 0, expected 'auto' or an int"),
        (
            {"causal_model": MTLCM(3, tol=0.0), "n_refinements": 1},
            ValueError,
            "(?s)3 faults.*causal_model: tol.*causal_model has.*n_refinements",
        ),
    ],
)
def test_bad_settings_are_named_before_anything_is_trained(settings, error, message):
    X, Y, _ = _wide(n=50)
    with pytest.raises(error, match=message):
        IdentifiableRegressor(**{"n_components": 2, "regressor": _Untrained()} | settings).fit(X, Y)


def test_warnings_name_what_the_caller_can_change():
    X, Y, _ = _wide(n=400)
    causal = MTLCM(n_init=1, max_iter=1, tol=1e-12)
    model = IdentifiableRegressor(4, regressor=LinearRegression(), causal_model=causal, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"Pass causal_model=MTLCM\(max_iter=\.\.\.\) with more than 1\."):
        model.fit(X, Y)


@pytest.mark.parametrize(("output", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
@pytest.mark.filterwarnings("error::UserWarning")
def test_set_output_names_the_latents(output, kind):
    X, Y, _ = _wide(n=400)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(12)], index=[f"row {i}" for i in range(400)])
    inputs = frame if output == "pandas" else pl.from_pandas(frame)
    settings = {"regressor": PredictiveFeatures(LinearRegression()), "random_state": 0}
    plain = IdentifiableRegressor(3, **settings).fit(inputs, Y)
    causal = MTLCM().set_output(transform=output)
    framed = IdentifiableRegressor(3, causal_model=causal, **settings).set_output(transform=output).fit(inputs, Y)
    Z = framed.transform(inputs)
    assert isinstance(Z, kind)
    assert list(Z.columns) == list(plain.get_feature_names_out()) == ["latent_0", "latent_1", "latent_2"]
    assert list(plain.feature_names_in_) == list(frame.columns)
    if output == "pandas":
        pd.testing.assert_index_equal(Z.index, frame.index)
    np.testing.assert_array_equal(Z.to_numpy(), plain.transform(inputs))
    with config_context(transform_output=output):
        assert isinstance(plain.transform(inputs), kind)
        for use in ("all", "causal"):
            np.testing.assert_array_equal(framed.predict(inputs, use=use), plain.predict(inputs, use=use))
        task = framed.adapt(inputs[:30], Y[:30, 0])
        assert isinstance(task.predict(inputs), np.ndarray)


def test_refinement_does_not_depend_on_set_output():
    data = make_nonlinear_tasks(20, 40, 2, 8, 1, random_state=0)
    stage = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=5, device="cpu")
    with config_context(transform_output="pandas"):
        model = IdentifiableRegressor(2, regressor=stage, n_refinements=1, random_state=0)
        Z = model.fit(data.X, data.y, data.tasks).transform(data.X)
    assert list(Z.columns) == ["latent_0", "latent_1"]


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


_EXPECTED = {
    "check_dataframe_column_names_consistency": "columns are taken by their names, in any order",
    "check_sample_weight_equivalence_on_dense_data": "weights are analytic: a weight of 3 is not three rows",
}


@parametrize_with_checks(
    [IdentifiableRegressor(1, regressor=LinearRegression(), random_state=0)],
    expected_failed_checks=lambda _: _EXPECTED,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_a_series_is_noticed_and_a_copy_named():
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(300, 12)), axis=0)
    X, Y = walks[:, :4], walks[:, 4:]
    model = IdentifiableRegressor(2, regressor=LinearRegression(), random_state=0)
    with pytest.warns(UserWarning, match=r"R\^2 .* on stretches of rows left out\)\. For a series, pass order="):
        model.fit(X, Y)
    assert not model.row_order_.holds_later
    rows = rng.permutation(300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not model.fit(X[rows], Y[rows]).row_order_.is_dependent
    with pytest.warns(UserWarning, match="target 7 is a linear copy of input 2"):
        model.fit(X[rows], np.column_stack([Y[:, :7], 1 - X[:, 2]])[rows])
    assert model.fit(X, Y, order=np.arange(300)).row_order_.is_given
