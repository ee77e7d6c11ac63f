"""Units and origins of inputs and targets change nothing, in either estimator, down to what is beyond doubles."""

import numpy as np
import pytest
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.multioutput import MultiOutputRegressor
from torch import nn

from identirep import MTRN, PredictiveFeatures
from identirep.mtrn.encoders import ReplicatedMLP, restored_encoder

# Scale and offset of one column.
MOVES = [(1e60, 0.0), (1e-60, 0.0), (1.0, 1e8), (0.1, 2459000.37), (1e60, -1e68), (1e-60, 1e-52)]


def _table(n=240, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    Z = np.c_[np.sin(2 * X[:, 0]), np.abs(X[:, 1]) - 0.8, np.tanh(3 * X[:, 2] - 1)]
    return X, Z @ rng.laplace(size=(3, 6)) + 0.1 * rng.normal(size=(n, 6))


def _moved(A, scale, offset, columns=(0, 2)):
    A = A.copy()
    A[:, columns] = A[:, columns] * scale + offset
    return A


def _assert_same(found, expected, stage):
    """Training in float32 and ties between splits magnify what rounding leaves; least squares do not."""
    if stage in ("trees", "out of bag"):
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995
    else:
        np.testing.assert_allclose(found, expected, atol=0.03 if stage == "network" else 1e-4)


def _network(**settings):
    return MTRN(2, **{"hidden_sizes": (16,), "n_replicates": 2, "max_epochs": 5, "random_state": 0} | settings)


STAGES = {
    "network": _network(),
    "trees": PredictiveFeatures(ExtraTreesRegressor(20, min_samples_leaf=3), 2, random_state=0),
    "out of bag": PredictiveFeatures(ExtraTreesRegressor(40, bootstrap=True), 2, cross_fit="oob", random_state=0),
    "ols": PredictiveFeatures(LinearRegression(), 2, random_state=0),
}


@pytest.mark.parametrize(("scale", "offset"), MOVES)
@pytest.mark.parametrize("stage", STAGES)
def test_units_of_inputs_change_nothing(stage, scale, offset):
    X, Y = _table()
    model = STAGES[stage].fit(X, Y)
    expected = model.transform(X), model.predict(X)
    A = _moved(X, scale, offset)
    model.fit(A, Y)
    for found, wanted in zip((model.transform(A), model.predict(A)), expected, strict=True):
        _assert_same(found, wanted, stage)


@pytest.mark.parametrize(("scale", "offset"), MOVES)
@pytest.mark.parametrize("stage", STAGES)
def test_units_of_targets_change_nothing(stage, scale, offset):
    X, Y = _table()
    model = STAGES[stage].fit(X, Y)
    expected = model.transform(X), model.predict(X), model.score(X, Y), model.noise_std_
    moments, B = model.moments_, _moved(Y, scale, offset)
    model.fit(X, B)
    found = model.moments_
    atol = 1e-4 if stage == "ols" else 0.05
    factor = np.where(np.isin(np.arange(6), (0, 2)), scale, 1.0)
    level = np.where(np.isin(np.arange(6), (0, 2)), offset, 0.0)
    _assert_same(model.transform(X), expected[0], stage)
    _assert_same((model.predict(X) - level) / factor, expected[1], stage)
    assert model.score(X, B) == pytest.approx(expected[2], abs=atol)
    np.testing.assert_allclose(model.noise_std_, expected[3] * factor, rtol=0.05)
    np.testing.assert_allclose(found.cov_hy / factor[:, None], moments.cov_hy, atol=atol)
    np.testing.assert_allclose(found.var_y / factor**2, moments.var_y, rtol=1e-4)
    np.testing.assert_allclose((found.mean_y - level) / factor, moments.mean_y, atol=1e-4)


def test_units_of_single_labels_change_nothing():
    X, Y = _table()
    tasks = np.arange(240) % 6
    y = Y[np.arange(240), tasks]
    scale, offset = np.array([1e60, 1e-60, 1.0, 1.0, 1e3, 1e-8]), np.array([0.0, 0.0, 1e8, 5.0, 0.0, 1.0])
    expected = _network(n_features=8).fit(X, y, tasks)
    found = _network(n_features=8).fit(X, y * scale[tasks] + offset[tasks], tasks)
    np.testing.assert_allclose(found.transform(X), expected.transform(X), atol=0.03)
    np.testing.assert_allclose((found.predict(X) - offset) / scale, expected.predict(X), atol=0.1)


@pytest.mark.parametrize("scaling", ["whiten", "standard"])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e8), (1e30, 1e38), (1e-60, 0.0)])
def test_to_torch_has_the_digits_of_its_inputs(scaling, scale, offset):
    X, Y = _table()
    A = _moved(X, scale, offset)
    model = _network(input_scaling=scaling).fit(A, Y)
    module = model.to_torch()
    np.testing.assert_allclose(module(torch.from_numpy(A)).detach(), model.transform(A), atol=1e-4)
    np.testing.assert_allclose(module.half().float()(torch.from_numpy(A)).detach(), model.transform(A), atol=0.2)
    single = A.astype(np.float32)
    if np.isfinite(single).all():
        expected = model.transform(single.astype(np.float64))
        np.testing.assert_allclose(model.to_torch()(torch.from_numpy(single)).detach(), expected, atol=1e-4)


