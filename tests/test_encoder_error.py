"""What an encoder loses of each latent: known errors of known latents, and one encoder of nonlinear observations."""

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor
from identirep.datasets import make_linear_tasks, make_nonlinear_tasks
from identirep.encoder_error import encoder_correlation, encoder_correlation_of
from identirep.validation import TaskData


def _tasks(seed, n_causal=1, n_latents=4, n_tasks=100, spurious_std=0.05):
    data = make_linear_tasks(
        n_tasks, 60, n_latents, n_causal, mixing="identity", spurious_std=spurious_std, random_state=seed
    )
    data.held_out = np.arange(len(data.y)) % 60 < 15
    return data


def _losses(data, Z):
    """What is said of seen latents, and 1 - correlation with the true ones on held-out rows."""
    found = encoder_correlation(Z, data.y, data.tasks, data.held_out)
    seen = (Z[data.held_out], data.Z[data.held_out])
    return found, np.array([1.0 - np.corrcoef(a, b)[0, 1] for a, b in zip(*(z.T for z in seen), strict=True)])


def _noise(Z, rng):
    return rng.normal(size=Z.shape)


def _noise_that_grows(Z, rng):
    return rng.normal(size=Z.shape) * np.abs(np.roll(Z, 1, axis=1))


def _kinks(Z, rng):
    units = np.maximum(Z @ rng.normal(size=(Z.shape[1], 30)) + rng.normal(size=30), 0.0)
    error = units @ rng.normal(size=(30, Z.shape[1]))
    design = np.column_stack([np.ones(len(Z)), Z])
    error -= design @ np.linalg.lstsq(design, error, rcond=None)[0]
    return error / error.std(axis=0)


def _products(Z, rng):
    return np.roll(Z, 1, axis=1) * np.roll(Z, 2, axis=1)


def _whole(found, Z):
    """1 - correlation, all of the error counted."""
    return 1.0 - np.sqrt(1.0 - found.variance / Z.var(axis=0))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("error", [_noise, _noise_that_grows, _kinks, _products])
def test_known_errors_are_found(error, seed):
    data = _tasks(seed)
    # One latent is seen as it is, the others with more and more error.
    Z = data.Z + np.array([0.0, 0.15, 0.25, 0.4]) * error(data.Z, np.random.default_rng(seed))
    found, truth = _losses(data, Z)
    ratio = _whole(found, Z)[1:] / truth[1:]
    assert np.all((ratio > 0.4) & (ratio < 2.5))
    assert found.correlation[0] > 0.995
    np.testing.assert_allclose(1.0 - found.correlation[found.known], _whole(found, Z)[found.known])
    # Where the error has nothing to do with the latents it may be their own variance.
    assert found.known.all() or error in (_noise, _noise_that_grows)


@pytest.mark.parametrize("error", [_kinks, _products])
def test_intervals_hold_the_truth(error):
    inside = []
    for seed in range(3):
        data = _tasks(seed, n_causal=2)
        found, truth = _losses(data, data.Z + 0.3 * error(data.Z, np.random.default_rng(seed)))
        inside += list((found.interval[:, 0] <= 1.0 - truth) & (1.0 - truth <= found.interval[:, 1]))
    assert np.mean(inside) > 0.7


@pytest.mark.parametrize("seed", range(2))
def test_rows_of_the_training_say_nothing(seed):
    data = _tasks(seed)
    error = 0.4 * _kinks(data.Z, np.random.default_rng(seed))
    known_by_heart, truth = _losses(data, data.Z + error * data.held_out[:, None])
    assert np.all(1.0 - known_by_heart.correlation > 0.4 * truth)
    elsewhere, _ = _losses(data, data.Z + error * ~data.held_out[:, None])
    assert np.all(elsewhere.correlation > 0.99)


@pytest.mark.parametrize("seed", range(2))
def test_variance_of_effects_is_not_taken_for_an_error(seed):
    data = _tasks(seed, spurious_std=1.0)
    clean, _ = _losses(data, data.Z)
    assert not clean.known.any()
    assert np.isnan(clean.correlation).all()
    assert clean.interval[:, 1].min() > 0.99
    assert clean.interval[:, 0].max() < 0.95
    # A smooth error is seen nonetheless.
    blurred, truth = _losses(data, data.Z + 0.5 * _kinks(data.Z, np.random.default_rng(seed)))
    assert np.all(1.0 - blurred.interval[:, 1] > 0.15 * truth)


def test_latents_that_no_target_determines_are_not_known():
    data = _tasks(0, n_causal=4)
    found, _ = _losses(data, data.Z)
    assert not found.known.any()
    few = _tasks(0, n_tasks=4)
    assert not _losses(few, few.Z)[0].known.any()


def test_numbers_of_tasks_and_units_do_not_matter():
    data = _tasks(0)
    Z = data.Z + 0.3 * _kinks(data.Z, np.random.default_rng(0))
    found = encoder_correlation(Z, data.y, data.tasks, data.held_out)
    scale, order = np.array([1.0, 10.0, 0.1, 3.0]), np.random.default_rng(0).permutation(len(Z))
    other = encoder_correlation(
        (Z * scale + 5.0)[order], 7.0 * data.y[order], 3 * data.tasks[order] + 2, data.held_out[order]
    )
    np.testing.assert_allclose(other.correlation, found.correlation, atol=1e-6)
    np.testing.assert_allclose(other.variance, found.variance * scale**2, rtol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_error_of_an_encoder_of_nonlinear_observations(seed):
    data = make_nonlinear_tasks(100, 100, 3, 9, 1, hidden_sizes=(9, 9), activation="leaky_relu", random_state=seed)
    fit = np.arange(len(data.y)) % 100 < 60
    given = data.X[fit], data.y[fit], data.tasks[fit]
    network = MTRN(hidden_sizes=(64,), n_replicates=2, max_epochs=30, device="cpu")
    model = IdentifiableRegressor(3, regressor=network, n_checks=0, random_state=seed).fit(*given)
    checked = TaskData(*given, tuple(range(100)))
    found = encoder_correlation_of(model.regressor_, model.causal_model_, checked)
    np.testing.assert_array_equal(model.encoder_mcc_, found.correlation)
    between = np.abs(np.corrcoef(model.transform(data.X[~fit]).T, data.Z[~fit].T)[:3, 3:])
    truth = 1.0 - between.max(axis=1)
    said = _whole(found, model.transform(data.X[fit]))
    assert np.sum((said / truth > 1.0 / 3.0) & (said / truth < 3.0)) >= 2
    # Stage two alone, which takes features as known, is far off.
    assert np.median(said / truth) > 20.0 * np.median((1.0 - model.certificate_.features_mcc) / truth)


def test_shared_inputs_say_nothing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    Y = np.tanh(X) @ rng.normal(size=(4, 6)) + 0.1 * rng.normal(size=(200, 6))
    network = MTRN(2, hidden_sizes=(16,), n_replicates=2, max_epochs=10, device="cpu")
    model = IdentifiableRegressor(2, regressor=network, n_checks=0, random_state=0).fit(X, Y)
    assert encoder_correlation_of(model.regressor_, model.causal_model_, TaskData(X, Y, None, tuple(range(6)))) is None
    assert np.isnan(model.encoder_mcc_).all()
