"""Run directories are written all or nothing, and nothing of others is replaced."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor
from identirep.directories import replaced_directory

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


def test_a_failure_of_the_swap_puts_the_old_run_back(run, monkeypatch):
    before = _contents(run)
    rename = Path.rename

    def fails_for_the_new_one(path, target):
        return rename(path, target) if path.name in ("run", ".run.previous") else _fails()

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    with pytest.raises(OSError, match="disk is full"), replaced_directory(run) as staging:
        (staging / "history.parquet").write_text("new")
    assert _contents(run) == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_crash_between_the_renames_is_read_as_it_is_and_undone_by_the_next_writer(model, run):
    run.rename(run.with_name(".run.previous"))
    IdentifiableRegressor.load(run)
    assert [path.name for path in run.parent.iterdir()] == [".run.previous"]
    (run.with_name(".run.previous") / "notes.txt").write_text("kept")
    model.save(run)
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    assert (run / "notes.txt").read_text() == "kept"


def test_readers_leave_what_a_writer_is_about_to_remove(run):
    shutil.copytree(run, run.with_name(".run.previous"))
    IdentifiableRegressor.load(run)
    assert sorted(path.name for path in run.parent.iterdir()) == [".run.previous", "run"]


def _fails(*_, **__):
    raise OSError("disk is full")


def test_directories_of_others_are_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds other files: got a directory that is neither empty nor a run"):
        model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


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
