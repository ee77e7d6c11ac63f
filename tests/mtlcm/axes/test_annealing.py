"""Annealing of sets and unmixing matrix: draws against enumeration, steps against those of `exact`, recovery."""

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.axes.annealing import _draw_sets, _joint, _mapped, _step, anneal
from identirep.mtlcm.axes.diagonalise import StepMemory
from identirep.mtlcm.axes.exact import ExactState, exact_step
from identirep.mtlcm.model import JointMoments, joint_covariances
from identirep.mtlcm.roles.sets import correlations, log_residual_variances, own_terms, set_members


def _problem(**options):
    data = make_linear_tasks(random_state=0, mixing="identity", observation_noise=0.0, **options)
    moments = TaskMoments.from_long(data.Z, data.y, data.tasks)
    return JointMoments(moments.cov_h[moments.group], moments.cov_hy, moments.var_y, moments.weights), moments, data


def _draw(J, causal, half_n, temperature, rng):
    M = np.repeat(J[None], len(causal), axis=0)
    noise = rng.logistic(size=causal.shape)
    _draw_sets(M, causal, half_n, np.full((len(causal), 1), temperature), rng.permutation(causal.shape[1]), noise)
    return M


def test_draws_follow_the_enumerated_posterior():
    joint, moments, _ = _problem(n_tasks=3, n_samples=12, n_latents=3, n_causal=1, spurious_std=1.0, standardize=False)
    C, n = correlations(joint_covariances(moments)), moments.n_samples
    own = own_terms(C, n)
    values = own @ set_members(3).T - 0.5 * n[:, None] * log_residual_variances(C, np.tile(np.arange(3), (3, 1)))
    p = np.exp(values - values.max(axis=1, keepdims=True))
    expected = (p / p.sum(axis=1, keepdims=True)) @ set_members(3)
    rng, causal = np.random.default_rng(0), np.zeros((40, 3, 3), dtype=bool)
    total = np.zeros((3, 3))
    for _ in range(100):
        _draw(_joint(joint), causal, 0.5 * n, 1.0, rng)
        total += causal.mean(axis=0)
    np.testing.assert_allclose(total.T / 100, expected, atol=0.05)
    assert ((expected > 0.1) & (expected < 0.9)).any()


def test_low_temperature_flattens_the_draws():
    joint, moments, _ = _problem(n_tasks=50, n_latents=5)
    causal = np.zeros((200, 5, 50), dtype=bool)
    _draw(_joint(joint), causal, 0.5 * moments.n_samples, 1e-6, np.random.default_rng(0))
    np.testing.assert_allclose(causal.mean(axis=0), 0.5, atol=0.2)


def test_steps_are_those_of_the_exact_likelihood():
    joint, moments, data = _problem(n_tasks=60, n_latents=4, n_samples=1000)
    start = np.eye(4) + 0.1 * np.random.default_rng(0).normal(size=(4, 4))
    z = joint.mapped(start)
    J, causal = _mapped(_joint(joint)[None], start[None]), data.causal.T[None].copy()
    # Logistic noise of minus and plus infinity: the draw is what it was.
    M = J.copy()
    noise = np.where(causal, -np.inf, np.inf)
    _draw_sets(M, causal, 0.5 * moments.n_samples, np.ones((1, 1)), np.arange(4), noise)
    np.testing.assert_array_equal(causal[0], data.causal.T)
    E = exact_step(ExactState.at(z, data.causal, start), data.causal, StepMemory())[1]
    np.testing.assert_allclose(_step(J, M, causal, joint.weights)[0], np.eye(4) + E, atol=1e-8)


@pytest.mark.parametrize("n_tasks", [100, 150])
def test_latents_are_found_from_afar(n_tasks):
    # With 150 tasks and three starts the tasks are drawn in several blocks of at least 64.
    joint, moments, _ = _problem(n_tasks=n_tasks, n_latents=4, n_causal=2, spurious_std=1.0, standardize=False)
    rng = np.random.default_rng(1)
    starts = np.linalg.qr(np.eye(4) + 0.3 * rng.normal(size=(3, 4, 4)))[0]
    temperatures = np.tile(np.minimum(1.0, np.geomspace(0.1, 3.0, 150))[:, None], 3)
    found = anneal(joint, moments.n_samples, starts, temperatures, rng)
    relative = np.abs(found) / np.abs(found).max(axis=2, keepdims=True)
    assert (np.sort(relative, axis=2)[:, :, -2] < 0.15).any(axis=0).all()
