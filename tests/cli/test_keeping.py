"""--keep: columns of the table in the output as they are, and what the output says of its latents."""

import datetime
import decimal
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from identirep import IdentifiableRegressor

_READ = {"parquet": parquet.read_table, "feather": feather.read_table}


@pytest.fixture(scope="module")
def typed(columns):
    """A table with the inputs among columns of all kinds of types."""
    n = 300
    times = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=i) for i in range(n)]
    kept = {
        "id": pa.array([f"{i:04d}" for i in range(n)]),
        "when": pa.array(times, pa.timestamp("us")),
        "price": pa.array([decimal.Decimal(i) / 4 for i in range(n)], pa.decimal128(10, 2)),
        "flag": pa.array([None if i == 3 else i % 2 == 0 for i in range(n)]),
        "small": pa.array([i % 100 for i in range(n)], pa.int8()),
        "alloy": pa.array([f"alloy {i % 3}" for i in range(n)]).dictionary_encode(),
        "note, long": pa.array([None if i == 5 else f'"{i}"\n' for i in range(n)], pa.large_string()),
        "vector": pa.array([[i, i + 1] for i in range(n)], pa.list_(pa.int32())),
        "pair": pa.array([{"a": i} for i in range(n)]),
    }
    table = pa.table({"id": kept.pop("id")} | {f"x{i}": columns[f"x{i}"] for i in (4, 2, 0, 1, 3)} | kept)
    field = table.schema.field("price").with_metadata({"unit": "EUR"})
    return table.cast(table.schema.set(table.schema.get_field_index("price"), field))


@pytest.mark.parametrize("command", ["transform", "predict"])
@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_columns_are_kept_as_they_are(invoke, fitted, typed, tmp_path, ending, command):
    for source in ("parquet", "feather"):
        path, out = tmp_path / f"in.{source}", tmp_path / f"out.{ending}"
        (parquet.write_table if source == "parquet" else feather.write_feather)(typed, path)
        keep = ("--keep", "p*,when,id", "--keep", "flag,small,alloy,note, long,vector")
        result = invoke(command, fitted[0], path, *keep, "--out", out)
        assert result.exit_code == 0, result.output
        table = _READ[ending](out)
        names = ["id", "when", "price", "flag", "small", "alloy", "note, long", "vector", "pair"]
        assert table.column_names[: len(names)] == names, "in the order of the table"
        for name in names:
            assert table.schema.field(name).type == typed.schema.field(name).type
            assert table[name].combine_chunks().to_pylist() == typed[name].combine_chunks().to_pylist()
        assert table.schema.field("price").metadata[b"unit"] == b"EUR"
        plain = tmp_path / "plain.parquet"
        assert invoke(command, fitted[0], path, "--out", plain).exit_code == 0
        computed = table.select(table.column_names[len(names) :])
        assert computed.replace_schema_metadata().equals(parquet.read_table(plain).replace_schema_metadata())


def test_cells_of_a_text_file_are_kept_to_the_letter(invoke, fitted, folder, tmp_path):
    columns = csv.read_csv(folder / "wide.csv").select([f"x{i}" for i in range(5)]).to_pydict()
    cells = {
        "code": ["007", "1.10", "NA", '""', "", " x ", '"a,b"', "1e3"],
        "whole": ["1", "-2", "0", "12", "", "5", "6", "7"],
        "real": ["1.5", "2.0", "-0.25", "", "3.0", "1.0", "4.5", "0.125"],
        "padded": ["01", "2", "3", "4", "5", "6", "7", "8"],
        "truth": ["True", "false", "1", "0", "T", "f", "", "NO"],
        "day": ["2020-01-31"] * 8,
    }
    lines = [",".join([*cells, *columns])]
    lines += [
        ",".join([*(cells[name][i] for name in cells), *(repr(columns[name][i]) for name in columns)]) for i in range(8)
    ]
    path = tmp_path / "cells.csv"
    path.write_text("\n".join(lines) + "\n")
    options = ("--keep", ",".join(cells), "--out")
    assert invoke("transform", fitted[0], path, *options, tmp_path / "out.csv").exit_code == 0
    texts = csv.ConvertOptions(
        column_types=dict.fromkeys(cells, pa.string()), null_values=[""], strings_can_be_null=True
    )
    texts.quoted_strings_can_be_null = False
    back = csv.read_csv(tmp_path / "out.csv", convert_options=texts).select(list(cells))
    assert back.equals(csv.read_csv(path, convert_options=texts).select(list(cells)))
    assert invoke("transform", fitted[0], path, *options, tmp_path / "out.parquet").exit_code == 0
    kept = parquet.read_table(tmp_path / "out.parquet")
    types = {name: str(kept.schema.field(name).type) for name in cells}
    expected = {"whole": "int64", "real": "double"}
    assert types == dict.fromkeys(cells, "string") | expected, "numbers only where no cell would be written otherwise"
    assert kept["code"].to_pylist() == ["007", "1.10", "NA", "", None, " x ", "a,b", "1e3"]
    assert kept["whole"].to_pylist() == [1, -2, 0, 12, None, 5, 6, 7]
    assert kept["real"].to_pylist() == [1.5, 2.0, -0.25, None, 3.0, 1.0, 4.5, 0.125]


