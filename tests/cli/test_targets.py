"""Targets that are rare, sparse or constant, options without a name, and cells that would fill the terminal."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from identirep import MTRN, IdentifiableRegressor
from identirep.divergence import DivergenceError

_FAST = ("--epochs", "3", "--replicates", "1", "--checks", "0", "--n-components", "2")


def _columns(n=120):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    Y = X[:, :2] @ rng.laplace(size=(2, 5)) + 0.1 * rng.normal(size=(n, 5))
    return {f"x{i}": X[:, i] for i in range(3)} | {f"y{t}": Y[:, t] for t in range(5)}


def _write(path, columns):
    csv.write_csv(pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()}), path)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    columns, rng = _columns(), np.random.default_rng(1)
    for n_labels in (2, 4, 5):
        values = np.full(120, np.nan)
        values[rng.choice(120, n_labels, replace=False)] = rng.normal(size=n_labels)
        columns[f"y few {n_labels}"] = values
    rare = np.zeros(120)
    rare[rng.choice(120, 1)] = 1.0
    columns |= {"y rare": rare, "y same": np.full(120, 3.0)}
    return _write(tmp_path_factory.mktemp("targets") / "t.csv", columns)


@pytest.mark.parametrize("seed", range(3))
def test_other_targets_are_fitted_and_what_has_no_score_is_said(invoke, table, tmp_path, seed):
    result = invoke("fit", table, "--targets", "y*", "--seed", seed, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    # Labels are counted in the rows of the fit.
    assert re.search(r"got 'y few 2' \([12] labels?\), 'y same' \(constant\), expected at least 3", result.output)
    # A single positive is trained on, and of four labels none can be spared.
    assert "Not scored: 2 targets without two held-out labels that differ." in " ".join(result.output.split())
    model = IdentifiableRegressor.load(tmp_path / "run")
    assert list(model.left_out_tasks_) == ["y few 2", "y same"]
    r2 = dict(zip(model.task_names_, json.loads((tmp_path / "run/evaluation.json").read_text())["r2"], strict=True))
    assert [name for name, value in r2.items() if value is None] == ["y few 4", "y rare"]


def test_inspect_says_what_a_fit_would_leave_out(invoke, table):
    result = invoke("inspect", table, "--targets", "y*")
    assert result.exit_code == 0, result.output
    assert "'y few 2' (2 labels), 'y same' (constant)" in " ".join(result.output.split())


def test_long_layout(invoke, tmp_path):
    columns = _columns()
    y, task = columns["y0"].copy(), np.repeat(["a", "b", "c"], 40)
    y[task == "b"], task[0] = 1.0, "d"
    path = _write(tmp_path / "long.csv", {name: columns[name] for name in ("x0", "x1", "x2")} | {"y": y, "task": task})
    result = invoke("fit", path, "--targets", "y", "--tasks", "task", "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 0, result.output
    assert "got 'b' (constant), 'd' (1 label)" in result.output
    assert IdentifiableRegressor.load(tmp_path / "run").task_names_ == ("a", "c")


@pytest.mark.parametrize("value", ["", ",", " , "])
@pytest.mark.parametrize("option", ["--targets", "--drop", "--features", "--tasks", "--groups", "--order"])
def test_options_without_a_name_are_refused(invoke, table, tmp_path, option, value):
    targets = () if option == "--targets" else ("--targets", "y0")
    result = invoke("fit", table, *targets, option, value, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 2, result.output
    assert f"Error: {option}" in result.output
    assert not (tmp_path / "run").exists()


def test_long_cells_and_names_do_not_fill_the_terminal(invoke, tmp_path):
    columns = _columns()
    n = 30_000
    labels = np.array(["T" * n + str(i % 3) for i in range(120)], dtype=object)
    cells = columns["x0"].astype(str).astype(object)
    cells[7] = "a b" * (n // 3)
    calls = [
        ({"x0": cells} | _columns() | {"x0": cells}, ("--targets", "y*")),
        (_columns() | {"n " * n: columns["x0"] * np.nan}, ("--targets", "y*")),
        ({name: columns[name] for name in ("x0", "x1", "y0")} | {"t": labels}, ("--targets", "y0", "--tasks", "t")),
        (_columns() | {"y" * n: np.ones(120)}, ("--targets", "y*")),
    ]
    for i, (content, arguments) in enumerate(calls):
        path = _write(tmp_path / f"{i}.csv", content)
        result = invoke("fit", path, *arguments, "--out", tmp_path / str(i), *_FAST)
        assert result.exit_code in (0, 2), result.output[-2000:]
        assert len(result.output) < 10_000, i


def test_divergence_is_no_failure_of_ours(invoke, table, tmp_path, monkeypatch):
    def diverges(*_):
        raise DivergenceError("training diverged: got a loss that is not finite.")

    monkeypatch.setattr(MTRN, "_fit", diverges)
    result = invoke("fit", table, "--targets", "y*", "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 2
    assert "Error: training diverged: got a loss that is not finite." in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", [("Yes", "No"), ("active", "inactive")])
def test_checks_read_the_texts_of_the_fit(invoke, tmp_path, words):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(240, 2))
    Y = Z @ rng.normal(size=(2, 4)) + 0.2 * rng.normal(size=(240, 4))
    columns = {f"x{j}": Z[:, j] for j in range(2)} | {f"y{t}": Y[:, t] for t in range(4)}
    table = pa.table(columns | {"y_hit": np.where(Z[:, 0] > 0, *words)})
    new = pa.table(columns | {"y_hit": [words[1]] * 240})
    for name, rows in (("t", table), ("new", new)):
        csv.write_csv(rows, tmp_path / f"{name}.csv")
    fit = ("--targets", "y*", "--regressor", "ridge", "--checks", 0, "-d", 2, "--out", tmp_path / "run")
    assert invoke("fit", tmp_path / "t.csv", *fit).exit_code == 0
    assert invoke("report", tmp_path / "run", tmp_path / "t.csv").exit_code == 0
    check = ("transform", tmp_path / "run", tmp_path / "new.csv", "--out", tmp_path / "z.csv", "--check", "--json")
    found = json.loads(invoke(*check).stdout)["drift"]["targets"]
    # A table with one of the words alone has moved in this target.
    assert [target["name"] for target in found if target["moved"]] == ["y_hit"]
