"""Stage two on shards of tasks: the fit of one process, on threads and on a cluster one worker of which is killed."""

import os
import signal

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.engines import dask_fit

pytest.importorskip("distributed", reason="the extra dask is not installed")
import dask


@pytest.fixture(autouse=True)
def _in_this_process():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def moments():
    # Fewer rows than five times the latents: what tasks lean on is pooled over all shards.
    data = make_linear_tasks(40, 18, 4, 2, mixing="random", observation_noise=0.2, random_state=0)
    return TaskMoments.from_long(data.H, data.y, data.tasks)


def _split(moments, n=3):
    return [moments.select_tasks(tasks) for tasks in np.array_split(np.arange(moments.n_tasks), n)]


def _same(found, expected):
    assert found.task_names_ == expected.task_names_
    for name in ("mixing_", "components_", "mean_", "noise_std_", "start_criteria_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.fit_.variances, expected.fit_.variances, rtol=1e-10, atol=1e-10)
    assert found.n_iter_ == expected.n_iter_ > 3


@pytest.mark.parametrize("parameters", [{}, pytest.param({"n_components": 3}, marks=pytest.mark.slow)])
def test_shards_give_the_fit_of_one_process(moments, parameters):
    asked = []

    def counted(part):
        asked.append(part)
        return part

    shards = [dask.delayed(counted)(part) for part in _split(moments)]
    found = dask_fit(MTLCM(**parameters, n_init=2, random_state=0), shards)
    expected = MTLCM(**parameters, n_init=2, random_state=0).fit_moments(moments)
    _same(found, expected)
    assert len(asked) == 3
    np.testing.assert_allclose(found.causal_probability_, expected.causal_probability_, atol=1e-8)


@pytest.mark.slow
def test_features_in_units_that_are_far_apart(moments):
    scaled = moments.map_features(np.diag([1e-9, 1.0, 1.0, 1e9]))
    found, expected = (
        f(MTLCM(random_state=0)) for f in (lambda m: dask_fit(m, _split(scaled)), lambda m: m.fit_moments(scaled))
    )
    np.testing.assert_allclose(found.mixing_ / expected.mixing_, 1.0, rtol=1e-8)


def test_shards_that_do_not_go_together(moments):
    model, (first, *others) = MTLCM(), _split(moments)
    with pytest.raises(ValueError, match=r"^tasks are in two shards: got 0, 1, 2, 3, 4 and more"):
        dask_fit(model, [first, first, *others])
    with pytest.raises(ValueError, match=r"^shard 1 gives no moments: got ndarray"):
        dask_fit(model, [first, dask.delayed(np.zeros)(3)])
    with pytest.raises(ValueError, match=r"^shards have other features: got 3 and 4"):
        dask_fit(model, [first, others[0].map_features(np.eye(4)[:3])])
    with pytest.raises(ValueError, match=r"^shards are none: got list"):
        dask_fit(model, [])
    with pytest.raises(TypeError, match=r"^model is no MTLCM: got str"):
        dask_fit("MTLCM", [first])
    rng = np.random.default_rng(0)
    wide = TaskMoments.from_arrays(rng.normal(size=(60, 4)), rng.normal(size=(60, 6)))
    with pytest.raises(ValueError, match=r"^shards share rows: got 360 labels of 60 rows"):
        dask_fit(model, [wide])


@pytest.mark.slow
def test_a_cluster_of_processes_one_of_which_is_killed_half_way(moments, monkeypatch):
    from distributed import LocalCluster

    from identirep.mtlcm.axes import sharded

    expected = MTLCM(random_state=0).fit_moments(moments)
    steps = []
    plain = sharded.ShardedCovariances.measured

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        cluster.get_client() as client,
    ):
        whole = dask_fit(MTLCM(random_state=0), [dask.delayed(part) for part in _split(moments)], scheduler=client)

        def measured(self, B, start):
            steps.append(len(B))
            if len(steps) == 12:
                # All that this worker holds is lost with it.
                victim = next(iter(client.run(os.getpid).values()))
                os.kill(victim, signal.SIGKILL)
            return plain(self, B, start)

        monkeypatch.setattr(sharded.ShardedCovariances, "measured", measured)
        killed = dask_fit(MTLCM(random_state=0), [dask.delayed(part) for part in _split(moments)], scheduler=client)
    assert len(steps) > 20
    _same(whole, expected)
    np.testing.assert_array_equal(killed.mixing_, whole.mixing_)
    np.testing.assert_array_equal(killed.fit_.variances, whole.fit_.variances)
