"""fit --regressor none: the axes of features that are given, of tables in blocks, and what is done with such a run."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score

LONG = ("--targets", "y", "--tasks", "assay", "--regressor", "none")


@pytest.fixture(scope="module")
def data():
    return make_linear_tasks(n_tasks=40, n_latents=4, n_samples=100, mixing="orthogonal", random_state=0)


@pytest.fixture(scope="module")
def parts(tmp_path_factory, data):
    """The rows of all tasks, mixed, in five files, of which one is empty."""
    folder = tmp_path_factory.mktemp("parts")
    rows = np.random.default_rng(0).permutation(len(data.y))
    for i, at in enumerate([*np.array_split(rows, 4), rows[:0]]):
        columns = {f"h{j}": data.H[at, j] for j in range(4)}
        table = pa.table(
            {**columns, "y": data.y[at], "assay": pa.array([f"a{t}" for t in data.tasks[at]], pa.string())}
        )
        parquet.write_table(table, folder / f"part-{i}.parquet")
    return folder


@pytest.fixture(scope="module")
def run(invoke, parts, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    result = invoke("fit", f"{parts}/*.parquet", *LONG, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def test_axes_are_those_of_all_rows(run, data):
    out, document = run
    model = MTLCM.load(out)
    assert mcc_score(model.transform(data.H), data.Z) > 0.99
    assert document["verdicts"]["identified"] == 4
    assert document["regressor"] is None
    n_training, n_held_out = document["data"]["n_training_rows"], document["data"]["n_held_out_rows"]
    assert n_training + n_held_out == len(data.y)
    assert 0.15 < n_held_out / len(data.y) < 0.25
    # Halves of the rows are known, as in a fit to rows in memory.
    assert "measured on two halves of the rows" in document["comes_back"]["reason"]
    assert document["scores"]["median_r2"] > 0.9
    assert (out / "report.html").is_file()


def test_no_row_is_held_out_where_none_is_to_be(invoke, parts, data, tmp_path):
    result = invoke("fit", parts, *LONG, "--held-out", 0, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    found = MTLCM.load(tmp_path / "run").moments_
    expected = TaskMoments.from_long(data.H, data.y, np.array([f"a{t}" for t in data.tasks]))
    assert found.task_names == expected.task_names
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(found.scatter_hy, expected.scatter_hy, rtol=1e-10, atol=1e-10)


def test_scores_are_those_of_the_rows_held_out(data):
    rng = np.random.default_rng(0)
    Y = data.Z @ rng.laplace(size=(4, 12)) + 0.5 * rng.normal(size=(len(data.Z), 12))
    rest, held_out = slice(300, None), slice(0, 300)
    Y[:200, 0], Y[held_out, 1] = np.nan, 2.0
    Y[held_out, 2] = np.nan
    model = MTLCM(random_state=0).fit(data.H[rest], Y[rest])
    found = model._r2_of_moments(TaskMoments.from_arrays(data.H[held_out], Y[held_out]))
    predicted = model.predict(data.H[held_out])
    for t in range(12):
        seen = ~np.isnan(Y[held_out, t])
        y, p = Y[held_out, t][seen], predicted[seen, t]
        r2 = 1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2) if t not in (1, 2) else np.nan
        np.testing.assert_allclose(found[t], r2, rtol=1e-9)


def test_wide_tables_of_text_with_gaps_and_weights(invoke, tmp_path):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(900, 3))
    Y = Z @ (rng.laplace(size=(3, 20)) * (rng.random((3, 20)) < 0.5)) + 0.2 * rng.normal(size=(900, 20))
    H = Z @ rng.normal(size=(3, 3))
    for i, at in enumerate(np.array_split(np.arange(900), 3)):
        gaps = [None if r % 17 == 0 else y for r, y in zip(at, Y[at, 0], strict=True)]
        columns = {f"h{j}": H[at, j] for j in range(3)} | {f"y_{t}": Y[at, t] for t in range(1, 20)} | {"y_0": gaps}
        csv.write_csv(
            pa.table({**columns, "constant": np.ones(len(at)), "w": rng.random(len(at))}), tmp_path / f"{i}.csv"
        )
    targets = ("--targets", "y_*,constant", "--weights", "w", "--regressor", "none")
    result = invoke("fit", f"{tmp_path}/*.csv", *targets, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    model = MTLCM.load(tmp_path / "run")
    assert mcc_score(model.transform(H), Z) > 0.95
    assert list(model.feature_names_in_) == ["h0", "h1", "h2"]
    assert model.left_out_tasks_ == {"constant": "constant"}
    assert any("'constant' (constant)" in text for text in document["remarks"])
    assert model.moments_.is_weighted


def test_what_a_run_of_features_is_good_for(invoke, run, parts, tmp_path):
    out = run[0]
    latents, predictions = tmp_path / "latents.parquet", tmp_path / "predictions.csv"
    assert invoke("transform", out, parts / "part-0.parquet", "--out", latents, "--keep", "assay").exit_code == 0
    assert parquet.read_table(latents).column_names == ["assay", *(f"latent_{i}" for i in range(4))]
    assert invoke("predict", out, parts / "part-0.parquet", "--out", predictions).exit_code == 0
    assert csv.read_csv(predictions).num_columns == 40
    assert invoke("name", out, "0=density").exit_code == 0
    assert MTLCM.load(out).latent_names_[0] == "density"
    assert invoke("report", out).exit_code == 0
    for command in (("describe", out), ("compare", out, out, parts / "part-0.parquet")):
        result = invoke(*command)
        assert result.exit_code == 2
        assert "has no stage one: got a run of features as they are" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--targets", "y", "--engine", "dask"), "--engine does not go with the regressor: got --regressor mtrn"),
        (
            (*LONG, "--scheduler", "tcp://127.0.0.1:1"),
            "--scheduler is one of Dask: got 'tcp://127.0.0.1:1' with --engine",
        ),
        (
            (*LONG, "--groups", "assay", "--epochs", "3"),
            "trains nothing and reads numbers alone: got --groups, --epochs",
        ),
    ],
)
def test_options_that_do_not_go_together(options, message, invoke, parts, tmp_path):
    result = invoke("fit", parts, *options, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.rename_columns(["h0", "q", "h2", "h3", "y", "assay"]), "has other columns than"),
        (lambda table: table.set_column(1, "h1", pa.array(["x"] * len(table))), "column 'h1' is not numeric: got 'x'"),
        (
            lambda table: table.set_column(5, "assay", pa.array([1] * len(table))),
            "has labels of tasks of another type than",
        ),
        (lambda table: table.set_column(2, "h2", pa.nulls(len(table), pa.float64())), "column 'h2' has no value"),
    ],
)
def test_a_bad_part_is_named_and_nothing_is_written(change, message, invoke, parts, tmp_path):
    for file in parts.iterdir():
        table = parquet.read_table(file)
        parquet.write_table(change(table) if file.name == "part-2.parquet" else table, tmp_path / file.name)
    result = invoke("fit", f"{tmp_path}/*.parquet", *LONG, "--out", tmp_path / "run")
    assert result.exit_code == 2
    text = result.output.replace("\n", " ")
    assert message in text
    assert "part-2.parquet" in text
    assert not (tmp_path / "run").exists()


def test_a_scheduler_that_does_not_answer_is_named(invoke, parts, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr("identirep.cli.features._TIMEOUT", 1.0)
    dask = (*LONG, "--engine", "dask", "--scheduler", "tcp://127.0.0.1:1")
    result = invoke("fit", parts, *dask, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "scheduler does not answer: got" in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_dask_gives_the_same_run(invoke, parts, run, tmp_path):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    result = invoke("fit", f"{parts}/*.parquet", *LONG, "--engine", "dask", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    ours, theirs = (MTLCM.load(path) for path in (run[0], tmp_path / "run"))
    np.testing.assert_allclose(theirs.components_, ours.components_, rtol=1e-10)
    np.testing.assert_allclose(theirs.moments_.scatter_h, ours.moments_.scatter_h, rtol=1e-10)
    assert theirs.certificate_.verdict == ours.certificate_.verdict


def test_codes_are_remarked_on_whatever_reads_the_table(invoke, parts, tmp_path):
    table = parquet.read_table(parts / "part-1.parquet")
    for column, value in (("h2", -9999.0), ("y", 1e20)):
        values = table[column].to_numpy().copy()
        values[[3, 40]] = value
        table = table.set_column(table.column_names.index(column), column, pa.array(values))
    for path in parts.glob("*.parquet"):
        parquet.write_table(table if path.name == "part-1.parquet" else parquet.read_table(path), tmp_path / path.name)
    result = invoke("fit", tmp_path, *LONG, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    assert [text for text in json.loads(result.stdout)["remarks"] if "has the value" in text] == [
        f"{name!r} has the value {value} in 2 rows, far from all others: if it stands for a missing value, pass "
        f"--missing '{value}'."
        for name, value in (("h2", "-9999"), ("y", "1e+20"))
    ]
    assert "has the value" not in invoke("fit", parts, *LONG, "--out", tmp_path / "run").output


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("w", [1.0] * 1999 + [-1.0], "column 'w' has no weight: got -1 first at row 2,000, expected a finite number"),
        ("h1", [1.0] * 2000, "feature 'h1' is constant within tasks"),
        ("h1", "h0", "among features 'h0', 'h1', expected linearly independent ones"),
    ],
)
def test_faults_name_rows_and_columns_of_the_table(column, values, message, invoke, tmp_path):
    rng = np.random.default_rng(0)
    columns = {f"h{j}": rng.normal(size=2000) for j in range(3)} | {"w": np.ones(2000)}
    columns |= {f"y{t}": columns["h0"] + t * columns["h2"] + rng.normal(size=2000) for t in range(4)}
    columns[column] = columns[values] if isinstance(values, str) else values
    csv.write_csv(pa.table(columns), tmp_path / "data.csv")
    options = ("--targets", "y*", "--weights", "w", "--regressor", "none", "--out", tmp_path / "run")
    result = invoke("fit", tmp_path / "data.csv", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
