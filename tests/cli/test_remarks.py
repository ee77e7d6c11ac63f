"""What the command line says of the rows of a table, when it fits and when it inspects."""

import json
import re
import shlex

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from identirep.datasets import match_columns

_FAST = ("--epochs", "40", "--replicates", "1")


def _series(folder):
    """Write a table of independent walks, one with its rows shuffled, and give the paths."""
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.normal(size=(400, 12)), axis=0)
    columns = {f"x{i}": walks[:, i] for i in range(4)} | {f"y_{t}": walks[:, 4 + t] for t in range(8)}
    table = pa.table(columns | {"hour": np.arange(400)})
    csv.write_csv(table, folder / "series.csv")
    csv.write_csv(table.take(rng.permutation(400)), folder / "shuffled.csv")
    return folder / "series.csv", folder / "shuffled.csv"


@pytest.mark.slow
def test_later_rows_are_held_out_by_order(invoke, tmp_path):
    _, path = _series(tmp_path)
    options = ("--targets", "y_*", "--order", "hour", "-d", 2, "--out", tmp_path / "run", *_FAST)
    result = invoke("fit", path, *options)
    # The network finds no signal in them, so that its check failed; that trees do is said.
    assert result.exit_code == 3, result.output
    assert "but others find some" in result.stderr
    assert "4 inputs, 8 targets, ordered by hour." in result.stdout
    assert "80 rows, the last ones by hour after a gap; lowest" in result.stdout
    assert "What rows say does not hold for later ones" in result.stderr
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert (evaluation["n_training_rows"], evaluation["n_held_out_rows"], evaluation["ordered_by"]) == (300, 80, "hour")
    assert np.median(evaluation["r2"]) < 0
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "80 rows, the last ones by hour after a gap, were held out" in report


def test_series_are_noticed_with_both_scores_and_what_to_do(invoke, tmp_path):
    path, shuffled = _series(tmp_path)
    said = r"R\^2 0\.\d\d on random rows and -?\d\.\d\d on stretches of rows left out\)\. For a series, pass --order;"
    result = invoke("fit", path, "--targets", "y_*", "--drop", "hour", "-d", 2, "--out", tmp_path / "run", *_FAST)
    assert re.search(said, result.stderr), result.stderr
    inspected = invoke("inspect", path, "--targets", "y_*", "--drop", "hour")
    assert re.search(said, inspected.stdout), inspected.stdout
    assert "Neighbouring rows are alike" in invoke("inspect", path).stdout
    assert "Neighbouring rows are alike" not in invoke("inspect", shuffled).stdout


def test_repeated_rows_are_said_and_stay_together(invoke, tmp_path):
    rng = np.random.default_rng(1)
    order = rng.permutation(480)
    X, Y = (np.repeat(rng.normal(size=(60, k)), 8, axis=0)[order] for k in (5, 6))
    Y = Y + 0.05 * rng.normal(size=Y.shape)
    columns = {f"x{i}": X[:, i] for i in range(5)} | {f"y_{t}": Y[:, t] for t in range(6)}
    csv.write_csv(pa.table(columns), tmp_path / "repeated.csv")
    result = invoke("fit", tmp_path / "repeated.csv", "--targets", "y_*", "--out", tmp_path / "run", *_FAST)
    assert "420 rows with the inputs of others: equal rows stay together in every split." in result.stdout
    assert re.search("No signal|Too few rows to tell whether there is signal", result.stdout)
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert max(evaluation["r2"]) < 0.2
    inspected = invoke("inspect", tmp_path / "repeated.csv").stdout
    assert "480 rows hold 60 different ones in x0, x1, x2, x3, x4." in inspected


def test_copies_are_named(invoke, columns, tmp_path):
    csv.write_csv(pa.table(columns | {"y_1": 3 - 2 * columns["x2"]}), tmp_path / "copy.csv")
    options = ("--targets", "y_*", "--features", "x*")
    said = "arget 'y_1' is a linear copy of input 'x2' (R^2 = 1"
    assert said in invoke("inspect", tmp_path / "copy.csv", *options).stdout
    assert said in invoke("fit", tmp_path / "copy.csv", *options, "-d", 2, "--out", tmp_path / "run", *_FAST).stderr
    assert "'y_1' is a linear copy of 'x2': leave one out." in invoke("inspect", tmp_path / "copy.csv").stdout


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["y[1]_{}"], "--targets 'y[[]1]_*'"),
        (["y,1_{}"], "--targets YOUR_TARGET"),
        (["y_{}", "y_name", "z_{}"], "--targets 'z_*'"),
    ],
)
def test_patterns_that_are_suggested_name_numbers_alone(invoke, tmp_path, names, expected):
    rng = np.random.default_rng(0)
    data = {"x0": rng.normal(size=40)}
    for name in names:
        if "{}" in name:
            data |= {name.format(t): rng.normal(size=40) for t in range(4)}
        else:
            data |= {name: [f"sample {i // 2}" for i in range(40)]}
    csv.write_csv(pa.table(data), tmp_path / "t.csv")
    result = invoke("inspect", tmp_path / "t.csv")
    assert f"{expected} " in f"{result.stdout.split('want explained: ')[1]} ".replace("YOUR_TARGETS", "YOUR_TARGET")
    chosen = match_columns("targets", shlex.split(expected)[1], list(data)) if "YOUR" not in expected else []
    assert all("name" not in name for name in chosen)


def test_inspect_takes_roles_of_columns_with_targets_alone(invoke, folder):
    result = invoke("inspect", folder / "mixed.csv", "--groups", "batch", "--drop", "id")
    assert result.exit_code == 2
    assert "Error: --groups says how a table with targets is looked at: got no --targets" in result.stderr


def test_inspect(invoke, folder):
    result = invoke("inspect", folder / "mixed.csv")
    assert result.exit_code == 0, result.output
    assert "mixed.csv: 300 rows, 18 columns" in result.stdout
    for column, remark in (
        ("y_0", "gaps: target or filled"),
        ("batch", "--groups, --tasks or drop"),
        ("same", "constant: drop"),
        ("id", "numbers the rows: drop"),
    ):
        assert re.search(rf"^ *{column} .*{re.escape(remark)}", result.stdout, flags=re.MULTILINE), column
    assert "--targets 'y_*' --groups batch --drop id,same" in result.stdout
