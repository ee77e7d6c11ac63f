"""Moments on Dask: collections and delayed blocks in threads, and a real cluster of processes, one killed half way."""

import os
import signal
import time

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.engines import dask_moments

pytest.importorskip("distributed", reason="the extra dask is not installed")
import dask
import dask.array as da
import dask.dataframe as dd


@pytest.fixture(autouse=True)
def _in_this_process():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def frame(rows):
    return dd.from_pandas(rows.frame, npartitions=7)


def test_arrays_in_both_layouts(same, rows):
    H, Y = da.from_array(rows.H, chunks=(130, 2)), da.from_array(rows.Y, chunks=(200, 3))
    same(dask_moments(H, Y, rows.targets), rows.wide)
    assert dask_moments(H, Y).task_names == (0, 1, 2)
    y, tasks = da.from_array(rows.Y[:, 0], chunks=170), da.from_array(rows.tasks, chunks=50)
    same(dask_moments(H, y, tasks), rows.long)
    same(dask_moments(H, y, tasks, sample_weight=da.from_array(rows.weight, chunks=1000)), rows.weighted)


def test_frames_in_both_layouts(same, rows, frame):
    same(dask_moments(frame[rows.features], frame[rows.targets]), rows.wide)
    same(dask_moments(frame[rows.features], frame["y0"], frame["task"]), rows.long)
    same(dask_moments(frame[rows.features], frame["y0"], frame["task"], sample_weight=frame["w"]), rows.weighted)
    assert dask_moments(frame[rows.features], frame["y0"]).task_names == ("y0",)


def test_arrays_of_frames_have_partitions_of_unknown_size(same, rows, frame):
    H, Y = frame[rows.features].to_dask_array(), frame[rows.targets].to_dask_array()
    same(dask_moments(H, Y, rows.targets), rows.wide)


def test_delayed_blocks_in_both_layouts(same, rows):
    # One of them is empty, and the task "rare" is in the first alone.
    bounds = [slice(0, 400), slice(400, 400), *(slice(a, a + 40) for a in range(400, 1000, 40))]
    block = dask.delayed(lambda *parts: parts)
    wide = [block(rows.H[at], rows.frame.loc[:, rows.targets].iloc[at]) for at in bounds]
    same(dask_moments(wide), rows.wide)
    long = [block(rows.H[at], rows.Y[at, 0], rows.tasks[at], rows.weight[at]) for at in bounds]
    same(dask_moments(long), rows.weighted)


def test_encoder_gets_what_a_partition_is(same, rows, frame):
    def encode(inputs):
        return inputs[["h3", "h1"]].to_numpy() ** 2

    expected = TaskMoments.from_arrays(rows.H[:, [3, 1]] ** 2, rows.Y, task_names=rows.targets)
    same(dask_moments(frame[rows.features], frame[rows.targets], encoder=encode), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda part: part.rename(columns={"h1": "q"}),
            r"^partition 3 has other columns of H: got 'h0', 'q', 'h2', 'h3'",
        ),
        (lambda part: part.assign(h1="x"), r"^partition 3: column 'h1' is not numeric: got 'x'"),
        (lambda part: part.assign(h1=np.nan), r"^partition 3: H contains \d+ non-finite values"),
        (lambda part: part.assign(task=5), r"^partition [03] has labels of tasks of another type than partition"),
        (lambda part: part.assign(task=None), r"^partition 3: tasks has missing labels"),
    ],
)
def test_a_bad_partition_is_named(change, message, rows, frame):
    parts = frame.to_delayed()
    parts[3] = dask.delayed(change)(parts[3])
    bad = dd.from_delayed(parts, meta=rows.frame.iloc[:0], verify_meta=False)
    with dask.config.set({"dataframe.convert-string": False}), pytest.raises(ValueError, match=message):
        dask_moments(bad[rows.features] if "q" not in message else bad, bad["y0"], bad["task"])


