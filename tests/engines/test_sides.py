"""Rows of files on three sides: sizes, no row on two of them, equal rows together, and the same by any engine."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from identirep import TaskMoments
from identirep.engines import Sides, TableBlocks, sides_added, sides_of_file
from identirep.engines.blocks import Part
from identirep.engines.sides import _hashes_of_rows, _side_of_rows


def _sides(H, share, seed):
    return _side_of_rows(_hashes_of_rows(H, seed), share)


def test_sides_have_their_shares_and_depend_on_the_seed():
    H = np.random.default_rng(0).normal(size=(20_000, 3))
    sides = _sides(H, 0.2, 0)
    np.testing.assert_allclose(np.bincount(sides) / len(H), [0.4, 0.4, 0.2], atol=0.015)
    again = _sides(H, 0.2, 1)
    # Independent: as many are on one side by both seeds as by chance, 0.4^2 + 0.4^2 + 0.2^2.
    assert abs(np.mean(sides == again) - 0.36) < 0.015
    assert set(_sides(H, 0.0, 0)) == {0, 1}


def test_rows_that_differ_in_one_bit_are_drawn_anew():
    # Whole numbers differ in few bits of a double, and all in the same place.
    H = np.arange(20_000.0)[:, None]
    sides = _sides(H, 0.2, 0)
    np.testing.assert_allclose(np.bincount(sides) / len(H), [0.4, 0.4, 0.2], atol=0.015)
    assert abs(np.mean(sides[1:] == sides[:-1]) - 0.36) < 0.015


def test_equal_features_are_on_one_side():
    H = np.random.default_rng(0).normal(size=(50, 3))
    repeated = np.concatenate([H, H[::-1], -0.0 * H, 0.0 * H])
    sides = _sides(repeated, 0.3, 5)
    np.testing.assert_array_equal(sides[:50], sides[50:100][::-1])
    assert len(set(sides[100:])) == 1


@pytest.mark.parametrize("tasks", [None, "task"])
def test_sides_add_up_to_all_rows(tmp_path, same, rows, tasks):
    targets = "y*" if tasks is None else "y0"
    columns = TableBlocks(targets, tasks, "h*")
    parts = []
    for i, at in enumerate((slice(0, 500), slice(500, 510), slice(510, 1000))):
        parquet.write_table(pa.Table.from_pandas(rows.frame.iloc[at]), tmp_path / f"{i}.parquet")
        parts.append(sides_of_file(columns, tmp_path / f"{i}.parquet", f"{i}", 0.2, 0))
    sides = sides_added(parts)
    whole, half = sides.to_fit()
    expected = rows.wide if tasks is None else rows.long
    same(whole + sides.held_out.moments, expected)
    # Halves are laid out as their sum, so that what is left of it is the other half.
    assert half.task_names == whole.task_names
    np.testing.assert_array_equal(half.group, whole.group)
    rest = whole._without(half)
    place = [rest.task_names.index(name) for name in sides.second.moments.task_names]
    same(rest.select_tasks(place), sides.second.moments)
    of_one = TaskMoments.from_arrays if tasks is None else TaskMoments.from_long
    side = _sides(rows.H, 0.2, 0)
    first = (rows.Y,) if tasks is None else (rows.Y[:, 0], rows.tasks)
    found = of_one(rows.H[side == 0], *(part[side == 0] for part in first))
    np.testing.assert_allclose(np.sort(half.n_samples), np.sort(found.n_samples))


def test_without_a_first_half_there_is_none():
    empty = Part(None, "a")
    H, y = np.random.default_rng(0).normal(size=(9, 2)), np.ones((9, 1))
    full = Part(TaskMoments.from_arrays(H, y), "b", None, (0,))
    whole, half = Sides(empty, full, empty).to_fit()
    assert half is None
    assert whole.n_rows == 9
