"""The model with noise: likelihood, gradient in all coordinates, and the maximum from exact covariances."""

import numpy as np
import pytest

from identirep.mtlcm.axes import noisy_likelihood
from identirep.mtlcm.axes.noisy_likelihood import (
    NoisyFit,
    _Objective,
    log_likelihood,
    maximise_noisy_likelihood,
    scored_variances,
)
from identirep.mtlcm.model import gaussian_log_likelihood

T, D = 30, 4


def _problem(seed=0, noise=0.02):
    """Covariances that the model fits exactly, with a mixing matrix that is far from orthogonal."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    A = (U * np.geomspace(2, 0.2, D)) @ V
    variances = rng.gamma(1.0, size=(T, D)) + 0.1
    R = (A * variances[:, None]) @ A.T + noise * np.eye(D)
    return A, variances, R, rng.integers(50, 150, size=T)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_likelihood_is_that_of_the_features_up_to_a_constant(noise):
    A, variances, R, n = _problem()
    weights = n / n.sum()
    constants = []
    for factor in (1.0, 1.5):
        Sigma = (A * (factor * variances)[:, None]) @ A.T + noise * np.eye(D)
        plain = float(weights @ gaussian_log_likelihood(R, Sigma))
        constants.append(plain - log_likelihood(R, weights, np.linalg.inv(A), factor * variances, noise))
    assert constants[0] == pytest.approx(constants[1], abs=1e-9)
    assert constants[0] == pytest.approx(-0.5 * D * np.log(2 * np.pi))


@pytest.mark.parametrize("moves", ["fixed", "apart", "joined"])
def test_gradient_by_finite_differences(moves):
    A, variances, R, n = _problem()
    rng = np.random.default_rng(1)
    objective = _Objective.at(R, n, NoisyFit(np.linalg.inv(A + 0.05 * rng.normal(size=(D, D))), variances, 0.01), moves)
    x = 0.02 * rng.normal(size=D * D + T * D + (moves != "fixed"))
    _, gradient = objective(x)
    for k in [*range(D * D), *rng.integers(D * D, len(x), 20), len(x) - 1]:
        step = np.zeros_like(x)
        step[k] = 1e-5
        slope = (objective(x + step)[0] - objective(x - step)[0]) / 2e-5
        assert gradient[k] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("moves", ["fixed", "apart", "joined"])
def test_zero_is_the_start(moves):
    A, variances, R, n = _problem()
    B = np.linalg.inv(A)
    objective = _Objective.at(R, n, NoisyFit(B, variances, 0.01), moves)
    value, _ = objective(np.zeros(D * D + T * D + (moves != "fixed")))
    expected = log_likelihood(R, n / n.sum(), B, variances, 0.01)
    assert float(np.linalg.slogdet(objective.unmixing)[1]) - value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("start", [0.1, 0.5, 3.0])
def test_noise_and_mixing_are_found_from_starts_with_other_noise(start):
    A, variances, R, n = _problem()
    rng = np.random.default_rng(2)
    B = np.linalg.inv(A @ (np.eye(D) + 0.1 * rng.normal(size=(D, D))))
    n = 100 * n
    found = maximise_noisy_likelihood(R, n, NoisyFit(B, np.ones((T, D)), start * 0.02), fixed_noise=False)
    assert found.noise_variance == pytest.approx(0.02, rel=0.02)
    P = found.unmixing @ A
    assert np.abs(P / np.diag(P)[:, None] - np.eye(D)).max() < 0.02
    at_truth = log_likelihood(R, n / n.sum(), np.linalg.inv(A), variances, 0.02)
    assert n.sum() * (at_truth - found.log_likelihood) < 1.0


def test_fixed_noise_stays():
    A, _, R, n = _problem()
    found = maximise_noisy_likelihood(R, n, NoisyFit(np.linalg.inv(A), np.ones((T, D)), 0.02), fixed_noise=True)
    assert found.noise_variance == 0.02


def test_a_latent_that_noise_drowns_keeps_positive_variances():
    A, variances, R, n = _problem()
    variances = variances.copy()
    variances[:, -1] *= 1e-3
    R = (A * variances[:, None]) @ A.T + 0.02 * np.eye(D)
    found = maximise_noisy_likelihood(R, n, NoisyFit(np.linalg.inv(A), variances, 0.03), fixed_noise=False)
    assert np.all(found.variances > 0)
    assert np.isfinite(found.log_likelihood)
    assert found.noise_variance == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("moves", ["fixed", "apart", "joined"])
def test_parts_of_the_tasks_add_up_to_all_of_them(moves, monkeypatch):
    A, variances, R, n = _problem()
    start = NoisyFit(np.linalg.inv(A), variances, 0.01)
    objective = _Objective.at(R, n, start, moves)
    x = 0.02 * np.random.default_rng(1).normal(size=D * D + T * D + (moves != "fixed"))
    value, gradient = objective(x)
    height = log_likelihood(R, n / n.sum(), start.unmixing, variances, 0.01)
    sizes = []
    plain = noisy_likelihood.inverse_and_log_det
    monkeypatch.setattr("identirep.threads._NUMBERS", 7 * D * D)
    monkeypatch.setattr(noisy_likelihood, "inverse_and_log_det", lambda Sigma: sizes.append(len(Sigma)) or plain(Sigma))
    in_parts, slope = objective(x)
    assert in_parts == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slope, gradient, rtol=1e-11, atol=1e-14)
    assert log_likelihood(R, n / n.sum(), start.unmixing, variances, 0.01) == pytest.approx(height, rel=1e-13)
    assert sorted(sizes) == [2, 2, *[7] * 8]


def test_variances_of_all_tasks_are_near_the_best_for_axes_and_noise_of_some(monkeypatch):
    A, variances, R, _ = _problem()
    n = np.full(T, 60)
    rows = np.linalg.cholesky(R) @ np.random.default_rng(1).normal(size=(T, D, 60))
    R, B = rows @ rows.swapaxes(1, 2) / 60, np.linalg.inv(A)

    def nats(scorings):
        monkeypatch.setattr(noisy_likelihood, "_SCORINGS", scorings)
        found = scored_variances(R, NoisyFit(B, variances[:3], 0.02))
        assert (found.variances > 0).all()
        return n.sum() * log_likelihood(R, n / n.sum(), B, found.variances, 0.02)

    usual = noisy_likelihood._SCORINGS
    best = nats(30)
    assert nats(0) < best - 1.0
    assert nats(usual) > best - 0.1
