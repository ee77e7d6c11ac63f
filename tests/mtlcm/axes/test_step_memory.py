"""Memory of steps: the Newton step of a quadratic, and starts apart from each other."""

import numpy as np

from identirep.mtlcm.axes import diagonalise as solver
from identirep.mtlcm.axes.covariances import SharedCovariances
from identirep.mtlcm.axes.step_memory import StepMemory


def _plain(gradient):
    return -gradient


def test_without_steps_the_direction_is_that_of_the_caller():
    G = np.random.default_rng(0).normal(size=(3, 2, 2))
    np.testing.assert_array_equal(StepMemory().direction(G, _plain), -G)


def test_remembered_steps_teach_the_curvature():
    # Criterion 1/2 x'Hx in four dimensions: after steps along all eigenvectors the direction is Newton's.
    rng = np.random.default_rng(1)
    Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    curvature = np.array([0.01, 0.5, 2.0, 30.0])
    memory = StepMemory()
    for q, h in zip(Q.T, curvature, strict=True):
        memory.remember(q.reshape(1, 2, 2), h * q.reshape(1, 2, 2))
    G = rng.normal(size=(1, 2, 2))
    newton = -(Q / curvature) @ Q.T @ G.ravel()
    np.testing.assert_allclose(memory.direction(G, _plain).ravel(), newton, rtol=1e-10)


def test_negative_curvature_is_not_remembered_and_the_direction_goes_downhill():
    rng = np.random.default_rng(2)
    step, G = rng.normal(size=(2, 1, 2, 2))
    memory = StepMemory()
    memory.remember(step, -step)
    np.testing.assert_array_equal(memory.direction(G, _plain), -G)


def test_starts_are_remembered_selected_and_forgotten_one_by_one():
    rng = np.random.default_rng(3)
    step, change, G = rng.normal(size=(3, 2, 2, 2))
    change = step + 0.1 * change
    both, first = StepMemory(), StepMemory()
    both.remember(step, change)
    first.remember(step[:1], change[:1])
    np.testing.assert_allclose(both.direction(G, _plain)[:1], first.direction(G[:1], _plain))
    assert both.forget(np.array([False, True]))
    np.testing.assert_array_equal(both.direction(G, _plain)[1], -G[1])
    assert not both.forget(np.array([False, True]))
    both.select(np.array([True, False]))
    np.testing.assert_allclose(both.direction(G[:1], _plain), first.direction(G[:1], _plain))


def test_latents_that_tasks_hardly_tell_apart_take_fewer_iterations(monkeypatch):
    # Shared inputs with heads of a single law: the Hessian couples all pairs.
    problems = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        covariances = SharedCovariances(np.eye(10), 0.15 * rng.normal(size=(60, 10)), np.full(60, 1 / 60))
        problems.append((covariances, np.linalg.qr(rng.normal(size=(6, 10, 10)))[0]))
    n_iter = []
    for plain in (solver._PLAIN_ITERATIONS, 10_000):
        monkeypatch.setattr(solver, "_PLAIN_ITERATIONS", plain)
        results = [solver.joint_diagonalise(*problem, max_iter=2000) for problem in problems]
        assert all(result.converged.all() for result in results)
        n_iter.append(np.concatenate([result.n_iter for result in results]))
    assert np.mean(n_iter[0]) < 0.7 * np.mean(n_iter[1])
    assert n_iter[0].max() < n_iter[1].max()
