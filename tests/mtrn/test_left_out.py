"""Targets that nothing can be learnt of are left out with a word, and the others are fitted as without them."""

import numpy as np
import pytest

from identirep import MTRN, IdentifiableRegressor
from identirep.mtrn import choose_regressor

pytestmark = pytest.mark.filterwarnings("ignore:n_components=2 cuts")


def _problem(seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(150, 2))
    X = Z @ rng.normal(size=(2, 4)) + 0.05 * rng.normal(size=(150, 4))
    return X, Z @ rng.laplace(size=(2, 6)) + 0.2 * rng.normal(size=(150, 6)), rng


def _model(**settings):
    stage = MTRN(hidden_sizes=(8,), n_replicates=2, max_epochs=3)
    return IdentifiableRegressor(2, regressor=stage, random_state=0, **settings)


@pytest.mark.slow
def test_others_are_fitted_as_without_them(tmp_path):
    X, Y, _ = _problem()
    few, every = np.full(150, np.nan), list("abcdefgh")
    few[:2] = 1.0, 2.0
    whole = np.column_stack([np.full(150, 7.0), Y[:, :3], few, Y[:, 3:]])
    with pytest.warns(UserWarning, match=r"y has 2 tasks .* got 'a' \(constant\), 'e' \(2 labels\)"):
        model = _model().fit(X, whole, every)
    kept = list("bcdfgh")
    expected = _model().fit(X, Y, kept)
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))
    assert model.certificate_.verdict == expected.certificate_.verdict
    assert model.task_names_ == tuple(kept)
    model.save(tmp_path / "run")
    for one in (model, IdentifiableRegressor.load(tmp_path / "run")):
        assert one.left_out_tasks_ == {"a": "constant", "e": "2 labels"}
        assert one.score(X, whole) == one.score(X, Y) == one.score(X, Y, kept) == one.score(X, whole, every)
        assert one.score(X, Y, kept) == expected.score(X, Y)


@pytest.mark.slow
def test_long_layout():
    X, Y, _ = _problem()
    tasks = np.repeat(np.arange(6), 25)
    y = Y[np.arange(150), tasks]
    groups, tasks[25:27], y[50:75] = np.arange(150) // 2, 9, 3.0
    order = np.arange(150)
    for extra in ({}, {"groups": groups}, {"order": order}):
        with pytest.warns(UserWarning, match=r"left out of the fit: got 2 \(constant\), 9 \(2 labels\)"):
            model = _model(n_checks=0).fit(X, y, tasks, **extra)
        kept = (tasks != 9) & (tasks != 2)
        expected = _model(n_checks=0).fit(X[kept], y[kept], tasks[kept], **{k: v[kept] for k, v in extra.items()})
        np.testing.assert_array_equal(model.transform(X), expected.transform(X))
        assert model.score(X, y, tasks) == expected.score(X[kept], y[kept], tasks[kept])


@pytest.mark.parametrize("seed", range(3))
def test_sparse_targets_stop_neither_fit_nor_checks(seed):
    X, Y, rng = _problem(seed)
    sparse = np.full((150, 4), np.nan)
    for t in range(4):
        rows = rng.choice(150, t + 3, replace=False)
        sparse[rows, t] = rng.normal(size=t + 3)
    model = _model().fit(X, np.column_stack([Y, sparse]))
    assert len(model.task_names_) == 10
    assert "not checked" not in model.certificate_.verdict
    trained = ~model.regressor_._held_out
    assert (np.count_nonzero(~np.isnan(sparse[trained]), axis=0) >= 2).all()
    assert (np.count_nonzero(~np.isnan(sparse[~trained]), axis=0) >= 1).all()


def test_no_task_that_can_be_fitted_is_an_error():
    X, _, _ = _problem()
    with pytest.raises(ValueError, match=r"y has 2 constant targets: got a single value in 0, 1"):
        _model().fit(X, np.ones((150, 2)))


def test_a_rare_target_does_not_choose_the_regressor():
    X, Y, _ = _problem()
    rare = np.zeros(150)
    rare[3] = 1.0
    network = MTRN(hidden_sizes=(8,), n_replicates=1, max_epochs=3)
    found = choose_regressor(X, np.column_stack([Y, rare, np.full(150, 2.0)]), None, None, 0, network)
    assert all(abs(value) < 2.0 for value in found.r2.values())
