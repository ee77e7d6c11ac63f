"""Axes read off all features: what these know of them is found, and what they do not know is not made up."""

import numpy as np
import pytest

from identirep.comparing import read_off


def _problem(seed=0, n=400, K=30):
    """An old axis that is half a new one and half a direction of the other features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, K)) * np.logspace(-2, 2, K)
    own = features[:, :1] / features[:, 0].std()
    old = 3.0 * own + features[:, 5:6] / features[:, 5].std() + 0.3 * rng.normal(size=(n, 1)) + 7.0
    return features, own, old


def _correlation(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_what_features_know_of_an_axis_is_read_in_their_units():
    features, own, old = _problem()
    learn = np.arange(400) < 300
    read = read_off(features, own, old, learn)
    found = read.slope * own + features @ read.coef.T
    assert _correlation(own[300:], old[300:]) < 0.97
    assert _correlation(found[300:], old[300:]) > 0.99
    shift = features @ read.coef.T - read.values
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    np.testing.assert_array_equal(read.unseen[300:], read.values[300:])
    assert (read.unseen[:300] != read.values[:300]).all()


@pytest.mark.parametrize("seed", range(5))
def test_features_that_know_nothing_more_leave_an_axis_as_it_is(seed):
    rng = np.random.default_rng(seed)
    features, own = rng.normal(size=(60, 200)), rng.normal(size=(60, 1))
    old = own + 0.3 * rng.normal(size=(60, 1))
    read = read_off(features, own, old, np.ones(60, dtype=bool))
    assert _correlation(read.slope * own + read.unseen, old) < _correlation(own, old) + 0.01
    later, axis = rng.normal(size=(5000, 200)), rng.normal(size=(5000, 1))
    assert _correlation(axis, read.slope * axis + later @ read.coef.T) > 0.98


def test_rows_of_a_group_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 8)
    features, own = np.repeat(rng.normal(size=(30, 60)), 8, axis=0), np.repeat(rng.normal(size=(30, 1)), 8, axis=0)
    old = own + np.repeat(0.5 * rng.normal(size=(30, 1)), 8, axis=0)
    every = np.ones(240, dtype=bool)
    alone, together = (read_off(features, own, old, every, groups=of) for of in (None, groups))
    size = [float(np.linalg.norm(features @ read.coef.T)) for read in (alone, together)]
    assert size[1] < 0.6 * size[0]


def test_weights_say_which_rows_count():
    features, own, old = _problem(1)
    weights = np.where(np.arange(400) < 200, 1.0, 1e-12)
    disturbed = old.copy()
    disturbed[200:] = np.random.default_rng(2).normal(size=(200, 1))
    every = np.ones(400, dtype=bool)
    read = read_off(features, own, disturbed, every, weights=weights)
    found = read.slope * own + features @ read.coef.T
    assert _correlation(found, old) > 0.99
    unweighted = read_off(features, own, disturbed, every)
    assert _correlation(unweighted.slope * own + features @ unweighted.coef.T, old) < 0.97


def test_of_one_group_nothing_is_read():
    features, own, old = _problem()
    assert read_off(features, own, old, np.ones(400, dtype=bool), groups=np.zeros(400, dtype=np.int64)) is None
