"""A fit that is cut off at any moment goes on from its checkpoint, to the same bits."""

from functools import partial
from importlib.metadata import version

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy.stats import loguniform
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from identirep import MTLCM, MTRN, IdentifiableRegressor, checkpoints
from identirep.checkpoint_files import CheckpointFiles, Entry
from identirep.mtrn import predictive, training
from identirep.recording import _described


def _wide():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 4))
    return X, X[:, :2] @ rng.laplace(size=(2, 6)) + 0.1 * rng.normal(size=(160, 6)), None


def _long():
    rng = np.random.default_rng(1)
    X, tasks = rng.normal(size=(320, 3)), np.repeat(np.arange(8), 40)
    y = np.einsum("nd,nd->n", X[:, :2], rng.laplace(size=(8, 2))[tasks]) + 0.1 * rng.normal(size=320)
    return X, y, tasks


def _dropping():
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 4)
    )


_SMALL = {"hidden_sizes": (8,), "n_features": 4, "n_replicates": 2, "max_epochs": 6}
MODELS = {
    "network": (_wide, lambda: IdentifiableRegressor(2, regressor=MTRN(**_SMALL, dropout=0.1), random_state=0)),
    "patience": (
        _wide,
        lambda: IdentifiableRegressor(
            2, regressor=MTRN(**{**_SMALL, "max_epochs": 40}, patience=1, learning_rate=0.1), random_state=0
        ),
    ),
    "own module": (
        _wide,
        lambda: IdentifiableRegressor(
            2, regressor=MTRN(encoder=_dropping, n_replicates=2, max_epochs=4), random_state=0
        ),
    ),
    "refined": (
        _long,
        lambda: IdentifiableRegressor(2, regressor=MTRN(**_SMALL), n_refinements=1, n_checks=0, random_state=0),
    ),
    "ridge": (_wide, lambda: IdentifiableRegressor(2, regressor="ridge", n_checks=4, random_state=0)),
    "chosen": (_wide, lambda: IdentifiableRegressor(2, regressor="auto", n_checks=0, random_state=0)),
}


def _state(model):
    """All that a fitted model says, but for the times in its history."""
    state = {"own": model._to_arrays(), "stage": model.regressor_._to_arrays()}
    if model.causal_model_ is not None:
        state["causal"] = model.causal_model_._to_arrays()
    state["history"] = [{**entry, "seconds": None} for entry in getattr(model.regressor_, "history_", [])]
    state["verdict"] = list(model.certificate_.verdict)
    return state


def _assert_same(a, b):
    np.testing.assert_equal(_state(a), _state(b))


class _Cut(KeyboardInterrupt):
    pass


@pytest.fixture
def eager(monkeypatch):
    """Keep and write the work whenever that is possible."""
    monkeypatch.setattr(checkpoints, "_PAUSE", 0.0)
    monkeypatch.setattr(checkpoints, "_WRITE_PAUSE", 0.0)
    monkeypatch.setattr(checkpoints, "_SHARE", 1e9)


def _cut_off_at(monkeypatch, owner, name, calls):
    """Cut off after so many calls of a function; returns how often it was called until then."""
    original, called = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        called[0] += 1
        if called[0] > calls:
            raise _Cut
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return called


