"""plan: from a pilot that is a table or a run, or from the number of latents alone; wrong use ends with status 2."""

import json

import pyarrow as pa
import pyarrow.compute
import pytest
from pyarrow import csv

from identirep.datasets import make_linear_tasks

_PILOT = ("--targets", "y", "--tasks", "assay", "--rows", 100)


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    data = make_linear_tasks(12, 20, 3, 1, mixing="orthogonal", observation_noise=0.0, random_state=0)
    columns = {f"h{i}": data.H[:, i] for i in range(3)} | {"y": data.y, "assay": [f"a{t}" for t in data.tasks]}
    path = tmp_path_factory.mktemp("plans") / "pilot.csv"
    csv.write_csv(pa.table(columns), path)
    return path


def test_a_table_is_a_pilot(invoke, pilot):
    result = invoke("plan", pilot, *_PILOT)
    assert result.exit_code == 0, result.output
    assert "a pilot of 12 tasks of 20 rows, 3 latents" in result.stdout
    assert "3 features, taken as they are" in result.stdout
    assert "tasks, at least" in result.stdout


def test_a_run_is_a_pilot_of_the_rows_to_come_back(invoke, fitted):
    result = invoke("plan", fitted[0], "--target", 0.99999, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["tasks_needed"], found["rows_needed"], found["pilot"]) == ([], [], str(fitted[0]))
    assert len(found["rows_to_come_back"]) == 3
    assert min(found["rows_to_come_back"]) > found["pilot_rows"]
    assert "not to be causal latents" in found["remarks"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", 20), "got neither PILOT nor --n-components"),
        (("-d", 4, "--causes", 5), "--causes is too large: got 5"),
        (("-d", 4, "--rows", "20;50"), "--rows is not valid: got '20;50'"),
        (("-d", 4, "--rows", "2"), "expected whole numbers from 3 to 99999"),
        (("-d", 4, "--n-tasks", "x"), "--n-tasks is not valid"),
        (("-d", 4, "--target", 1), "target is not valid: got 1.0"),
        (("-d", 4, "--tasks", "assay"), "--tasks is of a table: got it with no PILOT"),
        (("{pilot}", "--targets", "y"), "got no --targets or no --tasks"),
        (("{pilot}", "--targets", "y", "--tasks", "assay", "--noise", 0.1), "--noise is for plans without a pilot"),
        (("{run}", "-d", 4), "--n-components is not for a run"),
        (("{run}", "--missing", "?"), "--missing is not for a run"),
        (("nothing.csv", "--targets", "y", "--tasks", "assay"), "does not exist: got 'nothing.csv'"),
    ],
)
def test_wrong_use_is_explained(invoke, pilot, fitted, arguments, message):
    named = [str(argument).format(pilot=pilot, run=fitted[0]) for argument in arguments]
    result = invoke("plan", *named)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_inspect_says_where_tasks_are_too_few(invoke, pilot, tmp_path):
    table = csv.read_csv(pilot)
    few = table.filter(pa.compute.is_in(table["assay"], pa.array([f"a{t}" for t in range(4)])))
    csv.write_csv(few, tmp_path / "few.csv")
    options = ("--targets", "y", "--tasks", "assay")
    assert "Too few tasks" not in invoke("inspect", pilot, *options).output
    said = " ".join(invoke("inspect", tmp_path / "few.csv", *options).output.split())
    assert "Too few tasks to tell latents apart: got 4 of 20 rows, expected at least 8" in said
