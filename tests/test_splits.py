"""Splits keep together what belongs together, and apart what is alike."""

import time
from datetime import date

import numpy as np
import pytest

from identirep.splits import folds, halves, order_ranks, row_groups, split_rows, stretches, two_sides


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_split_of_rows(rng):
    assert split_rows(100, 0.2, rng).sum() == 20
    assert split_rows(100, 0.001, rng).sum() == 1
    assert split_rows(10, 0.99, rng).sum() == 8
    assert split_rows(10, 0.0, rng).sum() == 0


@pytest.mark.parametrize("tasks", [None, np.arange(200) % 7])
def test_split_keeps_groups_whole(rng, tasks):
    groups = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=200)
    held_out = split_rows(200, 0.2, rng, groups=groups, tasks=tasks)
    assert set(groups[held_out]).isdisjoint(groups[~held_out])
    # Groups for which there is room, so that no other would fit.
    assert 40 - np.unique(groups[~held_out], return_counts=True)[1].min() < held_out.sum() <= 40
    assert split_rows(50, 0.3, rng, groups=np.repeat(np.arange(10), 5)).sum() == 15


def test_split_of_few_groups_leaves_one_on_each_side(rng):
    groups = np.repeat([0, 1], [5, 5])
    assert [split_rows(10, share, rng, groups=groups).sum() for share in (0.0, 0.1, 0.9)] == [0, 5, 5]
    assert split_rows(10, 0.5, rng, groups=np.zeros(10)).sum() == 0
    # One large group among small ones: it does not fit, and the share is held out all the same.
    assert split_rows(100, 0.2, rng, groups=np.maximum(np.arange(100) - 60, 0)).sum() == 20


def test_split_takes_the_same_share_of_each_task_and_leaves_two_rows(rng):
    tasks = rng.permutation(np.repeat(["a", "b", "c", "d"], [40, 10, 3, 1]))
    held_out = split_rows(54, 0.9, rng, tasks=tasks)
    assert [held_out[tasks == task].sum() for task in "abcd"] == [36, 8, 1, 0]
    assert [split_rows(54, 0.2, rng, tasks=tasks)[tasks == task].sum() for task in "abcd"] == [8, 2, 1, 0]


def test_split_of_many_tasks_is_fast(rng):
    tasks = np.repeat(np.arange(50_000), 10)
    start = time.process_time()
    held_out = split_rows(len(tasks), 0.2, rng, tasks=tasks)
    # Seconds if each task is looked for among all rows.
    assert time.process_time() - start < 1.5
    np.testing.assert_array_equal(np.bincount(tasks[held_out]), 2)
    # Any row may be the one, not just the first of its task.
    assert np.bincount(np.arange(len(tasks))[held_out] % 10).min() > 9_000


def test_small_groups_within_a_task_are_split_task_by_task(rng):
    # Ten tasks of 20 rows, some of which are pairs, and one pair across tasks: as without groups, a share of each task.
    tasks = np.repeat(np.arange(10), 20)
    groups = np.arange(200)
    groups[1::8] = groups[::8]
    groups[199] = groups[0]
    held_out = split_rows(200, 0.2, rng, groups=groups, tasks=tasks)
    assert set(groups[held_out]).isdisjoint(groups[~held_out])
    np.testing.assert_allclose(np.bincount(tasks[held_out]), 4, atol=1)


def test_groups_of_whole_tasks_are_held_out_all_the_same(rng):
    tasks = np.repeat(np.arange(10), 20)
    assert split_rows(200, 0.2, rng, groups=tasks, tasks=tasks).sum() == 40


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_one_group(rng, dtype):
    X = rng.integers(0, 4, size=(500, 4)).astype(dtype)
    X[X == 0] *= rng.choice([-1, 1], size=(X == 0).sum())
    found = row_groups(X)
    expected = np.unique(X + 0, axis=0, return_inverse=True)[1].reshape(-1)
    assert len(set(zip(found, expected, strict=True))) == len(set(found)) == len(set(expected)) < 256
    assert row_groups(rng.normal(size=(500, 4)).astype(dtype)) is None
    # Neighbouring floats are two values.
    assert row_groups(np.array([[1.0], [np.nextafter(1.0, 2.0)]])) is None


def test_groups_and_equal_rows_are_joined(rng):
    X = rng.normal(size=(8, 3))
    X[[2, 5]] = X[0]
    groups = np.array([0, 0, 1, 1, 2, 3, 4, 4])
    joined = row_groups(X, groups)
    # Rows 0, 2 and 5 are equal, so their groups 0, 1 and 3 are one; 2 and 4 stay.
    np.testing.assert_array_equal(
        joined[:, None] == joined, np.equal.outer([0, 0, 0, 0, 2, 0, 4, 4], [0, 0, 0, 0, 2, 0, 4, 4])
    )
    np.testing.assert_array_equal(row_groups(rng.normal(size=(8, 3)), groups), groups)
    # Where nothing would be left to split by, the groups alone count.
    np.testing.assert_array_equal(row_groups(np.ones((8, 3)), groups), groups)
    assert row_groups(np.ones((8, 3))) is None


