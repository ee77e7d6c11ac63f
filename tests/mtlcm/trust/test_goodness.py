"""Goodness of fit: p-values where the model holds, where it does not, and where nothing can be tested."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.trust import goodness


def _fit(data):
    return MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)


@pytest.mark.slow
def test_goodness_of_fit_accepts_the_model_and_rejects_a_wrong_one():
    data = make_linear_tasks(mixing="orthogonal", n_causal=4, observation_noise=0.0, random_state=0)
    model = _fit(data)
    assert model.certificate_.goodness_of_fit.p_value > 0.001
    # A common cause of all latents that no target sees breaks their independence.
    data = make_linear_tasks(mixing="identity", n_causal=4, observation_noise=0.0, random_state=0)
    rng = np.random.default_rng(0)
    common = rng.normal(size=(len(data.H), 1)) * rng.uniform(0, 1, size=(200, 10))[data.tasks]
    wrong = MTLCM(random_state=0).fit(data.H + 0.3 * common, data.y, tasks=data.tasks)
    assert wrong.certificate_.goodness_of_fit.p_value < 1e-6


@pytest.mark.slow
def test_p_values_are_not_extreme_under_the_model():
    p_values = []
    for seed in range(20):
        data = make_linear_tasks(
            n_tasks=40, n_latents=5, n_causal=2, mixing="orthogonal", observation_noise=0.0, random_state=seed
        )
        p_values.append(_fit(data).certificate_.goodness_of_fit.p_value)
    assert 0.25 < np.mean(p_values) < 0.75
    assert np.sum(np.array(p_values) < 0.05) <= 4


@pytest.mark.slow
def test_tasks_too_small_to_test_give_no_p_value():
    data = make_linear_tasks(n_tasks=300, n_samples=8, mixing="orthogonal", random_state=0)
    assert np.isnan(_fit(data).certificate_.goodness_of_fit.p_value)


def test_tasks_that_the_model_takes_as_determined_are_left_out(monkeypatch):
    data = make_linear_tasks(n_tasks=40, n_latents=4, n_causal=2, mixing="orthogonal", random_state=0)
    model = _fit(data)
    before = model.certificate_.goodness_of_fit
    implied = goodness.joint_model_covariances

    def determined(*arguments):
        covariances = implied(*arguments)
        covariances[:chosen] = np.ones_like(covariances[:chosen])
        return covariances

    monkeypatch.setattr(goodness, "joint_model_covariances", determined)
    chosen = 1
    found = goodness.goodness_of_fit(model.fit_, model.moments_, model.posterior_.best)
    assert 0.0 < found.statistic < before.statistic
    chosen = 40
    assert np.isnan(goodness.goodness_of_fit(model.fit_, model.moments_, model.posterior_.best).p_value)
