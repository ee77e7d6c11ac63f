"""Signal, none, or too few rows: known truth, and tables where chance looks like signal."""

import time
import warnings

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge

from identirep import MTRN, signal_check
from identirep.signal_check import check_signal, units
from identirep.validation import TaskData


def _judge(X, Y, seed=0, groups=None, task_index=None):
    n_tasks = Y.shape[1] if task_index is None else int(task_index.max()) + 1
    data = TaskData(X, Y, task_index, tuple(range(n_tasks)))
    return check_signal(data, groups, np.random.default_rng(seed), "the network")


def _linear(n, noise, seed=0, T=6):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    return X, X @ rng.normal(size=(5, T)) / np.sqrt(5) + noise * rng.normal(size=(n, T))


@pytest.mark.parametrize("seed", range(3))
def test_signal_is_found_and_the_remedy_named(seed):
    signal = _judge(*_linear(60, 0.7, seed), seed)
    assert signal.answer == "signal"
    assert "Use regressor='ridge'" in signal.statement
    assert signal.r2["ridge"] > 0.3


def test_what_a_linear_model_cannot_see_trees_do():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    Y = np.abs(X) @ rng.normal(size=(3, 4))
    signal = _judge(X, Y)
    assert signal.r2["ridge"] < 0.1 < signal.r2["extra-trees"]
    assert signal.answer == "signal"
    assert "'extra-trees'" in signal.statement


def test_no_signal_needs_rows():
    rng = np.random.default_rng(0)
    answers = {n: _judge(rng.normal(size=(n, 4)), rng.normal(size=(n, 5))).answer for n in (3, 12, 40, 200)}
    assert answers == {3: "too few rows", 12: "too few rows", 40: "too few rows", 200: "none"}


def test_what_is_too_few_says_how_many_are_enough():
    rng = np.random.default_rng(0)
    statement = _judge(rng.normal(size=(40, 4)), rng.normal(size=(40, 5))).statement
    enough = int(statement.split("Add rows, ")[1].split()[0])
    assert _judge(rng.normal(size=(enough - 1, 4)), rng.normal(size=(enough - 1, 5))).answer == "too few rows"
    assert _judge(rng.normal(size=(enough, 4)), rng.normal(size=(enough, 5))).answer == "none"


@pytest.mark.slow
def test_chance_is_rarely_signal():
    # With predictions held fixed chance has half the variance that it has, and one table in ten would pass.
    found = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(60, 3)), rng.normal(size=(60, 1))
        found += _judge(X, Y, seed).answer == "signal"
    assert found <= 2


@pytest.mark.parametrize("seed", range(3))
def test_repeated_rows_are_no_signal(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(60, 5)), rng.normal(size=(60, 6))
    assert _judge(np.tile(X, (8, 1)), np.tile(Y, (8, 1)), seed).answer == "too few rows"


@pytest.mark.parametrize("seed", range(3))
def test_dependent_rows_are_no_signal(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(30), 10)
    X = rng.normal(size=(30, 3))[groups] + 0.1 * rng.normal(size=(300, 3))
    Y = rng.normal(size=(30, 3))[groups]
    assert _judge(X, Y, seed).answer == "signal"
    assert _judge(X, Y, seed, groups).answer == "too few rows"


def test_missing_labels_and_the_long_layout():
    X, Y = _linear(200, 0.5)
    rng = np.random.default_rng(0)
    Y[rng.random(Y.shape) < 0.4] = np.nan
    assert _judge(X, Y).answer == "signal"
    shuffled = np.take_along_axis(Y, rng.random(Y.shape).argsort(axis=0), axis=0)
    assert _judge(X, shuffled).answer == "none"
    index = np.repeat(np.arange(10), 30)
    X = rng.normal(size=(300, 3))
    y = (X * rng.normal(size=(10, 3))[index]).sum(axis=1) + rng.normal(size=10)[index]
    assert _judge(X, y, task_index=index).answer == "signal"
    # What tasks differ by on average is no signal.
    found = _judge(X, rng.normal(size=10)[index] + 0.1 * rng.normal(size=300), task_index=index)
    assert found.answer == "none"
    assert "mean over tasks" in found.statement
    assert "mean over targets" in _judge(X, rng.normal(size=(300, 10))).statement


