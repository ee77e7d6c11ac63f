"""A file is replaced as a whole, or not at all."""

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
        assert staging.parent == tmp_path
        assert staging.suffix == ".csv"
        staging.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
