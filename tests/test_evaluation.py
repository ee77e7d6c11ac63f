"""Scores are those of scikit-learn, and their file gives them back."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from identirep import MTRN, IdentifiableRegressor
from identirep.evaluation import Evaluation, score_tasks
from identirep.metrics import stability


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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


_WHOLE = (
    '{"data": "a", "n_training_rows": 1, "n_held_out_rows": 1, "grouped_by": null, "r2": [0.1], "stability": null, '
    '"weak_mcc": null, "ordered_by": null}'
)


@pytest.mark.parametrize(
    "text",
    [
        '{"data": "steels.csv", "r2": [0.1]}',
        "[]",
        "[" * 100_000,
        _WHOLE.replace("[0.1]", "0.1"),
        _WHOLE.replace('"a"', "5"),
        _WHOLE.replace("1,", "1e999,"),
        _WHOLE.replace('"stability": null', '"stability": 5'),
        _WHOLE.replace('"data"', '"other"'),
    ],
)
def test_damaged_file(tmp_path, text):
    path = tmp_path / "evaluation.json"
    path.write_text(_WHOLE)
    Evaluation.load(path)
    path.write_text(text)
    with pytest.raises(ValueError, match=r"evaluation.json' is damaged"):
        Evaluation.load(path)
