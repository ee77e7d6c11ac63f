"""--json: one document on standard output, with the keys that docs/json.md lists, and nothing else; --quiet."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from typer.main import get_command

from identirep.cli import app
from identirep.cli.answers import as_document
from identirep.mtlcm import VERDICTS

_PAGE = Path(__file__).parents[2] / "docs" / "json.md"
_RIDGE = ("--regressor", "ridge", "--targets", "y_1,y_2,y_3,y_4", "--features", "x*", "-d", 2)
_COMMANDS = ["fit", "stability", "demo", "report", "transform", "predict", "inspect", "bench"]
_COMMANDS += ["compare", "name", "describe", "export", "plan"]


def _documented():
    """Read the keys of each section of the page, with those that it takes over from another."""
    keys = {}
    for section in _PAGE.read_text(encoding="utf-8").split("\n# ")[0].split("\n## ")[1:]:
        title, text = section.split("\n", 1)
        keys[title] = set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE))
        if found := re.search(r"^All keys of `(\w+)`( but [^,.;]*)?[,.]", text, flags=re.MULTILINE):
            others = tuple(re.findall(r"`(\w+)`", found[2] or ""))
            keys[title] |= {key for key in keys[found[1]] if not key.startswith(others)}
    return keys


def _paths(value, path=""):
    """List the paths of all that is no object, or list of objects, in a document."""
    if isinstance(value, dict):
        return {each for key, entry in value.items() for each in _paths(entry, f"{path}.{key}" if path else key)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {each for entry in value for each in _paths(entry, f"{path}[]")}
    return {path}


@pytest.fixture(scope="module")
def documents(invoke, fitted, folder, tmp_path_factory):
    """A document of each command that has all of its keys."""
    place = tmp_path_factory.mktemp("answers")
    run = place / "run"
    shutil.copytree(fitted[0], run)
    wide, mixed = folder / "wide.csv", folder / "mixed.csv"
    ridge = ("--regressor", "ridge", "--targets", "y_1,y_2,y_3,y_4", "-d", 2, "--drop", "y_0,y_5,y_6,y_7,strain*,<b>*")
    ends = csv.read_csv(wide).to_pandas()
    ends.loc[4, "x0"] = 1e6
    ends["alloy"] = [f"alloy {i}" for i in range(len(ends))]
    csv.write_csv(pa.Table.from_pandas(ends, preserve_index=False), place / "ends.csv")
    # With fewer latents than the other run it lacks axes of it.
    shutil.copytree(run, place / "old")
    calls = {
        "fit": ("fit", mixed, *ridge, "--drop", "batch,same", "--like", run, "--out", place / "fit"),
        "stability": ("stability", mixed, *ridge, "--fits", 2, "--drop", "batch,same", "--checks", 0),
        "report": ("report", run),
        "transform": ("transform", run, place / "ends.csv", "--out", place / "z.parquet", "--check"),
        "predict": ("predict", run, wide, "--out", place / "y.csv"),
        "inspect": ("inspect", mixed),
        "export": ("export", run, "--out", place / "run.pt2"),
        "bench": ("bench", "structure", "--quick", "--only", "n=100", "--out", place / "bench"),
        "name": ("name", place / "old", "1=density"),
        "describe": ("describe", place / "old", place / "ends.csv", "--labels", "alloy"),
        "compare": ("compare", place / "fit", run, wide),
        "plan": ("plan", "-d", 3, "--causes", 1, "--rows", 100, "--n-tasks", 10),
        "compare one": ("compare", run, place / "ends.csv"),
    }
    found = {}
    for name, call in calls.items():
        result = invoke(*call, "--json")
        assert result.exit_code == 0, result.output
        found[name] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("command", [name for name in _COMMANDS if name != "demo"])
def test_documented_keys_are_those_that_are_there(documents, command):
    documented = _documented()
    expected = documented["All commands"] | documented[command]
    if command == "bench":
        expected = {key for key in expected if not key.startswith("failed[]")} | {"failed"}
    paths = _paths(documents[command])
    if command == "compare":
        # Of several runs, and of one alone.
        paths = (paths - {"drift"}) | (_paths(documents["compare one"]) - {"runs"})
    assert paths == expected
    assert documents[command]["command"] == command
    assert (documents[command]["format_version"], documents[command]["exit_status"]) == (1, 0)


def test_every_command_is_documented_and_has_the_options():
    commands = get_command(app).commands
    documented = _documented()
    for name, command in commands.items():
        assert name in documented, f"docs/json.md has no section on {name}"
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--quiet"} <= options
    assert documented["demo"] > documented["stability"]
    assert set(_COMMANDS) <= set(commands)


def test_documents_hold_what_was_found(documents):
    fit, table = documents["fit"], documents["inspect"]
    assert fit["data"] | {"n_inputs": 5, "grouped_by": None, "layout": "wide"} == fit["data"]
    assert fit["data"]["n_training_rows"] + fit["data"]["n_held_out_rows"] == 300
    assert (fit["n_latents"], fit["n_targets"], fit["signal"]) == (2, 4, "found")
    assert sum(fit["verdicts"].values()) == 2
    assert set(fit["verdicts"]) == set(VERDICTS)
    assert fit["left_out"] == [{"column": "id", "reason": fit["left_out"][0]["reason"]}]
    assert any("Left out of the inputs: 'id'" in remark for remark in fit["remarks"])
    assert fit["written"] == [fit["run"]]
    assert [command.split()[0] for command in fit["next"]] == ["open", "identirep"]
    assert 0.8 < fit["scores"]["median_r2"] <= 1
    assert [latent["name"] for latent in fit["latents"]] == ["latent_0", "latent_1"]
    assert fit["latents"][0]["expected_mcc"] is None
    assert documents["stability"]["latents"][0]["comes_back"]["other_rows"] is None
    assert documents["stability"]["agreement"]["seeds"] == [0, 1]
    assert documents["stability"]["agreement"]["strong_mcc"][0][0] == pytest.approx(1.0)
    names = [column["name"] for column in table["columns"]]
    assert {"strain, max", "<b>hardness</b>", "batch"} < set(names)
    assert (table["n_rows"], table["n_columns"]) == (300, len(names))
    assert table["next"][0].startswith("identirep fit ")
    assert documents["transform"]["columns"] == ["latent_0", "latent_1", "latent_2"]
    assert documents["predict"]["columns"][-2:] == ["strain, max", "<b>hardness</b>"]


def test_no_signal_is_a_failed_check_and_a_whole_document(invoke, folder, tmp_path):
    ridge = ("--regressor", "ridge", "--targets", "y_*", "-d", 2, "--checks", 0)
    for command in (("fit", "--out", tmp_path / "run"), ("stability", "--fits", 2)):
        result = invoke(command[0], folder / "noise.csv", *command[1:], *ridge, "--json")
        document = json.loads(result.stdout)
        assert (result.exit_code, document["exit_status"], document["signal"]) == (3, 3, "none")
        assert document.get("agreement") is None
        assert not any("transform" in each for each in document["next"])
    assert (tmp_path / "run" / "report.html").is_file()


_BAD = [
    ("inspect {f}/empty.csv", 2, "input", "inspect", "empty.csv is empty: got 0 rows"),
    ("inspect", 2, "usage", "inspect", "Missing argument 'DATA'"),
    ("fit {f}/wide.csv --checks many", 2, "usage", "fit", "Invalid value for '--checks'"),
    ("invent {f}/wide.csv", 2, "usage", None, "No such command 'invent'"),
    ("report {f}/others", 2, "input", "report", "is not a run directory"),
    ("bench linaer", 2, "input", "bench", "expected one of linear, nonlinear"),
]


@pytest.mark.parametrize(("call", "status", "kind", "command", "message"), _BAD, ids=[call[0] for call in _BAD])
def test_faults_are_documents_too(invoke, folder, call, status, kind, command, message):
    result = invoke(*(part.format(f=folder) for part in call.split()), "--json")
    document = json.loads(result.stdout)
    documented = _documented()
    assert _paths(document) == (documented["All commands"] | documented["error"]) - {"next"}
    assert (result.exit_code, document["exit_status"]) == (status, status)
    assert (document["error"]["kind"], document["command"]) == (kind, command)
    assert message in document["error"]["message"]
    assert result.stderr != ""


def test_our_failures_are_documents_too(invoke, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.cli.runs.evaluate", lambda *_: 1 / 0)
    result = invoke("fit", folder / "wide.csv", *_RIDGE, "--out", tmp_path / "run", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["error"]["kind"]) == (1, "failure")
    assert "ZeroDivisionError" in document["error"]["message"]


def test_what_others_print_does_not_come_between(invoke, folder, tmp_path, monkeypatch):
    from identirep.cli import runs

    evaluate = runs.evaluate

    def talks(*arguments):
        print("hello")  # noqa: T201
        return evaluate(*arguments)

    monkeypatch.setattr(runs, "evaluate", talks)
    result = invoke("fit", folder / "wide.csv", *_RIDGE, "--checks", 0, "--out", tmp_path / "run", "--json")
    assert json.loads(result.stdout)["command"] == "fit"
    assert "hello" in result.stderr
    assert "wide.csv: 300 rows" in result.stderr


def test_quiet_says_nothing_but_errors(invoke, fitted, folder, tmp_path):
    wide = folder / "wide.csv"
    calls = [
        ("fit", wide, *_RIDGE, "--missing", "?", "--out", tmp_path / "run"),
        ("stability", wide, *_RIDGE, "--fits", 2, "--checks", 0),
        ("report", fitted[0]),
        ("transform", fitted[0], wide, "--out", tmp_path / "z.csv"),
        ("predict", fitted[0], wide, "--out", tmp_path / "y.csv"),
        ("inspect", folder / "mixed.csv"),
        ("bench", "structure", "--quick", "--only", "n=100", "--out", tmp_path / "bench"),
    ]
    for call in calls:
        result = invoke(*call, "--quiet")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", ""), call
    result = invoke("inspect", folder / "empty.csv", "--quiet")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: empty.csv is empty")
    result = invoke("inspect", folder / "mixed.csv", "--quiet", "--json")
    assert (json.loads(result.stdout)["n_rows"], result.stderr) == (300, "")
    assert "mixed.csv" in invoke("inspect", folder / "mixed.csv").stdout, "the next command speaks again"


def test_names_come_back_from_a_document_whatever_they_hold():
    name = "\x1b[31m[bold]\u202e'\"\udcff:smile:\n"
    document = {"a": name, "b": [np.nan, np.inf, np.float64(0.5)], "c": np.array([[1, 2]]), "d": Path("x"), "e": None}
    text = as_document(document)
    assert text.isascii()
    assert "\x1b" not in text
    back = json.loads(text)
    assert back == {"a": name, "b": [None, None, 0.5], "c": [[1, 2]], "d": "x", "e": None}
    assert json.loads(as_document({"b": np.bool_(True), "f": np.float32("nan"), "i": np.int64(3)})) == {
        "b": True,
        "f": None,
        "i": 3,
    }
