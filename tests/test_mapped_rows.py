"""Matrices on disk index as those in memory do, hold no more memory than asked for, and need room that is there."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from identirep import mapped_rows
from identirep.mapped_rows import MappedFile, RowWriter, check_room, some_rows


@pytest.fixture(scope="module", params=[False, True], ids=["by row", "by column"])
def written(tmp_path_factory, request):
    path, values = tmp_path_factory.mktemp("rows") / "rows.arrow", np.random.default_rng(0).normal(size=(20_000, 3))
    columns = {"x": (3, np.float64), "single": (1, np.float32)}
    with RowWriter(path, columns, by_column={"x"} if request.param else ()) as writer:
        for start in range(0, len(values), 3_300):
            block = values[start : start + 3_300]
            writer.write(x=block, single=block[:, :1].astype(np.float32))
    return MappedFile(path).rows("x"), values, MappedFile(path).rows("single")


def test_blocks_of_any_size_come_back(written):
    rows, values, single = written
    assert rows.shape == values.shape
    assert np.array_equal(np.asarray(rows), values)
    assert np.array_equal(single.column(0), values[:, 0].astype(np.float32))


def test_slices_and_columns_are_arrays_and_rows_are_views(written):
    rows, values, _ = written
    rng = np.random.default_rng(1)
    mask, places = rng.random(len(values)) < 0.5, rng.permutation(len(values))
    assert np.array_equal(rows[8_190:8_200], values[8_190:8_200])
    assert np.array_equal(rows[:, 1], values[:, 1])
    assert np.array_equal(rows[places[:50], 2], values[places[:50], 2])
    assert np.array_equal(np.column_stack(list(rows[mask].T)), values[mask])
    view, expected = rows[mask][places[places < mask.sum()]], values[mask][places[places < mask.sum()]]
    assert np.array_equal(np.concatenate(list(view.blocks())), expected)
    assert np.array_equal(np.asarray(view[:, [2, 0]]), expected[:, [2, 0]])


def test_limits_follow_views_and_add_up(written):
    rows, values, _ = written
    low, high = np.array([-1.0, -np.inf, -2.0]), np.array([1.0, np.inf, 0.5])
    view = rows.limited(low, high)[np.arange(10, 200, 3)]
    assert np.array_equal(np.asarray(view), np.clip(values[10:200:3], low, high))
    both = view.limited(np.full(3, -np.inf), np.array([0.2, 0.1, np.inf]))
    assert np.array_equal(np.asarray(both), np.clip(np.clip(values[10:200:3], low, high), -np.inf, [0.2, 0.1, np.inf]))
    assert np.array_equal(np.asarray(both[:, [1]])[:, 0], np.asarray(both)[:, 1])


def test_no_array_of_everything_by_the_way(written, monkeypatch):
    monkeypatch.setattr(mapped_rows, "_MOST_BYTES", 1000)
    with pytest.raises(MemoryError, match=r"got 20,000 rows of .* GiB where all are needed at once"):
        np.isnan(written[0])
    assert np.asarray(written[0][np.arange(40)]).shape == (40, 3)


def test_pages_are_given_back(written, monkeypatch):
    rows, values, _ = written
    monkeypatch.setattr(mapped_rows, "_MOST_MAPPED", 2**17)
    released = []
    monkeypatch.setattr(MappedFile, "release", lambda self: released.append(self._n_mapped))
    places = np.random.default_rng(2).permutation(len(values))[:100]
    assert np.array_equal(rows.read(places), values[places])
    assert released


def test_some_rows_are_runs_from_all_over():
    assert np.array_equal(some_rows(100, 1000), np.arange(100))
    found = some_rows(100_000, 2_048)
    assert len(np.unique(found)) == 2_048
    assert found.min() == 0
    assert found.max() == 99_999
    assert np.sum(np.diff(found) != 1) == 7


def test_room_is_looked_at_before(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    check_room(tmp_path, 2**20)
    with pytest.raises(OSError, match="scratch has too little room: got 0"):
        RowWriter(tmp_path / "rows.arrow", {"x": (2, np.float64)}, n_rows=2**17)
    assert not list(tmp_path.iterdir())
