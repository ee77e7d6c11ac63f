"""Joint diagonalisation: truth, gradient, both forms of covariances, weights of the starts, memory of steps."""

import numpy as np
import pytest

from identirep.mtlcm.axes import diagonalise as solver
from identirep.mtlcm.axes.covariances import DenseCovariances, SharedCovariances
from identirep.mtlcm.axes.diagonalise import StepMemory, joint_diagonalise, pair_step


def _diagonalisable(rng, T=30, D=6, noise=0.0):
    A = rng.normal(size=(D, D))
    variances = rng.uniform(0.1, 2.0, size=(T, D))
    R = (A * variances[:, None]) @ A.T
    if noise:
        # Symmetric disturbance of that relative size, in coordinates that keep the matrices positive definite.
        E = noise * rng.normal(size=(T, D, D))
        L = np.linalg.cholesky(R)
        R = L @ (np.eye(D) + E) @ (np.eye(D) + E.transpose(0, 2, 1)) @ L.transpose(0, 2, 1)
    return A, R


def _criterion(B, R, weights):
    lam = np.einsum("ij,tjk,ik->ti", B, R, B)
    return -np.linalg.slogdet(B)[1] + 0.5 * weights @ np.log(lam).sum(axis=1)


def _uniform(T):
    return np.full(T, 1.0 / T)


def _amari_error(P):
    """Zero for a scaled permutation."""
    P = np.abs(P)
    return (P / P.max(axis=1, keepdims=True)).sum() / len(P) - 1


@pytest.mark.parametrize("D", [2, 6, 20])
def test_exactly_diagonalisable_matrices_give_the_mixing_back(D):
    rng = np.random.default_rng(D)
    A, R = _diagonalisable(rng, D=D)
    result = joint_diagonalise(DenseCovariances.from_matrices(R, _uniform(30)), np.eye(D)[None], tol=1e-10)
    assert result.converged.all()
    assert _amari_error(result.unmixing[0] @ A) < 1e-8


def test_gradient_vanishes_at_the_solution_by_finite_differences():
    rng = np.random.default_rng(0)
    _, R = _diagonalisable(rng, noise=0.05)
    weights = rng.dirichlet(np.ones(30))
    result = joint_diagonalise(DenseCovariances.from_matrices(R, weights), np.eye(6)[None])
    B = result.unmixing[0]
    for i in range(6):
        for j in range(6):
            E = np.zeros((6, 6))
            E[i, j] = 1e-4
            up, down = _criterion((np.eye(6) + E) @ B, R, weights), _criterion((np.eye(6) - E) @ B, R, weights)
            assert abs(up - down) / 2e-4 < 1e-6
    assert result.criterion[0] == pytest.approx(_criterion(B, R, weights), abs=1e-12)


def test_reported_gradient_norm_is_the_finite_difference_one_away_from_the_solution():
    rng = np.random.default_rng(1)
    _, R = _diagonalisable(rng, noise=0.05)
    B = rng.normal(size=(6, 6))
    result = joint_diagonalise(DenseCovariances.from_matrices(R, _uniform(30)), B[None], max_iter=1, tol=1e-12)
    # The gradient is that of rows of unit mean variance, which the criterion does not ask for.
    B1 = result.unmixing[0]
    B1 = B1 / np.sqrt(np.einsum("ij,tjk,ik->ti", B1, R, B1).mean(axis=0))[:, None]
    largest = 0.0
    for i in range(6):
        for j in range(6):
            E = np.zeros((6, 6))
            E[i, j] = 1e-6
            up = _criterion((np.eye(6) + E) @ B1, R, _uniform(30))
            down = _criterion((np.eye(6) - E) @ B1, R, _uniform(30))
            largest = max(largest, abs(up - down) / 2e-6)
    assert result.gradient_norm[0] == pytest.approx(largest, rel=1e-4)
    assert not result.converged[0]
    assert result.n_iter[0] == 1