@pytest.mark.parametrize("name", MODELS)
def test_goes_on_bit_for_bit_wherever_it_is_cut_off(name, tmp_path, monkeypatch, request):
    # The last one writes only when it is cut off.
    if name != "refined":
        request.getfixturevalue("eager")
    data, make = MODELS[name]
    unit = (predictive, "kept_array") if name == "ridge" else (training, "_run_epoch")
    with monkeypatch.context() as patch:
        called = _cut_off_at(patch, *unit, 10**9)
        whole = make().fit(*data())
    n_units = called[0]
    for cut in (n_units // 3, n_units - 1) if name != "chosen" else (n_units // 2,):
        place = tmp_path / f"checkpoint {cut}"
        with monkeypatch.context() as patch:
            _cut_off_at(patch, *unit, cut)
            with pytest.raises(_Cut):
                make().fit(*data(), checkpoint=place)
        model = make()
        with monkeypatch.context() as patch:
            called = _cut_off_at(patch, *unit, 10**9)
            model.fit(*data(), checkpoint=place)
        if name not in ("ridge", "refined"):
            assert called[0] == n_units - cut, "work that was kept is done again"
        _assert_same(model, whole)
        model.save(tmp_path / "run")
        assert not place.exists()


def _ridge(**changed):
    return IdentifiableRegressor(2, **{"regressor": Ridge(), "n_checks": 2, "random_state": 0, **changed})


@pytest.fixture
def cut_off(tmp_path, monkeypatch, eager):
    """A checkpoint of a fit of ridge regression that was cut off."""
    with monkeypatch.context() as patch:
        _cut_off_at(patch, predictive, "kept_array", 7)
        with pytest.raises(_Cut):
            _ridge().fit(*_wide(), checkpoint=tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def _contents(place):
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"random_state": 1}, r"IdentifiableRegressor\.random_state 1 \(in the checkpoint 0\)"),
        ({"n_checks": 4}, r"IdentifiableRegressor\.n_checks 4 \(in the checkpoint 2\)"),
        ({"regressor": Ridge(alpha=2.0)}, r"regressor\.alpha 2\.0 \(in the checkpoint 1\.0\)"),
        ({"causal_model": MTLCM(n_init=3)}, r"causal_model\.n_init 3 \(in the checkpoint not given\)"),
    ],
)
def test_other_settings_are_refused_by_name_and_the_checkpoint_stays(changed, named, cut_off):
    before = _contents(cut_off)
    with pytest.raises(ValueError, match=rf"is a checkpoint of another fit: got .*{named}"):
        _ridge(**changed).fit(*_wide(), checkpoint=cut_off)
    assert _contents(cut_off) == before
    # How much is printed makes no other fit of it.
    _assert_same(_ridge(verbose=True).fit(*_wide(), checkpoint=cut_off), _ridge().fit(*_wide()))


def _changed(which):
    X, y, _ = _wide()
    X[0, 0] += 1e-12 * (which == "X")
    y[0, 0] += 1e-12 * (which == "y")
    options = {"groups": np.arange(len(X)) // 2} if which == "groups" else {}
    options |= {"sample_weight": _weights()} if which == "sample_weight" else {}
    return (X, y, [f"task {t}" for t in range(6)] if which == "names" else None), options


def _weights(n=160):
    return np.random.default_rng(2).uniform(0.5, 2.0, n)


@pytest.mark.parametrize("which", ["X", "y", "groups", "names", "sample_weight"])
def test_other_data_are_refused_by_name(which, cut_off):
    data, options = _changed(which)
    with pytest.raises(ValueError, match=rf"got {which}.* with digest"):
        _ridge().fit(*data, **options, checkpoint=cut_off)


@pytest.mark.parametrize("regressor", ["network", "ridge"])
def test_weights_of_rows_are_those_of_the_checkpoint(regressor, tmp_path, monkeypatch, eager):
    (data, make), w, place = MODELS[regressor], _weights(), tmp_path / "checkpoint"
    # Rows without weight are left out before anything is kept.
    w[:5] = 0.0
    with monkeypatch.context() as patch:
        unit = (predictive, "kept_array") if regressor == "ridge" else (training, "_run_epoch")
        _cut_off_at(patch, *unit, 7)
        with pytest.raises(_Cut):
            make().fit(*data(), sample_weight=w, checkpoint=place)
    changed = w.copy()
    changed[9] *= 1.001
    with pytest.raises(ValueError, match=r"is a checkpoint of another fit: got sample_weight .* with digest"):
        make().fit(*data(), sample_weight=changed, checkpoint=place)
    with pytest.raises(ValueError, match=r"is a checkpoint of another fit: got .*sample_weight not given"):
        make().fit(*(part if part is None else part[5:] for part in data()), checkpoint=place)
    model, whole = make().fit(*data(), sample_weight=w, checkpoint=place), make().fit(*data(), sample_weight=w)
    _assert_same(model, whole)
    assert not np.allclose(whole.transform(data()[0]), make().fit(*data()).transform(data()[0]))
    model.save(tmp_path / "run")
    assert not place.exists()


def test_other_versions_and_machines_are_refused(cut_off, monkeypatch):
    monkeypatch.setattr(checkpoints, "version", lambda name: "0.1" if name == "scipy" else version(name))
    with pytest.raises(ValueError, match=r"got scipy 0\.1 \(in the checkpoint"):
        _ridge().fit(*_wide(), checkpoint=cut_off)
    monkeypatch.undo()
    monkeypatch.setattr(checkpoints.platform, "machine", lambda: "abacus")
    with pytest.raises(ValueError, match="got processor abacus"):
        _ridge().fit(*_wide(), checkpoint=cut_off)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "removed", "not JSON", "no number"])
