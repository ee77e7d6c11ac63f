"""Moments of files, folders, frames and iterators are those of all rows at once, and what is wrong is named."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, dataset, parquet

from identirep import TaskMoments
from identirep.engines import stream_moments

LONG = {"features": "h*", "tasks": "task"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("parts")
    for i, at in enumerate((slice(0, 400), slice(400, 400), slice(400, 1000))):
        parquet.write_table(pa.Table.from_pandas(rows.frame.iloc[at]), folder / f"part-{i}.parquet", row_group_size=150)
    return folder


@pytest.mark.parametrize(
    "source",
    [
        lambda frame, folder: frame,
        lambda frame, folder: pl.from_pandas(frame),
        lambda frame, folder: pa.Table.from_pandas(frame).to_reader(max_chunksize=70),
        lambda frame, folder: iter(pa.Table.from_pandas(frame).to_batches(max_chunksize=330)),
        lambda frame, folder: (frame.iloc[i::3] for i in range(3)),
        lambda frame, folder: folder,
        lambda frame, folder: str(folder / "*.parquet"),
        lambda frame, folder: dataset.dataset(folder).to_batches(batch_size=99),
    ],
    ids=["pandas", "polars", "reader", "batches", "frames", "folder", "pattern", "dataset"],
)
def test_sources_in_both_layouts(source, same, rows, folder):
    same(stream_moments(source(rows.frame, folder), "y*", features="h*"), rows.wide)
    same(stream_moments(source(rows.frame, folder), "y0", **LONG), rows.long)


def test_duckdb(same, rows):
    frame = rows.frame  # noqa: F841
    same(stream_moments(duckdb.sql("select * from frame"), "y0", **LONG), rows.long)


def test_weights(same, rows, folder):
    same(stream_moments(folder, "y0", **LONG, weights="w"), rows.weighted)


def test_encoder_takes_gaps_and_gives_features(same, rows, folder):
    frame = rows.frame.copy()
    frame.loc[5, "h1"] = np.nan

    def encode(inputs):
        return np.nan_to_num(inputs[:, 1:3])

    expected = TaskMoments.from_arrays(encode(frame[rows.features].to_numpy()), rows.Y, task_names=rows.targets)
    same(stream_moments(frame, "y*", features="h*", encoder=encode), expected)


def test_columns_are_found_by_name(same, rows):
    first, second = rows.frame.iloc[:500], rows.frame.iloc[500:]
    same(stream_moments([first, second[sorted(second.columns, reverse=True)]], "y*", features="h*"), rows.wide)


def test_labels_of_text_files_are_ints_if_all_are_whole_numbers(tmp_path, rows):
    table = {"h": np.arange(6.0), "y": np.ones(6)}
    csv.write_csv(pa.table({**table, "t": ["2", "10"] * 3}), tmp_path / "a.csv")
    csv.write_csv(pa.table({**table, "t": ["2", "3"] * 3}), tmp_path / "b.csv")
    assert stream_moments(str(tmp_path / "*.csv"), "y", tasks="t").task_names == (2, 3, 10)
    csv.write_csv(pa.table({**table, "t": ["x", "3"] * 3}), tmp_path / "b.csv")
    assert stream_moments(str(tmp_path / "*.csv"), "y", tasks="t").task_names == ("10", "2", "3", "x")


def test_one_block_is_held_at_a_time(rows):
    alive = []

    def batches():
        for _ in range(6):
            batch = pa.RecordBatch.from_pandas(rows.frame)
            alive.append(pa.total_allocated_bytes())
            yield batch

    assert stream_moments(batches(), "y*", features="h*").n_rows > 5000
    assert alive[-1] < alive[0] + 2 * rows.frame.memory_usage(deep=True).sum()


def _renamed(frame):
    return frame.rename(columns={"h1": "q"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_renamed, r"^batch 1 has other columns than batch 0: got none named 'h1', expected the same in all"),
        (lambda frame: frame.assign(h9=1.0), "^batch 1 has other columns than batch 0: got 'h9' as well"),
        (lambda frame: frame.drop(columns="task"), "^batch 1 has other columns than batch 0: got none named 'task'"),
        (lambda frame: frame.assign(h1="x"), "^batch 1: column 'h1' is not numeric: got 'x' first at row 1"),
        (lambda frame: frame.assign(task=7), "^batch 1 has labels of tasks of another type than batch 0: got 7"),
        (
            lambda frame: frame.assign(task=None),
            "^batch 1: column 'task' has no label of a task: got it first at row 1",
        ),
        (
            lambda frame: frame.assign(h2=np.where(np.arange(1000) == 8, np.nan, 1.0)),
            "^batch 1: column 'h2' has no value.* row 9",
        ),
        (lambda frame: frame.assign(y0=np.inf), "^batch 1: column 'y0' has an infinite value: got it first at row 1"),
        (lambda frame: 3, "^batch 1 is no table: got int"),
    ],
)
def test_a_bad_batch_is_named(change, message, rows):
    with pytest.raises(ValueError, match=message):
        stream_moments([rows.frame, change(rows.frame)], "y0", **LONG)


def test_a_bad_file_is_named(tmp_path, rows):
    parquet.write_table(pa.Table.from_pandas(rows.frame), tmp_path / "a.parquet")
    parquet.write_table(pa.Table.from_pandas(_renamed(rows.frame)), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet has other columns than .*a\.parquet: got none named 'h1'"):
        stream_moments(tmp_path, "y0", **LONG)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"b\.parquet cannot be read"):
        stream_moments(tmp_path, "y0", **LONG)


def test_sources_that_are_none(tmp_path):
    with pytest.raises(TypeError, match=r"^source is no table: got int"):
        stream_moments(3, "y")
    with pytest.raises(ValueError, match=r"^the blocks are empty"):
        stream_moments([], "y")
    with pytest.raises(ValueError, match=r"^the blocks are empty"):
        stream_moments(pd.DataFrame({"h": [], "y": []}), "y")
    with pytest.raises(FileNotFoundError, match=r"^path has no tables"):
        stream_moments(tmp_path, "y")
    with pytest.raises(FileNotFoundError, match=r"^path matches no file"):
        stream_moments(str(tmp_path / "*.parquet"), "y")
    (tmp_path / "task=a").mkdir()
    parquet.write_table(pa.table({"h": [1.0], "y": [1.0]}), tmp_path / "task=a" / "0.parquet")
    with pytest.raises(ValueError, match=r"^path has folders that hold values of a column: got 'task=a"):
        stream_moments(tmp_path, "y")
