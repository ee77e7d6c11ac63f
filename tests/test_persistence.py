"""Run directories give back the same model, are written all or nothing, and say what is wrong with them."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.directories import replaced_directory
from identirep.mtrn import ChosenRegressor
from identirep.signal_check import Signal

_RUN_V1 = Path(__file__).parent / "data" / "run_v1"
_FILES = {"model.safetensors", "model.json", "history.parquet"}


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
    with pytest.raises(ValueError, match="size"):
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
    assert document["format_version"] == 1
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
    assert {path.name for path in (tmp_path / "run").iterdir()} == _FILES - {"history.parquet"} | {"estimator.skops"}
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert repr(loaded) == repr(fitted)
    assert repr(loaded.regressor_) == repr(fitted.regressor_)
    # It can be fitted again, and a network in its place leaves no file of it.
    np.testing.assert_array_equal(loaded.fit(X, Y).predict(X), fitted.predict(X))
    IdentifiableRegressor(2, regressor=_stage(max_epochs=2), random_state=0).fit(X, Y).save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == _FILES


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


def _cut_arrays(run):
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def _flip_bit(run):
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def _from_the_future(run):
    document = json.loads((run / "model.json").read_text(encoding="utf-8"))
    document |= {"format_version": 2, "versions": {"identirep": "9.1"}}
    (run / "model.json").write_text(json.dumps(document))


def _without_stage_two(run):
    document = json.loads((run / "model.json").read_text(encoding="utf-8"))
    del document["parts"]["causal_model"]
    (run / "model.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (_cut_arrays, ValueError, r"model.safetensors' is damaged: got SHA-256"),
        (_flip_bit, ValueError, r"model.safetensors' is damaged: got SHA-256"),
        (lambda run: (run / "model.safetensors").unlink(), ValueError, r"model.safetensors' is damaged: got no file"),
        (lambda run: (run / "history.parquet").unlink(), ValueError, r"history.parquet' is damaged: got no file"),
        (
            lambda run: (run / "history.parquet").write_text("x"),
            ValueError,
            r"history.parquet' is damaged: got no Parq",
        ),
        (lambda run: (run / "model.json").write_text("{"), ValueError, r"model.json' is damaged: got no valid JSON"),
        (lambda run: (run / "model.json").write_text("[]"), ValueError, r"model.json' is damaged"),
        (_without_stage_two, ValueError, r"model.json' is damaged: got no entry 'causal_model'"),
        (_from_the_future, ValueError, r"newer format: got version 2 \(written by identirep 9.1\).*Upgrade identirep"),
        (lambda run: (run / "model.json").unlink(), FileNotFoundError, r"not a run directory: got a directory without"),
        (shutil.rmtree, FileNotFoundError, r"not a run directory: got no directory"),
    ],
)
def test_unreadable_runs(run, damage, error, message):
    damage(run)
    with pytest.raises(error, match=message):
        IdentifiableRegressor.load(run)


def test_other_files_are_kept(model, run):
    (run / "report.html").write_text("page")
    model.save(run)
    assert {path.name for path in run.iterdir()} == {*_FILES, "report.html"}
    assert (run / "report.html").read_text() == "page"


def _contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_failure_while_writing_leaves_the_old_run(model, run, monkeypatch):
    before = _contents(run)
    monkeypatch.setattr("pyarrow.parquet.write_table", _fails)
    with pytest.raises(OSError, match="disk is full"):
        model.save(run)
    assert _contents(run) == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_failure_of_the_swap_puts_the_old_run_back(run, monkeypatch):
    before = _contents(run)
    rename = Path.rename

    def fails_for_the_new_one(path, target):
        return rename(path, target) if path.name in ("run", ".run.previous") else _fails()

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    with pytest.raises(OSError, match="disk is full"), replaced_directory(run) as staging:
        (staging / "history.parquet").write_text("new")
    assert _contents(run) == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_crash_between_the_renames_is_read_as_it_is_and_undone_by_the_next_writer(model, run):
    run.rename(run.with_name(".run.previous"))
    IdentifiableRegressor.load(run)
    assert [path.name for path in run.parent.iterdir()] == [".run.previous"]
    (run.with_name(".run.previous") / "notes.txt").write_text("kept")
    model.save(run)
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert (run / "notes.txt").read_text() == "kept"


def test_readers_leave_what_a_writer_is_about_to_remove(run):
    shutil.copytree(run, run.with_name(".run.previous"))
    IdentifiableRegressor.load(run)
    assert sorted(path.name for path in run.parent.iterdir()) == [".run.previous", "run"]


def _fails(*_, **__):
    raise OSError("disk is full")


def test_directories_of_others_are_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds other files: got a directory that is neither empty nor a run"):
        model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_working_directory_is_not_replaced(model, run, monkeypatch):
    monkeypatch.chdir(run)
    with pytest.raises(ValueError, match="is the working directory"):
        model.save(".")


def test_files_are_not_directories(model, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(NotADirectoryError, match="run' is a file"):
        model.save(tmp_path / "run")
    with pytest.raises(NotADirectoryError, match="run' is a file"):
        model.save(tmp_path / "run" / "below")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_directories_without_permission(model, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="is not writable"):
        model.save(tmp_path / "run")


def test_parents_are_made(model, tmp_path):
    model.save(tmp_path / "a" / "b")
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == _FILES


def test_stored_run_still_loads():
    expected = json.loads((_RUN_V1 / "expected.json").read_text(encoding="utf-8"))
    loaded = IdentifiableRegressor.load(_RUN_V1)
    X = np.array(expected["X"])
    table = pa.table([pa.array(column) for column in X.T], names=["Fe", "Ni", "Cu", "Zn"])
    np.testing.assert_allclose(loaded.transform(table), expected["latents"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loaded.predict(table), expected["predictions"], rtol=1e-4, atol=1e-5)
    assert list(loaded.task_names_) == expected["task_names"]
    assert loaded.certificate_.verdict == expected["verdict"]


# -- stage two alone -------------------------------------------------------------------------------------------------


class _Named(MTLCM):
    """A subclass with a parameter of its own."""

    def __init__(self, n_components=None, *, name="mine", random_state=None):
        super().__init__(n_components, random_state=random_state)
        self.name = name


@pytest.fixture(scope="module")
def data():
    return make_linear_tasks(n_tasks=20, n_samples=40, n_latents=3, n_causal=1, random_state=0)


@pytest.fixture(scope="module")
def causal(data):
    return MTLCM(n_init=3, random_state=0).fit(pa.table(dict(zip("abc", data.H.T, strict=True))), data.y, data.tasks)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_round_trip_of_stage_two(causal, data, tmp_path):
    causal.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"model.safetensors", "model.json"}
    loaded = MTLCM.load(tmp_path / "run")
    assert loaded.get_params() == causal.get_params()
    assert list(loaded.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(loaded.transform(data.H), causal.transform(data.H))
    np.testing.assert_array_equal(loaded.causal_probability_, causal.causal_probability_)
    np.testing.assert_array_equal(loaded.certificate_.bootstrap_mcc, causal.certificate_.bootstrap_mcc)
    assert loaded.log_likelihood_ == causal.log_likelihood_
    assert (loaded.converged_, loaded.n_iter_) == (causal.converged_, causal.n_iter_)


def test_rows_that_wait_for_a_fit_are_stored(data, tmp_path):
    model = MTLCM(random_state=0).fit(data.H[:-40], data.y[:-40], data.tasks[:-40])
    model.partial_fit(data.H[-40:-38], data.y[-40:-38], data.tasks[-40:-38])
    model.save(tmp_path / "run")
    loaded = MTLCM.load(tmp_path / "run").partial_fit(data.H[-38:], data.y[-38:], data.tasks[-38:])
    once = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    np.testing.assert_allclose(loaded.transform(data.H), once.transform(data.H), atol=1e-9)


def test_subclasses_are_loaded_as_such(data, tmp_path):
    fitted = _Named(name="his", random_state=0).fit(data.H, data.y, data.tasks)
    fitted.save(tmp_path / "run")
    loaded = _Named.load(tmp_path / "run")
    assert (type(loaded), loaded.name) == (_Named, "his")
    with pytest.raises(ValueError, match="MTLCM has no parameter name: got a model of another class"):
        MTLCM.load(tmp_path / "run")
    fitted.name = len
    with pytest.raises(TypeError, match="name cannot be saved without pickle: got builtin_function_or_method"):
        fitted.save(tmp_path / "run")


def test_subclasses_of_both_stages_are_loaded_as_such(run):
    class Mine(IdentifiableRegressor):
        pass

    assert type(Mine.load(run)) is Mine


def test_models_of_the_other_kind_are_named(model, causal, run, tmp_path):
    with pytest.raises(ValueError, match="another kind of model: got 'IdentifiableRegressor', expected 'MTLCM'"):
        MTLCM.load(run)
    # Stage two takes the place of both stages, and no curve of another model is left.
    causal.save(run)
    with pytest.raises(ValueError, match="another kind of model: got 'MTLCM', expected 'IdentifiableRegressor'"):
        IdentifiableRegressor.load(run)
    assert not (run / "history.parquet").exists()


def test_accumulated_rows_alone_are_no_model(data, tmp_path):
    model = MTLCM().partial_fit(data.H[:2], data.y[:2], data.tasks[:2])
    assert isinstance(model.accumulated_, TaskMoments)
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())
