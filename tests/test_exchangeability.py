"""Series are told from rows that are exchangeable, sorted ones included, and by what stretches left out cost."""

import numpy as np
import pytest

from identirep.exchangeability import LEVEL, check_row_order, neighbours_alike
from identirep.splits import row_groups
from identirep.validation import TaskData


def _check(X, Y, groups=None, order=None, tasks=None):
    names = tuple(range(Y.shape[1] if tasks is None else int(tasks.max()) + 1))
    data = TaskData(X, Y, tasks, names, order=order)
    return check_row_order(data, row_groups(X, groups))


def _static(rng, n=300, noise=0.3):
    X = rng.normal(size=(n, 6))
    return X, np.tanh(X[:, :3] @ rng.normal(size=(3, 10))) + noise * rng.normal(size=(n, 10))


def _walks(rng, n=300, p=5):
    walks = np.cumsum(rng.normal(size=(n, p + 10)), axis=0)
    return walks[:, :p], walks[:, p:]


def _autoregressive(rng, n, p, memory=0.8):
    values = rng.normal(size=(n, p))
    for i in range(1, n):
        values[i] = memory * values[i - 1] + np.sqrt(1 - memory**2) * values[i]
    return values


@pytest.mark.parametrize(("n", "p"), [(300, 3), (1500, 50)])
def test_independent_walks_get_no_verdict(n, p):
    for seed in range(6):
        X, Y = _walks(np.random.default_rng(seed), n, p)
        found = _check(X, Y)
        assert max(found.p_inputs, found.p_targets) < 1e-6
        assert found.r2_random > 0.5
        assert not found.holds_later
        assert found.reason.startswith("rows depend on each other in their order (")
        assert found.reason.endswith("give fit their order")


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_asked_for():
    def draws():
        for seed in range(100):
            rng = np.random.default_rng(seed)
            X, Y = _static(rng, n=150)
            yield X, Y
            yield rng.standard_t(2, size=X.shape), np.exp(rng.normal(size=Y.shape))
            # What was a series is exchangeable once it is shuffled.
            X, Y = _walks(rng, n=150)
            shuffled = rng.permutation(150)
            yield X[shuffled], Y[shuffled]

    alarms = sum(_check(X, Y).is_dependent for X, Y in draws())
    # Of 300 draws 3 are expected; 10 or more have a chance of 1 in 1,000.
    assert alarms < 10
    assert LEVEL == 0.01


@pytest.mark.parametrize("by", ["input", "target", "class"])
def test_sorted_tables_pass(by):
    alarms = 0
    for seed in range(40):
        X, Y = _static(np.random.default_rng(seed))
        Y[:, 1] = Y[:, 0] + 0.01 * X[:, 4]
        X[:, 5] = X[:, 0].round()
        order = np.argsort({"input": X[:, 0], "target": Y[:, 0], "class": X[:, 5]}[by])
        alarms += _check(X[order], Y[order]).is_dependent
    assert alarms <= 3


def test_a_static_relation_of_a_series_holds_later():
    rng = np.random.default_rng(0)
    X = _autoregressive(rng, 600, 6)
    found = _check(X, X[:, :3] @ rng.normal(size=(3, 10)) + 0.3 * rng.normal(size=(600, 10)))
    assert found.p_inputs < 1e-6 < LEVEL < found.p_targets
    assert found.r2_later == pytest.approx(found.r2_random, abs=0.05)
    assert (found.holds_later, found.remark) == (True, "")


def test_dependent_noise_is_said_with_both_scores():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 6))
    found = _check(X, X[:, :3] @ rng.normal(size=(3, 10)) + _autoregressive(rng, 600, 10))
    assert found.p_targets < 1e-6 < LEVEL < found.p_inputs
    assert "alike in targets given the inputs (" in found.remark
    assert f"R^2 {found.r2_random:.2f} on random rows and {found.r2_later:.2f} on stretches" in found.remark
    assert (found.holds_later, found.reason) == (True, "")


def test_rows_are_looked_at_in_their_order():
    rng = np.random.default_rng(0)
    X, Y = _walks(rng)
    shuffled = rng.permutation(300)
    found = _check(X[shuffled], Y[shuffled], order=shuffled)
    assert found.p_targets < 1e-6
    assert not found.holds_later
    assert "what rows say does not hold for later ones" in found.reason


def test_of_each_group_one_row_counts():
    rng = np.random.default_rng(0)
    X, Y = _static(rng, n=100)
    # Five measurements of each sample, one after the other, with noise that the sample has in common.
    X, Y, groups = (np.repeat(part, 5, axis=0) for part in (X, Y, np.arange(100)))
    X = X + 0.1 * rng.normal(size=X.shape)
    assert _check(X, Y).is_dependent
    assert not _check(X, Y, groups).is_dependent


def test_long_layout():
    rng = np.random.default_rng(0)
    tasks = np.repeat(np.arange(20), 60)
    X = rng.normal(size=(1200, 4))
    signal = np.einsum("nd,nd->n", X, rng.normal(size=(20, 4))[tasks])
    assert not _check(X, signal + rng.normal(size=1200), tasks=tasks).is_dependent
    noise = _autoregressive(rng, 60, 20).T.reshape(-1)
    assert _check(X, signal + noise, tasks=tasks).p_targets < 1e-6


def test_gaps_in_targets():
    rng = np.random.default_rng(0)
    X, Y = _static(rng)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    assert not _check(X, Y).is_dependent
    X, Y = _walks(rng)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    assert not _check(X, Y).holds_later


def test_too_few_rows_pass():
    rng = np.random.default_rng(0)
    X, Y = _walks(rng, n=6)
    found = _check(X, Y)
    assert np.isnan(found.p_targets)
    assert (found.holds_later, found.remark) == (True, "")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("is_sorted", [False, True])
def test_tasks_whose_groups_are_looked_at_elsewhere(is_sorted):
    rng = np.random.default_rng(0)
    tasks, groups = np.repeat(np.arange(3), 40), np.tile(np.arange(40), 3)
    X, y = rng.normal(size=(120, 3)), rng.normal(size=120)
    X[:, 0] = np.arange(120) if is_sorted else X[:, 0]
    assert not _check(X, y, groups, tasks=tasks).is_dependent


def test_rows_without_a_column_that_varies_out_of_order_say_nothing():
    assert neighbours_alike([np.empty((40, 0))]) == 1.0
