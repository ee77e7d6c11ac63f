"""The synthetic tasks follow the model that their truth describes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import ks_2samp, kstest

from identirep.datasets import make_linear_tasks, make_nonlinear_tasks

PUBLISHED = Path(__file__).parents[1] / "data" / "published_linear_tasks.npz"


def _by_task(data):
    """Latents (T, n, D) and targets (T, n)."""
    n_tasks, n_latents = data.causal.shape
    return data.Z.reshape(n_tasks, -1, n_latents), data.y.reshape(n_tasks, -1)


@pytest.mark.parametrize("standardize", [True, False])
def test_regression_on_causes_recovers_truth(standardize):
    data = make_linear_tasks(5, 50_000, 6, 2, target_noise=(0.5, 1.0), standardize=standardize, random_state=0)
    for t, (Z, y) in enumerate(zip(*_by_task(data), strict=True)):
        causes = data.causal[t]
        design = np.column_stack([Z[:, causes], np.ones(len(y))])
        solution, *_ = np.linalg.lstsq(design, y, rcond=None)
        assert_allclose(solution[:-1], data.causal_coef[t, causes], atol=0.03)
        assert_allclose(solution[-1], data.intercept[t], atol=0.03)
        assert_allclose((y - design @ solution).std(), data.target_noise[t], rtol=0.02)


@pytest.mark.parametrize("standardize", [True, False])
def test_regression_of_effects_on_target_recovers_truth(standardize):
    q = 0.3
    data = make_linear_tasks(5, 50_000, 6, 2, spurious_std=q, standardize=standardize, random_state=1)
    for t, (Z, y) in enumerate(zip(*_by_task(data), strict=True)):
        for i in np.flatnonzero(~data.causal[t]):
            slope, offset = np.polyfit(y, Z[:, i], deg=1)
            assert_allclose(slope, data.spurious_coef[t, i], atol=0.01)
            assert_allclose(offset, data.spurious_intercept[t, i], atol=0.02)
            assert_allclose((Z[:, i] - slope * y - offset).std(), data.spurious_std[t, i], rtol=0.02)
    if not standardize:
        assert_array_equal(data.spurious_std[~data.causal], q)
        assert_array_equal(data.spurious_intercept, 0)


def test_latents_are_independent_given_target_and_task():
    data = make_linear_tasks(1, 200_000, 5, 1, random_state=2)
    effects = data.Z[:, ~data.causal[0]]
    residuals = effects - np.outer(data.y, data.spurious_coef[0, ~data.causal[0]])
    correlation = np.corrcoef(residuals, rowvar=False)
    assert np.abs(correlation - np.eye(4)).max() < 0.01


def test_coefficients_are_zero_in_the_other_role():
    data = make_linear_tasks(30, 10, 8, 3, random_state=0)
    assert_array_equal(data.causal_coef != 0, data.causal)
    assert_array_equal(data.spurious_coef != 0, ~data.causal)
    assert_array_equal(data.spurious_std != 0, ~data.causal)


def test_standardised_within_each_task():
    Z, _ = _by_task(make_linear_tasks(20, 30, 4, 2, random_state=0))
    assert_allclose(Z.mean(axis=1), 0, atol=1e-12)
    assert_allclose(Z.std(axis=1), 1, atol=1e-12)
    raw, _ = _by_task(make_linear_tasks(20, 30, 4, 2, standardize=False, random_state=0))
    assert np.abs(raw.std(axis=1) - 1).max() > 0.1


def test_parameters_follow_their_laws():
    data = make_linear_tasks(2000, 2, 5, 2, standardize=False, random_state=0)
    assert_array_equal(data.causal.sum(axis=1), 2)
    assert_allclose(data.causal.mean(axis=0), 2 / 5, atol=0.05)
    assert kstest(data.causal_coef[data.causal], "norm").pvalue > 0.01
    assert kstest(data.spurious_coef[~data.causal], "uniform", args=(-1, 2)).pvalue > 0.01
    assert kstest(data.target_noise, "uniform", args=(2, 1)).pvalue > 0.01
    assert kstest(data.Z.reshape(2000, 2, 5)[:, 0][data.causal], "norm").pvalue > 0.01


def test_same_law_as_the_published_generator():
    published = np.load(PUBLISHED)
    data = make_linear_tasks(200, 100, 10, 2, random_state=0)
    Z, y = _by_task(data)
    correlation = np.abs(np.einsum("tnd,tn->td", Z, y - y.mean(axis=1, keepdims=True))) / 100 / y.std(axis=1)[:, None]
    for role in (True, False):
        ours, theirs = correlation[data.causal == role], published["correlation"][published["causal"] == role]
        assert ks_2samp(ours, theirs).pvalue > 0.01
    assert ks_2samp(y.std(axis=1), published["target_std"]).pvalue > 0.01
    assert ks_2samp(data.target_noise, published["residual_std"]).pvalue > 0.01


@pytest.mark.parametrize("mixing", ["random", "orthogonal", "identity"])
@pytest.mark.parametrize("n_features", [None, 7])
def test_features_are_the_mixture_plus_noise(mixing, n_features):
    data = make_linear_tasks(20, 500, 4, 2, mixing=mixing, n_features=n_features, observation_noise=0.5, random_state=0)
    assert data.mixing.shape == (n_features or 4, 4)
    noise = data.H - data.Z @ data.mixing.T
    assert_allclose(np.cov(noise, rowvar=False), 0.25 * np.eye(noise.shape[1]), atol=0.02)
    if mixing == "identity":
        assert_array_equal(data.mixing, np.eye(n_features or 4, 4))
    if mixing == "orthogonal":
        assert_allclose(data.mixing.T @ data.mixing, np.eye(4), atol=1e-12)


def test_orthogonal_mixing_is_haar():
    # The entries of a uniform rotation have zero mean; those of QR without its sign correction do not.
    corner = [make_linear_tasks(1, 2, 3, 1, mixing="orthogonal", random_state=s).mixing[0, 0] for s in range(300)]
    assert abs(np.mean(corner)) < 4 / np.sqrt(3 * 300)
    assert np.var(corner) == pytest.approx(1 / 3, abs=0.08)


def test_given_mixing_is_used():
    A = np.arange(6.0).reshape(3, 2) + np.eye(3, 2)
    data = make_linear_tasks(2, 5, 2, 1, mixing=A, observation_noise=0.0, random_state=0)
    assert_array_equal(data.mixing, A)
    assert_array_equal(data.H, data.Z @ A.T)


@pytest.mark.parametrize("make", [make_linear_tasks, make_nonlinear_tasks])
def test_same_seed_same_bits(make):
    first, second, other = (make(5, 10, 4, n_causal=2, random_state=seed) for seed in (7, 7, 8))
    for key in {*first} - {"decoder"}:
        assert_array_equal(first[key], second[key])
    assert not np.array_equal(first.Z, other.Z)


def test_layout_of_the_rows():
    data = make_linear_tasks(3, 4, 2, 1, random_state=0)
    assert_array_equal(data.tasks, np.repeat([0, 1, 2], 4))
    assert data.H.shape == data.Z.shape == (12, 2)
    assert data.y.shape == (12,)


def test_observations_are_the_decoded_latents_plus_noise():
    sizes = {"n_tasks": 10, "n_samples": 200, "n_latents": 3, "n_observed": 6, "n_causal": 1}
    clean = make_nonlinear_tasks(**sizes, random_state=0)
    assert_array_equal(clean.X, clean.decoder(clean.Z))
    noisy = make_nonlinear_tasks(**sizes, observation_noise=0.5, random_state=0)
    assert_array_equal(noisy.Z, clean.Z)
    assert (noisy.X - noisy.decoder(noisy.Z)).std() == pytest.approx(0.5, rel=0.05)


def test_decoder_has_the_requested_layers_and_is_not_linear():
    data = make_nonlinear_tasks(5, 50, 3, 8, 1, hidden_sizes=(5, 7), random_state=0)
    assert [W.shape for W in data.decoder.weights] == [(5, 3), (7, 5), (8, 7)]
    design = np.column_stack([data.Z, np.ones(len(data.Z))])
    residual = data.X - design @ np.linalg.lstsq(design, data.X, rcond=None)[0]
    assert residual.std() > 0.05 * data.X.std()


def test_wide_leaky_decoder_can_be_inverted():
    data = make_nonlinear_tasks(2, 50, 4, 10, 1, activation="leaky_relu", random_state=0)
    (W1, W2), (b1, b2) = data.decoder.weights, data.decoder.biases
    hidden = (data.X - b2) @ np.linalg.pinv(W2).T
    Z = (np.where(hidden > 0, hidden, hidden / 0.2) - b1) @ np.linalg.pinv(W1).T
    assert_allclose(Z, data.Z, atol=1e-8)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (make_linear_tasks, {"n_tasks": 0}, ValueError, r"n_tasks is too small: got 0, expected at least 1\."),
        (make_linear_tasks, {"n_samples": 1}, ValueError, r"n_samples is too small: got 1, expected at least 2\."),
        (
            make_linear_tasks,
            {"n_latents": 2.0},
            TypeError,
            r"n_latents has the wrong type: got 2\.0, expected an int\.",
        ),
        (make_linear_tasks, {"n_causal": 11}, ValueError, r"n_causal is too large: got 11, .* at most n_latents=10\."),
        (make_linear_tasks, {"n_features": 9}, ValueError, r"n_features is too small: got 9, .* at least n_latents=10"),
        (make_linear_tasks, {"mixing": "haar"}, ValueError, r"mixing is unknown: got 'haar', expected one of"),
        (make_linear_tasks, {"mixing": np.eye(3)}, ValueError, r"mixing has the wrong shape: got \(3, 3\), expected"),
        (
            make_linear_tasks,
            {"mixing": np.eye(10), "n_features": 11},
            ValueError,
            r"got \(10, 10\), expected \(11, n_l",
        ),
        (make_linear_tasks, {"mixing": np.ones((10, 10))}, ValueError, r"mixing is singular or not finite"),
        (
            make_linear_tasks,
            {"spurious_std": -1},
            ValueError,
            r"spurious_std is out of range: got -1, expected a finite",
        ),
        (make_linear_tasks, {"target_noise": (3, 2)}, ValueError, r"target_noise is not a range: got \(3, 2\)"),
        (make_linear_tasks, {"target_noise": 2.0}, ValueError, r"target_noise is not a range: got 2\.0"),
        (make_linear_tasks, {"random_state": "x"}, TypeError, r"random_state has the wrong type: got str"),
        (make_nonlinear_tasks, {"n_observed": 19}, ValueError, r"n_observed is too small: got 19, .* n_latents=20"),
        (
            make_nonlinear_tasks,
            {"activation": "tanh"},
            ValueError,
            r"activation is unknown: got 'tanh', expected one of",
        ),
        (make_nonlinear_tasks, {"hidden_sizes": (8, 0)}, ValueError, r"hidden_sizes\[1\] is too small: got 0"),
        (
            make_nonlinear_tasks,
            {"observation_noise": np.nan},
            ValueError,
            r"observation_noise is out of range: got nan",
        ),
    ],
)
def test_bad_arguments(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


def test_all_faults_are_raised_at_once():
    with pytest.raises(ValueError, match=r"(?s)observation_noise.*n_tasks.*spurious_std"):
        make_linear_tasks(n_tasks=0, observation_noise=-1, spurious_std=-1)
