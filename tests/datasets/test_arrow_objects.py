"""Streams of Arrow, and tables of other programs in memory: the same values as from a file."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pyarrow import compute, ipc

from identirep.datasets import load_table, read_whole

RNG = np.random.default_rng(0)
COLUMNS = {
    "x": RNG.normal(size=50),
    "flag": RNG.random(50) < 0.5,
    "metal": ["iron", "tin", None, "lead", "zinc"] * 10,
    "day": [dt.date(2020, 1, 1 + i % 28) for i in range(50)],
    "y": RNG.normal(size=50),
}
TABLE = pa.table(COLUMNS)


class _Once:
    """What gives its rows a single time, as results of queries do."""

    def __init__(self, table):
        self._reader = table.to_reader(max_chunksize=7)

    def __arrow_c_stream__(self, requested_schema=None):
        reader, self._reader = self._reader, None
        return reader.__arrow_c_stream__(requested_schema)


OBJECTS = {
    "table": lambda: TABLE,
    "batch": lambda: TABLE.to_batches()[0],
    "reader": lambda: TABLE.to_reader(max_chunksize=7),
    "once": lambda: _Once(TABLE),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars, categorical": lambda: pl.DataFrame(COLUMNS).with_columns(pl.col("metal").cast(pl.Categorical)),
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas, nullable": lambda: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas, categorical": lambda: pd.DataFrame(COLUMNS).astype({"metal": "category"}),
}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_objects(make):
    data = load_table(make(), "y", drop="metal,day")
    assert_array_equal(data.X, np.column_stack([COLUMNS["x"], COLUMNS["flag"]]))
    assert_array_equal(data.Y.ravel(), COLUMNS["y"])
    assert data.remarks == []
    table = read_whole(make())
    assert table.to_pydict() == TABLE.to_pydict()
    assert [str(kind) for kind in table.schema.types] == ["double", "bool", "string", "date32[day]", "double"]
    assert read_whole(make(), columns=["day", "x"]).column_names == ["day", "x"]


def test_labels_of_objects():
    frame = pl.DataFrame(COLUMNS).drop_nulls()
    assert load_table(frame, "y", tasks="metal", drop="day").tasks.tolist() == frame["metal"].to_list()


def test_index_of_pandas_is_no_input():
    frame = pd.DataFrame({"x": COLUMNS["x"], "y": COLUMNS["y"]}, index=pd.Index(RNG.permutation(50) * 0.1, name="when"))
    assert load_table(frame, "y").feature_names == ["x"]


def test_messages_call_an_object_by_its_kind():
    with pytest.raises(ValueError, match=r"DataFrame: column 'metal' is not numeric: got 'iron' first at row 1"):
        load_table(pl.DataFrame(COLUMNS), "y")
    with pytest.raises(ValueError, match=r"^Table is empty: got 0 rows"):
        load_table(TABLE.slice(0, 0), "y", features="x")
    with pytest.raises(ValueError, match=r"separator is for text files such as CSV: got ';' for Table"):
        load_table(TABLE, "y", separator=";")
    with pytest.raises(TypeError, match=r"path is no table: got ndarray, expected a path or an object with __arrow_c_"):
        load_table(np.ones((3, 2)), "y")


@pytest.mark.parametrize("ending", ["arrow", "arrows", "feather", "ipc"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["file", "stream"])
def test_files_and_streams(tmp_path, ending, is_stream):
    path = tmp_path / f"t.{ending}"
    table = TABLE.set_column(2, "metal", TABLE["metal"].dictionary_encode())
    with (ipc.new_stream if is_stream else ipc.new_file)(path, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=7):
            writer.write_batch(batch)
    data = load_table(path, "y", features="flag,x")
    assert_array_equal(data.X, np.column_stack([COLUMNS["flag"], COLUMNS["x"]]))
    assert read_whole(path).to_pydict() == TABLE.to_pydict()


def test_damaged_streams(tmp_path):
    with ipc.new_stream(tmp_path / "t.arrows", TABLE.schema) as writer:
        writer.write_table(TABLE)
    content = (tmp_path / "t.arrows").read_bytes()
    for stop in (3, 100, len(content) // 2):
        (tmp_path / "d.arrows").write_bytes(content[:stop])
        with pytest.raises(ValueError, match=r"d\.arrows cannot be read: got .* expected a feather or Arrow file"):
            read_whole(tmp_path / "d.arrows")


def test_values_however_they_are_encoded():
    vectors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(6.0).reshape(3, 2))
    table = pa.table(
        {
            "runs": compute.run_end_encode(pa.array([1.0, 1.0, 2.0])),
            "views": pa.array(["a", "", "b"], pa.string_view()),
            "codes": pa.array([3, None, 3]).dictionary_encode(),
            "vectors": vectors,
            "y": [1, 2, 3],
        }
    )
    assert read_whole(table).to_pydict() == {
        "runs": [1, 1, 2],
        "views": ["a", None, "b"],
        "codes": [3, None, 3],
        "vectors": [[0, 1], [2, 3], [4, 5]],
        "y": [1, 2, 3],
    }
    assert load_table(table, "y", features="runs").X.ravel().tolist() == [1, 1, 2]


def test_names_with_blanks_around():
    table = pa.table({" x ": [1.0, 2.0], "y": [1.0, 2.0]})
    assert load_table(table, "y").feature_names == ["x"]
    with pytest.raises(ValueError, match="repeated column names: got 'x' 2 times"):
        load_table(table.append_column("x", [[1, 2]]), "y")
