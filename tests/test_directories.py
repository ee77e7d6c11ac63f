"""Run directories are written all or nothing, and nothing of others is replaced."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor, persistence
from identirep.directories import check_target, replaced_directory
from identirep.files import replaced_file
from identirep.scratch import scratch, taking_turns

_FILES = {"model.safetensors", "model.json", "history.parquet"}


@pytest.fixture(scope="module")
def model():
    X, Y = np.random.default_rng(0).normal(size=(2, 60, 3))
    stage = MTRN(hidden_sizes=(4,), n_features=3, n_replicates=1, max_epochs=2)
    return IdentifiableRegressor(1, regressor=stage, n_checks=0, random_state=0).fit(X, Y)


@pytest.fixture
def run(model, tmp_path):
    model.save(tmp_path / "run")
    return tmp_path / "run"


def test_other_files_are_kept(model, run):
    (run / "report.html").write_text("page")
    model.save(run)
    assert {path.name for path in run.iterdir()} == {*_FILES, "report.html"}
    assert (run / "report.html").read_text() == "page"


def _contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_failure_while_writing_leaves_the_old_run(model, run, monkeypatch):
    before = _contents(run)
    monkeypatch.setattr("pyarrow.parquet.write_table", _fails)
    with pytest.raises(OSError, match="disk is full"):
        model.save(run)
    assert _contents(run) == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_of_the_swap_puts_the_old_run_back(run, monkeypatch, error):
    before = _contents(run)
    rename = Path.rename

    def fails_for_the_new_one(path, target):
        if path.name == "new":
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    with pytest.raises(error), replaced_directory(run) as staging:
        (staging / "history.parquet").write_text("new")
    assert _contents(run) == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_what_cannot_be_put_back_is_read_where_it_is_and_put_back_by_the_next_writer(model, run, monkeypatch):
    (run / "notes.txt").write_text("kept")
    rename = Path.rename

    def fails_after_the_first(path, target):
        return rename(path, target) if path == run else _fails()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails_after_the_first)
        with pytest.raises(OSError, match="disk is full"):
            model.save(run)
    assert not run.exists()
    left = [path.name for path in run.parent.iterdir()]
    np.testing.assert_array_equal(IdentifiableRegressor.load(run).spectrum_, model.spectrum_)
    assert [path.name for path in run.parent.iterdir()] == left
    model.save(run)
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert (run / "notes.txt").read_text() == "kept"


@pytest.mark.parametrize("name", [".run.previous", ".identirep-0011223344556677"])
def test_nothing_of_others_is_removed_whatever_its_name(model, run, name):
    other = run.with_name(name)
    (other / "old").mkdir(parents=True)
    (other / "owner").write_text("me")
    (other / "old" / "thesis.tex").write_text("years of work")
    IdentifiableRegressor.load(run)
    model.save(run)
    assert (other / "old" / "thesis.tex").read_text() == "years of work"


def test_reading_writes_nothing(run, model):
    run.parent.chmod(0o500)
    run.chmod(0o500)
    before = {path: path.stat().st_mtime_ns for path in (run.parent, run, *run.iterdir())}
    IdentifiableRegressor.load(run)
    assert {path: path.stat().st_mtime_ns for path in (run.parent, run, *run.iterdir())} == before
    run.parent.chmod(0o700)


def _fails(*_, **__):
    raise OSError("disk is full")


def test_directories_of_others_are_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds other files: got a directory that is neither empty nor a run"):
        model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "text", ['{"name": "a network of others", "format_version": 3}', '{"versions": {"identirep": "1"}}', "[1]", "x"]
)
def test_a_directory_is_ours_by_what_it_holds_not_by_the_name_of_a_file(model, tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"neither empty nor a run \(a model.json with the format_version"):
        model.save(tmp_path)
    with pytest.raises(ValueError, match="holds other files"):
        check_target(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert (tmp_path / "model.json").read_text() == text


def test_files_with_names_of_ours_that_the_run_does_not_have_are_kept(model, run):
    model.regressor_.moments_.save(run / "estimator.skops")
    before = (run / "estimator.skops").read_bytes()
    model.save(run)
    assert (run / "estimator.skops").read_bytes() == before


def test_neighbours_are_neither_copied_nor_followed(model, run):
    big, elsewhere = run / "folder" / "big.bin", run.parent / "elsewhere"
    big.parent.mkdir()
    big.write_bytes(b"0" * 1000)
    elsewhere.mkdir()
    (elsewhere / "data.csv").write_text("a,b")
    (run / "link").symlink_to(elsewhere)
    (run / "nowhere").symlink_to("missing")
    run.chmod(0o750)
    inode = big.stat().st_ino
    model.save(run)
    assert big.stat().st_ino == inode
    assert big.stat().st_nlink == 1
    assert os.readlink(run / "link") == str(elsewhere)
    assert os.readlink(run / "nowhere") == "missing"
    assert (elsewhere / "data.csv").read_text() == "a,b"
    assert run.stat().st_mode & 0o777 == 0o750


def test_a_link_to_a_run_stays_one(model, run):
    link = run.with_name("latest")
    link.symlink_to("run")
    model.save(link)
    assert os.readlink(link) == "run"
    assert {path.name for path in run.iterdir()} == _FILES
    link.unlink()
    link.symlink_to("second")
    model.save(link)
    assert {path.name for path in run.with_name("second").iterdir()} == _FILES
    link.unlink()
    link.symlink_to("latest")
    with pytest.raises(ValueError, match="circle of links"):
        model.save(link)


def test_mount_points_are_refused_before(run, monkeypatch, tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(
        f"36 35 0:32 / {run.parent}/with\\040space rw - ext4 /dev/sda rw\n36 35 0:32 / {run}/data rw - x y\n"
    )
    monkeypatch.setattr("identirep.directories._MOUNTS", table)
    with pytest.raises(ValueError, match=r"run/data' is a mount point: .* Choose another directory"):
        check_target(run)
    (run.parent / "with space").mkdir()
    with pytest.raises(ValueError, match=r"with space' is a mount point: .* Choose a directory below it"):
        check_target(run.parent / "with space")
    check_target(run.parent / "with")


def test_room_on_the_disk_is_looked_at_before(tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.directories._ROOM", 10**18)
    with pytest.raises(OSError, match=r"has no room: got .* MB free, expected at least"):
        check_target(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_to_shows_before(tmp_path, monkeypatch):
    monkeypatch.setattr("identirep.scratch.os.write", _fails)
    with pytest.raises(OSError, match="disk is full"):
        check_target(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_names_that_are_too_long_show_before(tmp_path, monkeypatch):
    # As newer versions of Python have it, which say that there is none.
    monkeypatch.setattr(Path, "is_dir", lambda path: os.path.isdir(path))
    with pytest.raises(OSError, match="too long"):
        check_target(tmp_path / ("a" * 300))
    assert not list(tmp_path.iterdir())


_WRITER = """
import os, signal, sys, time
from identirep.directories import check_target, replaced_directory
from identirep.files import replaced_file
from identirep.scratch import taking_turns
from identirep.files import replaced_file
from identirep.scratch import taking_turns
which, path, ending = sys.argv[1:]
from pathlib import Path
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


