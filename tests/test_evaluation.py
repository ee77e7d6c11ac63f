"""Splits keep together what belongs together, and scores are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from identirep.evaluation import Evaluation, score_tasks, split_rows
from identirep.metrics import stability


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_split_of_rows(rng):
    training, held_out = split_rows(100, 0.2, rng)
    assert len(held_out) == 20
    np.testing.assert_array_equal(np.sort(np.concatenate([training, held_out])), np.arange(100))


def test_split_without_held_out_rows(rng):
    training, held_out = split_rows(10, 0.0, rng)
    assert (len(training), len(held_out)) == (10, 0)


def test_split_keeps_groups_whole(rng):
    groups = np.repeat(list("abcdefghij"), 5)
    training, held_out = split_rows(50, 0.3, rng, groups=groups)
    assert set(groups[training]).isdisjoint(groups[held_out])
    assert len(set(groups[held_out])) == 3


def test_split_of_a_single_group_holds_nothing_out(rng):
    training, held_out = split_rows(10, 0.5, rng, groups=np.zeros(10))
    assert (len(training), len(held_out)) == (10, 0)


def test_split_takes_the_same_share_of_each_task_and_leaves_two_rows(rng):
    tasks = np.repeat([0, 1, 2], [40, 10, 3])
    training, held_out = split_rows(53, 0.9, rng, tasks=tasks)
    np.testing.assert_array_equal(np.bincount(tasks[held_out]), [36, 8, 1])
    np.testing.assert_array_equal(np.bincount(tasks[training]), [4, 2, 2])


class _Regression(LinearRegression):
    task_names_ = ("a", "b", "c")


@pytest.fixture
def problem(rng):
    X = rng.normal(size=(60, 4))
    Y = X @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3))
    return X, Y, _Regression().fit(X[:40], Y[:40])


def test_scores_leave_missing_labels_out(problem):
    X, Y, model = problem
    held = Y[40:].copy()
    held[:5, 1] = np.nan
    held[1:, 2] = np.nan
    scores = score_tasks(model, X[40:], held)
    predicted = model.predict(X[40:])
    assert scores[0] == pytest.approx(r2_score(Y[40:, 0], predicted[:, 0]))
    assert scores[1] == pytest.approx(r2_score(Y[45:, 1], predicted[5:, 1]))
    assert np.isnan(scores[2])


def test_scores_of_the_long_layout(problem):
    X, Y, model = problem
    tasks = np.array(["c", "a"] * 10)
    y = np.where(tasks == "c", Y[40:, 2], Y[40:, 0])
    scores = score_tasks(model, X[40:], y, tasks)
    predicted = model.predict(X[40:])
    assert scores[0] == pytest.approx(r2_score(y[1::2], predicted[1::2, 0]))
    assert np.isnan(scores[1])
    assert scores[2] == pytest.approx(r2_score(y[::2], predicted[::2, 2]))


def test_file(tmp_path, rng):
    Z = rng.normal(size=(30, 2))
    agreement = stability([Z, Z + 0.1 * rng.normal(size=Z.shape)])
    saved = Evaluation("steels.csv", 30, 10, "batch", np.array([0.5, np.nan]), agreement, 0.99)
    saved.save(tmp_path / "evaluation.json")
    loaded = Evaluation.load(tmp_path / "evaluation.json")
    assert (loaded.data, loaded.n_training_rows, loaded.n_held_out_rows, loaded.grouped_by) == (
        "steels.csv",
        30,
        10,
        "batch",
    )
    np.testing.assert_array_equal(loaded.r2, saved.r2)
    np.testing.assert_array_equal(loaded.stability.per_latent, agreement.per_latent)
    np.testing.assert_array_equal(loaded.stability.matrix, agreement.matrix)
    assert (loaded.stability.score, loaded.weak_mcc) == (agreement.score, 0.99)


def test_damaged_file(tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text('{"data": "steels.csv", "r2": [0.1]}')
    with pytest.raises(ValueError, match=r"evaluation.json' is damaged"):
        Evaluation.load(path)