def test_equal_rows_of_many_are_found_fast(rng):
    X = rng.normal(size=(200_000, 20))
    X[-1] = X[0]
    start = time.perf_counter()
    found = row_groups(X)
    # Tens of seconds if rows are sorted value by value.
    assert time.perf_counter() - start < 3.0
    assert found[-1] == found[0]
    assert found.max() == len(X) - 2


@pytest.mark.parametrize(
    "values",
    [
        [3.5, -1.0, 2.0, 2.0],
        [date(2024, 5, 1), date(2020, 1, 1), date(2021, 1, 1), date(2021, 1, 1)],
        ["d", "a", "b", "b"],
    ],
)
def test_ranks_of_anything_that_sorts(values):
    np.testing.assert_array_equal(order_ranks(np.array(values)), [2, 0, 1, 1])
    np.testing.assert_array_equal(order_ranks(np.array(values, dtype=object)), [2, 0, 1, 1])


def test_ranks_need_a_value_of_each_row():
    for values in (
        np.array([1.0, np.nan]),
        np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
        np.array(["a", None], object),
    ):
        with pytest.raises(ValueError, match=r"order contains 1 missing values: got .* first at index 1"):
            order_ranks(values)


def test_last_rows_are_held_out_after_a_gap(rng):
    order = rng.permutation(1000)
    training, held_out = two_sides(1000, 0.2, rng, order=order)
    np.testing.assert_array_equal(held_out, order >= 800)
    np.testing.assert_array_equal(training, order < 750)
    # Rows of one moment are on one side.
    training, held_out = two_sides(1000, 0.2, rng, order=order // 100)
    assert set(order[held_out] // 100) == {8, 9}
    assert two_sides(1000, 0.0, rng, order=order)[0].all()


def test_a_group_on_both_sides_of_the_cut_is_where_most_of_it_is(rng):
    order = np.arange(1000)
    groups = order.copy()
    groups[[10, 11, 990]] = 10
    groups[[20, 980, 981]] = 20
    training, held_out = two_sides(1000, 0.2, rng, groups=groups, order=order)
    assert training[[10, 11]].all()
    assert held_out[[980, 981]].all()
    assert not (training | held_out)[[990, 20]].any()
    assert set(groups[training]).isdisjoint(groups[held_out])
    with pytest.raises(ValueError, match="order and groups contradict each other"):
        two_sides(1000, 0.2, rng, groups=order % 3, order=order)


def test_tasks_are_cut_at_one_moment_unless_one_would_have_no_rows_left(rng):
    order, tasks = np.tile(np.arange(50), 4), np.repeat(np.arange(4), 50)
    _, held_out = two_sides(200, 0.2, rng, tasks=tasks, order=order)
    np.testing.assert_array_equal(held_out, order >= 40)
    # The last task begins when the others have ended.
    order = order + np.where(tasks == 3, 50, 0)
    training, held_out = two_sides(200, 0.2, rng, tasks=tasks, order=order)
    np.testing.assert_array_equal(np.bincount(tasks[held_out]), 10)
    np.testing.assert_array_equal(np.bincount(tasks[training]), 38)


def test_halves_are_disjoint_and_keep_groups(rng):
    groups = rng.integers(0, 40, size=200)
    first, second = halves(200, rng, groups=groups)
    np.testing.assert_array_equal(first, ~second)
    assert 80 <= first.sum() <= 120
    assert set(groups[first]).isdisjoint(groups[second])


def test_halves_of_ordered_rows_are_stretches(rng):
    order = rng.permutation(600)
    seen = set()
    for _ in range(10):
        first, second = halves(600, rng, order=order)
        a, b = np.sort(order[first]), np.sort(order[second])
        assert min(len(a), len(b)) >= 240
        assert np.abs(a[:, None] - b).min() == 16, "a fortieth of the rows is left out between them"
        assert max(np.count_nonzero(np.diff(part) > 1) for part in (a, b)) <= 2, "three stretches"
        seen.add(tuple(a))
    assert len(seen) > 3


def test_folds_of_ordered_rows_respect_groups(rng):
    order, groups = np.arange(100), np.arange(100)
    groups[[5, 55]] = 5
    for rest, fold in folds(100, 5, rng, groups=groups, order=order):
        assert set(groups[rest]).isdisjoint(groups[fold])


def test_stretches_are_of_neighbours(rng):
    order = rng.permutation(1000)
    np.testing.assert_array_equal(stretches(order), order // 50)


@pytest.mark.parametrize("groups", [None, np.arange(100)])
def test_an_order_that_cannot_be_cut_is_not_blamed_on_groups(rng, groups):
    order = np.repeat([0, 1], [3, 97])
    with pytest.raises(ValueError, match="order cannot be cut: got nearly all rows at one place"):
        two_sides(100, 0.15, rng, groups=groups, order=order)
    with pytest.raises(ValueError, match="order cannot be cut"):
        list(folds(100, 5, rng, groups=groups, order=order))
