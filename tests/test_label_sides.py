"""Targets with few labels, or rare values, keep labels on both sides of a split where that is possible."""

import numpy as np
import pytest

from identirep.label_sides import Labels, keep_labels
from identirep.splits import halves, two_sides


def _sparse(counts, n=300, seed=0):
    rng = np.random.default_rng(seed)
    Y = np.full((n, len(counts)), np.nan)
    for t, count in enumerate(counts):
        Y[rng.choice(n, count, replace=False), t] = rng.normal(size=count)
    return Y


def _n_labels(Y, rows):
    return np.count_nonzero(~np.isnan(Y[rows]), axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_sparse_targets_keep_labels_on_both_sides(seed):
    Y = _sparse([2, 3, 4, 5, 6, 300], seed=seed)
    train, held_out = two_sides(300, 0.2, np.random.default_rng(seed), labels=Labels(Y, None, (3, 2)))
    np.testing.assert_array_equal(train, ~held_out)
    # Of three and four labels none can be spared for two; what has fewer than three is left to those who fit.
    assert (_n_labels(Y, train)[1:] >= 3).all()
    assert (_n_labels(Y, held_out)[3:] >= 2).all()
    assert 55 <= held_out.sum() <= 75


@pytest.mark.parametrize("seed", range(5))
def test_rare_values_are_trained_on(seed):
    rng = np.random.default_rng(seed)
    Y = np.zeros((300, 4))
    for t in range(4):
        Y[rng.choice(300, t + 1, replace=False), t] = 1.0
    train, held_out = two_sides(300, 0.5, rng, labels=Labels(Y, None, (3, 2)))
    assert (Y[train].max(axis=0) == 1.0).all()
    assert (Y[held_out][:, 1:].max(axis=0) == 1.0).all()


@pytest.mark.parametrize("is_long", [False, True])
def test_labels_in_one_group_stay_in_training_and_groups_stay_whole(is_long):
    groups = np.arange(120) // 10
    for seed in range(8):
        rng = np.random.default_rng(seed)
        y, task = rng.normal(size=120), (groups == 4).astype(int)
        Y = np.column_stack([np.where(task == 0, y, np.nan), np.where(task == 1, y, np.nan)])
        labels = Labels(y, task, (3, 2)) if is_long else Labels(Y, None, (3, 2))
        train, held_out = two_sides(120, 0.25, rng, groups=groups, tasks=task if is_long else None, labels=labels)
        assert set(groups[train]).isdisjoint(groups[held_out])
        assert 4 in groups[train]
        assert held_out.any()


@pytest.mark.parametrize("seed", range(5))
def test_halves_share_the_labels(seed):
    Y = _sparse([5, 6, 7, 300], seed=seed)
    labels = Labels(Y, None, (3, 3), trains=False)
    first, second = halves(300, np.random.default_rng(seed), labels=labels)
    assert min(_n_labels(Y, side)[1:].min() for side in (first, second)) >= 3
    assert abs(int(first.sum()) - 150) <= 10


def test_splits_with_enough_labels_stay_as_they_are():
    Y = np.random.default_rng(0).normal(size=(200, 5))
    Y[:, 4] = 1.0
    plain = two_sides(200, 0.2, np.random.default_rng(1))[1]
    np.testing.assert_array_equal(keep_labels(plain, Labels(Y, None, (3, 2)), np.random.default_rng(2)), plain)


def test_very_many_sparse_targets_are_all_trained_on_and_take_few_rows_more():
    Y = _sparse([4] * 3000, n=1000)
    train, held_out = two_sides(1000, 0.15, np.random.default_rng(0), labels=Labels(Y, None, (2, 1)))
    assert (_n_labels(Y, train) >= 2).all()
    assert held_out.sum() <= 190
