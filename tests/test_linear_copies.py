"""Targets that are other columns in other units are named, and no others."""

import time

import numpy as np
import pytest

from identirep.linear_copies import copy_remarks, linear_copies
from identirep.validation import TaskData, check_task_data


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _copies(X, Y, tasks=None, names=None):
    found = linear_copies(check_task_data(X, Y, tasks), names)
    return {copy.target: (copy.of, copy.is_input) for copy in found}


def test_copies_of_inputs_and_of_earlier_targets(rng):
    X, Y = rng.normal(size=(400, 4)), rng.normal(size=(400, 5))
    Y[:, 1] = 273.15 - 3 * X[:, 2]
    Y[:, 3] = np.round(2.5 * Y[:, 0], 5)
    Y[:, 4] = X[:, 0] + 1e-3 * rng.normal(size=400)
    assert _copies(X, Y, list("abcde"), list("wxyz")) == {"b": ("y", True), "d": ("a", False)}


def test_names_and_action_are_in_the_words(rng):
    X = rng.normal(size=(50, 2))
    remarks = copy_remarks(linear_copies(check_task_data(X, 3 * X[:, [1] * 7] + 1, list("abcdefg")), ["x0", "x1"]))
    assert remarks[0].startswith("target 'a' is a linear copy of input 'x1' (R^2 = 1")
    assert remarks[0].endswith("): leave one out")
    assert remarks[-1] == "and 2 more targets are linear copies"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("n_rows", "n_columns"), [(0, 2), (1, 0), (30, 0)])
def test_without_rows_or_columns_there_are_no_copies(n_rows, n_columns):
    columns = np.empty((n_rows, n_columns))
    assert linear_copies(TaskData(np.empty((n_rows, 0)), columns, None, tuple("ab"[:n_columns]))) == []


def test_copies_with_gaps(rng):
    X, Y = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    Y[:, 0] = 2 * X[:, 1]
    Y[:, 2] = 1 - Y[:, 1]
    Y[rng.random((300, 3)) < 0.4] = np.nan
    assert _copies(X, Y) == {0: (1, True), 2: (1, False)}


def test_copies_among_many_sparse_targets_are_found_in_moments(rng):
    X, Y = rng.normal(size=(4000, 3)), rng.normal(size=(4000, 700))
    Y[:, 620] = 2 * X[:, 1]
    Y[:, 699] = 1 - Y[:, 5]
    Y[rng.random(Y.shape) < 0.95] = np.nan
    start = time.process_time()
    assert _copies(X, Y) == {620: (1, True), 699: (5, False)}
    # One pair after the other takes 20 times as long.
    assert time.process_time() - start < 5


def test_few_common_rows_say_nothing(rng):
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    Y[2:, 0] = np.nan
    assert _copies(X, Y) == {}


def test_copies_in_the_long_layout_are_of_their_task(rng):
    X, tasks = rng.normal(size=(300, 3)), np.tile(np.arange(10), 30)
    y = np.where(tasks == 4, 5 + X[:, 2], rng.normal(size=300))
    assert _copies(X, y, tasks) == {4: (2, True)}
    (remark,) = copy_remarks(linear_copies(check_task_data(X, y, tasks)))
    assert remark.startswith("target of task 4 is a linear copy of input 2 (R^2 = 1")


def test_columns_that_agree_where_one_looks_first_are_looked_at_again(rng):
    X = rng.normal(size=(1000, 1))
    y = X.copy()
    looked_at = np.unique(np.linspace(0, 999, 200).astype(int))
    others = np.setdiff1d(np.arange(1000), looked_at)
    y[others] += rng.normal(size=(len(others), 1))
    assert _copies(X, y) == {}
