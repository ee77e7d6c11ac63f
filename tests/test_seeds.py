"""Generators from `random_state`."""

import numpy as np
import pytest

from identirep.seeds import as_generator


def test_int_gives_the_same_numbers_each_time():
    assert as_generator(3).random() == as_generator(np.int64(3)).random()


def test_generator_is_used_as_it_is():
    rng = np.random.default_rng(0)
    assert as_generator(rng) is rng


def test_random_state_seeds_and_moves_on():
    state = np.random.RandomState(0)
    first, second = as_generator(state).random(), as_generator(state).random()
    assert first != second
    assert as_generator(np.random.RandomState(0)).random() == first


def test_global_generator_is_neither_read_nor_moved():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert as_generator(None).random() != as_generator(None).random()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (-1, ValueError, r"random_state is negative: got -1, expected an int >= 0\. Choose a non-negative seed\."),
        ("0", TypeError, r"random_state has the wrong type: got str, expected an int, None, or a NumPy"),
        (True, TypeError, r"random_state has the wrong type: got bool"),
        (1.5, TypeError, r"random_state has the wrong type: got float"),
    ],
)
def test_bad_random_state(bad, error, message):
    with pytest.raises(error, match=message):
        as_generator(bad)
