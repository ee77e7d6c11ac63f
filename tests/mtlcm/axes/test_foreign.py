"""Tasks that do not belong to the others, and tasks that are there twice."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score
from identirep.mtlcm.axes.foreign import repeated_tasks

T, N, D = 40, 120, 5


def linear(**settings):
    given = {"mixing": "random", "observation_noise": 0.0, "spurious_std": 1.0, "random_state": 0, **settings}
    return make_linear_tasks(T, N, D, 2, **given)


def with_foreign_tasks(share, common=False, **settings):
    data, rng = linear(**settings), np.random.default_rng(1)
    data.foreign = rng.permutation(T) < share * T
    A = rng.standard_normal((1 if common else T, D, D))
    other = (data.Z.reshape(T, N, D) @ A).reshape(-1, D)
    data.clean, data.H = data.H, np.where(data.foreign[data.tasks][:, None], other, data.H)
    return data


def fitted(data, **settings):
    return MTLCM(random_state=0, **settings).fit(data.H, data.y, tasks=data.tasks)


def found(model, data):
    return mcc_score(data.clean @ model.components_.T, data.Z)


@pytest.mark.parametrize("common", [True, False])
def test_foreign_tasks_are_named_and_left_out_of_the_axes(common, tmp_path):
    data = with_foreign_tasks(0.3, common)
    with pytest.warns(UserWarning, match="mix the latents otherwise"):
        model = fitted(data, noise_std=0.0)
    assert found(fitted(data, robust=None, noise_std=0.0), data) < 0.97
    assert found(model, data) > 0.995
    assert model.foreign_tasks_ == tuple(np.flatnonzero(data.foreign))
    assert model.repeated_tasks_ == ()
    # Foreign tasks are still there to be predicted and looked at.
    assert model.task_names_ == tuple(range(T))
    assert model.causal_probability_.shape == (T, D)
    assert np.isfinite(model.log_likelihood_)
    model.save(tmp_path / "run")
    stored = MTLCM.load(tmp_path / "run")
    assert stored.foreign_tasks_ == model.foreign_tasks_
    assert stored.certificate_.verdict == model.certificate_.verdict


@pytest.mark.parametrize(("spurious_std", "target_noise"), [(1.0, (2.0, 3.0)), (0.1, (0.05, 0.1))])
def test_no_task_is_foreign_where_the_model_holds(spurious_std, target_noise):
    for seed in range(3):
        data = linear(spurious_std=spurious_std, target_noise=target_noise, random_state=seed)
        assert fitted(data, noise_std=0.0).foreign_tasks_ == ()


def test_effects_that_spread_with_the_target_make_no_task_foreign():
    data, rng = linear(mixing="orthogonal"), np.random.default_rng(0)
    Z = np.where(data.causal[data.tasks], data.Z, data.Z * rng.exponential(size=(len(data.y), 1)))
    model = MTLCM(random_state=0, noise_std=0.0).fit(Z, data.y, tasks=data.tasks)
    assert len(model.foreign_tasks_) <= 1


def test_repeated_tasks_count_once():
    data = linear()
    source = np.arange(T) % 6
    rows = (source[:, None] * N + np.arange(N)).ravel()
    H, y = data.H[rows], data.y[rows] * (1.0 + data.tasks)
    with pytest.warns(UserWarning, match="have the rows of an earlier task"):
        model = MTLCM(random_state=0, noise_std=0.0).fit(H, y, tasks=data.tasks)
    assert model.repeated_tasks_ == tuple(range(6, T))
    few = MTLCM(random_state=0, noise_std=0.0).fit(H[: 6 * N], y[: 6 * N], tasks=data.tasks[: 6 * N])
    np.testing.assert_allclose(model.components_, few.components_, rtol=1e-6)
    np.testing.assert_allclose(model.certificate_.leakage, few.certificate_.leakage, rtol=1e-6)


def test_tasks_of_equal_covariances_are_not_repeated():
    data = linear()
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    assert not repeated_tasks(moments).any()


def test_tasks_are_not_judged_where_noise_hides_a_latent():
    # The model holds, and noise is twice what the weakest latent leaves in the features: a task was called foreign.
    rng = np.random.default_rng(4)
    left, right = (np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2))
    mixing = left @ np.diag(np.geomspace(1.0, 0.1, 4)) @ right
    noisy = {"mixing": mixing, "observation_noise": 0.03, "standardize": False, "random_state": 4}
    data = make_linear_tasks(60, 200, 4, 2, **noisy)
    assert MTLCM(random_state=4).fit(data.H, data.y, tasks=data.tasks).foreign_tasks_ == ()