_REFUSED = [
    ("transform", "latent_1", "csv", "--keep has names of the output: got 'latent_1', which is computed and kept"),
    ("predict", "y_*", "parquet", "--keep has names of the output: got 'y_1', which is computed and kept"),
    ("transform", "nothing*", "csv", "--keep matches no column: got 'nothing*'"),
    ("transform", "vector", "csv", "--keep has columns that a .csv file cannot hold: got 'vector' of type list<"),
    ("transform", "raw", "csv", "--keep has bytes that are no text: got 'raw' of type binary"),
    ("predict", "pair,vector", "csv", "--keep has columns that a .csv file cannot hold: got 'vector' of type list<"),
]


@pytest.mark.parametrize(
    ("command", "keep", "ending", "message"), _REFUSED, ids=[" ".join(row[:2]) for row in _REFUSED]
)
def test_what_cannot_be_kept_is_refused(invoke, fitted, typed, tmp_path, command, keep, ending, message):
    table = typed.append_column("latent_1", pa.array(np.zeros(300))).append_column("y_1", pa.array(np.zeros(300)))
    table = table.append_column("raw", pa.array([b"\xff"] * 300))
    parquet.write_table(table, tmp_path / "in.parquet")
    result = invoke(command, fitted[0], tmp_path / "in.parquet", "--keep", keep, "--out", tmp_path / f"out.{ending}")
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_categories_and_views_are_values_in_a_text_file(invoke, fitted, typed, tmp_path):
    # As polars writes texts.
    view = pa.array(typed["alloy"].to_pylist(), pa.string_view())
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([299, 300], pa.int32()), pa.array(["first", "last"]))
    feather.write_feather(typed.append_column("view", view).append_column("runs", runs), tmp_path / "in.arrow")
    keep = ("--keep", "alloy,when,price,flag,view,runs")
    result = invoke("predict", fitted[0], tmp_path / "in.arrow", *keep, "--out", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    written = csv.read_csv(tmp_path / "out.csv")
    assert written["alloy"].to_pylist() == written["view"].to_pylist() == typed["alloy"].to_pylist()
    assert written["runs"].to_pylist() == ["first"] * 299 + ["last"]


@pytest.mark.parametrize("ending", ["parquet", "feather"])
@pytest.mark.parametrize("command", ["transform", "predict"])
def test_the_output_says_what_its_latents_are(invoke, fitted, folder, tmp_path, ending, command):
    out = tmp_path / f"out.{ending}"
    assert invoke(command, fitted[0], folder / "wide.csv", "--keep", "y_*", "--out", out).exit_code == (
        2 if command == "predict" else 0
    )
    assert invoke(command, fitted[0], folder / "wide.csv", "--keep", "x1", "--out", out).exit_code == 0
    schema = _READ[ending](out).schema
    certificate = IdentifiableRegressor.load(fitted[0]).certificate_
    about = json.loads(schema.metadata[b"identirep"])
    assert about["format_version"] == 1
    assert about["content"] == {"transform": "latents", "predict": "predictions"}[command]
    assert about["run"] == fitted[0].name
    assert [latent["name"] for latent in about["latents"]] == ["latent_0", "latent_1", "latent_2"]
    assert [latent["verdict"] for latent in about["latents"]] == certificate.verdict
    assert [latent["reason"] for latent in about["latents"]] == certificate.reasons
    said = {field.name: (field.metadata or {}).get(b"identirep.verdict") for field in schema}
    assert said["x1"] is None
    if command == "transform":
        assert [said[f"latent_{i}"] for i in range(3)] == [verdict.encode() for verdict in certificate.verdict]
    else:
        assert set(said.values()) == {None}
