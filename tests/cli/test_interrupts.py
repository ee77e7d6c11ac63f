"""Commands that are cut off say what was kept, and go on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from identirep import IdentifiableRegressor, checkpoints
from identirep.checkpoint_files import checkpoints_of
from identirep.cli import using
from identirep.mtrn import training

_FIT = ("--targets", "y_*", "--features", "x*", "-d", 2, "--epochs", 6, "--replicates", 1)


@pytest.fixture(autouse=True)
def _answers_to_ctrl_c():
    """Shells let what they start in the background ignore SIGINT, and Python leaves it at that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def cut_off(monkeypatch):
    """Make a function that sends a signal to this process in an epoch of a training, counted from 1."""

    def at(epoch, number):
        run, called = training._run_epoch, [0]

        def counted(*args):
            called[0] += 1
            if called[0] == epoch:
                os.kill(os.getpid(), number)
            return run(*args)

        return mock.patch.object(training, "_run_epoch", counted)

    monkeypatch.setattr(checkpoints, "_PAUSE", 0.0)
    return at


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_machine_gets_a_document_of_its_own_kind(invoke, folder, tmp_path, monkeypatch, cut_off, number, kind):
    arguments = [str(part) for part in ("fit", folder / "wide.csv", *_FIT, "--out", tmp_path / "run", "--json")]
    monkeypatch.setattr(sys, "argv", ["identirep", *arguments])
    with cut_off(8, number):
        result = invoke(*arguments)
    document = json.loads(result.stdout)
    assert (document["exit_status"], document["error"]["kind"]) == (128 + number, kind)
    assert document["error"]["message"].startswith(f"{kind.title()}: the work is kept. Go on with: identirep fit ")
    (command,) = document["next"]
    assert shlex.split(command) == ["identirep", *arguments, "--resume"]


