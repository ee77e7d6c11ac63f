"""Commands that use a run: transform, predict, report."""

import json
import re
import shlex
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from identirep import IdentifiableRegressor


def _matrix(path):
    return np.column_stack([column.to_numpy() for column in csv.read_csv(path).columns])


@pytest.mark.parametrize(
    ("ending", "read"), [("csv", csv.read_csv), ("parquet", parquet.read_table), ("feather", feather.read_table)]
)
def test_transform_in_all_formats(invoke, fitted, folder, tmp_path, ending, read):
    out = tmp_path / f"latents.{ending}"
    result = invoke("transform", fitted[0], folder / "wide.csv", "--out", out)
    assert result.exit_code == 0, result.output
    table = read(out)
    assert table.column_names == ["latent_0", "latent_1", "latent_2"]
    X = csv.read_csv(folder / "wide.csv").select([f"x{i}" for i in range(5)])
    expected = IdentifiableRegressor.load(fitted[0]).transform(X)
    np.testing.assert_allclose(np.column_stack([column.to_numpy() for column in table.columns]), expected, rtol=1e-12)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_predict_finds_its_columns_in_any_order_among_others(invoke, fitted, folder, tmp_path):
    columns = {name: csv.read_csv(folder / "wide.csv")[name] for name in ("x4", "x1", "x0", "x3", "x2")}
    parquet.write_table(pa.table({"formula": ["Fe"] * 300} | columns), tmp_path / "new.parquet")
    assert invoke("predict", fitted[0], tmp_path / "new.parquet", "--out", tmp_path / "a.csv").exit_code == 0
    assert invoke("predict", fitted[0], folder / "wide.csv", "--out", tmp_path / "b.csv").exit_code == 0
    assert csv.read_csv(tmp_path / "a.csv").column_names[-2:] == ["strain, max", "<b>hardness</b>"]
    np.testing.assert_array_equal(_matrix(tmp_path / "a.csv"), _matrix(tmp_path / "b.csv"))


@pytest.mark.parametrize("command", ["transform", "predict"])
def test_a_table_without_rows_is_a_fault_of_the_input(invoke, fitted, tmp_path, command):
    (tmp_path / "header.csv").write_text("x0,x1,x2,x3,x4\n")
    result = invoke(command, fitted[0], tmp_path / "header.csv", "--out", tmp_path / "z.csv")
    assert result.exit_code == 2, result.output
    assert "header.csv is empty: got 0 rows" in result.stderr


def test_report_is_written_again(invoke, fitted):
    run, _ = fitted
    before = (run / "report.html").read_text(encoding="utf-8")
    (run / "report.html").unlink()
    result = invoke("report", run)
    assert result.exit_code == 0, result.output
    # There is nothing that could differ.
    assert (run / "report.html").read_text(encoding="utf-8") == before


def test_report_describes_the_axes_by_another_table(invoke, fitted, folder, tmp_path):
    shutil.copytree(fitted[0], tmp_path / "run")
    before = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "the 300 rows of wide.csv" in before
    assert "rows that the fit has not seen" in before
    table = csv.read_csv(folder / "wide.csv").slice(0, 50)
    csv.write_csv(table.append_column("alloy", pa.array([f"alloy {i}" for i in range(50)])), tmp_path / "new.csv")
    result = invoke("report", tmp_path / "run", tmp_path / "new.csv", "--labels", "alloy")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "the 50 rows of new.csv" in page
    assert re.search(r"alloy \d+ <small", page)
    # The run keeps it.
    assert invoke("report", tmp_path / "run").exit_code == 0
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == page
    result = invoke("report", tmp_path / "run", "--labels", "alloy")
    assert result.exit_code == 2
    assert "--labels names a column of no table" in result.stderr


def test_scores_of_another_model_are_refused(invoke, fitted, tmp_path):
    shutil.copytree(fitted[0], tmp_path / "run")
    scores = tmp_path / "run" / "evaluation.json"
    document = json.loads(scores.read_text(encoding="utf-8"))
    scores.write_text(json.dumps({**document, "r2": document["r2"][1:], "kinds": document["kinds"][1:]}))
    result = invoke("report", tmp_path / "run")
    assert result.exit_code == 2
    assert "is not of this model: got scores of 9 tasks, expected 10" in result.stderr


@pytest.mark.parametrize("regressor", ["ridge", "auto"])
def test_other_regressors_write_runs_that_can_be_used(invoke, folder, tmp_path, regressor):
    targets = ("--targets", "strain, max", "--targets", "<b>*", "--features", "x*")
    options = (*targets, "-d", 2, "--out", tmp_path / "run", "--regressor", regressor)
    result = invoke("fit", folder / "wide.csv", *options)
    assert result.exit_code == 0, result.output
    chosen = re.search(r"^Regressor: (\S+)\. R\^2 on \d+ rows held out", result.stdout, flags=re.MULTILINE)
    assert (chosen is not None) == (regressor == "auto")
    model = IdentifiableRegressor.load(tmp_path / "run")
    name = {"mtrn": "MTRN"}.get(chosen[1] if chosen else regressor, "PredictiveFeatures")
    assert type(model.regressor_).__name__ == name
    result = invoke("transform", tmp_path / "run", folder / "wide.csv", "--out", tmp_path / "z.csv")
    assert result.exit_code == 0, result.output
    assert _matrix(tmp_path / "z.csv").shape == (300, 2)


def test_commands_that_fit_prints_run_as_printed(invoke, folder, tmp_path):
    table = tmp_path / "my data; $(touch hit).csv"
    table.write_bytes((folder / "wide.csv").read_bytes())
    options = (
        "--targets",
        "y_1,y_2,y_3",
        "--drop",
        "y_0",
        "-d",
        2,
        "--checks",
        0,
        "--regressor",
        "ridge",
        "--out",
        tmp_path / "a run",
    )
    fitted = invoke("fit", table, *options)
    assert fitted.exit_code == 0, fitted.output
    printed = fitted.stdout[fitted.stdout.rindex("identirep transform") :]
    assert shlex.split(printed)[:4] == ["identirep", "transform", str(tmp_path / "a run"), str(table)]


def test_export_gives_the_latents_of_transform(invoke, fitted, folder, tmp_path):
    torch = pytest.importorskip("torch")
    result = invoke("export", fitted[0], "--out", tmp_path / "run.pt2")
    assert result.exit_code == 0, result.output
    assert "run.pt2: 3 latents and 10 targets" in " ".join(result.output.split())
    extra = {"identirep.json": ""}
    module = torch.export.load(tmp_path / "run.pt2", extra_files=extra).module()
    assert json.loads(extra["identirep.json"])["inputs"] == [f"x{i}" for i in range(5)]
    table = csv.read_csv(folder / "wide.csv").select([f"x{i}" for i in range(5)])
    X = np.column_stack([column.to_numpy() for column in table.columns])
    expected = IdentifiableRegressor.load(fitted[0]).transform(table)
    np.testing.assert_allclose(module(torch.from_numpy(X))["latents"], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("run", "out", "said"),
    [
        (None, "run.pkl", "--out has an unknown format: got 'run.pkl'"),
        (None, "nowhere/run.onnx", "--out has no directory"),
        ("missing", "run.onnx", "missing"),
    ],
)
def test_export_says_in_one_line_what_is_wrong(invoke, fitted, tmp_path, run, out, said):
    result = invoke("export", fitted[0] if run is None else tmp_path / run, "--out", tmp_path / out)
    assert result.exit_code == 2
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
