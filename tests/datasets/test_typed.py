"""Columns as they are: few types, the same from each format, and what is missing is null."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from identirep.datasets import load_table, read_whole

TEXT = """n,text,flag,day,when,gap
1,a,True,2020-01-31,2020-01-31 10:00:00,
-9999,,False,2020-02-01,2020-02-01 11:00:00,2.5
3,NA,NA,NA,NA,NaN
"""
VALUES = {
    "n": [1.0, None, 3.0],
    "text": ["a", None, "NA"],
    "flag": [True, False, None],
    "day": [dt.date(2020, 1, 31), dt.date(2020, 2, 1), None],
    "when": [dt.datetime(2020, 1, 31, 10), dt.datetime(2020, 2, 1, 11), None],
    "gap": [None, 2.5, None],
}
TYPES = ["double", "string", "bool", "date32[day]", "timestamp[s]", "double"]


def _write(folder, ending):
    path = folder / f"t.{ending}"
    if ending == "csv":
        path.write_text(TEXT)
        return path
    columns = {
        "n": pa.array([1, -9999, 3], pa.int16()),
        "text": pa.array(["a", " ", "NA"]).dictionary_encode(),
        "flag": VALUES["flag"],
        "day": VALUES["day"],
        "when": pa.array(VALUES["when"], pa.timestamp("s")),
        "gap": pa.array([None, 2.5, np.nan]),
    }
    parquet.write_table(pa.table(columns), path) if ending == "parquet" else feather.write_feather(
        pa.table(columns), path
    )
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_same_values_from_each_format(tmp_path, ending):
    table = read_whole(_write(tmp_path, ending), "-9999")
    kinds = [str(kind) for kind in table.schema.types]
    # Parquet has no seconds.
    assert [kind.replace("[ms]", "[s]") for kind in kinds] == TYPES
    assert table.to_pydict() == VALUES


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_chosen_columns_in_the_order_asked_for(tmp_path, ending):
    table = read_whole(_write(tmp_path, ending), "-9999", ["gap", "n", "text"])
    assert table.to_pydict() == {name: VALUES[name] for name in ("gap", "n", "text")}


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_types_of_columnar_files(tmp_path, ending):
    columns = {
        "decimal": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "half": pa.array(np.array([0.5, 2.0], np.float16)),
        "large": pa.array([2**63, 1], pa.uint64()),
        "list": [[1.0, 2.0], None],
        "text": pa.array(["a", ""], pa.large_string()),
    }
    path = tmp_path / f"t.{ending}"
    {"parquet": parquet.write_table, "feather": feather.write_feather}[ending](pa.table(columns), path)
    table = read_whole(path)
    assert [str(kind) for kind in table.schema.types[:3]] == ["double"] * 3
    assert table.to_pydict() == {
        "decimal": [1.25, None],
        "half": [0.5, 2.0],
        "large": [2.0**63, 1.0],
        "list": [[1.0, 2.0], None],
        "text": ["a", None],
    }


def test_types_are_those_of_the_whole_file(tmp_path):
    path = tmp_path / "t.csv"
    rows = "".join(f"{i},{i},True,2020-01-01\n" for i in range(200_000))
    path.write_text(f"a,b,c,d\n{rows}0.5,x,maybe,later\n")
    table = read_whole(path)
    assert [str(kind) for kind in table.schema.types] == ["double", "string", "string", "string"]
    assert table.column("b")[0].as_py() == "0"
    assert table.column("c")[0].as_py() == "True"


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
@pytest.mark.parametrize("cells", [["True", "0", "2.5"], ["2.5", "True", "1"]])
@pytest.mark.parametrize("n", [1, 120_000])
def test_booleans_beside_other_numbers_are_text(tmp_path, ending, cells, n):
    path = tmp_path / f"t.{ending}"
    column = [cells[0]] * n + cells[1:]
    if ending == "csv":
        path.write_text("x,y,pad\n" + "".join(f"{cell},1,{'-' * 50}\n" for cell in column))
    else:
        pd.DataFrame({"x": column[-6_000:], "y": 1}).to_excel(path, index=False)
    assert read_whole(path).schema.field("x").type == "string"
    with pytest.raises(ValueError, match=r"t\.\w+: column 'x' is not numeric: got '.*' first at row"):
        load_table(path, "y", features="x")


@pytest.mark.parametrize("cells", [["True", "0", "NA"], ["1", "false", " TRUE "]])
def test_booleans_beside_0_and_1(tmp_path, cells):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{cell},1\n" for cell in ["0"] * 300 + cells))
    values = [0] * 300 + [{"NA": np.nan}.get(cell, int(cell.strip() in ("True", "TRUE", "1"))) for cell in cells]
    np.testing.assert_array_equal(load_table(path, "x", features="y").Y[:, 0], values)
    assert read_whole(path).schema.field("x").type == "bool"