def _command(stderr):
    line = re.search(r"Go on with: (.*)$", stderr, re.MULTILINE)[1]
    return shlex.split(line)


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "Interrupted"), (signal.SIGTERM, "Terminated")])
def test_fit_says_what_was_kept_and_goes_on_bit_for_bit(invoke, folder, tmp_path, monkeypatch, cut_off, number, word):
    run, other = tmp_path / "it's a run", tmp_path / "other"
    arguments = [str(part) for part in ("fit", folder / "wide.csv", *_FIT, "--out", run)]
    monkeypatch.setattr(sys, "argv", ["identirep", *arguments])
    with cut_off(8, number):
        result = invoke(*arguments)
    assert result.exit_code == 128 + number
    assert result.stderr.startswith(f"{word}: the work is kept. Go on with: identirep fit ")
    assert result.stderr.count("\n") == 1
    words = _command(result.stderr)
    assert words == ["identirep", *arguments, "--resume"]
    (kept,) = tmp_path.iterdir()
    # Without --resume it is mentioned, and stays until the new fit is written.
    with cut_off(2, number):
        result = invoke(*arguments)
    assert "Work of a fit that was cut off is kept: --resume goes on from it" in result.stdout
    assert kept in tmp_path.iterdir()
    result = invoke(*words[1:])
    assert result.exit_code == 0, result.output
    assert list(tmp_path.iterdir()) == [run]
    assert invoke(*arguments[:-1], other).exit_code == 0
    for name in ("model.safetensors", "evaluation.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("out", [(), ("--out", "run")], ids=["", "out"])
def test_stability_keeps_finished_fits(invoke, folder, tmp_path, monkeypatch, cut_off, out):
    arguments = ["stability", folder / "wide.csv", *_FIT, "--fits", 4, "--checks", 0]
    whole = invoke(*arguments, "--out", tmp_path / "whole")
    arguments += out
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["identirep", *map(str, arguments)])
    with cut_off(2 * 6 + 4, signal.SIGINT):
        result = invoke(*arguments)
    assert result.exit_code == 130
    assert result.stdout.endswith("Fit 3 of 4\n")
    fitted = []
    fit = IdentifiableRegressor._fit_and_check
    monkeypatch.setattr(
        IdentifiableRegressor, "_fit_and_check", lambda *args: fitted.append(args[0].random_state) or fit(*args)
    )
    result = invoke(*_command(result.stderr)[1:])
    assert result.exit_code == 0, result.output
    assert fitted == [2, 3], "finished fits are not made again"
    assert result.stdout.split("Fit 4 of 4")[1].split("Next:")[0] in whole.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"whole", *out[1:]}
    for name in ("model.safetensors", "evaluation.json") if out else ():
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_a_checkpoint_of_other_options_is_refused_by_name_and_stays(invoke, folder, tmp_path, cut_off):
    arguments = ["fit", folder / "wide.csv", *_FIT, "--out", tmp_path / "run"]
    with cut_off(3, signal.SIGINT):
        assert invoke(*arguments).exit_code == 130
    result = invoke(*arguments, "--held-out", 0.3, "--checks", 4, "--resume")
    assert result.exit_code == 2
    assert "--held-out 0.3 (in the checkpoint 0.2); --checks 4 (in the checkpoint 2), expected" in result.stderr
    assert checkpoints_of(tmp_path / "run")
    # A new fit that fails removes nothing, one that is written does.
    assert invoke(*arguments, "--n-components", 99).exit_code == 2
    assert len(list(tmp_path.iterdir())) == 1
    assert invoke(*arguments, "--seed", 1).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_weights_are_those_of_the_checkpoint(invoke, folder, tmp_path, cut_off):
    source = csv.read_csv(folder / "wide.csv")
    table, w = tmp_path / "weighted.csv", np.random.default_rng(0).uniform(0.5, 2.0, len(source))
    csv.write_csv(source.append_column("w", pa.array(w)).append_column("v", pa.array(w[::-1])), table)
    arguments, run = ["fit", table, *_FIT, "--checks", 0], tmp_path / "run"
    with cut_off(4, signal.SIGINT):
        assert invoke(*arguments, "--weights", "w", "--out", run).exit_code == 130
    for options, got in (((), "--weights not given"), (("--weights", "v"), "--weights v")):
        result = invoke(*arguments, *options, "--out", run, "--resume")
        assert result.exit_code == 2
        assert f"{got} (in the checkpoint w)" in result.stderr
    # Other numbers in the same column are other data.
    text = table.read_text()
    other = source.append_column("w", pa.array(w + 0.1)).append_column("v", pa.array(w))
    csv.write_csv(other, table)
    result = invoke(*arguments, "--weights", "w", "--out", run, "--resume")
    assert result.exit_code == 2
    assert "sample_weight of shape" in result.stderr
    table.write_text(text)
    result = invoke(*arguments, "--weights", "w", "--out", run, "--resume")
    assert result.exit_code == 0, result.output
    assert invoke(*arguments, "--weights", "w", "--out", tmp_path / "whole").exit_code == 0
    for name in ("model.safetensors", "evaluation.json"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resume_without_a_checkpoint_starts_from_the_beginning(invoke, folder, tmp_path):
    result = invoke("fit", folder / "wide.csv", *_FIT, "--checks", 0, "--out", tmp_path / "run", "--resume")
    assert result.exit_code == 0, result.output
    assert "No checkpoint is there: the fit starts from the beginning." in result.stdout


def test_a_run_that_cannot_be_written_leaves_the_work(invoke, folder, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError("the disk has gone")

    with monkeypatch.context() as patch:
        patch.setattr("identirep.cli.runs.write_report", fails)
        result = invoke("fit", folder / "wide.csv", *_FIT, "--checks", 0, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "The work is kept. Go on with: identirep" in result.stderr
    assert checkpoints_of(tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_other_commands_end_with_the_status_of_the_signal(invoke, fitted, folder, tmp_path, monkeypatch, number):
    monkeypatch.setattr(using, "_apply", lambda *_, **__: os.kill(os.getpid(), number))
    result = invoke("transform", fitted[0], folder / "wide.csv", "--out", tmp_path / "z.csv")
    assert result.exit_code == 128 + number
    assert result.stderr.endswith("nothing was kept, and files are as they were.\n")
    result = invoke("transform", fitted[0], folder / "wide.csv", "--out", tmp_path / "z.csv", "--json")
    document = json.loads(result.stdout)
    assert document["error"]["kind"] == {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    assert "next" not in document


_PROGRAM = """
import os, sys
from identirep.cli import main
from identirep.mtrn import training
from identirep import checkpoints
checkpoints._PAUSE = checkpoints._WRITE_PAUSE = 0.0
run, called = training._run_epoch, []
def killed(*args):
    called.append(1)
    if len(called) == 4:
        os.kill(os.getpid(), 9)
    return run(*args)
training._run_epoch = killed
main()
"""


@pytest.mark.slow
def test_a_killed_fit_goes_on(invoke, folder, tmp_path):
    arguments = [str(part) for part in ("fit", folder / "wide.csv", *_FIT, "--checks", 0, "--out", tmp_path / "run")]
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    result = invoke(*arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert "No checkpoint" not in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
