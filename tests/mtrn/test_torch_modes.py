"""What the caller has set in torch changes no fit, and is as it was afterwards."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from identirep import MTRN
from identirep.baselines import IVAE, PerRowMTLCM


@contextmanager
def _default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        assert torch.get_default_dtype() is dtype
        torch.set_default_dtype(before)


MODES = {
    "float64 by default": lambda: _default_dtype(torch.float64),
    "float16 by default": lambda: _default_dtype(torch.float16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "meta device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def _network(**settings):
    return MTRN(2, hidden_sizes=(8,), n_replicates=2, max_epochs=2, random_state=0, **settings)


def _factory():
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 6))


MODELS = {
    "perceptron": lambda: _network(dropout=0.1),
    "factory": lambda: _network(encoder=_factory),
    "one label a row": lambda: _network(n_features=6),
    "ivae": lambda: IVAE(2, hidden_sizes=(8,), max_epochs=2, random_state=0),
    "per row": lambda: PerRowMTLCM(2, max_epochs=2, random_state=0),
}


def _data(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    Y = np.tanh(X) @ rng.normal(size=(3, 5)) + 0.1 * rng.normal(size=(120, 5))
    tasks = np.arange(120) % 5
    return (
        (X, Y[np.arange(120), tasks], tasks) if name == "one label a row" else (X[:, :2] if name == "per row" else X, Y)
    )


@pytest.fixture(scope="module")
def expected():
    """What each model finds where nothing is set."""
    return {name: make().fit(*_data(name)).transform(_data(name)[0]) for name, make in MODELS.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_modes_of_the_caller_change_nothing(name, mode, expected):
    data = _data(name)
    with MODES[mode]():
        found = MODELS[name]().fit(*data)
        inside = found.transform(data[0])
    np.testing.assert_array_equal(inside, expected[name])
    np.testing.assert_array_equal(found.transform(data[0]), expected[name])


@pytest.mark.parametrize("mode", ["float64 by default", "no_grad", "inference_mode"])
def test_own_modules_made_under_a_mode_are_trained(mode):
    data = _data("own")
    torch.manual_seed(0)
    with MODES[mode]():
        module = _factory()
        model = _network(encoder=module).fit(*data)
        assert model.module_.replicates[0][0].weight.dtype is module[0].weight.dtype
    start, trained = (_network(encoder=module, learning_rate=rate).fit(*data).module_ for rate in (1e-9, 1e-2))
    moved = start.replicates[0][0].weight - trained.replicates[0][0].weight
    assert float(moved.detach().abs().max()) > 1e-3
    assert np.isfinite(model.to_torch()(torch.from_numpy(data[0])).detach().numpy()).all()


def test_stored_modules_are_restored_under_a_mode():
    data = _data("own")
    model = _network().fit(*data)
    for mode in ("float64 by default", "inference_mode"):
        with MODES[mode]():
            again = _network()._from_arrays(*model._to_arrays())
            module = again.to_torch()
        np.testing.assert_array_equal(again.transform(data[0]), model.transform(data[0]))
        assert all(value.dtype is torch.float32 for value in module.parameters())


def test_gradients_of_the_caller_are_off_again():
    with torch.no_grad(), nullcontext():
        _network().fit(*_data("own"))
        assert not torch.is_grad_enabled()
