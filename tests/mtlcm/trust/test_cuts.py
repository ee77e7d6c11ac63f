"""Axes of fits to other subspaces of the features: the same if these are, others where a direction is exchanged."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.mtlcm.trust.cuts import cut_agreement


@pytest.fixture(scope="module")
def fitted():
    """Two latents of three features, each of which some of the targets depend on."""
    rng = np.random.default_rng(0)
    H = rng.normal(size=(2000, 3))
    heads = np.zeros((3, 12))
    heads[np.arange(12) % 3, np.arange(12)] = 1.0
    Y = H @ heads + 0.5 * rng.normal(size=(2000, 12))
    every = TaskMoments.from_arrays(H, Y)
    return MTLCM(random_state=0).fit_moments(TaskMoments.from_arrays(H[:, :2], Y)), every


def _agreement(fitted, subspace):
    model, every = fitted
    causal = np.zeros((12, 2), dtype=bool)
    return cut_agreement(model.fit_, every, causal, np.array([subspace]), np.random.default_rng(0), 2)[0]


def test_same_directions(fitted):
    assert _agreement(fitted, np.eye(3)[:2]).min() > 0.99


def test_another_direction_in_the_place_of_one(fitted):
    found = np.sort(_agreement(fitted, np.eye(3)[[0, 2]]))
    assert found[0] < 0.1
    assert found[1] > 0.99


def test_directions_in_between(fitted):
    # Half of the second direction is the third: no axis of the new subspace has more than cos(45) of it.
    found = np.sort(_agreement(fitted, np.array([[1.0, 0, 0], [0, np.sqrt(0.5), np.sqrt(0.5)]])))
    assert found[0] < 0.75
