"""Splits keep together what belongs together, and scores are those of scikit-learn."""

import time

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from identirep import MTRN, IdentifiableRegressor
from identirep.evaluation import Evaluation, score_tasks, split_rows
from identirep.metrics import stability


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
    start = time.perf_counter()
    held_out = split_rows(len(tasks), 0.2, rng, tasks=tasks)
    # Seconds if each task is looked for among all rows.
    assert time.perf_counter() - start < 1.5
    np.testing.assert_array_equal(np.bincount(tasks[held_out]), 2)
    # Any row may be the one, not just the first of its task.
    assert np.bincount(np.arange(len(tasks))[held_out] % 10).min() > 9_000


class _Regression(LinearRegression):
    task_names_ = ("a", "b", "c")

    def _predict_rows(self, X, task_index):
        return self.predict(X)[np.arange(len(X)), task_index]


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


def test_long_scores_need_no_prediction_of_each_row_for_each_task(rng, monkeypatch):
    X, tasks = rng.normal(size=(600, 3)), np.repeat(np.arange(20), 30)
    y = (X * rng.normal(size=(20, 3))[tasks]).sum(axis=1) + 0.3 * rng.normal(size=600)
    stage = MTRN(3, hidden_sizes=(16,), n_replicates=1, max_epochs=10, device="cpu")
    model = IdentifiableRegressor(3, regressor=stage, random_state=0).fit(X, y, tasks)
    predicted = model.predict(X)[np.arange(600), tasks]
    monkeypatch.setattr(MTRN, "predict", None)
    expected = [r2_score(y[tasks == t], predicted[tasks == t]) for t in range(20)]
    np.testing.assert_allclose(score_tasks(model, X, y, tasks), expected)
    assert model.score(X, y, tasks) == pytest.approx(np.mean(expected))


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
