"""Run directories and checkpoints that somebody has changed: files cut, bytes flipped, entries and shapes of others."""

import copy
import hashlib
import json
import shutil

import hypothesis.strategies as st
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from outcomes import damaged, judge, judge_command
from sklearn.linear_model import Ridge

from identirep import MTLCM, MTRN, IdentifiableRegressor, TaskMoments, checkpoints
from identirep.evaluation import Evaluation
from identirep.mtrn import predictive


def _data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, X[:, :2] @ rng.laplace(size=(2, 5)) + 0.1 * rng.normal(size=(60, 5))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run directories of each kind, and a checkpoint: the bytes of their files by name."""
    folder = tmp_path_factory.mktemp("runs")
    X, Y = _data()
    small = MTRN(hidden_sizes=(4,), n_features=3, n_replicates=2, max_epochs=3)
    models = {
        "network": IdentifiableRegressor(2, regressor=small, random_state=0).fit(X, Y),
        "ridge": IdentifiableRegressor(2, regressor=Ridge(), random_state=0).fit(X, Y),
        "latents": MTLCM(2, random_state=0).fit(X[:, :2], Y),
    }
    for name, model in models.items():
        model.save(folder / name)
    for name in ("network", "ridge"):
        Evaluation("data.csv", 60, 0, None, np.full(5, 0.5)).save(folder / name / "evaluation.json")
    TaskMoments.from_arrays(X, Y).save(folder / "moments.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "_WRITE_PAUSE", 0.0)
        kept, called = predictive.kept_array, []

        def cut_off(*args):
            called.append(args)
            if len(called) == 4:
                raise KeyboardInterrupt
            return kept(*args)

        patch.setattr(predictive, "kept_array", cut_off)
        with pytest.raises(KeyboardInterrupt):
            _ridge().fit(X, Y, checkpoint=folder / "checkpoint")
    return folder


def _ridge():
    return IdentifiableRegressor(2, regressor=Ridge(), n_checks=0, random_state=0)


_ODD = st.one_of(
    st.sampled_from(
        [None, True, 0, 1, -1, 2, 10**30, 0.5, float("nan"), float("inf"), "", "x", [], {}, [[]], [1, "a"], "ridge"]
    ),
    st.integers(),
    st.text(max_size=5),
)


def _retyped(draw, document):
    """Return JSON of which one entry, at any depth, is removed, renamed or replaced."""
    document = copy.deepcopy(document)
    holder, steps = document, draw(st.integers(1, 6))
    for step in range(steps):
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            break
        key = draw(st.sampled_from(list(keys)))
        child = holder[key]
        if step + 1 < steps and isinstance(child, (dict, list)) and child:
            holder = child
            continue
        kind = draw(st.sampled_from(["removed", "retyped", "retyped", "doubled"]))
        if kind == "removed":
            del holder[key]
        elif kind == "doubled" and isinstance(holder, list):
            holder.append(child)
        else:
            holder[key] = draw(_ODD)
        break
    return document


def _renumbered(draw, array):
    """Return an array of which one number, or all, are others: none, infinite, negated, of another size."""
    changed = array.astype(np.float64) if draw(st.booleans()) else array.copy()
    where = draw(st.integers(0, max(array.size - 1, 0))) if draw(st.booleans()) else slice(None)
    with np.errstate(all="ignore"):
        flat = changed.reshape(-1)
        kind = draw(st.sampled_from(["nan", "inf", "zero", "negated", "huge", "tiny", "any"]))
        other = {
            "nan": np.nan,
            "inf": -np.inf,
            "zero": 0.0,
            "negated": -flat[where].astype(np.float64) if array.size else 0.0,
            "huge": 1e300,
            "tiny": 1e-300,
            "any": draw(st.floats(-10, 10)),
        }[kind]
        if array.size:
            flat[where] = other if changed.dtype.kind == "f" else np.nan_to_num(other, posinf=9, neginf=-9).clip(-9, 9)
    return np.ascontiguousarray(changed)


def _reshaped(draw, data):
    """Return a safetensors file of which one array has another shape, type or value, or is missing."""
    arrays = dict(safetensors.numpy.load(data))
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays.pop(name)
    kind = draw(
        st.sampled_from(["missing", "longer", "shorter", "flat", "deeper", "empty", "renamed", *["numbers"] * 7])
    )
    if kind == "numbers":
        arrays[name] = _renumbered(draw, array)
        return safetensors.numpy.save(arrays)
    changed = {
        "missing": None,
        "longer": np.concatenate([array, array]) if array.ndim else np.stack([array, array]),
        "shorter": array[:-1] if array.ndim and len(array) else array.reshape(-1),
        "flat": array.reshape(-1),
        "deeper": array[None],
        "empty": array[..., :0] if array.ndim else array,
        "renamed": None,
    }[kind]
    if changed is not None:
        arrays[name] = np.ascontiguousarray(changed)
    if kind == "renamed":
        arrays[f"{name}2"] = array
    return safetensors.numpy.save(arrays)


@st.composite
def _tampering(draw):
    """Return a function that changes the files of a directory."""
    seeds = draw(st.data())

    def tamper(place):
        files = sorted(path for path in place.iterdir() if path.is_file())
        path = seeds.draw(st.sampled_from(files), label="file")
        kind = seeds.draw(
            st.sampled_from(["bytes", "bytes", "entries", "entries", "arrays", "arrays", "gone", "folder"])
        )
        if kind == "gone":
            path.unlink()
        elif kind == "folder":
            path.unlink()
            path.mkdir()
        elif kind == "entries":
            path = seeds.draw(st.sampled_from([path for path in files if path.suffix == ".json"]), label="file")
            path.write_text(json.dumps(_retyped(seeds.draw, json.loads(path.read_bytes()))))
        elif kind == "arrays":
            stored = [path for path in files if path.suffix == ".safetensors"]
            path = seeds.draw(st.sampled_from(stored), label="file")
            path.write_bytes(_reshaped(seeds.draw, path.read_bytes()))
            _sign(place, path)
        else:
            path.write_bytes(damaged(seeds.draw, path.read_bytes()))
            # Numbers that are changed with their digest are those of another model: nobody can tell.
            if seeds.draw(st.booleans()) and path.suffix not in (".json", ".safetensors"):
                _sign(place, path)

    return tamper


def _sign(place, path):
    """Make the digests of a directory those of a changed file, as a forger would."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if (place / "model.json").is_file():
        document = json.loads((place / "model.json").read_bytes())
        kinds = {
            "model.safetensors": "sha256",
            "history.parquet": "history_sha256",
            "estimator.skops": "estimator_sha256",
        }
        document[kinds.get(path.name, "of_none")] = digest
        (place / "model.json").write_text(json.dumps(document))
    for entry in place.glob("1-*.json"):
        document = json.loads(entry.read_bytes())
        if document["entry"]["payload"] and document["entry"]["payload"]["name"] == path.name:
            document["entry"]["payload"]["sha256"] = digest
            text = json.dumps(document["entry"], sort_keys=True).encode()
            document["sha256"] = hashlib.sha256(text).hexdigest()
            entry.write_text(json.dumps(document))


