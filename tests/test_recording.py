"""A fit that is cut off at any moment goes on from its checkpoint, to the same bits."""

import numpy as np
import pytest
import torch

from identirep import MTRN, IdentifiableRegressor, checkpoints
from identirep.mtrn import predictive, training


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
