"""Files and directories whose names are in no encoding are read and written as all others."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

# Latin-1 in a system of UTF-8.
_BAD = os.fsdecode(b"\xe9\xff")


@pytest.fixture
def folder_of_any_name(tmp_path):
    place = tmp_path / _BAD
    try:
        place.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("the file system takes names in UTF-8 alone")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".feather"])
def test_every_command_takes_them(invoke, folder, folder_of_any_name, ending):
    table, data, run = (
        csv.read_csv(folder / "wide.csv"),
        folder_of_any_name / f"t{_BAD}{ending}",
        folder_of_any_name / "r",
    )
    if ending.startswith(".csv"):
        with (
            pa.CompressedOutputStream(pa.OSFile(os.fsencode(data), "wb"), "gzip")
            if "gz" in ending
            else data.open("wb") as file
        ):
            csv.write_csv(table, file)
    else:
        with data.open("wb") as file:
            (parquet.write_table if ending == ".parquet" else feather.write_feather)(table, file)
    result = invoke("inspect", data)
    assert result.exit_code == 0, result.output
    fixed = ("--features", "x*", "--regressor", "ridge", "--checks", 0, "--out", run)
    result = invoke("fit", data, "--targets", "y_[1-7]", *fixed)
    assert result.exit_code == 0, result.output
    for out in ("z.csv", "z.parquet", "z.feather"):
        result = invoke("transform", run, data, "--out", folder_of_any_name / f"{_BAD}{out}", "--json", "--quiet")
        assert result.exit_code == 0, result.output
        (written,) = json.loads(result.stdout)["written"]
        assert Path(written).stat().st_size > 1000
    assert invoke("report", run).exit_code == 0
    shutil.rmtree(folder_of_any_name)
