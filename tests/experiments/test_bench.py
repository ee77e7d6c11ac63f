"""``identirep bench``: resumes, says what went wrong, and every experiment has a version that takes seconds."""

from importlib.util import find_spec

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from identirep.cli import app
from identirep.experiments import NAMES, load_experiment
from identirep.experiments.experiment import cell_key


def _invoke(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)], env={"COLUMNS": "120"})


def test_resumes_where_it_stopped(tmp_path):
    out = tmp_path / "run"
    first = _invoke("structure", "--quick", "--only", "n=100", "--only", "standardised=True", "--out", out)
    assert first.exit_code == 0, first.output
    assert "2 cells, 0 finished before" in first.stdout
    assert "Not complete: 2 cells" in (out / "results.md").read_text()
    written = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    second = _invoke("structure", "--quick", "--out", out)
    assert second.exit_code == 0, second.output
    assert "4 cells, 2 finished before" in second.stdout
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())
    page = (out / "results.md").read_text()
    assert "Not complete" not in page
    assert "identirep bench structure --quick" in page
    assert parquet.read_table(out / "results.parquet").num_rows == 4


@pytest.mark.slow
def test_same_seed_same_figures(tmp_path):
    tables = []
    for name in ("a", "b"):
        assert _invoke("certificate", "--quick", "--seeds", 2, "--out", tmp_path / name).exit_code == 0
        tables.append(parquet.read_table(tmp_path / name / "results.parquet").drop_columns(["cell_seconds"]))
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("linaer",), "expected one of linear, nonlinear"),
        (("linear", "--only", "method"), "expected KEY=VALUE with KEY one of D, mixing"),
        (("linear", "--only", "colour=red"), "expected KEY=VALUE with KEY one of D, mixing"),
        (("linear", "--only", "method=ivae"), "selects nothing"),
    ],
)
def test_wrong_use_is_explained(arguments, message, tmp_path):
    result = _invoke(*arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")


def test_directories_of_others_are_left_alone(tmp_path):
    (tmp_path / "results.md").write_text("years of work")
    result = _invoke("structure", "--quick", "--out", tmp_path)
    assert result.exit_code == 2
    assert "holds other files" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["results.md"]


def test_a_cell_that_fails_is_named_and_the_others_are_kept(tmp_path, monkeypatch):
    from dataclasses import replace

    experiment = load_experiment("structure")

    def measure(cell):
        if cell["standardised"]:
            raise ArithmeticError("lost a sign")
        return experiment.measure(cell)

    monkeypatch.setattr("identirep.experiments.structure.EXPERIMENT", replace(experiment, measure=measure))
    result = _invoke("structure", "--quick", "--out", tmp_path)
    assert result.exit_code == 1
    assert result.stdout.count("lost a sign") == 2
    assert parquet.read_table(tmp_path / "results.parquet").num_rows == 2


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_plain_and_distinct(name):
    experiment = load_experiment(name)
    for quick in (True, False):
        cells = experiment.cells(quick, None)
        assert len({cell_key(cell) for cell in cells}) == len(cells)
        assert all(isinstance(value, str | int | float | bool) for cell in cells for value in cell.values())
    assert len(experiment.cells(True, None)) < len(experiment.cells(False, None))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_quick_version_runs(name, tmp_path):
    if name == "qm9" and find_spec("qm9pack") is None:
        pytest.skip("needs the extra qm9")
    result = _invoke(name, "--quick", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "results.md").read_text()
    experiment = load_experiment(name)
    assert all(f"## {table.title}" in page for table in experiment.tables)
    assert all((tmp_path / f"{figure}.png").stat().st_size > 1000 for figure in experiment.figures)
