"""Alarms of checks for drift, by laws of rows: false ones at the rate asked for, moves that are seen."""

import numpy as np
import pytest

from identirep.comparing.alike import look_at_rows, times_written_down
from identirep.comparing.drift import _moved, _Values
from identirep.comparing.reference import Columns, _laws, first_of_groups, rows_of_tasks
from identirep.comparing.rows import TrainedRows
from identirep.splits import row_hashes


def _test(reference, columns, level, names="abc"):
    """Test columns of independent rows."""
    return _moved(reference, [_Values(own, len(own)) for own in columns], list(names), level, 1.0)


@pytest.mark.parametrize(("m", "n"), [(25, 25), (300, 300), (60, 2000), (2000, 60)])
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_false_alarms_of_halves_come_at_the_rate_asked_for(m, n, level):
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        whole = np.column_stack([law(size=m + n) for law in (rng.normal, rng.exponential, rng.standard_cauchy)])
        rng.shuffle(whole)
        alarms += _test(Columns.of(whole[:m], 100), list(whole[m:].T), level).moved.any()
    # Of 300 halves, with three standard errors.
    assert abs(alarms / 300 - level) < 3.0 * np.sqrt(level * (1 - level) / 300) + 0.01, alarms / 300


def test_single_p_values_are_uniform():
    rng = np.random.default_rng(0)
    p = [_test(Columns.of(rng.normal(size=(80, 1)), 20), [rng.normal(size=120)], 0.5).p_value[0] for _ in range(400)]
    for level in (0.05, 0.1, 0.3, 0.6):
        assert abs(np.mean(np.array(p) <= level) - level) < 3.0 * np.sqrt(level * (1 - level) / 400) + 0.02


def test_values_that_repeat_raise_no_more_alarms():
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        whole = rng.integers(3, size=(400, 1)).astype(float)
        alarms += _test(Columns.of(whole[:200], 100), [whole[200:, 0]], 0.1).moved.any()
    assert alarms / 200 <= 0.13


def test_false_alarms_of_tasks_come_at_the_rate_asked_for_though_inputs_repeat():

    alarms = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        # Four rows of equal inputs in one task know of each other: they count once.
        groups = np.repeat(np.arange(240), 4)
        tasks = np.repeat(np.arange(240) % 3, 4)
        y = rng.standard_t(2, size=240)[groups]
        old = rng.permutation(240)[groups] < 120
        sides = [[y[rows][of] for of in rows_of_tasks(y[rows], tasks[rows], 3, groups[rows])] for rows in (old, ~old)]
        assert sum(map(len, sides[0])) == 120
        alarms += _test(Columns.of_values(sides[0], 20), sides[1], 0.1).moved.any()
    assert alarms / 150 < 0.1 + 3.0 * np.sqrt(0.09 / 150)


def _continuous(rng, n, shift=0.0):
    return rng.normal(size=(n, 4)) + np.array([shift, 0, 0, 0])


def _binary(rng, n, shift=0.0):
    return (rng.random((n, 3)) < 0.4 + 0.5 * shift * np.array([1.0, 0, 0])).astype(float)


def _integers(rng, n, shift=0.0):
    return rng.poisson(0.5 + 0.7 * shift * (np.arange(10) == 0), size=(n, 10)).astype(float)


def _mixture(rng, n, shift=0.0):
    return np.column_stack([_integers(rng, n, shift)[:, :4], np.where(rng.random(n) < 0.3, rng.normal(size=n), 0.0)])


def _moves_of_axes(X, new, level=0.1):
    """Check two axes that are known maps of inputs, as `check_drift` does, without a fit."""
    maps = np.zeros((X.shape[1], 2))
    maps[0, 0], maps[1:3, 1] = 1.0, [1.0, 0.5]
    law, apart = _laws(X @ maps, X @ maps, row_hashes(X), between=False)
    trained = TrainedRows.of(X)
    rows = look_at_rows(trained, trained.hashed(new), first_of_groups(None, len(new)))
    tested = np.flatnonzero(rows.used)
    law = apart if rows.alone and apart is not None else law
    values = [_Values(column[tested], rows.independent(tested)) for column in (new @ maps).T]
    return _moved(law, values, ["a", "b"], level, rows.shared, times_written_down(trained.counts)), rows


def _alarms(law, m, n, n_seeds):
    found = []
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, m, n])
        found.append(_moves_of_axes(law(rng, m), law(rng, n))[0].moved.any())
    return np.mean(found)


@pytest.mark.parametrize("law", [_binary, _integers, _mixture])
def test_inputs_of_few_values_raise_no_more_alarms(law):
    assert _alarms(law, 1000, 1000, 30) < 0.1 + 3.0 * np.sqrt(0.09 / 30)


@pytest.mark.slow
@pytest.mark.parametrize(("m", "n"), [(100, 100), (1000, 1000), (100, 1000), (1000, 100)])
@pytest.mark.parametrize("law", [_continuous, _binary, _integers, _mixture])
def test_inputs_of_few_values_raise_no_more_alarms_at_any_size(law, m, n):
    assert _alarms(law, m, n, 100) < 0.1 + 3.0 * np.sqrt(0.09 / 100)


@pytest.mark.parametrize("law", [_continuous, _binary, _integers, _mixture])
def test_moves_are_seen_though_inputs_take_few_values(law):
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found.append(_moves_of_axes(law(rng, 1000), law(rng, 1000, 0.3))[0].moved[0])
    assert np.mean(found) >= 0.9


def test_rows_repeated_on_one_side_count_once():
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, new = (np.repeat(_continuous(rng, 100), 10, axis=0) for _ in range(2))
        moved, rows = _moves_of_axes(X, new)
        found.append(moved.moved.any())
    assert rows.independent(np.arange(1000)) == pytest.approx(100)
    assert np.mean(found) < 0.1 + 3.0 * np.sqrt(0.09 / 100), np.mean(found)


@pytest.mark.parametrize("law", [_integers, _mixture])
def test_rows_written_down_three_times_count_once_though_inputs_take_few_values(law):
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, new = (np.repeat(law(rng, 300), 3, axis=0) for _ in range(2))
        found.append(_moves_of_axes(X, new)[0].moved.any())
    assert np.mean(found) < 0.1 + 3.0 * np.sqrt(0.09 / 60), np.mean(found)


def test_how_often_each_row_was_written_down():
    rng = np.random.default_rng(0)
    by_chance = np.unique(rng.poisson(1.0, size=2000) + 50 * rng.integers(9, size=2000), return_counts=True)[1]
    assert times_written_down(by_chance) == 1
    assert times_written_down(3 * by_chance) == 3
    # A row that got lost.
    assert times_written_down(np.append(np.full(30, 4), 3)) == 4
    assert times_written_down(np.array([6, 6, 6])) == 1, "few inputs have equal numbers by chance"
    assert times_written_down(np.array([0] * 30 + [1] * 20)) == 1


def test_rows_of_the_fit_among_others_are_left_out_or_remarked_on():
    rng = np.random.default_rng(0)
    for law in (_continuous, _integers):
        X, new = law(rng, 500), law(rng, 500)
        rows = _moves_of_axes(X, np.concatenate([X, new]))[1]
        if law is _continuous:
            assert rows.used.tolist() == [False] * 500 + [True] * 500
        assert rows.too_many == (law is _integers)
        assert not _moves_of_axes(X, new)[1].too_many
    # The table of the fit itself has no other rows.
    assert not _moves_of_axes(X, X)[1].used.any()
