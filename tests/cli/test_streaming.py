"""transform and predict in blocks: the same output as of the whole table, one remark, and rows named in errors."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from identirep import IdentifiableRegressor
from identirep.cli import streaming

READ = {".csv": csv.read_csv, ".parquet": parquet.read_table, ".feather": feather.read_table}
WRITE = {".csv": csv.write_csv, ".parquet": parquet.write_table, ".feather": feather.write_feather}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(streaming, "_BLOCK_ROWS", 64)
    monkeypatch.setattr(streaming, "_WRITE_ROWS", 100)


@pytest.fixture(scope="module")
def mixed(invoke, tmp_path_factory):
    """A run of numbers with gaps, a category and a date, and its table of 300 rows."""
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    colour = np.array(["red", "green", "blue"])[rng.integers(3, size=300)]
    days = rng.integers(19_000, 19_400, size=300)
    signal = np.column_stack([X[:, 0], colour == "red"])
    columns = {f"x{i}": X[:, i] for i in range(3)} | {"colour": colour}
    columns |= {"when": pa.array(days, pa.int32()).cast(pa.date32()), "id": np.arange(300)}
    columns["x1"] = pa.array(X[:, 1], mask=rng.random(300) < 0.1)
    Y = signal @ rng.laplace(size=(2, 6)) + 0.05 * rng.normal(size=(300, 6))
    table = pa.table(columns | {f"y{t}": Y[:, t] for t in range(6)})
    parquet.write_table(table, folder / "fit.parquet")
    ridge = ("--regressor", "ridge", "-d", 2, "--checks", 0, "--drop", "id")
    result = invoke("fit", folder / "fit.parquet", "--targets", "y*", *ridge, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return SimpleNamespace(run=folder / "run", table=table, model=IdentifiableRegressor.load(folder / "run"))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".feather"])
@pytest.mark.parametrize("source", [".csv", ".parquet", ".feather"])
def test_output_is_that_of_the_whole_table(invoke, mixed, tmp_path, source, ending):
    data, out = tmp_path / f"data{source}", tmp_path / f"out{ending}"
    WRITE[source](mixed.table, data)
    result = invoke("transform", mixed.run, data, "--out", out, "--keep", "id,colour", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_rows"] == 300
    found = READ[ending](out)
    assert found.column_names == ["colour", "id", "latent_0", "latent_1"]
    assert found["id"].to_pylist() == list(range(300))
    assert found["colour"].to_pylist() == mixed.table["colour"].to_pylist()
    latents = np.column_stack([found["latent_0"], found["latent_1"]])
    np.testing.assert_allclose(latents, mixed.model.transform(mixed.table), rtol=1e-9, atol=1e-9)


def test_no_more_than_a_block_passes_at_once(invoke, mixed, tmp_path, monkeypatch):
    seen = []
    predict = IdentifiableRegressor.predict

    def spied(self, X, **options):
        seen.append(len(X))
        return predict(self, X, **options)

    monkeypatch.setattr(IdentifiableRegressor, "predict", spied)
    parquet.write_table(mixed.table, tmp_path / "data.parquet")
    result = invoke("predict", mixed.run, tmp_path / "data.parquet", "--out", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    assert sum(seen) == 300
    assert max(seen) == 64
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups == 3


@pytest.mark.parametrize("source", [".csv", ".parquet"])
def test_what_the_fit_did_not_have_is_said_once(invoke, mixed, tmp_path, source):
    table = mixed.table
    colours = ["violet" if i % 50 == 0 else colour for i, colour in enumerate(table["colour"].to_pylist())]
    gaps = pa.array([None if i in (5, 250) else x for i, x in enumerate(table["x2"].to_pylist())], pa.float64())
    table = table.set_column(3, "colour", pa.array(colours)).set_column(2, "x2", gaps)
    WRITE[source](table, tmp_path / f"data{source}")
    result = invoke("transform", mixed.run, tmp_path / f"data{source}", "--out", tmp_path / "out.csv", "--json")
    remarks = json.loads(result.stdout)["remarks"]
    assert len(remarks) == 1
    assert "'x2' in 2 rows" in remarks[0]
    assert "'violet', in 6 rows" in remarks[0]


@pytest.mark.parametrize("command", ["transform", "predict"])
def test_a_fault_further_down_names_its_rows_and_leaves_the_output(invoke, mixed, tmp_path, command):
    values = mixed.table["x0"].to_numpy().copy()
    values[200] = np.inf
    parquet.write_table(mixed.table.set_column(0, "x0", pa.array(values)), tmp_path / "data.parquet")
    (tmp_path / "out.csv").write_text("of yesterday")
    result = invoke(command, mixed.run, tmp_path / "data.parquet", "--out", tmp_path / "out.csv")
    assert result.exit_code == 2
    text = " ".join(result.output.split())
    assert "data.parquet, in rows 193 to 256, counted from the first of these: column 'x0' has infinite" in text
    assert "first at row 9," in text
    assert (tmp_path / "out.csv").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.parquet", "out.csv"]


def test_a_table_that_changes_meanwhile_is_noticed(invoke, mixed, tmp_path, monkeypatch):
    parquet.write_table(mixed.table, tmp_path / "data.parquet")
    for more, message in ((-1, "got 299 rows to keep and 300"), (1, "got 301 rows to keep and 300")):
        ids = pa.table({"id": np.arange(300 + more)})
        monkeypatch.setattr("identirep.cli.keeping._blocks_of", lambda file, columns, ids=ids: iter([ids]))
        out = ("--out", tmp_path / "out.csv", "--keep", "id")
        result = invoke("transform", mixed.run, tmp_path / "data.parquet", *out)
        assert result.exit_code == 2
        assert f"DATA has changed: {message}" in " ".join(result.output.split())
        assert not (tmp_path / "out.csv").exists()


def test_numbers_of_text_files_are_read_in_blocks(invoke, fitted, folder, tmp_path, monkeypatch):
    def whole(*arguments):
        raise AssertionError("the table was read whole")

    monkeypatch.setattr(streaming, "read_inputs", whole)
    result = invoke("transform", fitted[0], folder / "wide.csv", "--out", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output


def test_types_of_kept_cells_are_those_of_all(invoke, fitted, folder, columns, tmp_path):
    cells = {"whole": [str(i) for i in range(300)], "half": ["7"] * 299 + ["x"], "real": ["0.5"] * 299 + ["3"]}
    csv.write_csv(pa.table({**columns, **cells}), tmp_path / "data.csv")
    out = ("--keep", "whole,half,real", "--out", tmp_path / "out.parquet")
    assert invoke("transform", fitted[0], tmp_path / "data.csv", *out).exit_code == 0
    schema = parquet.read_schema(tmp_path / "out.parquet")
    assert [str(schema.field(name).type) for name in cells] == ["int64", "string", "double"]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".feather"])
def test_marks_of_missing_numbers_are_those_of_the_fit_in_every_format(invoke, tmp_path, ending):
    rng = np.random.default_rng(0)
    X, id_ = rng.normal(size=(300, 3)), np.arange(300)
    X[::7, 1] = -9999
    Y = np.column_stack([X[:, 0], X[:, 2]]) @ rng.laplace(size=(2, 5)) + 0.1 * rng.normal(size=(300, 5))
    table = pa.table({f"x{i}": X[:, i] for i in range(3)} | {f"y{t}": Y[:, t] for t in range(5)} | {"id": id_})
    WRITE[ending](table, tmp_path / f"data{ending}")
    settings = ("--drop", "id", "--regressor", "ridge", "-d", 2, "--checks", 0, "--missing=-9999")
    out = ("--out", tmp_path / "run")
    assert invoke("fit", tmp_path / f"data{ending}", "--targets", "y*", *settings, *out).exit_code == 0
    result = invoke("transform", tmp_path / "run", tmp_path / f"data{ending}", "--out", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    found = parquet.read_table(tmp_path / "out.parquet")
    latents = np.column_stack([found["latent_0"], found["latent_1"]])
    gaps = pa.array(X[:, 1], mask=X[:, 1] == -9999)
    model = IdentifiableRegressor.load(tmp_path / "run")
    np.testing.assert_allclose(latents, model.transform(table.set_column(1, "x1", gaps)), rtol=1e-9, atol=1e-9)


def test_a_command_that_transforms_rows_several_times_says_once_what_the_fit_did_not_have(invoke, mixed, tmp_path):
    rng = np.random.default_rng(5)
    values = mixed.table["x0"].to_numpy() + 1e-3 * rng.normal(size=300)
    table = mixed.table.set_column(0, "x0", pa.array([None if i == 5 else x for i, x in enumerate(values)]))
    parquet.write_table(table, tmp_path / "data.parquet")
    result = invoke(
        "transform", mixed.run, tmp_path / "data.parquet", "--check", "--out", tmp_path / "out.csv", "--json"
    )
    assert [text for text in json.loads(result.stdout)["remarks"] if "Gaps where the fit had none" in text] == [
        "Gaps where the fit had none: 'x0' in 1 row, filled with the mean of the fit."
    ]
    assert result.stderr.count("Gaps where the fit had none") == 1
