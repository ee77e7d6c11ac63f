"""Places where writers work: they take turns, and what they leave when killed goes with the next write."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from identirep import IdentifiableRegressor
from identirep.directories import replaced_directory
from identirep.files import replaced_file
from identirep.scratch import scratch, taking_turns

_WRITER = """
import os, signal, sys, time
from pathlib import Path
from identirep.directories import replaced_directory
from identirep.files import replaced_file
which, path, ending = sys.argv[1:]
with {"directory": replaced_directory, "file": replaced_file}[which](Path(path)) as staging:
    (staging / "x" if which == "directory" else staging).write_text("half")
    os.kill(os.getpid(), getattr(signal, ending))
    time.sleep(30)
"""


def _killed_while_writing(which, path, ending):
    return subprocess.run([sys.executable, "-c", _WRITER, which, str(path), ending], check=False).returncode


@pytest.mark.parametrize("which", ["directory", "file"])
def test_sigterm_leaves_nothing(tmp_path, which):
    assert _killed_while_writing(which, tmp_path / "a", "SIGTERM") == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("which", ["directory", "file"])
def test_what_killed_writers_leave_goes_with_the_next_write_and_not_what_others_are_writing(model, run, which):
    assert _killed_while_writing(which, run.with_name("other"), "SIGKILL") == -signal.SIGKILL
    with replaced_file(run.with_name("table.csv")) as alive:
        alive.write_text("")
        IdentifiableRegressor.load(run)
        assert len(list(run.parent.glob(".identirep-*"))) == 2
        model.save(run)
        assert list(run.parent.glob(".identirep-*")) == [alive.parent]
    assert sorted(path.name for path in run.parent.iterdir()) == ["run", "table.csv"]


def test_writers_take_turns(run):
    started, proceed = threading.Event(), threading.Event()

    def write():
        with replaced_directory(run) as staging:
            (staging / "model.json").write_text("{}")
            started.set()
            proceed.wait()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        started.wait()
        with taking_turns(run.parent):
            proceed.set()
            time.sleep(0.2)
            assert not writing.done()
            assert (run / "model.json").stat().st_size > 2
        writing.result()
    assert (run / "model.json").read_text() == "{}"


@pytest.mark.parametrize("file", [None, "owner", "checkpoint"])
def test_what_writers_leave_that_were_killed_before_they_signed_goes_with_the_next_write(model, run, file):
    place = run.with_name(".identirep-0011223344556677")
    place.mkdir()
    if file is not None:
        (place / file).touch()
    IdentifiableRegressor.load(run)
    assert place.exists()
    model.save(run)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_place_that_is_swept_away_before_it_is_signed_is_made_once_more(tmp_path, monkeypatch):
    write, swept_once = os.write, []

    def swept_meanwhile(descriptor, data):
        if not swept_once:
            swept_once.append(True)
            (place,) = tmp_path.iterdir()
            shutil.rmtree(place)
        return write(descriptor, data)

    monkeypatch.setattr("identirep.scratch.os.write", swept_meanwhile)
    with scratch(tmp_path / "run") as place:
        assert place.is_dir()
        assert (place / "owner").read_bytes().endswith(b"run")
    assert not list(tmp_path.iterdir())


def test_sigterm_that_python_makes_another_error_of_ends_with_its_status(tmp_path):
    def terminated():
        with scratch(tmp_path / "run"):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            except SystemExit:
                raise RuntimeError("Error calling __set_name__") from None

    with pytest.raises(SystemExit) as end:
        terminated()
    assert end.value.code == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
