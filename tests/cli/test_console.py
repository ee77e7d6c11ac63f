"""How the command line ends when something is wrong, and what it says of itself."""

import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest
import typer
from pyarrow import parquet

from identirep import __version__
from identirep.cli import console
from identirep.cli.console import in_words_of_options

_FAST = ("--epochs", "40", "--replicates", "1")


_BAD_CALLS = [
    ("fit {f}/nothing.csv --targets y_* --out {o}/run", "DATA does not exist: got '{f}/nothing.csv'"),
    ("fit {f}/empty.csv --targets y_* --out {o}/run", "empty.csv is empty: got 0 rows"),
    ("fit {f}/notes.md --targets y_* --out {o}/run", "DATA has an unknown format: got 'notes.md'"),
    ("fit {f} --targets y_* --out {o}/run", "DATA is a directory"),
    ("fit {f}/wide.csv --targets z_* --out {o}/run", "--targets matches no column: got 'z_*'"),
    ("fit {f}/wide.csv --targets * --out {o}/run", "--features is empty"),
    ("fit {f}/long.csv --targets y --tasks asay --out {o}/run", "--tasks matches no column: got 'asay'"),
    ("fit {f}/wide.csv --targets y_* --groups batch --out {o}/run", "--groups matches no column: got 'batch'"),
    (
        "fit {f}/mixed.csv --targets y_* --no-encode --out {o}/run",
        "mixed.csv: column 'batch' is not numeric: got 'batch 0' first at row 1",
    ),
    ("fit {f}/mixed.csv --targets y_* --no-encode --out {o}/run", "Drop it with --drop 'batch' or encode it."),
    (
        "fit {f}/gap.csv --targets y_* --no-encode --out {o}/run",
        "gap.csv: column 'x2' has missing values: got 1, first at row 12",
    ),
    ("fit {f}/gap.csv --targets y_* --impute none --out {o}/run", "got missing values in 'x2' with --impute 'none'"),
    (
        "fit {f}/gap.csv --targets y_* --impute mean --no-encode --out {o}/run",
        "--no-encode does not go with --impute and --categorical",
    ),
    ("fit {f}/mixed.csv --targets y_* --categorical z --out {o}/run", "--categorical matches no column: got 'z'"),
    (
        "fit {f}/mixed.csv --targets y_* --categorical y_1 --out {o}/run",
        "--categorical has columns that are no inputs: got 'y_1'",
    ),
    ("fit {f}/wide.csv --targets y_* -d 2.5 --out {o}/run", "--n-components is not valid: got '2.5'"),
    ("fit {f}/wide.csv --targets y_* -d 0 --out {o}/run", "--n-components is not valid: got '0'"),
    (
        "fit {f}/wide.csv --targets y_* --checks 3 --out {o}/run",
        "--checks is odd: got 3, expected an even number, since halves of the rows come in pairs. Pass 2, or 0",
    ),
    ("stability {f}/wide.csv --targets y_* --checks 1", "--checks is odd: got 1, expected an even number"),
    ("fit {f}/wide.csv --targets y_* --checks -2 --out {o}/run", "Invalid value for '--checks'"),
    ("fit {f}/wide.csv --targets y_* --regressor forest --out {o}/run", "Invalid value for '--regressor'"),
    (
        "fit {f}/wide.csv --targets y_* --regressor ridge --epochs 3 --out {o}/run",
        "--replicates and --epochs are options of networks: got --regressor ridge",
    ),
    (
        "fit {f}/wide.csv --targets y_* --regressor ridge --out {o}/run",
        "--targets contains 1 missing labels: got NaN first at index",
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
    ("predict {f}/run {f}/wide.csv --out {o}/z.xls", "--out has an unknown format: got 'z.xls'"),
    ("predict {f}/run {f}/wide.csv --out {f}/wide.csv", "--out is the input"),
    ("predict {f}/run {f}/wide.csv --out {o}/nowhere/z.csv", "--out has no directory"),
    ("report {f}/others", "'{f}/others' is not a run directory"),
    ("inspect {f}/empty.csv", "empty.csv is empty"),
    ("invent {f}/wide.csv", "No such command 'invent'"),
]


@pytest.mark.parametrize(("call", "message"), _BAD_CALLS, ids=[call for call, _ in _BAD_CALLS])
@pytest.mark.usefixtures("fitted")
def test_bad_calls(invoke, folder, tmp_path, call, message):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = invoke(*(part.format(f=folder, o=tmp_path) for part in call.split()))
    assert result.exit_code == 2, result.output
    assert message.format(f=folder) in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_the_library_says_names_options():
    said = "Average over more networks, as MTRN(n_replicates=8) does; pass n_components=3; for a series, pass order=."
    expected = "Average over more networks, as --replicates 8 does; pass --n-components 3; for a series, pass --order."
    assert in_words_of_options(said) == expected
    assert in_words_of_options("fit again with n_checks=2") == "fit again with --checks 2"


def test_our_own_failures_have_another_status(invoke, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.cli.runs.evaluate", lambda *_: 1 / 0)
    result = invoke("fit", folder / "wide.csv", "--targets", "y_*", "-d", 2, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 1
    assert "ZeroDivisionError inside identirep, which is not your fault" in result.stderr
    # A fit that took long is kept to go on from, beside a run that is not there.
    assert not (tmp_path / "run").exists()


def test_numerical_errors_deep_inside_are_not_the_users_fault(invoke, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.cli.runs.evaluate", lambda *_: np.linalg.inv(np.zeros((2, 2))))
    result = invoke("fit", folder / "wide.csv", "--targets", "y_*", "-d", 2, "--out", tmp_path / "run", *_FAST)
    assert result.exit_code == 1
    assert "LinAlgError inside identirep" in result.stderr


@pytest.mark.parametrize("command", ["fit", "transform", "predict", "stability", "report", "inspect", "demo"])
def test_help_explains_with_an_example(invoke, command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"Example: identirep {command}" in result.stdout


def test_version(invoke):
    assert invoke("--version").stdout.strip() == f"identirep {__version__}"


_HOSTILE = "\x1b[31m[/red]\x9b2J\u202e:smile:\r"


def test_names_reach_the_terminal_without_what_it_obeys(invoke, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    columns = [*x.T, *(x @ rng.normal(size=(2, 3))).T]
    names = [f"x0{_HOSTILE}", f"{_HOSTILE}[bold]x1", f"y_1{_HOSTILE}", "y_2[red]", "y_3\nbreak"]
    columns[3][5] = -9999
    path = tmp_path / f"[bold]{_HOSTILE}.parquet".replace("/", "")
    parquet.write_table(pa.table(columns, names=names), path)
    run = tmp_path / "[italic]\x1b]0;run\x07"
    fit = ("fit", path, "--targets", "y_*", "-d", 1, "--out", run, "--epochs", 5, "--replicates", 1, "--checks", 0)
    calls = [("inspect", path), fit, ("transform", run, path, "--out", tmp_path / "\x1b]0;run.csv"), ("report", run)]
    calls += [("fit", path, "--targets", f"{_HOSTILE}*", "--out", run), ("inspect", tmp_path / f"{_HOSTILE}.csv")]
    for call in calls:
        result = invoke(*call)
        assert result.exit_code == (2 if call in calls[-2:] else 0), result.output
        assert not set(result.output) & set("\x1b\x9b\u202e\r\x07")
        assert "\\x1b[31m" in result.output or "\\x1b]0;run" in result.output
    assert "y_2[red]" in invoke("inspect", path).output


def test_warnings_progress_and_failures_are_printable(capsys):
    with console.progress(1) as advance:
        advance(_HOSTILE)
    with console.working(_HOSTILE):
        pass

    @console.reports_faults
    def command():
        warnings.warn(_HOSTILE, stacklevel=1)
        raise KeyError(_HOSTILE)

    with pytest.raises(typer.Exit):
        command()
    shown = capsys.readouterr()
    assert "\x9b" not in shown.out + shown.err
    assert "\\x1b[31m[/red]" in shown.err


def test_suggested_commands_bring_names_back(invoke, tmp_path):
    rng = np.random.default_rng(0)
    names = ["a'b", "c d", "\x1b[1m", "line\nbreak", "$(touch x)", "-lead", "y_1", "y_2", "y_3"]
    columns = [pa.array([f"v{i % 20}" for i in range(30)]) for _ in names[:6]] + list(rng.normal(size=(3, 30)))
    path = tmp_path / "my 'data'.parquet"
    parquet.write_table(pa.table([*columns, rng.normal(size=30)], names=[*names, "x"]), path)
    command = invoke("inspect", path).output.split("want explained: ")[1]
    shell = ["bash", "-c", f"printf '%s\\0' {command}"]
    words = subprocess.run(shell, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.split("\0")
    assert words[2] == str(path)
    assert words[words.index("--groups") + 1] == names[0]
    assert words[words.index("--drop") + 1] == ",".join(names[1:6])


def test_help_comes_at_once():
    script = (
        "import sys, time; start = time.perf_counter()\n"
        "from identirep.cli import main\n"
        "sys.argv = ['identirep', '--help']\n"
        "try: main()\n"
        "finally: print(time.perf_counter() - start, {'torch', 'numpy', 'jinja2'} & set(sys.modules), file=sys.stderr)"
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
