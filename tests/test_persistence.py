"""Run directories give back the same model, are written all or nothing, and say what is wrong with them."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures
from identirep.mtrn import ChosenRegressor
from identirep.signal_check import Signal

_RUN_V1 = Path(__file__).parent / "data" / "run_v1"
_FILES = {"model.safetensors", "model.json", "history.parquet", "estimator.skops"}


def _stage(**settings):
    return MTRN(**{"hidden_sizes": (8,), "n_features": 6, "n_replicates": 2, "max_epochs": 15} | settings)


def _problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    return X, X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(200, 8))


@pytest.fixture(scope="module")
def model():
    X, Y = _problem()
    inputs = pa.table([pa.array(column) for column in X.T], names=["Fe", "Ni", "größe", "x,y"])
    return IdentifiableRegressor(2, regressor=_stage(), random_state=0).fit(inputs, Y, [f"task {t}" for t in range(8)])


@pytest.fixture
def run(model, tmp_path):
    model.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_round_trip(model, run):
    X, _ = _problem()
    loaded = IdentifiableRegressor.load(run)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    with torch.no_grad():
        x = torch.from_numpy(X).float()
        np.testing.assert_array_equal(loaded.to_torch()(x), model.to_torch()(x))
    assert loaded.task_names_ == model.task_names_
    assert loaded.regressor_.history_ == model.regressor_.history_
    for name in ("causal_probability_", "causal_coef_", "spurious_coef_", "spectrum_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))


def test_round_trip_of_the_certificate(model, run):
    loaded = IdentifiableRegressor.load(run)
    assert loaded.certificate_.verdict == model.certificate_.verdict
    np.testing.assert_array_equal(loaded.certificate_.bootstrap_mcc, model.certificate_.bootstrap_mcc)


def test_round_trip_of_parameters(tmp_path):
    stage, causal = _stage(hidden_sizes=np.array([8]), verbose=True, device="cpu"), MTLCM(n_init=7, noise_std=0.0)
    generator = np.random.default_rng(0)
    fitted = IdentifiableRegressor(2, regressor=stage, causal_model=causal, verbose=True, random_state=generator)
    fitted.fit(*_problem()).save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    # Where it ran and what it printed is not the model, and generators have served their purpose.
    expected = _stage(hidden_sizes=(8,)).get_params()
    assert loaded.regressor.get_params() == expected
    assert loaded.regressor_.get_params() == expected | {
        name: getattr(fitted.regressor_, name) for name in ("n_components", "random_state")
    }
    assert loaded.causal_model.get_params() == causal.get_params()
    assert loaded.causal_model_.get_params() == fitted.causal_model_.get_params()
    assert (loaded.n_components, loaded.verbose, loaded.random_state) == (2, False, None)
    assert loaded.n_refinements_ == 0
    assert "cpu" not in (tmp_path / "run" / "model.json").read_text().replace("+cpu", "")


def test_names_of_features_are_kept_and_checked(run):
    X, _ = _problem()
    wrong = pa.table([pa.array(column) for column in X.T], names=["Fe", "Ni", "size", "x,y"])
    with pytest.raises(ValueError, match="X lacks 1 of the 4 inputs of the model: got no column 'größe'"):
        IdentifiableRegressor.load(run).transform(wrong)


def test_a_loaded_model_can_be_saved_again(run, tmp_path):
    IdentifiableRegressor.load(run).save(tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_long_layout_with_numbered_tasks(tmp_path):
    rng = np.random.default_rng(1)
    X, tasks = rng.normal(size=(240, 3)), np.repeat(np.arange(8), 30)
    y = np.einsum("nd,nd->n", X[:, :2], rng.laplace(size=(8, 2))[tasks]) + 0.1 * rng.normal(size=240)
    fitted = IdentifiableRegressor(2, regressor=_stage(max_epochs=60), random_state=0).fit(X, y, tasks)
    fitted.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert loaded.task_names_ == tuple(range(8))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.score(X, y, tasks) == fitted.score(X, y, tasks)


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
def test_model_without_stage_two(tmp_path):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(200, 3)), rng.normal(size=(200, 5))
    fitted = IdentifiableRegressor(regressor=_stage(max_epochs=2), random_state=0).fit(X, Y)
    assert fitted.causal_model_ is None
    fitted.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert loaded.transform(X).shape == (200, 0)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_own_encoder(tmp_path):
    X, Y = _problem()

    def encoder():
        return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5))

    fitted = IdentifiableRegressor(2, regressor=_stage(encoder=encoder()), random_state=0).fit(X, Y)
    fitted.save(tmp_path / "run")
    with pytest.raises(ValueError, match="encoder is missing: got None, expected the module"):
        IdentifiableRegressor.load(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run", encoder=encoder())
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def test_files(run):
    assert {path.name for path in run.iterdir()} == _FILES
    document = json.loads((run / "model.json").read_text(encoding="utf-8"))
    assert document["format_version"] == 2
    assert document["feature_names"] == ["Fe", "Ni", "größe", "x,y"]
    assert document["kind"] == "IdentifiableRegressor"
    assert document["parts"]["regressor"]["meta"]["moments"]["task_names"] == [f"task {t}" for t in range(8)]
    assert document["versions"]["numpy"] == np.__version__
    assert len(document["sha256"]) == 64


class _Opaque(LinearRegression):
    """A type that skops does not know."""


def test_regressor_of_a_type_that_nobody_knows(tmp_path):
    fitted = IdentifiableRegressor(2, regressor=_Opaque(), random_state=0).fit(*_problem())
    with pytest.raises(
        TypeError, match=r"cannot be saved without pickle: got types .*_Opaque, expected those of scikit"
    ):
        fitted.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "regressor",
    ["ridge", "extra-trees", LinearRegression(), PredictiveFeatures(RandomForestRegressor(10), cross_fit=3)],
    ids=lambda regressor: regressor if isinstance(regressor, str) else type(regressor).__name__,
)
def test_round_trip_of_regressors_of_scikit_learn(tmp_path, regressor):
    X, Y = _problem()
    fitted = IdentifiableRegressor(2, regressor=regressor, random_state=0).fit(X, Y)
    fitted.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == _FILES - {"history.parquet"}
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert repr(loaded) == repr(fitted)
    assert repr(loaded.regressor_) == repr(fitted.regressor_)
    # It can be fitted again, and a network in its place leaves no file of it.
    np.testing.assert_array_equal(loaded.fit(X, Y).predict(X), fitted.predict(X))
    IdentifiableRegressor(2, regressor=_stage(max_epochs=2), random_state=0).fit(X, Y).save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == _FILES - {"estimator.skops"}


def test_estimators_of_other_types_are_not_built(tmp_path):
    fitted = IdentifiableRegressor(2, regressor=LinearRegression(), random_state=0).fit(*_problem())
    fitted.save(tmp_path / "run")
    path, document = tmp_path / "run" / "estimator.skops", tmp_path / "run" / "model.json"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(skops.io.dumps({"parameter": _Opaque(), "fitted": _Opaque()}))
    with pytest.raises(ValueError, match="is damaged: got SHA-256"):
        IdentifiableRegressor.load(tmp_path / "run")
    # Whoever forges the file can forge its digest.
    text = document.read_text(encoding="utf-8").replace(old, hashlib.sha256(path.read_bytes()).hexdigest())
    document.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"types that are not trusted: got .*_Opaque"):
        IdentifiableRegressor.load(tmp_path / "run")


def test_what_was_said_of_signal_and_of_the_choice_is_kept(tmp_path):
    X, Y = _problem()
    fitted = IdentifiableRegressor(regressor="ridge", random_state=0).fit(X, Y)
    fitted.regressor_choice_ = ChosenRegressor("ridge", {"ridge": 0.5}, "because")
    fitted.regressor_.signal_ = Signal("too few rows", "add some", {"ridge": 0.1})
    fitted.regressor_.n_components_range_ = (1, 3)
    fitted.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert loaded.regressor_choice_ == fitted.regressor_choice_
    assert loaded.regressor_.signal_ == fitted.regressor_.signal_
    assert loaded.regressor_.n_components_range_ == (1, 3)


@pytest.mark.filterwarnings("ignore:Rows depend on each other", "ignore:What rows say does not hold")
@pytest.mark.parametrize("order", [None, np.arange(200)], ids=["found", "given"])
def test_what_was_said_of_the_rows_is_kept(tmp_path, order):
    walks = np.cumsum(np.random.default_rng(0).normal(size=(200, 6)), axis=0)
    fitted = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0)
    fitted.fit(walks[:, :3], walks[:, 3:], order=order).save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert loaded.row_order_ == fitted.row_order_
    assert (loaded.row_order_.reason, loaded.row_order_.remark) == (fitted.row_order_.reason, fitted.row_order_.remark)
    assert type(loaded.row_order_.is_given) is bool
    assert loaded.row_order_.is_dependent
    assert loaded.certificate_.reasons == fitted.certificate_.reasons


class _HalfBuffer(torch.nn.Module):
    def __init__(self, dtype=torch.bfloat16):
        super().__init__()
        self.layer = torch.nn.Linear(4, 6)
        self.register_buffer("shift", torch.full((4,), 0.3, dtype=dtype))

    def forward(self, x):
        return torch.tanh(self.layer(x + self.shift.real.float()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int16, torch.bool])
def test_buffers_of_any_numbers_come_back(tmp_path, dtype):
    X, Y = _problem()
    stage = _stage(encoder=functools.partial(_HalfBuffer, dtype), max_epochs=3)
    fitted = IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0).fit(X, Y)
    fitted.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run", encoder=functools.partial(_HalfBuffer, dtype))
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert loaded.regressor_.module_.replicates[0].shift.dtype == dtype


def test_buffers_that_cannot_be_stored_are_named(tmp_path):
    stage = _stage(encoder=functools.partial(_HalfBuffer, torch.complex128), max_epochs=3)
    fitted = IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0).fit(*_problem())
    with pytest.raises(TypeError, match=r"encoder cannot be saved .* got torch.complex128 in 'replicates.0.shift'"):
        fitted.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_parameters_of_numpy_come_back_as_numbers(tmp_path):
    model = IdentifiableRegressor(np.int64(2), regressor="ridge", n_checks=np.int32(0), random_state=np.int64(3))
    model.fit(*_problem()).save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert [type(value) for value in (loaded.n_components, loaded.n_checks, loaded.random_state)] == [int] * 3


def test_stored_run_still_loads():
    expected = json.loads((_RUN_V1 / "expected.json").read_text(encoding="utf-8"))
    loaded = IdentifiableRegressor.load(_RUN_V1)
    X = np.array(expected["X"])
    table = pa.table([pa.array(column) for column in X.T], names=["Fe", "Ni", "Cu", "Zn"])
    np.testing.assert_allclose(loaded.transform(table), expected["latents"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loaded.predict(table), expected["predictions"], rtol=1e-4, atol=1e-5)
    assert list(loaded.task_names_) == expected["task_names"]
    assert loaded.certificate_.verdict == expected["verdict"]


def test_runs_from_before_the_order_of_rows_was_stored(tmp_path):
    old = IdentifiableRegressor.load(_RUN_V1)
    vars(old).pop("row_order_", None)
    old.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    assert not hasattr(loaded, "row_order_")
    assert loaded.certificate_.verdict == old.certificate_.verdict


def test_subclasses_of_both_stages_are_loaded_as_such(run):
    class Mine(IdentifiableRegressor):
        pass

    assert type(Mine.load(run)) is Mine


def test_models_of_the_other_kind_are_named(model, run):
    with pytest.raises(ValueError, match="another kind of model: got 'IdentifiableRegressor', expected 'MTLCM'"):
        MTLCM.load(run)
    # Stage two takes the place of both stages, and no curve of another model is left.
    model.causal_model_.save(run)
    with pytest.raises(ValueError, match="another kind of model: got 'MTLCM', expected 'IdentifiableRegressor'"):
        IdentifiableRegressor.load(run)
    assert not (run / "history.parquet").exists()
