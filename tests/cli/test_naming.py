"""Commands about single axes: name, describe."""

import json
import re
import shlex
import shutil

import pyarrow as pa
import pytest
from pyarrow import csv

from identirep import IdentifiableRegressor


@pytest.fixture
def run(fitted, tmp_path):
    shutil.copytree(fitted[0], tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    return tmp_path / "run"


def _contents(run):
    return {path.name: path.read_bytes() for path in run.iterdir()}


def test_names_are_used_by_all_that_show_latents(invoke, run, folder, tmp_path):
    scores = (run / "evaluation.json").read_bytes()
    result = invoke("name", run, "0=fusion_heat", "2=thermal conductivity")
    assert result.exit_code == 0, result.output
    assert "0  fusion_heat" in result.stdout
    assert IdentifiableRegressor.load(run).latent_names_ == ("fusion_heat", "latent_1", "thermal conductivity")
    assert invoke("transform", run, folder / "wide.csv", "--out", tmp_path / "z.csv").exit_code == 0
    expected = ["fusion_heat", "latent_1", "thermal conductivity"]
    assert csv.read_csv(tmp_path / "z.csv").column_names == expected
    assert ">0 fusion_heat</h3>" in (run / "report.html").read_text(encoding="utf-8")
    assert (run / "evaluation.json").read_bytes() == scores
    assert (run / "notes.txt").read_text() == "mine"
    assert invoke("name", run, "0=").exit_code == 0
    assert IdentifiableRegressor.load(run).latent_names_ == ("latent_0", "latent_1", "thermal conductivity")


def test_latents_are_the_same_after_naming(invoke, run, folder, tmp_path):
    assert invoke("transform", run, folder / "wide.csv", "--out", tmp_path / "before.csv").exit_code == 0
    assert invoke("name", run, "1=density").exit_code == 0
    assert invoke("transform", run, folder / "wide.csv", "--out", tmp_path / "after.csv").exit_code == 0
    before, after = (csv.read_csv(tmp_path / f"{when}.csv") for when in ("before", "after"))
    assert [column.to_pylist() for column in before.columns] == [column.to_pylist() for column in after.columns]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["9=density"], "names has an unknown latent: got 9, expected a number from 0 to 2"),
        (["0=density", "1=density"], "names is not unique: got 'density' for latents 0 and 1"),
        (["0=density", "1=latent_2"], "names is not unique: got 'latent_2'"),
        (["0=density", "0=price"], "got latent 0 twice"),
        (["density"], "LATENT=NAME is not valid: got 'density'"),
        (["density=0"], "LATENT=NAME is not valid: got 'density=0'"),
        (["0=a\x1b[2J"], "names is not printable for latent 0: got 'a\\x1b[2J'"),
    ],
)
def test_bad_names_change_nothing(invoke, run, names, message):
    before = _contents(run)
    result = invoke("name", run, *names)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert _contents(run) == before


def test_names_are_shown(invoke, run):
    before = _contents(run)
    result = invoke("name", run)
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [[str(i), f"latent_{i}"] for i in range(3)]
    assert _contents(run) == before


@pytest.mark.parametrize("command", ["name", "describe"])
def test_runs_that_are_none_or_of_another_version(invoke, run, folder, command):
    result = invoke(command, folder / "others")
    assert result.exit_code == 2
    assert "is not a run directory" in result.stderr
    document = json.loads((run / "model.json").read_bytes())
    (run / "model.json").write_text(json.dumps(document | {"format_version": 99}))
    result = invoke(command, run, *(["0=density"] if command == "name" else []))
    assert result.exit_code == 2
    assert "has a newer format: got version 99" in result.stderr


def test_describe_suggests_what_axes_are(invoke, run, folder):
    result = invoke("describe", run)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n  targets: ") == 3
    assert "inputs" not in result.stdout
    rows = csv.read_csv(folder / "wide.csv")
    labelled = rows.append_column("alloy", pa.array([f"alloy {i}" for i in range(len(rows))]))
    csv.write_csv(labelled, run.parent / "labelled.csv")
    result = invoke("describe", run, run.parent / "labelled.csv", "--labels", "alloy")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("inputs:  x") == 3
    assert result.stdout.count(" alloy ") == 18
    # Rows are counted from 1, as in all messages about tables.
    ends = re.findall(r"row (\d+) alloy (\d+)", result.stdout)
    assert len(ends) == 18
    assert all(int(row) == int(label) + 1 for row, label in ends)
    document = json.loads(invoke("describe", run, run.parent / "labelled.csv", "--labels", "alloy", "--json").stdout)
    assert all(f"alloy {end['row'] - 1}" == end["label"] for axis in document["latents"] for end in axis["lowest"])
    assert "row 0" not in invoke("name", run).stdout


def test_describe_prints_a_command_that_names(invoke, run):
    printed = invoke("describe", run).stdout
    assert "To name those that come back" in printed
    arguments = shlex.split(printed[printed.rindex("identirep name") :])
    assert invoke(*arguments[1:]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["long.csv"], "lacks 2 of the 5 inputs of the model"),
        (["nothing.csv"], "nothing.csv"),
        (["wide.csv", "--labels", "none"], "none"),
    ],
)
def test_bad_data_of_describe(invoke, run, folder, arguments, message):
    result = invoke("describe", run, folder / arguments[0], *arguments[1:])
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_labels_need_a_table(invoke, run):
    result = invoke("describe", run, "--labels", "alloy")
    assert result.exit_code == 2
    assert "got no DATA" in result.stderr
