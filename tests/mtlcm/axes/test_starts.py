"""Starts of the solver: which one counts, blocks of them, and how many are enough."""

from functools import partial

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.axes import starts as starts_module
from identirep.mtlcm.axes.covariances import DenseCovariances, SharedCovariances
from identirep.mtlcm.axes.starts import random_rotations, solve_from_some, solve_in_blocks, solve_until_found
from identirep.mtlcm.model import residual_covariances


def test_rotations_are_drawn_uniformly():
    # Traces of uniform rotations have mean 0 and variance 1; those of a bare QR have the sign of its convention.
    Q = random_rotations(4000, 3, np.random.default_rng(0))
    np.testing.assert_allclose(Q @ Q.swapaxes(1, 2), np.broadcast_to(np.eye(3), Q.shape), atol=1e-12)
    trace = np.einsum("sii->s", Q)
    assert abs(trace.mean()) < 0.06
    assert abs(trace.var() - 1.0) < 0.1


def test_blocks_of_starts_give_what_all_together_give(monkeypatch):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(20, 5, 15))
    R = A @ A.swapaxes(1, 2) / 15
    covariances = DenseCovariances.from_matrices(R, rng.dirichlet(np.ones(20), size=7))
    starts = random_rotations(7, 5, rng)
    together = solve_in_blocks(covariances, starts, max_iter=500, tol=1e-9)
    monkeypatch.setattr(starts_module, "_MAX_NUMBERS", 2 * 5 * (20 + 25))
    blocks = solve_in_blocks(covariances, starts, max_iter=500, tol=1e-9)
    np.testing.assert_allclose(blocks.unmixing, together.unmixing, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(blocks.converged, together.converged)


def _solver(seed, D=12, T=30):
    """Diagonalise the covariances of latents given each of many targets, on the same rows: known for local optima."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_t(3, size=(T, D)) * (rng.random((T, D)) < 0.5)
    vectors *= np.sqrt(rng.uniform(0.5, 0.95, size=T))[:, None] / np.linalg.norm(vectors, axis=1, keepdims=True)
    covariances = SharedCovariances(np.eye(D), vectors, np.full(T, 1 / T))
    return partial(solve_in_blocks, covariances, max_iter=500, tol=1e-8)


def test_starts_go_on_until_the_best_end_has_been_reached_five_times():
    n_starts = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found = solve_until_found(_solver(seed), random_rotations(6, 12, rng), most_starts=40, rng=rng)
        n_starts.append(len(found.criterion))
        hits = np.sum(found.criterion < found.criterion.min() + 1e-8)
        assert hits >= 5 or n_starts[-1] == 40
        assert len(found.unmixing) == len(found.converged) == n_starts[-1]
    # Some of these have one optimum that many starts miss.
    assert max(n_starts) > 6
    assert all(n % 6 == 0 or n == 40 for n in n_starts)


def test_no_more_starts_than_asked_for():
    rng = np.random.default_rng(0)
    found = solve_until_found(_solver(0), random_rotations(2, 12, rng), most_starts=2, rng=rng)
    assert len(found.criterion) == 2


@pytest.mark.parametrize("n_init", [1, 3, 25])
def test_a_given_number_of_starts_is_kept_with_shared_inputs(n_init):
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(300, 4))
    moments = TaskMoments.from_arrays(Z, Z @ rng.normal(size=(4, 9)) + rng.normal(size=(300, 9)))
    assert moments.is_shared
    assert len(MTLCM(n_init=n_init, random_state=0).fit_moments(moments).start_criteria_) == n_init


def test_some_of_many_tasks_lead_starts_to_ends_as_good_in_fewer_steps_of_all(monkeypatch):
    data = make_linear_tasks(200, 60, 5, 2, random_state=0)
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    covariances = DenseCovariances.from_matrices(residual_covariances(moments), moments.weights)
    starts = random_rotations(4, 5, np.random.default_rng(1))
    plain = solve_from_some(covariances, starts, max_iter=500, tol=1e-9, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(
        plain.criterion, solve_in_blocks(covariances, starts, max_iter=500, tol=1e-9).criterion
    )
    monkeypatch.setattr(starts_module, "_MOST_TASKS", 60)
    led = solve_from_some(covariances, starts, max_iter=500, tol=1e-9, rng=np.random.default_rng(0))
    assert led.converged.all()
    assert (led.n_iter < plain.n_iter).all()
    assert led.criterion[led.best] <= plain.criterion[plain.best] + 1e-12
    # An end of all tasks is left to no start of some.
    near = solve_from_some(covariances, plain.unmixing, max_iter=500, tol=1e-9, rng=np.random.default_rng(0))
    assert near.n_iter.max() <= 1