def test_a_run_that_is_replaced_while_it_is_read_is_read_again(model, run, monkeypatch):
    read, other = persistence.read_history, copy.deepcopy(model)
    other.regressor_.spectrum_ = np.full(3, 7.0)
    replacing = iter([True])

    def replaced_meanwhile(path, digest):
        found = read(path, digest)
        if next(replacing, False):
            other.save(run)
        return found

    monkeypatch.setattr(persistence, "read_history", replaced_meanwhile)
    np.testing.assert_array_equal(IdentifiableRegressor.load(run).spectrum_, np.full(3, 7.0))


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


def test_many_savers_and_readers_at_once_never_fail_and_none_sees_a_mixture(model, run):
    (run / "notes.txt").write_text("kept")
    versions = [copy.deepcopy(model) for _ in range(2)]
    for i, version in enumerate(versions):
        version.regressor_.spectrum_ = np.full(3, float(i))
        version.regressor_.history_ = [{"epoch": i}]
    versions[0].save(run)

    def save(i):
        versions[i % 2].save(run)

    def load(_):
        loaded = IdentifiableRegressor.load(run)
        return loaded.spectrum_[0] == loaded.regressor_.history_[0]["epoch"]

    with ThreadPoolExecutor(6) as pool:
        saves = [pool.submit(save, i) for i in range(60)]
        loads = [pool.submit(load, i) for i in range(60)]
        assert all(future.result() is None for future in saves)
        assert all(future.result() for future in loads)
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert {path.name for path in run.iterdir()} == {*_FILES, "notes.txt"}


def test_the_working_directory_is_not_replaced(model, run, monkeypatch):
    monkeypatch.chdir(run)
    with pytest.raises(ValueError, match="is the working directory"):
        model.save(".")


def test_files_are_not_directories(model, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(NotADirectoryError, match="run' is a file"):
        model.save(tmp_path / "run")
    with pytest.raises(NotADirectoryError, match="run' is a file"):
        model.save(tmp_path / "run" / "below")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_directories_without_permission(model, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="is not writable"):
        model.save(tmp_path / "run")


def test_parents_are_made(model, tmp_path):
    model.save(tmp_path / "a" / "b")
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == _FILES


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


def test_a_run_that_is_moved_away_while_it_is_read_is_read_where_it_is(model, run, monkeypatch):
    read = persistence.read_arrays
    with scratch(run) as place:

        def moved_meanwhile(path, digest):
            if run.exists():
                run.rename(place / "old")
            return read(path, digest)

        monkeypatch.setattr(persistence, "read_arrays", moved_meanwhile)
        loaded = IdentifiableRegressor.load(run)
    np.testing.assert_array_equal(loaded.spectrum_, model.spectrum_)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_run_that_is_put_back_while_it_is_read_is_read_again(model, run, monkeypatch):
    read, failing = persistence.read_arrays, iter([True])

    def away_for_a_moment(path, digest):
        return read(path.with_name("away") if next(failing, False) else path, digest)

    monkeypatch.setattr(persistence, "read_arrays", away_for_a_moment)
    np.testing.assert_array_equal(IdentifiableRegressor.load(run).spectrum_, model.spectrum_)


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