@pytest.mark.parametrize("kind", [".json", ".safetensors"])
def test_damaged_checkpoints_are_refused(cut_off, kind, damage):
    path = sorted(cut_off.glob(f"*-0003*{kind}"))[0]
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
        if kind == ".json":
            # Work that is not named by an entry was never finished.
            _assert_same(_ridge().fit(*_wide(), checkpoint=cut_off), _ridge().fit(*_wide()))
            return
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        changed = {"cut": data[:middle], "flipped": flipped, "emptied": b"", "not JSON": b"[" * 10**5}
        changed["no number"] = data.replace(b'"format_version": 1', b'"format_version": Infinity') + b" "
        path.write_bytes(changed[damage])
    with pytest.raises(ValueError, match=r"is damaged: got .*, expected the file as it was written"):
        _ridge().fit(*_wide(), checkpoint=cut_off)


def test_forged_work_is_done_again(cut_off, tmp_path):
    files = CheckpointFiles.opened(cut_off)
    for name in files.names()[:-1]:
        files.write(name, Entry(files.read(name).content, b"not what was written"))
    files.close()
    _assert_same(_ridge().fit(*_wide(), checkpoint=cut_off), _ridge().fit(*_wide()))


def test_forged_states_of_networks_are_trained_anew(tmp_path, monkeypatch, eager):
    data, make = MODELS["network"]
    place = tmp_path / "checkpoint"
    with monkeypatch.context() as patch:
        _cut_off_at(patch, training, "_run_epoch", 3)
        with pytest.raises(_Cut):
            make().fit(*data(), checkpoint=place)
    files = CheckpointFiles.opened(place)
    entry = files.read("1-0001")
    parts = load(entry.payload)
    parts["module.heads"] = parts.get("module.heads", torch.zeros(1))[..., :1].contiguous()
    files.write("1-0001", Entry(entry.content, save(parts)))
    files.close()
    _assert_same(make().fit(*data(), checkpoint=place), make().fit(*data()))


def test_checkpoints_in_use_are_refused(cut_off):
    files = CheckpointFiles.opened(cut_off)
    with pytest.raises(ValueError, match="is in use: got a checkpoint that another process writes to"):
        _ridge().fit(*_wide(), checkpoint=cut_off)
    files.close()
    _ridge().fit(*_wide(), checkpoint=cut_off)


def test_two_fits_that_begin_at_one_place(tmp_path):
    first = CheckpointFiles.made(tmp_path / "checkpoint", "checkpoint")
    with pytest.raises(ValueError, match=r"is in use: got a checkpoint that another fit has begun .* Choose another"):
        CheckpointFiles.made(tmp_path / "checkpoint", "checkpoint")
    first.write("1-0001", Entry({"a": 1}))
    assert first.read("1-0001") == Entry({"a": 1})


def test_saving_again_leaves_the_checkpoint_of_a_later_fit_alone(tmp_path, monkeypatch, eager):
    place = tmp_path / "checkpoint"
    model = _ridge().fit(*_wide(), checkpoint=place)
    model.save(tmp_path / "run")
    assert not place.exists()
    with monkeypatch.context() as patch:
        _cut_off_at(patch, predictive, "kept_array", 2)
        with pytest.raises(_Cut):
            _ridge(random_state=1).fit(*_wide(), checkpoint=place)
    before = _contents(place)
    model.save(tmp_path / "run")
    assert _contents(place) == before


