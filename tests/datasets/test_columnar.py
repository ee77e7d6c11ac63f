"""Parquet and Feather: numbers of all types, and damaged files that must not end the process."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pyarrow import feather, parquet

from identirep.datasets import load_table, read_whole

_LOAD = """
import pathlib, sys
from identirep.datasets import load_table, read_whole
path = pathlib.Path(sys.argv[1])
for load in (lambda: load_table(path, "y", features="x", tasks="kind"), lambda: read_whole(path)):
    try:
        load()
    except ValueError as error:
        print(error)
"""


def test_damaged_offsets(tmp_path):
    path = tmp_path / "t.feather"
    table = pa.table({"kind": ["abc", "de", "f", "ghij"] * 5, "x": np.arange(20) * 0.3, "y": np.arange(20) % 7 * 0.1})
    feather.write_feather(table, path, compression="uncompressed")
    content = path.read_bytes()
    offsets = np.cumsum([0, 3, 2, 1, 4, 3, 2], dtype=np.int32).tobytes()
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, offsets[:4] + b"\xff\xff\xff\x7f" + offsets[8:]))
    done = subprocess.run([sys.executable, "-c", _LOAD, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("t.feather cannot be read: got ") == 2


def test_lengths_beyond_memory(tmp_path):
    path = tmp_path / "t.feather"
    feather.write_feather(pa.table({"x": np.zeros(10_000), "y": np.zeros(10_000)}), path, compression="lz4")
    content = path.read_bytes()
    length = (80_000).to_bytes(8, "little")
    start = content.rindex(length, 0, content.rindex(b"ARROW1") // 2)
    path.write_bytes(content[:start] + (1 << 60).to_bytes(8, "little") + content[start + 8 :])
    with pytest.raises(ValueError, match=r"t\.feather cannot be read"):
        load_table(path, "y")


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_dictionaries_of_numbers(tmp_path, ending):
    values = np.array([3, 1, 3, 2] * 5)
    table = pa.table({"x": pa.array(values).dictionary_encode(), "y": np.arange(20) * 0.1})
    write = parquet.write_table if ending == "parquet" else feather.write_feather
    write(table, tmp_path / f"t.{ending}")
    assert_array_equal(load_table(tmp_path / f"t.{ending}", "y").X[:, 0], values)


@pytest.mark.parametrize("stream", [False, True])
def test_names_that_are_no_utf8_are_damage(tmp_path, stream):
    table, path = pa.table({"x_name": [1.0, 2.0]}), tmp_path / "t.arrow"
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table)
    path.write_bytes(path.read_bytes().replace(b"x_name", b"x_\xfd\xa3me"))
    with pytest.raises(ValueError, match=r"t\.arrow cannot be read: got .* can't decode"):
        read_whole(path)


def test_dates_beyond_those_of_python_are_named(tmp_path):
    days = pa.array(np.full(30, 2**30, dtype=np.int32)).cast(pa.date32())
    feather.write_feather(pa.table({"x": days, "y": np.arange(30.0)}), tmp_path / "t.feather")
    with pytest.raises(ValueError, match=r"column 'x' is not numeric: got 'date32\[day\] 1073741824' first at row 1"):
        load_table(tmp_path / "t.feather", "y")
