"""What is printed for a shell: each command runs as it is printed, whatever the names in it hold."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from identirep.cli.words import error_in_words, in_words_of_options, quoted, quoted_path

_NAMES = [
    "my data",
    "it's; touch hit",
    "$(touch hit)",
    "`touch hit`",
    '"a" & b | c > hit',
    "-lead",
    "--out",
    "new\nline",
    "\x1b[1mbold\x9b\u202e",
    "back\\slash\\x41'",
    "~",
    "a*[b]?",
    "#c !d {e,f}",
    "Über",
    "\udcff\udc80x",
]


def _run(script, folder):
    """Run a script by bash, with programs that write down how they were called; return the calls."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    for name in ("identirep", "open"):
        program = place / name
        program.write_text(
            f"#!{sys.executable}\nimport json, sys\n"
            f"with open({str(folder / 'calls')!r}, 'a') as file:\n"
            f"    file.write(json.dumps([{name!r}, *sys.argv[1:]]) + '\\n')\n"
        )
        program.chmod(0o755)
    environment = os.environ | {"PATH": f"{place}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    work = folder / "work"
    before = set(work.iterdir())
    subprocess.run(["bash", "-c", script], check=True, cwd=work, env=environment)
    assert set(work.iterdir()) == before, "nothing but the command has run"
    calls = (folder / "calls").read_text().splitlines()
    (folder / "calls").unlink()
    return [json.loads(call) for call in calls]


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize("name", _NAMES, ids=ascii)
def test_names_come_back_from_a_shell(work, name):
    (call,) = _run(f"identirep {quoted_path(name)} --drop {quoted(name)}", work)
    assert call == ["identirep", f"./{name}" if name.startswith("-") else name, "--drop", name]


@pytest.mark.parametrize("name", [name for name in _NAMES if "\udcff" not in name], ids=ascii)
def test_what_fit_prints_runs_as_printed(invoke, columns, work, name):
    table = pa.table({key: columns[key][:100] for key in ("x0", "x1", "x2", "y_1", "y_2", "y_3")})
    gaps = pa.array(["?" if i in (3, 5) else repr(float(value)) for i, value in enumerate(columns["y_4"][:100])])
    csv.write_csv(table.append_column("y_4", gaps), f"./{name}.csv")
    options = ("--targets", "y_1,y_2,y_3", "--drop", "y_4", "--missing", "?", "--missing", "-5,-6", "-d", 2)
    run = ("--regressor", "ridge", "--checks", 0, "--out", f"{name} run")
    result = invoke("fit", f"./{name}.csv", *options, *run)
    assert result.exit_code == 0, result.output
    printed = re.search(r"^Next: (.*?)\n      (identirep .*)\n", result.stdout, flags=re.MULTILINE)
    opened, transform = _run("\n".join(printed.groups()), work)
    assert opened[0] == "open"
    assert os.path.isfile(opened[1])
    assert transform[:2] == ["identirep", "transform"]
    # A value that starts with a dash is joined to its option.
    assert transform[transform.index("--missing") + 1] == "?"
    assert "--missing=-5,-6" in transform
    result = invoke(*transform[1:])
    assert result.exit_code == 0, result.output
    assert csv.read_csv("latents.csv").num_rows == 100


def test_latents_do_not_replace_the_table(invoke, columns, work):
    csv.write_csv(
        pa.table({key: columns[key] for key in columns if key.startswith(("x", "y_1", "y_2"))}), "latents.csv"
    )
    options = ("--targets", "y_1,y_2", "-d", 1, "--regressor", "ridge", "--checks", 0, "--out", "run", "--json")
    result = invoke("fit", "latents.csv", *options)
    assert result.exit_code == 0, result.output
    _, transform = json.loads(result.stdout)["next"]
    (call,) = _run(transform, work)
    assert invoke(*call[1:]).exit_code == 0


@pytest.mark.parametrize("name", [name for name in _NAMES if not re.search(r"[*?\[]|\udcff", name)], ids=ascii)
def test_what_inspect_prints_runs_as_printed(invoke, work, name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    Y = X @ rng.normal(size=(2, 3)) + 0.01 * rng.normal(size=(60, 3))
    data = {"x0": X[:, 0], "x1": X[:, 1], f"{name} id": [f"row {i}" for i in range(60)], name: ["same"] * 60}
    data |= {f"y_{t}": Y[:, t] for t in range(3)}
    parquet.write_table(pa.table(data), f"./{name}.parquet")
    result = invoke("inspect", f"./{name}.parquet", "--missing", "-7")
    assert result.exit_code == 0, result.output
    (call,) = _run(result.stdout.split("want explained: ")[1], work)
    result = invoke(*call[1:], "--regressor", "ridge", "--checks", 0, "-d", 1)
    assert result.exit_code == 0, result.output
    assert "60 rows, 2 inputs, 3 targets" in result.stdout


@pytest.mark.parametrize("name", _NAMES, ids=ascii)
def test_options_in_messages_are_quoted(work, name):
    message = in_words_of_options(f"Drop it with drop={name!r} or encode it.")
    (call,) = _run(f"identirep {message.removeprefix('Drop it with ').removesuffix(' or encode it.')}", work)
    assert call == ["identirep", "--drop", name]


def test_a_list_of_columns_is_asked_for_by_a_command_that_runs(invoke, columns, work):
    name = "it's; $(touch hit).csv"
    csv.write_csv(pa.table({key: columns[key] for key in ("x0", "y_1", "y_2")}), name)
    result = invoke("fit", name, "--targets", "y_*", "--groups", "batch", "--out", "run")
    assert result.exit_code == 2
    (call,) = _run(result.stderr.split("To list them: ")[1], work)
    assert call == ["identirep", "inspect", name]


def test_messages_keep_what_is_no_option():
    text = "expected CSV (.csv, .tsv, also .gz); pass order=. Or n_components=3, missing='-9999', drop=COLUMN."
    expected = (
        "expected CSV (.csv, .tsv, also .gz); pass --order. Or --n-components 3, --missing '-9999', --drop COLUMN."
    )
    assert in_words_of_options(text) == expected
    assert (
        error_in_words("targets matches no column\n  1. path is empty")
        == "--targets matches no column\n  1. path is empty"
    )


def test_the_network_is_advised_by_its_option(invoke, folder, tmp_path):
    result = invoke("fit", folder / "wide.csv", "--targets", "y_*", "--regressor", "ridge", "--out", tmp_path / "run")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "--targets contains 1 missing labels" in said
    assert "Use --regressor mtrn, or drop rows or tasks." in said
    assert "MTRN" not in said
    assert error_in_words("Pass MTRN(max_epochs=3)") == "Pass MTRN(max_epochs=3)"