def test_the_axes_of_samples_are_those_of_the_checkpoint(tmp_path, monkeypatch, eager):
    X, y, _ = _wide()
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    stage = MTRN(2, encoder=encoder, n_replicates=1, max_epochs=3)
    with monkeypatch.context() as patch:
        _cut_off_at(patch, training, "_run_epoch", 1)
        with pytest.raises(_Cut):
            _ridge(regressor=stage).fit(X.reshape(-1, 1, 4), y, checkpoint=tmp_path / "checkpoint")
    with pytest.raises(ValueError, match=r"is a checkpoint of another fit: got X of shape \(160, 2, 2\)"):
        _ridge(regressor=stage).fit(X.reshape(-1, 2, 2), y, checkpoint=tmp_path / "checkpoint")


def _adding(n):
    return lambda x: x + n


@pytest.mark.parametrize(
    "make",
    [
        KFold,
        _adding,
        lambda n: partial(max, n),
        lambda n: eval(f"lambda x: [y + {n} for y in x]"),
        lambda n: loguniform(0.5, n),
        lambda n: {0, n},
        lambda n: str(n).encode(),
    ],
)
def test_settings_without_parameters_are_told_apart(make):
    assert _described(make(3)) == _described(make(3)) != _described(make(5))


def test_directories_of_others_are_refused_and_files_of_others_stay(tmp_path, cut_off):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "1-fit.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"checkpoint is no directory of ours: got '.*thesis', which holds other files"
    ):
        _ridge().fit(*_wide(), checkpoint=tmp_path / "thesis")
    with pytest.raises(ValueError, match="no directory of ours"):
        _ridge().fit(*_wide(), checkpoint=tmp_path / "thesis" / "1-fit.json")
    with pytest.raises(TypeError, match="checkpoint has the wrong type: got int, expected a str or Path"):
        _ridge().fit(*_wide(), checkpoint=5)
    (cut_off / "notes.txt").write_text("mine")
    _ridge().fit(*_wide(), checkpoint=str(cut_off)).save(tmp_path / "run")
    assert (cut_off / "notes.txt").read_text() == "mine"


def test_faults_are_those_of_a_fit_without_and_leave_nothing(tmp_path, eager):
    X, y, _ = _wide()
    X[3, 1] = np.nan
    model = _ridge(regressor=MTRN(max_epochs=0))
    messages = []
    for options in ({}, {"checkpoint": tmp_path / "checkpoint"}):
        with pytest.raises(ValueError, match="max_epochs") as error:
            model.fit(X, y, **options)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="n_components exceeds the rank"):
        _ridge().set_params(n_components=9).fit(*_wide(), checkpoint=tmp_path / "checkpoint")
    assert not list(tmp_path.iterdir())


def test_seeds_that_were_drawn_are_drawn_again(tmp_path, monkeypatch, eager):
    states = []
    for make in (lambda: None, lambda: np.random.default_rng(5), lambda: np.random.RandomState(5)):
        place = tmp_path / f"checkpoint {len(states)}"
        model = _ridge(random_state=make())
        with monkeypatch.context() as patch:
            _cut_off_at(patch, predictive, "kept_array", 4)
            with pytest.raises(_Cut):
                model.fit(*_wide(), checkpoint=place)
        # The same object again, as in a notebook: what it has given away comes back.
        again = model.fit(*_wide(), checkpoint=place)
        first = checkpoints._plain(CheckpointFiles.opened(place).read("1-fit").content["generator"])
        rng = np.random.default_rng()
        rng.bit_generator.state = first
        _assert_same(again, _ridge(random_state=rng).fit(*_wide()))
        states.append(again)


def test_keeping_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    now, spent = [0.0], [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])

    def take():
        now[0] += 0.1
        spent[0] += 0.1
        return Entry({})

    work = checkpoints.Checkpoint(tmp_path / "checkpoint", "run")
    for _ in range(100_000):
        now[0] += 0.01
        work.keep("1-0001", take)
    assert 0.01 < spent[0] / now[0] < 0.02
    assert work.flush() == tmp_path / "checkpoint"
    work.remove()
    assert not list(tmp_path.iterdir())


def test_save_removes_the_checkpoint_from_another_working_directory(tmp_path, monkeypatch, eager):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    model = _ridge().fit(*_wide(), checkpoint="kept")
    assert (tmp_path / "kept").is_dir()
    monkeypatch.chdir(tmp_path / "other")
    model.save("run")
    assert not (tmp_path / "kept").exists()
