"""Tables, a fitted run and a way to call the command line, for all tests of it."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from typer import testing
from typer.main import get_command

from identirep.cli import app, console

# The commands do not change: made once, they need not be made anew for each call.
testing._get_command = cache(get_command)

_FAST = ("--epochs", "40", "--replicates", "1")


def _invoke(*arguments):
    # Consoles take COLUMNS as it is when they are made, which worker processes of the tests set.
    for each in (console.OUTPUT, console._MESSAGES):
        each.width = 120
    return testing.CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def invoke():
    """Call the command line with arguments of any type."""
    return _invoke


@pytest.fixture(scope="session")
def columns():
    """Columns of a table with signal: inputs, targets of two families with one gap, a text, a number of the row."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    Y = X[:, :3] @ rng.laplace(size=(3, 10)) + 0.1 * rng.normal(size=(300, 10))
    columns = {f"x{i}": X[:, i] for i in range(5)} | {f"y_{t}": Y[:, t] for t in range(8)}
    columns |= {"strain, max": Y[:, 8], "<b>hardness</b>": Y[:, 9]}
    columns["y_0"] = pa.array(np.where(np.arange(300) == 7, np.nan, columns["y_0"]), from_pandas=True)
    return columns


@pytest.fixture(scope="session")
def folder(tmp_path_factory, columns):
    folder = tmp_path_factory.mktemp("cli")
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
    (folder / "notes.md").write_text("not a table")
    (folder / "others").mkdir()
    (folder / "others" / "thesis.tex").write_text("years of work")
    return folder


@pytest.fixture(scope="session")
def fitted(folder):
    targets = ("--targets", "y_*", "--targets", "strain, max", "--targets", "<b>*")
    result = _invoke("fit", folder / "wide.csv", *targets, "-d", 3, "--out", folder / "run", *_FAST)
    assert result.exit_code == 0, result.output
    return folder / "run", result
