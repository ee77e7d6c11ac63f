"""A file is replaced as a whole, or not at all."""

import os

import pytest

from identirep.files import replaced_file


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half():
        with replaced_file(path) as staging:
            staging.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_takes_its_place_and_is_written_under_the_same_ending(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replaced_file(path) as staging:
        assert staging.name == path.name
        staging.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_links_stay_links_and_permissions_stay(tmp_path):
    target, link = tmp_path / "real" / "table.csv", tmp_path / "table.csv"
    target.parent.mkdir()
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with replaced_file(link) as staging:
        staging.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    reader = os.open(tmp_path / "pipe.csv", os.O_RDONLY | os.O_NONBLOCK)
    with replaced_file(tmp_path / "pipe.csv") as staging:
        staging.write_text("new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert (tmp_path / "pipe.csv").is_fifo()
