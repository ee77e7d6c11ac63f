"""Encoders of the user: samples with several axes, what they are handed, and layers that look at whole batches."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from identirep import MTLCM, MTRN, IdentifiableRegressor
from identirep.mtrn.batches import WideBatches

pytestmark = pytest.mark.filterwarnings("ignore:n_components=2 cuts")


def _images(n=81):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n, 2))
    X = np.einsum("nd,dchw->nchw", Z, rng.normal(size=(2, 3, 4, 5))) + 0.05 * rng.normal(size=(n, 3, 4, 5))
    return X, Z @ rng.laplace(size=(2, 6)) + 0.1 * rng.normal(size=(n, 6))


def _encoder():
    layers = nn.Conv2d(3, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(40, 4))


def _stage(**settings):
    settings = {"n_replicates": 2, "max_epochs": 3, "batch_size": 8, "random_state": 0} | settings
    return MTRN(2, encoder=_encoder(), **settings)


@pytest.fixture(scope="module")
def fitted():
    X, Y = _images()
    return IdentifiableRegressor(2, regressor=_stage(), random_state=0).fit(X, Y)


def test_images_go_through_both_stages_and_files(fitted, tmp_path):
    X, Y = _images()
    Z = fitted.transform(X)
    assert Z.shape == (81, 2)
    assert fitted.n_features_in_ == 60
    assert "not checked" not in fitted.certificate_.verdict
    assert np.isfinite(fitted.score(X, Y))
    np.testing.assert_allclose(np.vstack([fitted.transform(part) for part in (X[:50], X[50:])]), Z, atol=1e-6)
    np.testing.assert_allclose(fitted.to_torch()(torch.from_numpy(X).float()).detach().numpy(), Z, atol=1e-5)
    fitted.save(tmp_path / "run")
    again = IdentifiableRegressor.load(tmp_path / "run", encoder=_encoder())
    np.testing.assert_array_equal(again.transform(X), Z)
    with pytest.raises(ValueError, match=r"got \(81, 5, 4, 3\), expected \(n_samples, 3, 4, 5\) as in fit"):
        again.transform(X.transpose(0, 3, 2, 1))


@pytest.mark.parametrize(
    "kind",
    [torch.from_numpy, lambda X: torch.from_numpy(X).requires_grad_(), list, lambda X: list(torch.from_numpy(X))],
)
def test_tensors_and_lists_are_arrays(kind):
    X, Y = _images()
    expected = _stage().fit(X, Y)
    found = _stage().fit(kind(X), kind(Y) if kind is torch.from_numpy else Y)
    np.testing.assert_array_equal(found.transform(kind(X)), expected.transform(X))


def test_rows_with_equal_images_stay_together():
    X, Y = _images(40)
    stage = _stage(max_epochs=1).fit(np.repeat(X, 2, axis=0), np.repeat(Y, 2, axis=0))
    np.testing.assert_array_equal(stage._held_out[::2], stage._held_out[1::2])


def test_images_in_the_long_layout_are_refined():
    X, Y = _images(84)
    tasks = np.repeat(np.arange(6), 14)
    y = Y[np.arange(84), tasks]
    model = IdentifiableRegressor(2, regressor=_stage(), n_refinements=1, n_checks=0, random_state=0).fit(X, y, tasks)
    assert model.transform(X).shape == (84, 2)


@pytest.mark.parametrize(
    "make", [lambda: MTRN(2), lambda: MTLCM(2), lambda: IdentifiableRegressor(2, regressor="ridge")]
)
def test_images_without_an_encoder_of_your_own_are_refused(make):
    X, Y = _images()
    with pytest.raises(ValueError, match=r"X has the wrong shape: got \(81, 3, 4, 5\).*MTRN\(encoder=\.\.\.\)"):
        make().fit(X, Y)


def test_what_hands_out_samples_is_refused_with_a_way_out():
    X, Y = _images()
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    for given in (data, DataLoader(data), iter(X), (x for x in X)):
        with pytest.raises(TypeError, match=r"X has the wrong type: got .* X = numpy\.stack\(\[x for x, y"):
            _stage().fit(given, Y)
    with pytest.raises(TypeError, match="y has the wrong type: got TensorDataset"):
        _stage().fit(X, data)
    with pytest.raises(TypeError, match=r"X is a sparse tensor: got .* Call X\.to_dense\(\)"):
        _stage().fit(torch.from_numpy(X).to_sparse(), Y)
    with pytest.raises(ValueError, match="X contains 1 non-finite values"):
        _stage().fit(np.ma.masked_equal(X, X.max()), Y)


@pytest.mark.parametrize("n", [17, 25, 24])
def test_no_batch_is_a_single_row(n):
    batches = WideBatches(torch.zeros(n, 2), torch.zeros(n, 1), np.zeros(n, dtype=bool), 8)
    sizes = [len(x) for x, _ in batches.epoch(torch.Generator().manual_seed(0))]
    assert min(sizes) > 1
    assert sum(sizes) == n
    assert len(sizes) == len(batches)


def test_layers_that_look_at_batches_do_not_do_so_after_the_fit(fitted):
    X, _ = _images()
    Z = fitted.transform(X)
    fitted.regressor_.module_.train()
    np.testing.assert_array_equal(fitted.transform(X), Z)
    np.testing.assert_allclose(fitted.transform(X[:1]), Z[:1], atol=1e-6)
    fitted.regressor_.module_.eval()


def test_batches_of_one_row_are_refused_for_layers_that_look_at_batches():
    X, Y = _images()
    with pytest.raises(ValueError, match="batch_size is too small for the encoder: got 1 with BatchNorm"):
        _stage(batch_size=1).fit(X, Y)


def test_a_fit_to_a_matrix_knows_nothing_of_the_axes_of_an_earlier_one():
    X, Y = _images()
    stage = _stage(n_replicates=1, max_epochs=1).fit(X, Y)
    matrix = X[:, 0, 0]
    stage.set_params(encoder="mlp", hidden_sizes=(4,)).fit(matrix, Y)
    assert stage.transform(matrix).shape == (81, 2)
