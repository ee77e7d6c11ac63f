"""Run directories are written all or nothing, and nothing of others is replaced."""

import copy
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from identirep import IdentifiableRegressor
from identirep.directories import check_target, replaced_directory

_FILES = {"model.safetensors", "model.json", "history.parquet"}


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


def test_many_savers_and_readers_at_once_never_fail_and_none_sees_a_mixture(model, run):
    (run / "notes.txt").write_text("kept")
    versions = [copy.deepcopy(model) for _ in range(2)]
    for i, version in enumerate(versions):
        version.regressor_.spectrum_ = np.full(3, float(i))
        version.regressor_.history_ = [{"replicate": 0, "epoch": i, "validation_loss": 1.0}]
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
