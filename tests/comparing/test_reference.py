"""What a fit keeps of its rows for later checks: ranks, ends and shares."""

import numpy as np
import pytest

from identirep.comparing.reference import Columns, beyond, ranks_kept


def test_ranks_are_alike_from_both_ends():
    for count in (1, 2, 5, 19, 100, 101, 1234):
        ranks = ranks_kept(count, 20)
        np.testing.assert_array_equal(ranks + ranks[::-1], count + 1)
        assert (np.diff(ranks) >= 0).all()
        assert (ranks[0], ranks[-1]) == (1, count)


def test_distance_beyond_ends():
    low, high = np.array([0.0, 1.0, 3.0]), np.array([2.0, 1.0, 4.0])
    found = beyond(np.array([[1.0, 1.0, 3.5], [3.0, 2.0, 1.0], [np.nan, 1.0, 4.0]]), low, high)
    np.testing.assert_array_equal(found, [[0, 0, 0], [0.5, np.inf, 2.0], [0, 0, 0]])


def test_shares_of_turned_axes_stay_shares():
    # Values that no row seen in training has: turned round, all of those rows lie on the other side of the least.
    rng = np.random.default_rng(0)
    columns = Columns.of(rng.normal(size=(80, 1)), 20, seen=3.0 + rng.random((50, 1)))
    turned = columns.in_axes(np.array([0]), np.array([-1.0]), np.zeros(1))
    assert turned.seen.max() == 1.0
    assert turned.in_axes(np.array([0]), np.array([-1.0]), np.zeros(1)).values == pytest.approx(columns.values)


def test_shares_count_all_rows_of_equal_values():
    # Of two values, with few ranks kept, the last of them that is kept need not be the last one of its value.
    columns = Columns.of(np.repeat([[0.0], [1.0]], [447, 553], axis=0), 20)
    assert set(columns.share[0]) == {0.447, 1.0}
    turned = columns.in_axes(np.array([0]), np.array([-1.0]), np.zeros(1))
    np.testing.assert_allclose(np.unique(turned.share[0].round(12)), [0.553, 1.0])
