"""Commands that fit: what they write, and what they say."""

import json
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import typer
from pyarrow import csv

from identirep import IdentifiableRegressor
from identirep.cli import fit_commands
from identirep.report import VERDICT_MEANINGS

_FAST = ("--epochs", "40", "--replicates", "1")
_RUN_FILES = {"model.safetensors", "model.json", "history.parquet", "evaluation.json", "report.html", "report.json"}
_RUN_FILES |= {"estimator.skops"}


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


def test_same_seed_same_latents(invoke, fitted, folder, tmp_path):
    targets = ("--targets", "y_*", "--targets", "strain, max", "--targets", "<b>hardness</b>")
    result = invoke("fit", folder / "wide.csv", *targets, "-d", 3, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (fitted[0] / "model.safetensors").read_bytes()


def test_groups_are_held_out_as_a_whole(invoke, folder, tmp_path):
    options = ("--targets", "y_*", "--drop", "id,same,strain*,<b>*", "--groups", "batch", "-d", 2, "--held-out", 0.5)
    result = invoke("fit", folder / "mixed.csv", *options, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert "5 inputs, 8 targets, grouped by batch." in result.stdout
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    # Half of the rows, whether the first batch with its 105 rows is among them or only others with 5.
    assert evaluation["n_held_out_rows"] == 150
    assert evaluation["grouped_by"] == "batch"
    assert "with rows of one batch kept together" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_long_layout(invoke, folder, tmp_path):
    options = ("--targets", "y", "--tasks", "assay", "-d", 2, "--epochs", 150, "--replicates", 1)
    result = invoke("fit", folder / "long.csv", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "400 rows, 3 inputs, 10 tasks." in result.stdout
    assert "associations, not causes" not in result.stdout
    assert re.search(r"median -?\d\.\d{3} over 10 tasks", result.stdout)
    assert not re.search(r"\d targets?\b", result.stdout)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "R² is how well the target of a task is predicted on the" in page
    assert "Tasks whose targets correlate with it" in page
    assert not re.search(r"\d targets?\b", page[page.index("<main") : page.index("</main>")])
    assert invoke("predict", tmp_path / "run", folder / "long.csv", "--out", tmp_path / "y.csv").exit_code == 0
    assert csv.read_csv(tmp_path / "y.csv").column_names == [f"assay {t}" for t in range(10)]


def test_stability(invoke, folder, tmp_path):
    options = ("--targets", "y_*", "--features", "x*", "--fits", 3, "-d", 2, *_FAST, "--out", tmp_path / "run")
    result = invoke("stability", folder / "wide.csv", *options)
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
    assert "Strong MCC of each pair of fits" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [("fit",), ("stability", "--fits", 2)], ids=lambda command: command[0])
def test_checks_can_be_left_out(invoke, folder, tmp_path, command):
    options = ("--targets", "y_*", "--features", "x*", "-d", 2, "--checks", 0, "--out", tmp_path / "run", *_FAST)
    result = invoke(*command, folder / "wide.csv", *options)
    assert result.exit_code == 0, result.output
    assert "On other rows: not checked." in result.stdout
    assert "fit again with 2 checks" in " ".join(result.stdout.split())
    model = IdentifiableRegressor.load(tmp_path / "run")
    assert (model.n_checks, set(model.certificate_.verdict)) == (0, {"not checked"})


def test_as_many_checks_as_asked_for(invoke, folder, tmp_path):
    options = ("--targets", "y_1,y_2,y_3", "--features", "x*", "-d", 2, "--regressor", "ridge", "--checks", 4)
    result = invoke("fit", folder / "wide.csv", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "measured on 4 fits to halves of the rows" in " ".join(result.stdout.split())


@pytest.mark.parametrize("components", ["auto", "2"])
def test_no_signal_is_said_plainly(invoke, folder, components):
    result = invoke("stability", folder / "noise.csv", "--targets", "y_*", "--fits", 2, "-d", components, *_FAST)
    assert result.exit_code == 3, result.output
    assert "No signal" in result.stdout
    assert "Agreement of fits would mean nothing without signal" in result.stdout
    assert "strong MCC" not in result.stdout


def _weighted_table(path, columns, weights):
    table = pa.table({**columns, "w": pa.array(weights, from_pandas=True)})
    csv.write_csv(table, path)
    return path


def test_weights_are_no_input_and_zero_leaves_rows_out(invoke, columns, tmp_path):
    rng = np.random.default_rng(0)
    bad = rng.random(300) < 0.3
    noisy = {
        name: np.where(bad, 20 * rng.normal(size=300), v) if name.startswith("y_") else v for name, v in columns.items()
    }
    options = ("--targets", "y_*", "--drop", "strain*,<b>*", "--regressor", "ridge", "--checks", "0")
    noisy["y_0"] = noisy["y_1"]
    small = _weighted_table(tmp_path / "small.csv", noisy, np.where(bad, 1e-6, 1.0 + rng.random(300)))
    result = invoke("fit", small, *options, "--weights", "w", "--out", tmp_path / "small")
    assert result.exit_code == 0, result.output
    assert "300 rows, 5 inputs, 8 targets, weighted by w." in result.stdout
    assert "weighted by w; lowest" in " ".join(result.stdout.split())
    evaluation = json.loads((tmp_path / "small" / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["weighted_by"] == "w"
    assert min(evaluation["r2"]) > 0.8
    assert IdentifiableRegressor.load(tmp_path / "small").feature_names_in_.tolist() == [f"x{i}" for i in range(5)]

    zero = _weighted_table(tmp_path / "zero.csv", noisy, np.where(bad, 0, 1))
    result = invoke("fit", zero, *options, "--weights", "w", "--out", tmp_path / "zero")
    assert f"{bad.sum()} rows of weight 0 left out." in result.stdout
    kept = _weighted_table(tmp_path / "kept.csv", {name: v[~bad] for name, v in noisy.items()}, np.ones((~bad).sum()))
    invoke("fit", kept, *options, "--drop", "w", "--out", tmp_path / "kept")
    X = rng.normal(size=(20, 5))
    models = [IdentifiableRegressor.load(tmp_path / name) for name in ("zero", "kept")]
    np.testing.assert_array_equal(*(model.transform(X) for model in models))


def test_weights_count_in_stability(invoke, columns, tmp_path):
    table = _weighted_table(tmp_path / "table.csv", {**columns, "y_0": columns["y_1"]}, np.arange(300) % 3)
    result = invoke(
        "stability", table, "--targets", "y_*", "--regressor", "ridge", "--weights", "w", "--checks", "0", "--fits", "2"
    )
    assert result.exit_code == 0, result.output
    assert "200 rows, 7 inputs, 8 targets, weighted by w." in result.stdout
    assert "100 rows of weight 0 left out." in result.stdout


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (
            np.where(np.arange(300) == 4, -1.0, 1.0),
            (),
            "--weights 'w' contains 1 values that are no weights: got -1 first at row 5",
        ),
        (np.where(np.arange(300) == 4, np.nan, 1.0), (), "column 'w' has missing values: got 1, first at row 5"),
        (np.zeros(300), (), "--weights 'w' is zero in all rows"),
        (np.array(["a"] * 300), (), "column 'w' is not numeric: got 'a' first at row 1, expected a number from 0 on"),
        (np.where(np.arange(300) == 4, "?", "1"), (), "its weight. Repair the column, or name another one in"),
        (np.ones(300), ("--targets", "w"), "--weights is a target: got 'w'"),
        (np.ones(300), ("--weights", "v"), "--weights matches no column: got 'v'"),
        (np.arange(300) % 7, ("--missing", "3"), "column 'w' has missing values"),
    ],
)
def test_what_is_no_weight_is_refused(invoke, columns, tmp_path, weights, options, message):
    table = _weighted_table(tmp_path / "table.csv", columns, weights)
    given = ("--weights", "w", "--targets", "y_*", "--regressor", "ridge", *options)
    result = invoke("fit", table, *given, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_weights_go_with_encoding_reading_and_json(invoke, columns, tmp_path):
    rng = np.random.default_rng(0)
    counted = rng.random(300) < 0.8
    text = np.where(counted, np.array(["red", "blue"])[np.arange(300) % 2], "never seen")
    names = [name for name in columns if name.startswith(("x", "y_"))]
    lines = [";".join([*names, "colour", "w"])]
    for i in range(300):
        values = [f"{float(columns[name][i] if name != 'y_0' else columns['y_1'][i]):.6f}" for name in names]
        values += [text[i], "1,5" if counted[i] else "0"]
        lines.append(";".join(value.replace(".", ",") for value in values))
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    options = ("--targets", "y_*", "--regressor", "ridge", "--checks", "0", "--weights", "w", "--separator", ";")
    for command, more in (("fit", ()), ("stability", ("--fits", 2))):
        out = tmp_path / command
        result = invoke(command, path, *options, *more, "--decimal", ",", "--out", out, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["data"]["weighted_by"] == "w"
        assert document["data"]["n_training_rows"] + document["data"]["n_held_out_rows"] == counted.sum()
        assert f"{(~counted).sum()} rows of weight 0 left out." in document["remarks"]
        model = IdentifiableRegressor.load(out)
        assert "w" not in model.feature_names_in_.tolist()
        encoded = model.table_encoder_.get_feature_names_out().tolist()
        assert "colour=never seen" not in encoded
        assert any(name.startswith("colour=") for name in encoded)
    transform = next(
        command
        for command in json.loads(
            invoke("fit", path, *options, "--decimal", ",", "--out", tmp_path / "again", "--json").stdout
        )["next"]
        if "transform" in command
    )
    assert "--decimal ," in transform
    assert "--weights" not in transform


@pytest.mark.parametrize(
    ("has_signal", "no_signal", "status"),
    [(True, "none", 0), (False, "none", 3), (False, "signal", 3), (False, "too few rows", 0)],
)
def test_a_fit_without_signal_is_a_failed_check_whoever_else_finds_some(has_signal, no_signal, status):
    try:
        fit_commands.end(SimpleNamespace(has_signal=has_signal, no_signal=no_signal))
        ended = 0
    except typer.Exit as error:
        ended = error.exit_code
    assert ended == status