def test_columns_in_another_order_are_found_by_name(same, rows, frame):
    parts = frame[rows.features].to_delayed()
    parts[2] = dask.delayed(lambda part: part[part.columns[::-1]])(parts[2])
    turned = dd.from_delayed(parts, meta=rows.frame[rows.features].iloc[:0], verify_meta=False)
    same(dask_moments(turned, frame[rows.targets]), rows.wide)


def test_empty_partitions_are_no_error(same, rows):
    parts = [rows.frame.iloc[:0], rows.frame.iloc[:300], rows.frame.iloc[300:300], rows.frame.iloc[300:]]
    frame = dd.from_delayed([dask.delayed(part) for part in parts], meta=rows.frame.iloc[:0])
    same(dask_moments(frame[rows.features], frame["y0"], frame["task"]), rows.long)
    nothing = dd.from_pandas(rows.frame.iloc[:0], npartitions=1)
    with pytest.raises(ValueError, match=r"^the blocks are empty"):
        dask_moments(nothing[rows.features], nothing["y0"], nothing["task"])


def test_partitions_that_do_not_go_together(rows, frame):
    H, y = da.from_array(rows.H, chunks=(100, 4)), frame["y0"]
    with pytest.raises(ValueError, match=r"^partitions do not go together: got 1,000 rows of H, 7 partitions of y"):
        dask_moments(H, y, frame["task"])
    with pytest.raises(ValueError, match=r"^partitions do not go together: got 1,000 rows of H, 900 rows of y"):
        dask_moments(H, da.from_array(rows.Y[:900], chunks=100))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 2)), np.ones((3, 1))), r"^H is no collection of Dask: got ndarray"),
        ((da.ones((3, 2)), np.ones((3, 1))), r"^y is no collection of Dask: got ndarray"),
        ((da.ones((3, 2)), da.ones(3), ["a", "b", "a"]), r"^tasks is no collection of Dask: got list"),
        ((da.ones((3, 2)), da.ones((3, 1)), "y"), r"^tasks are neither names nor labels: got str"),
        (([np.ones((3, 2))],), r"^H is no sequence of delayed: got list"),
    ],
)
def test_arguments_that_are_none(arguments, message):
    with pytest.raises(TypeError, match=message):
        dask_moments(*arguments)


def test_a_scheduler_that_does_not_answer_is_named():
    with pytest.raises(ValueError, match=r"^scheduler does not answer: got \w+ from 'tcp://127\.0\.0\.1:1'"):
        dask_moments(da.ones((3, 2)), da.ones((3, 1)), scheduler="tcp://127.0.0.1:1", timeout=1)


def _once_dead(marker, after):
    """Return an encoder that ends its process in the middle of the work, once."""

    def encode(inputs):
        time.sleep(0.05)
        with marker.open("a") as file:
            file.write(".")
        if marker.stat().st_size == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return inputs

    return encode


@pytest.mark.slow
def test_a_cluster_of_processes_one_of_which_is_killed(same, rows, tmp_path):
    from distributed import LocalCluster

    H, y = da.from_array(rows.H, chunks=(25, 4)), da.from_array(rows.Y[:, 0], chunks=25)
    tasks, marker = da.from_array(rows.tasks, chunks=25), tmp_path / "blocks"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        whole = dask_moments(H, y, tasks, scheduler=address, timeout=200)
        killed = dask_moments(H, y, tasks, scheduler=address, timeout=200, encoder=_once_dead(marker, 20))
        assert marker.stat().st_size > 40, "blocks of the worker that died were computed again"
        with cluster.get_client() as client:
            of_client = dask_moments(H, y, tasks, scheduler=client)
    same(whole, rows.long)
    for other in (killed, of_client):
        assert all(np.array_equal(a, b) for a, b in zip(other._sums[:7], whole._sums[:7], strict=True))


@pytest.mark.slow
def test_a_scheduler_without_workers_is_named():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        pytest.raises(ValueError, match=r"^scheduler has no workers: got none in 2 s"),
    ):
        dask_moments(da.ones((3, 2)), da.ones((3, 1)), scheduler=cluster.scheduler_address, timeout=2)
