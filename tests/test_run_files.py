"""What is wrong with a run directory is said once and clearly, before anything is made of it."""

import hashlib
import json
import shutil
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file, save_file

from identirep import MTLCM, MTRN, IdentifiableRegressor


def _problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    return X, X[:, :2] @ rng.laplace(size=(2, 8)) + 0.1 * rng.normal(size=(200, 8))


@pytest.fixture(scope="module")
def model():
    stage = MTRN(hidden_sizes=(8,), n_features=6, n_replicates=2, max_epochs=3)
    return IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0).fit(*_problem())


@pytest.fixture
def run(model, tmp_path):
    model.save(tmp_path / "run")
    return tmp_path / "run"


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
    document |= {"format_version": 3, "versions": {"identirep": "9.1"}}
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
            r"history.parquet' is damaged: got SHA-256",
        ),
        (lambda run: (run / "model.json").write_text("{"), ValueError, r"model.json' is damaged: got no valid JSON"),
        (lambda run: (run / "model.json").write_text("[]"), ValueError, r"model.json' is damaged"),
        (_without_stage_two, ValueError, r"model.json' is damaged: got no entry 'causal_model'"),
        (_from_the_future, ValueError, r"newer format: got version 3 \(written by identirep 9.1\).*Upgrade identirep"),
        (lambda run: (run / "model.json").unlink(), FileNotFoundError, r"not a run directory: got a directory without"),
        (shutil.rmtree, FileNotFoundError, r"not a run directory: got no directory"),
    ],
)
def test_unreadable_runs(run, damage, error, message):
    damage(run)
    with pytest.raises(error, match=message):
        IdentifiableRegressor.load(run)


def _with_entry(run, value, *path):
    """Change an entry of model.json."""
    document = json.loads((run / "model.json").read_text(encoding="utf-8"))
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    (run / "model.json").write_text(json.dumps(document))


def _with_array(run, name, change):
    """Change an array and make the digest good."""
    arrays = load_file(run / "model.safetensors")
    arrays[name] = change(arrays[name])
    save_file(arrays, run / "model.safetensors")
    _with_entry(run, hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest(), "sha256")


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        (10**12, ("parts", "regressor", "parameters", "n_replicates"), "an array 'weights.0' of shape|layers from"),
        ([4, 10**9, 6], ("parts", "regressor", "meta", "sizes"), r"'weights.0' of shape \(2, 4, 8\) in the place"),
        ("many", ("parts", "regressor", "parameters", "n_replicates"), "parameters of MTRN that it does not take"),
        (None, ("parts", "causal_model"), "stages of two models"),
        (None, ("parts", "regressor"), "no part of MTRN"),
        (5, ("parts", "model"), "other entries"),
        ([], ("parts",), "other entries"),
        ({}, ("parts", "causal_model", "meta"), "a state that MTLCM cannot be in"),
        (-1, ("parts", "causal_model", "meta", "certificate_seed"), "a seed of -1"),
        (["a"], ("feature_names",), "do not go with 4 inputs"),
        (["a"], ("parts", "regressor", "meta", "moments", "task_names"), "'group' of shape"),
        (["a"] * 8, ("parts", "regressor", "meta", "moments", "task_names"), "tasks that are not told apart"),
        (1e400, ("format_version",), "no valid JSON of a run"),
        (5, ("versions",), "no valid JSON of a run"),
    ],
)
def test_entries_that_cannot_be(run, value, path, message):
    _with_entry(run, value, *path)
    with pytest.raises(ValueError, match=rf"is damaged: got .*({message}).*Restore it or fit again"):
        IdentifiableRegressor.load(run)


def test_json_that_never_ends(run):
    (run / "model.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"model.json' is damaged: got no valid JSON"):
        IdentifiableRegressor.load(run)


@pytest.mark.parametrize(
    "name",
    [
        "regressor.mean_",
        "regressor.coef_",
        "regressor.moments.scatter_h",
        "regressor.module.weights.1",
        "causal_model.fit.unmixing",
        "causal_model.starts.agreement",
        "model.comes_back.same_rows",
        "model.encoder_mcc",
    ],
)
def test_arrays_of_other_shapes(run, name):
    _with_array(run, name, lambda array: np.concatenate([array, array]))
    with pytest.raises(ValueError, match=r"run' is damaged: got an array '.*' of shape \(.*\) in the place of"):
        IdentifiableRegressor.load(run)


def test_weights_of_another_type(run):
    _with_array(run, "regressor.module.mean", lambda array: np.zeros(array.shape, np.int32))
    with pytest.raises(ValueError, match=r"run' is damaged: got weights of int32 in the place of floats"):
        IdentifiableRegressor.load(run)


def test_names_of_features_of_stage_two(model, run):
    model.causal_model_.save(run)
    _with_entry(run, ["a"], "feature_names")
    with pytest.raises(ValueError, match="is damaged: got names that do not go with 2 inputs"):
        MTLCM.load(run)


@pytest.mark.parametrize("name", ["model.safetensors", "history.parquet", "estimator.skops"])
def test_files_of_another_format(run, tmp_path, name):
    entry = {"history.parquet": "history_sha256", "model.safetensors": "sha256", "estimator.skops": "estimator_sha256"}
    if name == "estimator.skops":
        IdentifiableRegressor(2, regressor="ridge", n_checks=0, random_state=0).fit(*_problem()).save(run)
    (run / name).write_bytes(b"\xff" * 1000)
    _with_entry(run, hashlib.sha256(b"\xff" * 1000).hexdigest(), entry[name])
    with pytest.raises(ValueError, match=rf"{name}' is damaged: got no \w+ file"):
        IdentifiableRegressor.load(run)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda table: table.drop_columns("validation_loss"), "no 'validation_loss' of each epoch"),
        (lambda table: table.slice(1), r"\d+ rows for \d+ epochs of \d+ networks"),
        (lambda table: pa.concat_tables([table, table]), r"\d+ rows for \d+ epochs of \d+ networks"),
    ],
)
def test_histories_that_are_none_of_a_training(run, change, found):
    path = run / "history.parquet"
    parquet.write_table(change(parquet.read_table(path)), path)
    _with_entry(run, None, "history_sha256")
    with pytest.raises(ValueError, match=f"history.parquet' is damaged: got {found}"):
        IdentifiableRegressor.load(run)


def test_sizes_are_compared_before_memory_is_taken(run):
    parquet.write_table(pa.table({"epoch": pa.array(np.zeros(100_000), pa.float64())}), run / "history.parquet")
    _with_entry(run, None, "history_sha256")
    with pytest.raises(ValueError, match=r"history.parquet' is damaged: got 100,000 rows in [\d,]+ bytes"):
        IdentifiableRegressor.load(run)
    IdentifiableRegressor(2, regressor="ridge", n_checks=0, random_state=0).fit(*_problem()).save(run)
    path = run / "estimator.skops"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with ZipFile(path) as file:
        parts = {part: file.read(part) for part in file.namelist()}
    with ZipFile(path, "w") as file:
        for part, data in parts.items():
            file.writestr(part, array if part.endswith(".npy") else data)
    _with_entry(run, hashlib.sha256(path.read_bytes()).hexdigest(), "estimator_sha256")
    with pytest.raises(ValueError, match=r"skops' is damaged: got an array of shape \(1000000000000,\) in \d+ bytes"):
        IdentifiableRegressor.load(run)
