"""Moments on a real local Ray with several worker processes, one killed half way."""

import os
import pickle
import signal
import time

import pandas as pd
import pyarrow as pa
import pytest

from identirep import TaskMoments
from identirep.engines import TableBlocks, ray_moments
from identirep.engines.on_ray import _aggregation, _moments_of_block

LONG = {"features": "h*", "tasks": "task"}


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ImportError, match=r"^ray_moments needs Ray Data.*pip install 'identirep\[ray\]'"):
        ray_moments(None, "y")


def test_what_workers_do_without_a_cluster(same, rows):
    pytest.importorskip("ray.data", reason="the extra ray is not installed")
    columns = TableBlocks("y0", "task", "h*")
    columns.start(list(rows.frame.columns), "the schema")
    compute, aggregation = _moments_of_block(columns, None), _aggregation()
    tables = [pa.Table.from_pandas(rows.frame.iloc[at]) for at in (slice(0, 0), slice(0, 700), slice(700, 1000))]
    stored = [compute(table) for table in tables]
    assert stored[0]["moments"].null_count == 1
    sums = [aggregation.aggregate_block(pa.concat_tables(stored[:2])), aggregation.aggregate_block(stored[2])]
    assert aggregation.aggregate_block(stored[0]) is None
    same(pickle.loads(aggregation.combine(*sums)).moments, rows.long)
    # What is wrong with a block is passed on, past all that is right.
    bad = aggregation.aggregate_block(compute(tables[1].drop_columns("h1")))
    for fault in (aggregation.combine(sums[0], bad), aggregation.combine(bad, sums[0])):
        assert str(pickle.loads(fault)).startswith(
            "a block of 700 rows has other columns than the schema: got none named"
        )
    other = aggregation.aggregate_block(compute(pa.Table.from_pandas(rows.frame.assign(task=1))))
    assert "labels of tasks of another type" in str(pickle.loads(aggregation.combine(sums[0], other)))


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    pytest.importorskip("ray.data", reason="the extra ray is not installed")
    for attempt in range(4):
        try:
            ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
            break
        except Exception:
            # It waits half a minute for its own processes, which is short where others are busy.
            ray.shutdown()
            if attempt == 3:
                raise
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


@pytest.fixture
def dataset(ray, rows):
    return ray.data.from_pandas([rows.frame.iloc[i::8] for i in range(8)])


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
def test_both_layouts_and_weights(same, rows, dataset):
    same(ray_moments(dataset, "y*", features="h*"), rows.wide)
    same(ray_moments(dataset, "y0", **LONG, weights="w"), rows.weighted)


@pytest.mark.slow
def test_a_worker_that_is_killed(same, rows, dataset, tmp_path):
    marker = tmp_path / "blocks"
    same(ray_moments(dataset, "y0", **LONG, encoder=_once_dead(marker, 4)), rows.long)
    assert marker.stat().st_size > 8, "blocks of the worker that died were computed again"


@pytest.mark.slow
def test_empty_blocks_and_an_encoder(same, rows, ray):
    parts = [rows.frame.iloc[:0], rows.frame.iloc[:300], rows.frame.iloc[300:]]
    expected = TaskMoments.from_long(rows.H[:, :2] ** 2, rows.Y[:, 0], rows.tasks)
    found = ray_moments(ray.data.from_pandas(parts), "y0", **LONG, encoder=lambda inputs: inputs[:, :2] ** 2)
    same(found, expected)
    with pytest.raises(ValueError, match=r"^the blocks are empty"):
        ray_moments(ray.data.from_pandas(rows.frame.iloc[:0]), "y0", **LONG)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda frame: frame.rename(columns={"h1": "q"}),
            r"^a block of 1,000 rows has other columns .* none named 'h1'",
        ),
        (lambda frame: frame.assign(h1="x"), r"^a block of 1,000 rows: column 'h1' is not numeric: got 'x'"),
        (lambda frame: frame.assign(task=7), r"^a block of 1,000 rows has labels of tasks of another type"),
    ],
)
def test_a_bad_block_is_described(change, message, rows, ray):
    with pytest.raises(ValueError, match=message):
        ray_moments(ray.data.from_pandas([rows.frame, change(rows.frame)]), "y0", **LONG)


@pytest.mark.slow
def test_what_is_no_dataset(ray, rows):
    with pytest.raises(TypeError, match=r"^dataset is none of Ray: got DataFrame"):
        ray_moments(pd.DataFrame(rows.frame), "y*")