def test_units_connect_equal_inputs_and_groups():
    X = np.array([[0.0], [1.0], [-0.0], [2.0], [1.0], [3.0]])
    assert _partition(units(X, None)) == {(0, 2), (1, 4), (3,), (5,)}
    assert _partition(units(X, np.array([0, 1, 2, 0, 3, 4]))) == {(0, 2, 3), (1, 4), (5,)}


def _partition(labels):
    return {tuple(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def test_stage_one_that_finds_nothing_says_who_does():
    X, Y = _linear(40, 0.3)
    # A network that is not trained.
    stage = MTRN(hidden_sizes=(8,), n_replicates=1, max_epochs=1, learning_rate=1e-6, random_state=0)
    with pytest.warns(UserWarning, match="no predictive signal on held-out rows by the network, but others find some"):
        stage.fit(X, Y)
    assert stage.signal_.answer == "signal"
    assert stage.n_components_ == 0


def test_what_has_found_no_signal_is_not_advised():
    data = TaskData(*_linear(60, 0.7), None, tuple(range(6)))
    signal = check_signal(data, None, np.random.default_rng(0), "Ridge", Ridge())
    assert signal.answer == "signal"
    assert "'ridge'" not in signal.statement
    assert "Use regressor='extra-trees'" in signal.statement or "Add rows" in signal.statement
    # Trees are advised where they find some, and a linear model to those that tried trees.
    assert (
        "Use regressor='ridge'"
        in check_signal(data, None, np.random.default_rng(0), "it", ExtraTreesRegressor()).statement
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("weights", [None, np.linspace(1.0, 2.0, 6000)])
def test_targets_without_labels_that_differ_among_the_rows_looked_at(weights):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 3))
    Y = np.column_stack([X[:, 0] + rng.normal(size=6000), np.full(6000, np.nan), np.zeros(6000)])
    Y[:2, 1], Y[2, 2] = [0.0, 1.0], 1.0
    # Of 6,000 rows 2,000 are looked at.
    signals = [
        check_signal(TaskData(X, Y, None, (0, 1, 2), weights=weights), None, np.random.default_rng(seed))
        for seed in range(4)
    ]
    assert {signal.answer for signal in signals} == {"signal"}
    assert all(0.1 < signal.r2["ridge"] < 0.6 for signal in signals)


def test_units_of_many_rows_without_labels_do_no_harm():
    rng = np.random.default_rng(0)
    X, unit = rng.normal(size=(9000, 2)), np.repeat(np.arange(3), 3000)
    Y = np.where(unit[:, None] < 2, np.nan, rng.normal(size=(9000, 2)))
    assert {_judge(X, Y, seed, groups=unit).answer for seed in range(4)} == {"too few rows"}


def test_chance_on_many_targets_is_the_same_in_a_fraction_of_the_time():
    rng = np.random.default_rng(0)
    p, y = rng.normal(size=(2, 600, 300))
    orders = [rng.permutation(600) for _ in range(3)]
    expected = [np.sum(p * y[order]) for order in orders]
    np.testing.assert_allclose(signal_check._permuted_sums(p, y, orders), expected, rtol=1e-9)
    # No target is permuted row by row: 3,000 of them on 1,500 rows took 11 s.
    p, y = rng.normal(size=(2, 1500, 3000))
    start = time.process_time()
    assert not signal_check.above_chance(p, y, None, np.arange(1500), rng)
    assert time.process_time() - start < 5.0


def test_networks_find_what_few_groups_cannot_test():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(150, 2))
    X, Y = Z @ rng.normal(size=(2, 5)), Z @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(150, 6))
    groups = np.repeat(np.arange(25), 6)
    settings = {"n_replicates": 1, "max_epochs": 20, "device": "cpu", "random_state": 0}
    for seed in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            network = MTRN(2, **{**settings, "random_state": seed}).fit(X, Y, groups=groups)
        assert network.signal_.answer == "signal"
    # Where others find none, nobody does.
    with pytest.warns(UserWarning, match="no predictive signal"):
        network = MTRN(2, **settings).fit(X, Y[rng.permutation(150)], groups=groups)
    assert network.signal_.answer != "signal"
    assert not np.any(network.spectrum_ > network.spectrum_threshold_)
