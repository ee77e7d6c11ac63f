"""What the network does with its inputs: where they end, and how much small components are raised."""

import numpy as np
import pytest
import torch

from identirep import MTRN
from identirep.metrics import canonical_correlations
from identirep.mtrn import network_fit


@pytest.mark.parametrize("seed", range(3))
def test_what_hardly_varies_in_the_inputs_is_not_blown_up(seed):
    # Three latents in forty columns, and measurement noise in what is left: with unit variance in all principal
    # components the noise would be most of the input.
    rng = np.random.default_rng(seed)
    Z, mixing, heads = rng.normal(size=(1000, 3)), rng.normal(size=(3, 40)), rng.normal(size=(3, 12))
    X, Y = Z @ mixing + 1e-3 * rng.normal(size=(1000, 40)), np.tanh(Z) @ heads + 0.3 * rng.normal(size=(1000, 12))
    model = MTRN(3, hidden_sizes=(32,), n_replicates=2, max_epochs=20, device="cpu", random_state=seed).fit(
        X[:200], Y[:200]
    )
    assert canonical_correlations(model.transform(X[200:]), np.tanh(Z[200:])).min() > 0.95
    columns = (X - X.mean(axis=0)) / X.std(axis=0)
    values, axes = np.linalg.eigh(columns.T @ columns / len(X))
    gain = np.linalg.norm(network_fit._input_scaling(X, "whiten")(X), axis=0) / np.linalg.norm(columns @ axes, axis=0)
    # The class promises: raised at most threefold. Large components have unit variance.
    np.testing.assert_allclose(gain[:37], np.sqrt(10), rtol=0.01)
    np.testing.assert_allclose(gain[37:], 1 / np.sqrt(values[37:]), rtol=0.02)


def test_wide_tables_are_whitened_alike():
    # Fewer rows than columns: the same up to a rotation, so that rows are at the same distances.
    Z = np.random.default_rng(0).normal(size=(30, 40)) * np.linspace(0.1, 3, 40)
    tall = np.vstack([Z, np.zeros((10, 40))])
    wide, usual = (network_fit._whitener(rows * np.sqrt(len(rows) / 30)) for rows in (Z, tall))
    np.testing.assert_allclose(wide @ wide.T, usual @ usual.T, atol=1e-10)


@pytest.mark.parametrize("input_scaling", ["whiten", "standard"])
def test_inputs_far_beyond_the_range_of_training_count_as_its_ends(input_scaling):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) * [1.0, 50.0, 1e-3, 1.0] + [0.0, 1e4, 0.0, 5.0]
    y = X @ (rng.normal(size=(4, 3)) / X.std(axis=0)[:, None])
    model = MTRN(2, n_replicates=1, max_epochs=5, input_scaling=input_scaling, random_state=0).fit(X, y)
    seen = X[~model._held_out]
    low, high = seen.min(axis=0), seen.max(axis=0)
    upwards, margin = np.array([True, False, True, False]), 0.5 * (high - low)
    far, ends, near = X[:4].copy(), X[:4].copy(), X[:4].copy()
    far[range(4), range(4)] = np.where(upwards, high + 1e3 * margin, low - 1e3 * margin)
    ends[range(4), range(4)] = np.where(upwards, high + margin, low - margin)
    near[range(4), range(4)] = np.where(upwards, high, low)
    np.testing.assert_allclose(model.transform(far), model.transform(ends), rtol=1e-3, atol=1e-3)
    module = model.to_torch()(torch.from_numpy(far).float()).detach().numpy()
    np.testing.assert_allclose(module, model.transform(far), rtol=1e-3, atol=1e-3)
    # Rows not far out are taken as they are.
    assert np.abs(model.transform(near) - model.transform(ends)).max(axis=1).min() > 0.01