def _copy(runs, name, tmp_path_factory):
    place = tmp_path_factory.mktemp("tampered") / name
    shutil.copytree(runs / name, place)
    return place


@given(_tampering(), st.sampled_from(["network", "ridge", "latents"]))
def test_changed_runs_are_loaded_or_refused(runs, tmp_path_factory, tamper, name):
    place = _copy(runs, name, tmp_path_factory)
    tamper(place)
    X, _ = _data()
    if name == "latents":
        model = judge(lambda: MTLCM.load(place), name)
        H = X[:, :2]
    else:
        model = judge(lambda: IdentifiableRegressor.load(place), name)
        H = X
    if model is not None:
        judge(lambda: model.transform(H), name)
        judge(lambda: model.predict(H), name)
        judge(lambda: (list(model.certificate_.verdict), model.structure_), name)


@given(_tampering(), st.sampled_from(["network", "ridge"]))
def test_reports_of_changed_runs_are_written_or_refused(runs, tmp_path_factory, tamper, name):
    place = _copy(runs, name, tmp_path_factory)
    tamper(place)
    judge_command("report", place)


@given(_tampering())
def test_changed_checkpoints_are_gone_on_from_or_refused(runs, tmp_path_factory, tamper):
    place = _copy(runs, "checkpoint", tmp_path_factory)
    tamper(place)
    X, Y = _data()
    model = judge(lambda: _ridge().fit(X, Y, checkpoint=place), "checkpoint")
    if model is not None:
        assert model.n_components_ == 2


@given(st.data())
def test_changed_moments_are_loaded_or_refused(runs, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("tampered") / "moments.npz"
    path.write_bytes(damaged(data.draw, (runs / "moments.npz").read_bytes()))
    judge(lambda: TaskMoments.load(path), repr(path.read_bytes()))
