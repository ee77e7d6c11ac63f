"""Optima near given axes: taken where targets do not tell them from the best one, refused where they do."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.mtlcm.axes import nearest_fit

_SOLVER = {"max_iter": 500, "tol": 1e-7}


def _fit(heads, seed, n=400, noise=0.1):
    rng = np.random.default_rng(seed)
    H = rng.normal(size=(n, len(heads)))
    return MTLCM(random_state=0).fit(H, H @ heads + noise * rng.normal(size=(n, heads.shape[1])))


def _rotation(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _two_optima(n_first, n_second):
    """Tasks along two axes, and others along the two that lie between these."""
    between = _rotation(np.pi / 4)
    first, second = np.eye(2)[np.arange(n_first) % 2].T, between[np.arange(n_second) % 2].T
    return np.concatenate([first, second], axis=1), between


@pytest.mark.parametrize("seed", range(5))
def test_a_tie_goes_to_the_start(seed):
    heads, between = _two_optima(11, 9)
    model = _fit(heads, seed)
    for start in (np.eye(2), between):
        found = nearest_fit(model.fit_, model.moments_, start, **_SOLVER)
        B = model.fit_.unmixing if found is None else found.unmixing
        cosine = np.abs((B / np.linalg.norm(B, axis=1, keepdims=True)) @ start.T)
        assert cosine.max(axis=1).min() > 0.98
    # One of the two is the fit itself, and then nothing is to be done.
    assert nearest_fit(model.fit_, model.moments_, model.fit_.unmixing, **_SOLVER) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_worse_one_is_refused(seed):
    heads, between = _two_optima(36, 4)
    model = _fit(heads, seed)
    assert nearest_fit(model.fit_, model.moments_, between, **_SOLVER) is None


@pytest.mark.parametrize("start", [np.full((2, 2), np.nan), np.ones((2, 2)), np.eye(3), np.ones((1, 2))])
def test_starts_that_are_no_axes_are_left(start):
    model = _fit(_two_optima(11, 9)[0], 0)
    assert nearest_fit(model.fit_, model.moments_, start, **_SOLVER) is None


def test_tasks_with_rows_of_their_own_have_no_choice():
    rng = np.random.default_rng(0)
    H, tasks = rng.normal(size=(600, 2)), np.repeat(np.arange(20), 30)
    heads = _two_optima(11, 9)[0]
    y = np.einsum("nd,dn->n", H, heads[:, tasks]) + 0.1 * rng.normal(size=600)
    model = MTLCM(random_state=0).fit(H, y, tasks)
    for start in (np.eye(2), _rotation(np.pi / 4)):
        assert nearest_fit(model.fit_, model.moments_, start, **_SOLVER) is None


def test_a_model_turns_in_units_that_are_far_apart():
    heads, between = _two_optima(11, 9)
    rng = np.random.default_rng(0)
    H = rng.normal(size=(400, 2))
    y = H @ heads + 0.1 * rng.normal(size=(400, 20))
    units = np.array([1.0, 1e8])
    plain, far = MTLCM(random_state=0).fit(H, y), MTLCM(random_state=0).fit(H * units, y)
    other = between if plain._turn_to(between, **_SOLVER) else np.eye(2)
    plain._turn_to(other, **_SOLVER)
    far._turn_to(other / units, **_SOLVER)
    np.testing.assert_allclose(np.abs(far.transform(H * units)), np.abs(plain.transform(H)), atol=1e-3)
