"""The plain VAE: latents that reconstruct the inputs, and targets that change nothing."""

import numpy as np
import pytest

from identirep.baselines import VAE
from identirep.metrics import weak_mcc_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _plane(seed=0, n=1000):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 2))
    return Z @ rng.normal(size=(2, 5)), Z


def test_finds_the_plane_of_the_latents():
    X, Z = _plane()
    model = VAE(hidden_sizes=(), max_epochs=50, batch_size=500, random_state=0).fit(X)
    assert model.n_components_ == 2
    assert weak_mcc_score(model.transform(X), Z) > 0.999


@pytest.mark.slow
def test_networks_follow_a_curve():
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000)
    X = np.column_stack([a, a**2]) + 0.02 * rng.normal(size=(2000, 2))
    settings = {"max_epochs": 60, "batch_size": 500, "random_state": 0}
    line, curve = (VAE(1, hidden_sizes=sizes, **settings).fit(X).history_[-1] for sizes in ((), (32,)))
    # One latent gives both coordinates of the curve, and but one of two uncorrelated ones by a line.
    assert curve["reconstruction"] < line["reconstruction"] - 0.5
    assert curve["loss"] < line["loss"]


def test_targets_change_nothing():
    X, _ = _plane(n=100)
    quick = {"hidden_sizes": (8,), "max_epochs": 3, "random_state": 0}
    alone = VAE(**quick).fit(X).transform(X)
    np.testing.assert_array_equal(VAE(**quick).fit(X, X[:, 0], np.arange(100) % 2).transform(X), alone)
    np.testing.assert_array_equal(VAE(**quick).fit(X, np.full(100, np.nan), np.zeros(100)).transform(X), alone)


def test_width_of_the_decoder():
    X, _ = _plane(n=100)
    model = VAE(hidden_sizes=(8, 6), max_epochs=1, random_state=0).fit(X)
    assert [tuple(w.shape) for w in model.module_.decoder.weights] == [(2, 6), (6, 8), (8, 2)]
    model = VAE(hidden_sizes=(), decoder_hidden_sizes=(7, 9), max_epochs=1, random_state=0).fit(X)
    assert model.module_.encoder is None
    assert [tuple(w.shape) for w in model.module_.decoder.weights] == [(2, 7), (7, 9), (9, 2)]


def test_warm_up_weighs_the_divergence_less():
    X, _ = _plane(n=400)
    quick = {"hidden_sizes": (), "max_epochs": 20, "batch_size": 100, "random_state": 0}
    free, held = (VAE(beta_warm_up=share, **quick).fit(X).history_ for share in (1.0, 0.0))
    assert free[5]["divergence"] > held[5]["divergence"]
