"""The command line: what it writes, what it says, and how it ends when something is wrong."""

import json
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet
from typer.testing import CliRunner

from identirep import IdentifiableRegressor, __version__
from identirep.cli import app
from identirep.report import VERDICT_MEANINGS

_FAST = ("--epochs", "40", "--replicates", "1")
_RUN_FILES = {"model.safetensors", "model.json", "history.parquet", "evaluation.json", "report.html"}


def _invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def _columns():
    """Columns of a table with signal: inputs, targets of two families with one gap, a text, a number of the row."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    Y = X[:, :3] @ rng.laplace(size=(3, 10)) + 0.1 * rng.normal(size=(300, 10))
    columns = {f"x{i}": X[:, i] for i in range(5)} | {f"y_{t}": Y[:, t] for t in range(8)}
    columns |= {"strain, max": Y[:, 8], "<b>hardness</b>": Y[:, 9]}
    columns["y_0"] = pa.array(np.where(np.arange(300) == 7, np.nan, columns["y_0"]), from_pandas=True)
    return columns


def _matrix(path):
    return np.column_stack([column.to_numpy() for column in csv.read_csv(path).columns])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    columns = _columns()
    csv.write_csv(pa.table(columns), folder / "wide.csv")
    labels = {
        "batch": [f"batch {max(i - 100, 0) // 5}" for i in range(300)],
        "id": np.arange(300),
        "same": np.ones(300),
    }
    csv.write_csv(pa.table(columns | labels), folder / "mixed.csv")
    gap = np.where(np.arange(300) == 11, np.nan, columns["x2"])
    csv.write_csv(pa.table(columns | {"x2": pa.array(gap, from_pandas=True)}), folder / "gap.csv")
    rng = np.random.default_rng(1)
    X, tasks = rng.normal(size=(400, 3)), np.repeat(np.arange(10), 40)
    y = np.einsum("nd,nd->n", X[:, :2], rng.laplace(size=(10, 2))[tasks]) + 0.1 * rng.normal(size=400)
    long = {f"x{i}": X[:, i] for i in range(3)} | {"y": y, "assay": [f"assay {t}" for t in tasks]}
    csv.write_csv(pa.table(long), folder / "long.csv")
    noise = {f"y_{t}": rng.normal(size=300) for t in range(10)}
    csv.write_csv(pa.table({f"x{i}": columns[f"x{i}"] for i in range(5)} | noise), folder / "noise.csv")
    (folder / "empty.csv").write_text("")
    (folder / "notes.txt").write_text("not a table")
    (folder / "others").mkdir()
    (folder / "others" / "thesis.tex").write_text("years of work")
    return folder


@pytest.fixture(scope="module")
def fitted(folder):
    targets = ("--targets", "y_*", "--targets", "strain, max", "--targets", "<b>*")
    result = _invoke("fit", folder / "wide.csv", *targets, "-d", 3, "--out", folder / "run", *_FAST)
    assert result.exit_code == 0, result.output
    return folder / "run", result


def test_fit_writes_a_run_directory(fitted):
    run, result = fitted
    assert {path.name for path in run.iterdir()} == _RUN_FILES
    document = json.loads((run / "model.json").read_text(encoding="utf-8"))
    assert document["feature_names"] == [f"x{i}" for i in range(5)]
    moments = document["parts"]["regressor"]["meta"]["moments"]
    assert moments["task_names"] == [
        *(f"y_{t}" for t in range(8)),
        "strain, max",
        "<b>hardness</b>",
    ]
    assert "&lt;b&gt;hardness&lt;/b&gt;" in (run / "report.html").read_text(encoding="utf-8")
    assert result.stderr == ""


def test_fit_says_what_was_found_and_what_next(fitted):
    run, result = fitted
    verdicts = Counter(IdentifiableRegressor.load(run).certificate_.verdict)
    assert "wide.csv: 300 rows, 5 inputs, 10 targets." in result.stdout
    headline = re.search(r"^3 latents from 10 targets: (.*)\.$", result.stdout, flags=re.MULTILINE)
    assert dict(part.split(" ", 1)[::-1] for part in re.split(", | and ", headline[1])) == {
        verdict: str(number) for verdict, number in verdicts.items()
    }
    assert re.search(r"^Trained again: .* On other rows: .* With other targets: .*\.$", result.stdout, re.MULTILINE)
    assert result.stdout.index("Trained again") < result.stdout.index("correlates with")
    for verdict in verdicts:
        assert f"{verdict}: {VERDICT_MEANINGS[verdict][0]}" in " ".join(result.stdout.split())
    assert not re.search("true|truth|latent of the causal model", result.stdout)
    assert "Causal roles: No: associations, not causes." in result.stdout
    assert f"{run / 'report.html'}" in result.stdout


def test_held_out_scores_are_those_of_rows_held_out(fitted):
    run, result = fitted
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert (evaluation["n_training_rows"], evaluation["n_held_out_rows"]) == (240, 60)
    assert IdentifiableRegressor.load(run).moments_.n_rows == 240
    assert np.median(evaluation["r2"]) > 0.8
    assert f"median {np.median(evaluation['r2']):.3f} over 10 targets" in result.stdout


@pytest.mark.parametrize(
    ("ending", "read"), [("csv", csv.read_csv), ("parquet", parquet.read_table), ("feather", feather.read_table)]
)
def test_transform_in_all_formats(fitted, folder, tmp_path, ending, read):
    out = tmp_path / f"latents.{ending}"
    result = _invoke("transform", fitted[0], folder / "wide.csv", "--out", out)
    assert result.exit_code == 0, result.output
    table = read(out)
    assert table.column_names == ["latent_0", "latent_1", "latent_2"]
    X = csv.read_csv(folder / "wide.csv").select([f"x{i}" for i in range(5)])
    expected = IdentifiableRegressor.load(fitted[0]).transform(X)
    np.testing.assert_allclose(np.column_stack([column.to_numpy() for column in table.columns]), expected, rtol=1e-12)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_predict_finds_its_columns_in_any_order_among_others(fitted, folder, tmp_path):
    columns = {name: csv.read_csv(folder / "wide.csv")[name] for name in ("x4", "x1", "x0", "x3", "x2")}
    parquet.write_table(pa.table({"formula": ["Fe"] * 300} | columns), tmp_path / "new.parquet")
    assert _invoke("predict", fitted[0], tmp_path / "new.parquet", "--out", tmp_path / "a.csv").exit_code == 0
    assert _invoke("predict", fitted[0], folder / "wide.csv", "--out", tmp_path / "b.csv").exit_code == 0
    assert csv.read_csv(tmp_path / "a.csv").column_names[-2:] == ["strain, max", "<b>hardness</b>"]
    np.testing.assert_array_equal(_matrix(tmp_path / "a.csv"), _matrix(tmp_path / "b.csv"))


def test_same_seed_same_latents(fitted, folder, tmp_path):
    targets = ("--targets", "y_*", "--targets", "strain, max", "--targets", "<b>hardness</b>")
    result = _invoke("fit", folder / "wide.csv", *targets, "-d", 3, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (fitted[0] / "model.safetensors").read_bytes()


def test_report_is_written_again(fitted):
    run, _ = fitted
    before = (run / "report.html").read_text(encoding="utf-8")
    (run / "report.html").unlink()
    result = _invoke("report", run)
    assert result.exit_code == 0, result.output
    # Up to the identifiers that plotly draws at random there is nothing that could differ.
    assert (run / "report.html").read_text(encoding="utf-8") == before


def test_groups_are_held_out_as_a_whole(folder, tmp_path):
    options = ("--targets", "y_*", "--drop", "id,same,strain*,<b>*", "--groups", "batch", "-d", 2, "--held-out", 0.5)
    result = _invoke("fit", folder / "mixed.csv", *options, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert "5 inputs, 8 targets, grouped by batch." in result.stdout
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    # Half of the rows, whether the first batch with its 105 rows is among them or only others with 5.
    assert evaluation["n_held_out_rows"] == 150
    assert evaluation["grouped_by"] == "batch"
    assert "with rows of one batch kept together" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def _series(folder):
    """Write a table of independent walks, one with its rows shuffled, and give the paths."""
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(400, 12)), axis=0)
    columns = {f"x{i}": walks[:, i] for i in range(4)} | {f"y_{t}": walks[:, 4 + t] for t in range(8)}
    table = pa.table(columns | {"hour": np.arange(400)})
    csv.write_csv(table, folder / "series.csv")
    csv.write_csv(table.take(rng.permutation(400)), folder / "shuffled.csv")
    return folder / "series.csv", folder / "shuffled.csv"


def test_later_rows_are_held_out_by_order(tmp_path):
    _, path = _series(tmp_path)
    options = ("--targets", "y_*", "--order", "hour", "-d", 2, "--out", tmp_path / "run", *_FAST)
    result = _invoke("fit", path, *options)
    assert result.exit_code == 0, result.output
    assert "4 inputs, 8 targets, ordered by hour." in result.stdout
    assert "80 rows, the last ones by hour after a gap; lowest" in result.stdout
    assert "What rows say does not hold for later ones" in result.stderr
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert (evaluation["n_training_rows"], evaluation["n_held_out_rows"], evaluation["ordered_by"]) == (300, 80, "hour")
    assert np.median(evaluation["r2"]) < 0
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "80 rows, the last ones by hour after a gap, were held out" in report


def test_series_are_noticed_with_both_scores_and_what_to_do(tmp_path):
    path, shuffled = _series(tmp_path)
    said = r"R\^2 0\.\d\d on random rows and -?\d\.\d\d on stretches of rows left out\)\. For a series, pass --order;"
    result = _invoke("fit", path, "--targets", "y_*", "--drop", "hour", "-d", 2, "--out", tmp_path / "run", *_FAST)
    assert re.search(said, result.stderr), result.stderr
    inspected = _invoke("inspect", path, "--targets", "y_*", "--drop", "hour")
    assert re.search(said, inspected.stdout), inspected.stdout
    assert "Neighbouring rows are alike" in _invoke("inspect", path).stdout
    assert "Neighbouring rows are alike" not in _invoke("inspect", shuffled).stdout


def test_repeated_rows_are_said_and_stay_together(tmp_path):
    rng = np.random.default_rng(1)
    order = rng.permutation(480)
    X, Y = (np.repeat(rng.normal(size=(60, k)), 8, axis=0)[order] for k in (5, 6))
    Y = Y + 0.05 * rng.normal(size=Y.shape)
    columns = {f"x{i}": X[:, i] for i in range(5)} | {f"y_{t}": Y[:, t] for t in range(6)}
    csv.write_csv(pa.table(columns), tmp_path / "repeated.csv")
    result = _invoke("fit", tmp_path / "repeated.csv", "--targets", "y_*", "--out", tmp_path / "run", *_FAST)
    assert "420 rows with the inputs of others: equal rows stay together in every split." in result.stdout
    assert re.search("No signal|Too few rows to tell whether there is signal", result.stdout)
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert max(evaluation["r2"]) < 0.2
    inspected = _invoke("inspect", tmp_path / "repeated.csv").stdout
    assert "480 rows hold 60 different ones in x0, x1, x2, x3, x4." in inspected


def test_copies_are_named(tmp_path):
    columns = _columns()
    csv.write_csv(pa.table(columns | {"y_1": 3 - 2 * columns["x2"]}), tmp_path / "copy.csv")
    options = ("--targets", "y_*", "--features", "x*")
    said = "arget 'y_1' is a linear copy of input 'x2' (R^2 = 1"
    assert said in _invoke("inspect", tmp_path / "copy.csv", *options).stdout
    assert said in _invoke("fit", tmp_path / "copy.csv", *options, "-d", 2, "--out", tmp_path / "run", *_FAST).stderr
    assert "'y_1' is a linear copy of 'x2': leave one out." in _invoke("inspect", tmp_path / "copy.csv").stdout


def test_long_layout(folder, tmp_path):
    options = ("--targets", "y", "--tasks", "assay", "-d", 2, "--epochs", 150, "--replicates", 1)
    result = _invoke("fit", folder / "long.csv", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "400 rows, 3 inputs, 10 tasks." in result.stdout
    assert "associations, not causes" not in result.stdout
    assert _invoke("predict", tmp_path / "run", folder / "long.csv", "--out", tmp_path / "y.csv").exit_code == 0
    assert csv.read_csv(tmp_path / "y.csv").column_names == [f"assay {t}" for t in range(10)]


def test_stability(folder, tmp_path):
    options = ("--targets", "y_*", "--features", "x*", "--fits", 3, "-d", 2, *_FAST, "--out", tmp_path / "run")
    result = _invoke("stability", folder / "wide.csv", *options)
    assert result.exit_code == 0, result.output
    pairs = re.findall(r"^ *(\d and \d) +(\d\.\d{4}) +(\d\.\d{4})", result.stdout, flags=re.MULTILINE)
    assert [pair for pair, _, _ in pairs] == ["1 and 2", "1 and 3", "2 and 3"]
    strong = {pair: float(value) for pair, value, _ in pairs}
    assert min(strong.values()) > 0.5
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    first, second, _ = evaluation["stability"]["matrix"]
    assert first[2] == pytest.approx(strong["1 and 3"], abs=1e-4)
    assert len({first[1], first[2], second[2]}) == 3, "fits with different seeds must differ"
    assert (
        "Between fits only the seed changed (0, 1 and 2), on the same 225 rows; compared on 75 held-out rows:"
        in result.stdout
    )
    assert 'id="stability"' in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("components", ["auto", "2"])
def test_no_signal_is_said_plainly(folder, components):
    result = _invoke("stability", folder / "noise.csv", "--targets", "y_*", "--fits", 2, "-d", components, *_FAST)
    assert result.exit_code == 0, result.output
    assert "No signal" in result.stdout
    assert "Agreement of fits would mean nothing without signal" in result.stdout
    assert "strong MCC" not in result.stdout


@pytest.mark.parametrize("regressor", ["ridge", "auto"])
def test_other_regressors_write_runs_that_can_be_used(folder, tmp_path, regressor):
    targets = ("--targets", "strain, max", "--targets", "<b>*", "--features", "x*")
    options = (*targets, "-d", 2, "--out", tmp_path / "run", "--regressor", regressor)
    result = _invoke("fit", folder / "wide.csv", *options)
    assert result.exit_code == 0, result.output
    chosen = re.search(r"^Regressor: (\S+)\. R\^2 on \d+ rows held out", result.stdout, flags=re.MULTILINE)
    assert (chosen is not None) == (regressor == "auto")
    model = IdentifiableRegressor.load(tmp_path / "run")
    name = {"mtrn": "MTRN"}.get(chosen[1] if chosen else regressor, "PredictiveFeatures")
    assert type(model.regressor_).__name__ == name
    result = _invoke("transform", tmp_path / "run", folder / "wide.csv", "--out", tmp_path / "z.csv")
    assert result.exit_code == 0, result.output
    assert _matrix(tmp_path / "z.csv").shape == (300, 2)


def test_inspect(folder):
    result = _invoke("inspect", folder / "mixed.csv")
    assert result.exit_code == 0, result.output
    assert "mixed.csv: 300 rows, 18 columns" in result.stdout
    for column, remark in (
        ("y_0", "gaps: target or drop"),
        ("batch", "--groups, --tasks or drop"),
        ("same", "constant: drop"),
        ("id", "number of a row? drop"),
    ):
        assert re.search(rf"^ *{column} .*{re.escape(remark)}", result.stdout, flags=re.MULTILINE), column
    assert "--targets 'y_*' --groups batch --drop id,same" in result.stdout


_BAD_CALLS = [
    ("fit {f}/nothing.csv --targets y_* --out {o}/run", "DATA does not exist: got '{f}/nothing.csv'"),
    ("fit {f}/empty.csv --targets y_* --out {o}/run", "empty.csv is empty: got 0 rows"),
    ("fit {f}/notes.txt --targets y_* --out {o}/run", "DATA has an unknown format: got 'notes.txt'"),
    ("fit {f} --targets y_* --out {o}/run", "DATA is a directory"),
    ("fit {f}/wide.csv --targets z_* --out {o}/run", "--targets matches no column: got 'z_*'"),
    ("fit {f}/wide.csv --targets * --out {o}/run", "--features is empty"),
    ("fit {f}/long.csv --targets y --tasks asay --out {o}/run", "--tasks matches no column: got 'asay'"),
    ("fit {f}/wide.csv --targets y_* --groups batch --out {o}/run", "--groups matches no column: got 'batch'"),
    (
        "fit {f}/mixed.csv --targets y_* --out {o}/run",
        "mixed.csv: column 'batch' is not numeric: got 'batch 0' first at row 1",
    ),
    ("fit {f}/mixed.csv --targets y_* --out {o}/run", "Drop it with --drop 'batch' or encode it."),
    ("fit {f}/gap.csv --targets y_* --out {o}/run", "gap.csv: column 'x2' has missing values: got 1, first at row 12"),
    ("fit {f}/wide.csv --targets y_* -d 2.5 --out {o}/run", "--n-components is not valid: got '2.5'"),
    ("fit {f}/wide.csv --targets y_* -d 0 --out {o}/run", "--n-components is not valid: got '0'"),
    ("fit {f}/wide.csv --targets y_* --regressor forest --out {o}/run", "Invalid value for '--regressor'"),
    (
        "fit {f}/wide.csv --targets y_* --regressor ridge --epochs 3 --out {o}/run",
        "--replicates and --epochs are options of networks: got --regressor ridge",
    ),
    (
        "fit {f}/wide.csv --targets y_* --regressor ridge --out {o}/run",
        "y contains 1 missing labels: got NaN first at row",
    ),
    ("fit {f}/wide.csv --targets y_* --out {f}/others", "'{f}/others' holds other files"),
    ("fit {f}/wide.csv --targets y_* --out {f}/notes.txt", "'{f}/notes.txt' is a file"),
    ("fit {f}/wide.csv --out {o}/run", "Missing option '--targets'"),
    ("fit {f}/wide.csv --targets y_* --held-out 1.5 --out {o}/run", "Invalid value for '--held-out'"),
    ("stability {f}/wide.csv --targets y_* --fits 1", "Invalid value for '--fits'"),
    (
        "transform {f}/others {f}/wide.csv --out {o}/z.csv",
        "'{f}/others' is not a run directory: got a directory without",
    ),
    ("transform {f}/nowhere {f}/wide.csv --out {o}/z.csv", "'{f}/nowhere' is not a run directory: got no directory"),
    (
        "predict {f}/run {f}/long.csv --out {o}/z.csv",
        "long.csv lacks 2 of the 5 inputs of the model: got no column 'x3', 'x4'",
    ),
    ("predict {f}/run {f}/gap.csv --out {o}/z.csv", "gap.csv: column 'x2' has missing values: got 1, first at row 12"),
    ("predict {f}/run {f}/wide.csv --out {o}/z.xls", "--out has an unknown format: got 'z.xls'"),
    ("predict {f}/run {f}/wide.csv --out {f}/wide.csv", "--out is the input"),
    ("predict {f}/run {f}/wide.csv --out {o}/nowhere/z.csv", "--out has no directory"),
    ("report {f}/others", "'{f}/others' is not a run directory"),
    ("inspect {f}/empty.csv", "empty.csv is empty"),
    ("invent {f}/wide.csv", "No such command 'invent'"),
]


@pytest.mark.parametrize(("call", "message"), _BAD_CALLS, ids=[call for call, _ in _BAD_CALLS])
@pytest.mark.usefixtures("fitted")
def test_bad_calls(folder, tmp_path, call, message):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = _invoke(*(part.format(f=folder, o=tmp_path) for part in call.split()))
    assert result.exit_code == 2, result.output
    assert message.format(f=folder) in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_our_own_failures_have_another_status(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.cli.runs.evaluate", lambda *_: 1 / 0)
    result = _invoke("fit", folder / "wide.csv", "--targets", "y_*", "-d", 2, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 1
    assert "ZeroDivisionError inside identirep, which is not your fault" in result.stderr
    assert not list(tmp_path.iterdir())


def test_numerical_errors_deep_inside_are_not_the_users_fault(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.cli.runs.evaluate", lambda *_: np.linalg.inv(np.zeros((2, 2))))
    result = _invoke("fit", folder / "wide.csv", "--targets", "y_*", "-d", 2, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 1
    assert "LinAlgError inside identirep" in result.stderr


@pytest.mark.parametrize("command", ["fit", "transform", "predict", "stability", "report", "inspect", "demo"])
def test_help_explains_with_an_example(command):
    result = _invoke(command, "--help")
    assert result.exit_code == 0
    assert f"Example: identirep {command}" in result.stdout


def test_version():
    assert _invoke("--version").stdout.strip() == f"identirep {__version__}"


def test_help_comes_at_once():
    script = (
        "import sys, time; start = time.perf_counter()\n"
        "from identirep.cli import main\n"
        "sys.argv = ['identirep', '--help']\n"
        "try: main()\n"
        "finally: print(time.perf_counter() - start, {'torch', 'numpy', 'plotly'} & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    seconds, loaded = result.stderr.split(maxsplit=1)
    assert "stability" in result.stdout
    assert loaded.strip() == "set()"
    assert float(seconds) < 1.5


def test_status_and_streams_of_the_program(folder):
    call = [sys.executable, "-c", "from identirep.cli import main; main()", "inspect", str(folder / "empty.csv")]
    result = subprocess.run(call, check=False, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: empty.csv is empty: got 0 rows")
    assert len(result.stderr.splitlines()) == 1
