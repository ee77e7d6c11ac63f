"""How the program ends: whose fault it was, and readers of its output that have gone."""

import json
import subprocess
import sys

import numpy as np
import pytest

from identirep.cli.faults import DEBUG_VARIABLE, fault_of
from identirep.parameters import raise_faults

_MAIN = "from identirep.cli import main; main()"
_RIDGE = ("--regressor", "ridge", "--targets", "y_1,y_2,y_3", "--features", "x*", "-d", 2, "--checks", 0)


def _program(*arguments, head="", code=_MAIN):
    """Run the program in a shell; return its status, what came out at the end, and standard error."""
    line = f'"$@" {head}; echo "status ${{PIPESTATUS[0]}}" >&2'
    call = ["bash", "-c", line, "bash", sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    *errors, last = done.stderr.splitlines()
    return int(last.removeprefix("status ")), done.stdout, "\n".join(errors)


def _fault(do, *arguments):
    try:
        do(*arguments)
    except Exception as error:
        return fault_of(error)
    raise AssertionError("it did not fail")


def test_what_we_raise_is_the_input_and_all_else_is_ours(tmp_path):
    assert _fault(raise_faults, ["X is empty: got 0 rows, expected some. Add rows."]).status == 2
    assert _fault((tmp_path / "none").read_text).status == 2
    assert _fault(_of_ours, "raise ValueError('y is bad')").status == 2
    assert _fault(_of_ours, "raise RuntimeError('training diverged')").status == 2
    assert _fault(_of_ours, "raise ImportError('needs the extra qm9')").status == 2
    assert _fault(_of_ours, "raise MemoryError").kind == "memory"
    assert _fault(_of_ours, 'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")').kind == "memory"
    # What C functions raise in our code is no message of ours.
    for code in ("int('x')", "np.zeros(2) + np.zeros(3)", "[].index(1)", "None + 1", "raise KeyError('x')", "1 / 0"):
        fault = _fault(_of_ours, code)
        assert (fault.status, fault.kind) == (1, "failure"), code
    assert _fault(np.linalg.inv, np.zeros((2, 2))).status == 1
    assert _fault(_raises_outside).status == 1


def _of_ours(code):
    exec(compile(code, "ours", "exec"), {"__name__": "identirep.invented", "np": np})


def _raises_outside():
    raise ValueError("of somebody else")


def test_a_failure_is_one_line_and_the_traceback_is_to_be_had(invoke, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.cli.runs.evaluate", lambda *_: 1 / 0)
    call = ("fit", folder / "wide.csv", *_RIDGE, "--out", tmp_path / "run")
    result = invoke(*call, "--quiet")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Failure: ZeroDivisionError inside identirep, which is not your fault (division by")
    assert f"Run it again with {DEBUG_VARIABLE}=1 for the traceback" in result.stderr
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    result = invoke(*call)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    monkeypatch.setenv(DEBUG_VARIABLE, "0")
    assert "Traceback" not in invoke(*call).stderr


def test_interrupted(invoke, folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("identirep.cli.inspecting._read_columns", stop)
    result = invoke("inspect", folder / "wide.csv", "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["error"]["kind"] == "interrupted"


@pytest.mark.slow
def test_a_reader_that_goes_ends_nothing(folder, tmp_path):
    call = ("fit", folder / "wide.csv", *_RIDGE, "--out", tmp_path / "run")
    # The reader goes before the first line is written.
    status, _, errors = _program(*call, head="| true")
    assert (status, errors) == (0, "")
    assert (tmp_path / "run" / "report.html").is_file(), "the fit came to its end"
    look = ("inspect", folder / "mixed.csv")
    for call in (look, ("--help",), (*look, "--json", "--quiet")):
        status, out, errors = _program(*call, head="| head -n 1")
        assert (status, errors, len(out.splitlines())) == (0, "", 1), call


def test_output_that_cannot_be_written_is_said(folder, tmp_path):
    if sys.platform != "linux":
        pytest.skip("/dev/full is of Linux")
    status, _, errors = _program("inspect", folder / "mixed.csv", head="> /dev/full")
    assert (status, errors) == (2, "Error: No space left on device.")


@pytest.mark.parametrize("command", ["fit", "stability", "transform", "predict", "report", "inspect", "bench", "demo"])
def test_help_names_options_and_statuses(invoke, command):
    text = " ".join(invoke(command, "--help").stdout.replace("│", " ").split())
    assert "--json" in text
    assert "--quiet" in text
    assert "Exit status: 0 done; 1 identirep failed; 2 data, files or options are wrong; 3 the check failed" in text
