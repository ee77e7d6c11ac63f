"""Refits on some of very many tasks say what refits on all of them say."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.trust import some_tasks
from identirep.mtlcm.trust.comes_back import extrapolated
from identirep.mtlcm.trust.some_tasks import on_some_tasks


@pytest.fixture(scope="module")
def data():
    return make_linear_tasks(n_tasks=300, n_samples=40, n_latents=4, n_causal=2, spurious_std=0.5, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    return MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)


def test_certificates_of_some_and_of_all_tasks_agree(data, model, monkeypatch):
    whole = model.certificate_
    monkeypatch.setattr(some_tasks, "MOST_TASKS", 100)
    some = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks).certificate_
    assert some.verdict == whole.verdict
    np.testing.assert_allclose(some.expected_mcc, whole.expected_mcc, atol=1e-3)
    # Losses are of the same size: not those of a third of the tasks, which are three times as large.
    for a, b in ((some.bootstrap_mcc, whole.bootstrap_mcc), (some.comes_back.other_rows, whole.comes_back.other_rows)):
        assert not np.array_equal(a, b)
        assert 0.5 < (1.0 - a).mean() / (1.0 - b).mean() < 1.8


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_all_tasks_are_refitted_where_axes_turn_on_some(model, monkeypatch, level):
    monkeypatch.setattr(some_tasks, "MOST_TASKS", 100)
    seen = []

    def agreement(fit, moments, causal, tasks):
        seen.append(len(tasks))
        assert len(fit.variances) == moments.n_tasks == len(causal) == len(tasks)
        np.testing.assert_array_equal(moments.n_samples, model.moments_.n_samples[tasks])
        return np.full((2, 4), level)

    found = on_some_tasks(agreement, model.fit_, model.moments_, model.posterior_.best, np.random.default_rng(0))
    if level > 0.9:
        assert seen == [100]
        np.testing.assert_allclose(found, extrapolated(np.full((2, 4), level), 1 / 3))
    else:
        assert seen == [100, 300]
        assert (found == level).all()