def test_weights_stored_with_a_mean_in_float32_are_the_same_network():
    encoder = ReplicatedMLP((2, 4, 3), 2, torch.Generator().manual_seed(0))
    values = {"mean": torch.tensor([1e4, 0.3]), "scale": torch.tensor([2.0, 0.1]), "rotation": torch.eye(2).double()}
    encoder.absorb(low=torch.full((2,), -9.0), high=torch.full((2,), 9.0), **values)
    state = {name: value.numpy() for name, value in encoder.state_dict().items()}
    old = state | {name: state[name].astype(np.float32) for name in ("mean", "scale")}
    restored = restored_encoder("mlp", sizes=(2, 4, 3), n_replicates=2, weights=old)
    assert restored.mean.dtype is torch.float64
    x = torch.tensor([[10001.0, 2.0]])
    assert torch.equal(restored(x), encoder(x))


def test_constants_of_training_do_not_speak_up_later():
    X, Y = _table()
    X = np.c_[X, np.full(240, 0.1)]
    model = _network().fit(X, Y)
    other = X.copy()
    other[:, 3] = 7.0
    np.testing.assert_array_equal(model.transform(other), model.transform(X))


@pytest.mark.parametrize("stage", ["network", "ols"])
@pytest.mark.parametrize("side", ["X", "y"])
@pytest.mark.parametrize(
    ("scale", "offset", "message"),
    [
        (1e300, 0.0, r"is out of range in {} 2: got values of a scale of .e\+300"),
        (1e-310, 0.0, r"is out of range in {} 2: got values that vary on a scale of 1e-310"),
        (1e-15, 1.0, r"has lost its digits in {} 2: got values that vary on a scale of 1e-15 around 1,"),
    ],
)
def test_what_is_beyond_doubles_is_named(stage, side, scale, offset, message):
    X, Y = _table()
    data = {"X": X, "y": Y} | {side: _moved({"X": X, "y": Y}[side], scale, offset, columns=[2])}
    with pytest.raises(ValueError, match=f"{side} {message.format('column' if side == 'X' else 'task')}"):
        STAGES[stage].fit(**data)


def test_own_modules_get_float32_that_holds_the_inputs():
    X, Y = _table()
    for scale, offset, word in ((1e40, 0.0, "scale of"), (1e-42, 0.0, "scale of"), (1.0, 1e8, "lost its digits")):
        with pytest.raises(
            ValueError, match=f"X as float32 .* in column 2.*{word}|X as float32 has {word} in column 2"
        ):
            _network(encoder=nn.Linear(3, 6)).fit(_moved(X, scale, offset, columns=[2]), Y)
    _network(encoder=nn.Linear(3, 6)).fit(_moved(X, 1e4, 1e6), Y)


def test_regressors_with_a_say_get_targets_as_they_are():
    X, Y = _table()
    counts = np.floor(np.exp(Y / Y.std()) * 3)
    logarithms = TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)
    for regressor, level in ((MultiOutputRegressor(PoissonRegressor()), counts), (logarithms, np.log1p(counts))):
        model = PredictiveFeatures(regressor, 2, random_state=0).fit(X, counts)
        predicted = model.regressor_.predict(X)
        predicted = predicted if level is counts else np.log1p(predicted)
        np.testing.assert_allclose(predicted.mean(axis=0), level.mean(axis=0), rtol=1e-3)
        assert model.score(X, counts) > 0.1
