"""Axes on shared rows: sparse heads of correlated latents, few optima, missing labels, and the solver."""

import numpy as np
import pytest
from scipy.optimize import minimize

from identirep import MTLCM, TaskMoments
from identirep.metrics import mcc, mcc_score
from identirep.mtlcm.axes import mostly_shared
from identirep.mtlcm.axes.rotation import HeadsOfTasks, length_of_heads, sparsest_heads
from identirep.mtlcm.axes.starts import random_rotations


def _problem(seed, n=2000, D=5, T=60, strengths=1.0):
    """Correlated latents of unequal strength; a target depends on a third of them. Features, targets, latents."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, D)) @ (np.eye(D) + 0.3 * rng.normal(size=(D, D)))
    Z /= Z.std(axis=0)
    heads = rng.normal(size=(D, T)) * (rng.random((D, T)) < 0.3) * np.exp(strengths * rng.normal(size=(D, 1)))
    return Z @ rng.normal(size=(D, D)), Z @ heads + 0.5 * rng.normal(size=(n, T)), Z


def test_correlated_latents_of_unequal_strength_are_found():
    # Rotations of whitened features and joint diagonalisation stay below 0.87, powers of 1.5 and more below 0.9.
    scores = []
    for seed in range(3):
        H, Y, Z = _problem(seed)
        scores.append(mcc_score(MTLCM(random_state=seed).fit(H, Y).transform(H), Z))
    assert np.mean(scores) > 0.96


def test_axes_come_back_on_other_rows():
    H, Y, _ = _problem(0, n=6000)
    one, two = (
        MTLCM(random_state=seed).fit(H[rows], Y[rows]) for seed, rows in ((0, np.s_[:2000]), (1, np.s_[2000:4000]))
    )
    assert mcc(one.transform(H[4000:]), two.transform(H[4000:])).per_latent.min() > 0.99


def test_latents_have_unit_variance_and_the_promised_moments():
    H, Y, _ = _problem(1)
    model = MTLCM(random_state=0).fit(H, Y)
    Z = model.transform(H)
    np.testing.assert_allclose(Z.std(axis=0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(model.components_ @ model.mixing_, np.eye(5), atol=1e-8)
    centred = Y - Y.mean(axis=0)
    left = [1.0 - np.corrcoef(Z[:, i], centred[:, t])[0, 1] ** 2 for t in range(3) for i in range(5)]
    np.testing.assert_allclose(model.fit_.variances[:3].ravel(), left, rtol=1e-5)


def test_coordinates_of_the_features_do_not_matter():
    H, Y, _ = _problem(2)
    M = np.random.default_rng(1).normal(size=(5, 5))
    one, two = MTLCM(random_state=0).fit(H, Y), MTLCM(random_state=1).fit(H @ M + 3.0, Y)
    np.testing.assert_allclose(two.transform(H @ M + 3.0), one.transform(H), atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_missing_labels_lead_to_the_same_axes(share):
    H, Y, _ = _problem(0)
    complete = MTLCM(random_state=0).fit(H, Y)
    Y[np.random.default_rng(0).random(Y.shape) < share] = np.nan
    moments = TaskMoments.from_arrays(H, Y)
    assert not moments.is_shared
    assert mostly_shared(moments)
    model = MTLCM(random_state=0).fit(H, Y)
    assert mcc_score(model.transform(H), complete.transform(H)) > 0.99


def test_rows_of_their_own_are_not_shared():
    rng = np.random.default_rng(0)
    H, y = rng.normal(size=(300, 3)), rng.normal(size=300)
    assert not mostly_shared(TaskMoments.from_long(H, y, np.arange(300) % 2))
    assert mostly_shared(TaskMoments.from_arrays(H, np.stack([y, y**2], axis=1)))
    # Two labels of thirty are few.
    Y = np.where(rng.random((300, 30)) < 2 / 30, rng.normal(size=(300, 30)), np.nan)
    assert not mostly_shared(TaskMoments.from_arrays(H, Y))


def test_fewer_latents_than_features_leave_the_rest_as_noise():
    rng = np.random.default_rng(0)
    H, Y, _ = _problem(0)
    wide = np.concatenate([H @ rng.normal(size=(5, 5)) * 3.0, 0.1 * rng.normal(size=(2000, 2))], axis=1)
    model = MTLCM(5, random_state=0).fit(wide, Y)
    assert model.noise_std_ > 0.0
    assert mcc_score(model.transform(wide), MTLCM(random_state=0).fit(H, Y).transform(H)) > 0.98


def test_a_target_that_the_features_determine_does_not_decide_alone():
    H, Y, Z = _problem(0)
    exact = np.concatenate([Y, (Z @ np.ones(5))[:, None]], axis=1)
    one, two = (MTLCM(random_state=0).fit(H, targets) for targets in (Y, exact))
    assert two.converged_
    assert mcc_score(one.transform(H), two.transform(H)) > 0.8


def _log_length(heads, B):
    return np.log(heads.weights @ length_of_heads(heads, B / np.linalg.norm(B, axis=1, keepdims=True)))


def test_ends_are_minima():
    rng = np.random.default_rng(0)
    coef = rng.laplace(size=(40, 4)) * (rng.random((40, 4)) < 0.5) @ (np.eye(4) + 0.4 * rng.normal(size=(4, 4)))
    heads = HeadsOfTasks(coef, rng.dirichlet(np.ones(40)))
    found = sparsest_heads(heads, random_rotations(20, 4, rng), max_iter=500, tol=1e-7)
    assert found.converged.all()
    for B, value in zip(found.unmixing, found.criterion, strict=True):
        assert _log_length(heads, B) == pytest.approx(value, abs=1e-12)
        steps = 1e-4 * rng.normal(size=(20, 4, 4))
        assert min(_log_length(heads, B + E) for E in steps) > value - 1e-13
        # Another solver goes no further down.
        start = (B + 1e-3 * rng.normal(size=(4, 4))).ravel()
        best = minimize(lambda x: _log_length(heads, x.reshape(4, 4)), start, method="BFGS", options={"gtol": 1e-7})
        assert value <= best.fun + 1e-9
    # Most starts lead to one optimum, within a few dozen steps.
    assert np.sum(found.criterion < found.criterion.min() + 1e-9) >= 10
    assert np.median(found.n_iter) < 60


def test_problems_solved_at_once_have_the_solutions_that_they_have_alone():
    rng = np.random.default_rng(0)
    problems = [HeadsOfTasks(rng.laplace(size=(30, 3)), rng.dirichlet(np.ones(30))) for _ in range(4)]
    starts = random_rotations(8, 3, rng)
    together = sparsest_heads(HeadsOfTasks.stacked(problems, 2), starts, max_iter=300, tol=1e-8)
    for k, heads in enumerate(problems):
        alone = sparsest_heads(heads, starts[2 * k : 2 * k + 2], max_iter=300, tol=1e-8)
        np.testing.assert_allclose(together.criterion[2 * k : 2 * k + 2], alone.criterion, atol=1e-14)
        np.testing.assert_allclose(together.unmixing[2 * k : 2 * k + 2], alone.unmixing, atol=1e-6)


def test_one_latent_and_a_start_without_inverse():
    heads = HeadsOfTasks(np.ones((5, 1)), np.full(5, 0.2))
    found = sparsest_heads(heads, np.full((2, 1, 1), -3.0), max_iter=5, tol=1e-9)
    assert found.converged.all()
    assert found.unmixing.ravel().tolist() == [-1.0, -1.0]
    two = HeadsOfTasks(np.random.default_rng(0).laplace(size=(20, 2)), np.full(20, 0.05))
    found = sparsest_heads(two, np.stack([np.ones((2, 2)), np.eye(2)]), max_iter=100, tol=1e-9)
    assert np.isinf(found.criterion[0])
    assert found.converged.tolist() == [False, True]


def test_says_that_it_has_not_converged():
    rng = np.random.default_rng(0)
    heads = HeadsOfTasks(rng.laplace(size=(30, 4)), np.full(30, 1 / 30))
    starts = random_rotations(2, 4, rng)
    assert not sparsest_heads(heads, starts, max_iter=1, tol=1e-9).converged.any()
    assert sparsest_heads(heads, starts, max_iter=500, tol=1e-6).converged.all()


def test_rivals_that_cannot_win_are_given_up_and_the_best_end_of_each_problem_is_reached():
    rng = np.random.default_rng(5)
    problems = [HeadsOfTasks(rng.standard_t(3, size=(30, 5)), np.full(30, 1 / 30)) for _ in range(3)]
    stacked, starts = HeadsOfTasks.stacked(problems, 12), random_rotations(36, 5, rng)
    rivals = np.repeat(np.arange(3), 12)
    all_ends = sparsest_heads(stacked, starts, max_iter=500, tol=1e-6)
    found = sparsest_heads(stacked, starts, max_iter=500, tol=1e-6, rivals=rivals)
    best = [ends.criterion.reshape(3, 12).min(axis=1) for ends in (all_ends, found)]
    np.testing.assert_allclose(best[1], best[0], atol=1e-9)
    given_up = ~found.converged
    assert 5 < given_up.sum() < 33
    assert (found.n_iter[given_up] < all_ends.n_iter[given_up]).all()
    # Some linger near a saddle and would have reached the best end after others.
    assert np.mean(all_ends.criterion[given_up] > best[0][rivals[given_up]] + 1e-6) > 0.8