def test_all_starts_reach_one_optimum_and_are_independent_of_each_other():
    rng = np.random.default_rng(2)
    _, R = _diagonalisable(rng, noise=0.02)
    starts = rng.normal(size=(8, 6, 6))
    covariances = DenseCovariances.from_matrices(R, _uniform(30))
    together = joint_diagonalise(covariances, starts)
    assert together.converged.all()
    np.testing.assert_allclose(together.criterion, together.criterion[0], atol=1e-9)
    alone = joint_diagonalise(covariances, starts[3:4])
    np.testing.assert_allclose(alone.unmixing[0], together.unmixing[3], rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_the_features_do_not_matter(scale):
    rng = np.random.default_rng(3)
    _, R = _diagonalisable(rng, noise=0.02)
    units = np.geomspace(1, scale, 6)
    scaled = DenseCovariances.from_matrices(units[:, None] * R * units, _uniform(30))
    result = joint_diagonalise(scaled, np.eye(6)[None], tol=1e-9)
    plain = joint_diagonalise(DenseCovariances.from_matrices(R, _uniform(30)), np.eye(6)[None], tol=1e-9)
    assert result.converged.all()
    P = result.unmixing[0] * units @ np.linalg.inv(plain.unmixing[0])
    assert _amari_error(P) < 1e-6


def test_shared_form_equals_the_dense_form():
    rng = np.random.default_rng(4)
    D, T = 5, 40
    vectors = rng.laplace(size=(T, D)) * 0.3
    vectors *= np.minimum(1, 0.9 / np.linalg.norm(vectors, axis=1))[:, None]
    weights, starts = rng.dirichlet(np.ones(T)), rng.normal(size=(3, D, D))
    R = np.eye(D) - vectors[:, :, None] * vectors[:, None, :]
    shared = joint_diagonalise(SharedCovariances(np.eye(D), vectors, weights), starts, max_iter=40)
    dense = joint_diagonalise(DenseCovariances.from_matrices(R, weights), starts, max_iter=40)
    np.testing.assert_allclose(shared.unmixing, dense.unmixing, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(shared.criterion, dense.criterion, atol=1e-11)


def test_each_start_can_have_weights_of_its_own():
    rng = np.random.default_rng(5)
    _, R = _diagonalisable(rng, noise=0.02)
    weights = rng.dirichlet(np.ones(30), size=3)
    starts = np.broadcast_to(np.eye(6), (3, 6, 6))
    together = joint_diagonalise(DenseCovariances.from_matrices(R, weights), starts)
    for s in range(3):
        alone = joint_diagonalise(DenseCovariances.from_matrices(R, weights[s]), starts[:1])
        np.testing.assert_allclose(together.unmixing[s], alone.unmixing[0], rtol=1e-9, atol=1e-12)
    assert not np.allclose(together.unmixing[0], together.unmixing[1], atol=1e-3)


def test_inseparable_pair_does_not_break_the_solver():
    # Two latents with proportional variances in all tasks: any rotation of them fits.
    rng = np.random.default_rng(6)
    variances = rng.uniform(0.1, 2.0, size=(30, 4))
    variances[:, 1] = variances[:, 0]
    A = rng.normal(size=(4, 4))
    R = (A * variances[:, None]) @ A.T
    result = joint_diagonalise(DenseCovariances.from_matrices(R, _uniform(30)), np.eye(4)[None])
    P = np.abs(result.unmixing[0] @ A)
    assert np.isfinite(result.unmixing).all()
    assert result.gradient_norm[0] < 1e-6
    # The other two latents are found all the same.
    assert sorted(np.argmax(P / P.sum(axis=1, keepdims=True), axis=1))[-2:] == [2, 3]


def test_rounding_error_ends_the_iteration_and_counts_as_convergence():
    # No gradient is as small as this tolerance: what is left to gain is below the rounding error of the criterion.
    rng = np.random.default_rng(7)
    _, R = _diagonalisable(rng, D=10, noise=0.05)
    starts = np.linalg.qr(rng.normal(size=(4, 10, 10)))[0]
    result = joint_diagonalise(DenseCovariances.from_matrices(R, _uniform(30)), starts, tol=1e-18)
    assert result.converged.all()
    assert np.all(result.n_iter < 100)
    assert np.all(result.gradient_norm > 1e-18)
    assert np.all(result.gradient_norm < 1e-6)


@pytest.mark.parametrize("unexplained", [1e-6, 1e-10])
def test_nearly_singular_covariances_have_a_larger_rounding_error(unexplained):
    # Targets that features determine up to a trifle: variances are differences of numbers a million times as large.
    rng = np.random.default_rng(8)
    D, T = 4, 12
    vectors = rng.normal(size=(T, D)) * (rng.random((T, D)) < 0.6) + 0.05
    vectors *= np.sqrt(1.0 - unexplained) / np.linalg.norm(vectors, axis=1)[:, None]
    covariances = SharedCovariances(np.eye(D), vectors, _uniform(T))
    result = joint_diagonalise(covariances, np.linalg.qr(rng.normal(size=(10, D, D)))[0], max_iter=2000)
    assert result.converged.all()
    assert np.isfinite(result.unmixing).all()


def test_too_few_iterations_are_no_convergence():
    rng = np.random.default_rng(9)
    _, R = _diagonalisable(rng, noise=0.05)
    covariances = DenseCovariances.from_matrices(R, _uniform(30))
    start = np.linalg.qr(rng.normal(size=(1, 6, 6)))[0]
    for max_iter in (1, 3):
        result = joint_diagonalise(covariances, start, max_iter=max_iter)
        assert not result.converged[0]
        assert result.n_iter[0] == max_iter
        assert result.gradient_norm[0] > 1e-7
    assert joint_diagonalise(covariances, start).converged[0]


def test_pair_steps_solve_the_system_of_each_pair():
    rng = np.random.default_rng(10)
    G, h = rng.normal(size=(2, 3, 3)), rng.uniform(1.5, 3.0, size=(2, 3, 3))
    E = pair_step(G, h, 1e-3)
    for s in range(2):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            expected = np.linalg.solve([[h[s, i, j], 1.0], [1.0, h[s, j, i]]], [-G[s, i, j], -G[s, j, i]])
            np.testing.assert_allclose([E[s, i, j], E[s, j, i]], expected, rtol=1e-12)
    np.testing.assert_allclose(np.einsum("sii->si", E * (h + 1.0) + G), 0.0, atol=1e-12)


def test_pair_steps_of_inseparable_pairs_stay_bounded():
    G, h = np.array([[[0.0, 1.0], [-1.0, 0.0]]]), np.ones((1, 2, 2))
    E = pair_step(G, h, 1e-2)
    assert np.abs(E).max() < 1e3
    assert np.sum(E * G) < 0


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
