"""Observation noise: estimated where the likelihood sees it, zero where it cannot."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score
from identirep.mtlcm.axes import noise
from identirep.mtlcm.axes.noise import denoised_residual_covariances, find_noise


def _ill_conditioned(seed=1, D=10):
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    return make_linear_tasks(n_latents=D, mixing=(U * np.geomspace(3, 0.01, D)) @ V, random_state=seed)


@pytest.mark.slow
def test_noise_is_estimated_and_worth_it_on_ill_conditioned_mixing():
    data = _ill_conditioned()
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    ignored = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    ceiling = mcc_score(data.H @ np.linalg.inv(data.mixing).T, data.Z)
    assert model.noise_std_ == pytest.approx(0.01, rel=0.15)
    assert mcc_score(model.transform(data.H), data.Z) > ceiling - 0.005
    assert mcc_score(ignored.transform(data.H), data.Z) < ceiling - 0.01


@pytest.mark.slow
def test_noise_that_drowns_a_latent_is_found_and_the_axes_are_not_trusted():
    # One direction of the features is a tenth of the noise. To a fit without noise that direction is a latent like any
    # other, and taking a little noise out gains nothing: the maximum with noise is far away.
    scores, ignored = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        U, V = (np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(2))
        data = make_linear_tasks(
            n_tasks=20,
            n_latents=6,
            mixing=(U * np.r_[np.geomspace(4, 1, 5), 0.005]) @ V,
            observation_noise=0.05,
            spurious_std=0.5,
            random_state=seed,
        )
        model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
        clean = MTLCM(noise_std=0.0, random_state=0).fit(data.H, data.y, tasks=data.tasks)
        assert model.noise_std_ == pytest.approx(0.05, rel=0.1)
        assert (model.log_likelihood_ - clean.log_likelihood_) * len(data.H) > 50
        scores.append(mcc_score(model.transform(data.H), data.Z))
        ignored.append(mcc_score(clean.transform(data.H), data.Z))
        assert model.certificate_.verdict.count("identified") <= 2
        assert model.certificate_.features_mcc.mean() < scores[-1] + 0.05
    assert np.mean(scores) > np.mean(ignored) + 0.03


def test_noise_of_orthogonal_mixing_cannot_be_told_from_latents():
    data = make_linear_tasks(mixing="orthogonal", observation_noise=0.01, random_state=0)
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    clean = MTLCM(noise_std=0.0, random_state=0).fit_moments(moments)
    assert find_noise(moments, clean.fit_.unmixing, np.random.default_rng(0)) is None
    assert MTLCM(random_state=0).fit_moments(moments).noise_std_ == 0.0


def test_no_noise_is_found_without_noise():
    data = make_linear_tasks(observation_noise=0.0, random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert model.noise_std_ < 1e-3
    assert mcc_score(model.transform(data.H), data.Z) > 0.9995


def test_some_of_many_tasks_tell_where_noise_is_looked_for(monkeypatch):
    data = make_linear_tasks(120, 60, 4, 2, observation_noise=0.3, random_state=0)
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    whole = MTLCM(random_state=0).fit_moments(moments)
    climbed = []
    plain = noise.climb_with_noise
    monkeypatch.setattr(noise, "_MOST_TASKS", 40)
    monkeypatch.setattr(
        noise,
        "climb_with_noise",
        lambda R, n, start, moves: climbed.append((len(R), moves)) or plain(R, n, start, moves),
    )
    found = MTLCM(random_state=0).fit_moments(moments)
    assert climbed.count((120, "joined")) == 1
    assert (120, "apart") not in climbed
    assert found.noise_std_ == pytest.approx(whole.noise_std_, rel=0.02) != 0.0
    assert mcc_score(found.transform(data.H), whole.transform(data.H)) > 0.9999


def test_given_noise_is_taken_out_and_eigenvalues_stay_positive():
    data = make_linear_tasks(n_latents=5, random_state=0)
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    plain = denoised_residual_covariances(moments, 0.0)
    small = np.linalg.eigvalsh(plain).min() / 2
    np.testing.assert_allclose(denoised_residual_covariances(moments, small), plain - small * np.eye(5), atol=1e-10)
    large = np.linalg.eigvalsh(plain).max() * 2
    assert np.linalg.eigvalsh(denoised_residual_covariances(moments, large)).min() > 0
