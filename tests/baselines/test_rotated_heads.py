"""Rotations: recover uncorrelated latents with sparse heads, and each criterion rises until it stays."""

from typing import get_args

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from identirep import TaskMoments
from identirep.baselines import RotatedHeads
from identirep.baselines.rotated_heads import RotationCriterion, _judge
from identirep.metrics import mcc_score

_CRITERIA = get_args(RotationCriterion)


def _problem(seed=0, n=3000, D=5, T=60):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, D))
    Y = Z @ (rng.normal(size=(D, T)) * (rng.random((D, T)) < 0.3)) + 0.3 * rng.normal(size=(n, T))
    return Z @ rng.normal(size=(D, D)), Y, Z


@pytest.mark.parametrize("criterion", _CRITERIA)
def test_recovers_uncorrelated_latents_with_sparse_heads(criterion):
    H, Y, Z = _problem()
    model = RotatedHeads(criterion, random_state=0).fit(H, Y)
    assert model.converged_
    assert mcc_score(model.transform(H), Z) > 0.97
    np.testing.assert_allclose(np.cov(model.transform(H).T, bias=True), np.eye(5), atol=1e-6)


@pytest.mark.parametrize("criterion", _CRITERIA)
def test_nothing_nearby_is_better(criterion):
    H, Y, _ = _problem(1)
    model = RotatedHeads(criterion, random_state=0).fit(H, Y)
    Z = model.transform(H)
    centred = Y - Y.mean(axis=0)
    L = centred.T @ Z / len(Z) / centred.std(axis=0)[:, None]
    judge, angle = _judge(criterion, L), 1e-2
    best = judge(L)[0]
    assert best == pytest.approx(model.objective_, rel=1e-6)
    for i in range(5):
        for j in range(i):
            turn = np.eye(5)
            turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
            assert judge(L @ turn)[0] < best


@pytest.mark.parametrize("criterion", _CRITERIA)
def test_gradient_against_finite_differences(criterion):
    # Up to a positive factor, and a multiple of l, which rotations do not feel.
    rng = np.random.default_rng(0)
    L = rng.uniform(-0.5, 0.5, size=(30, 4))
    judge = _judge(criterion, L)
    gradient = judge(L)[1]
    skew = rng.normal(size=(4, 4))
    skew -= skew.T

    def along(step):
        left, _, right = np.linalg.svd(np.eye(4) + step * skew)
        return judge(L @ left @ right)[0]

    slope = (along(1e-5) - along(-1e-5)) / 2e-5
    factor = {"entropy": 2.0, "varimax": 4.0, "equamax": 4.0, "quartimax": 4.0, "third_power": 3.0, "sixth_power": 6.0}
    assert slope == pytest.approx(factor.get(criterion, 1.0) * np.sum(gradient * (L @ skew)), rel=1e-4)


def test_moments_are_enough():
    H, Y, _ = _problem()
    one, two = RotatedHeads(random_state=0).fit(H, Y), RotatedHeads(random_state=0)
    two.fit_moments(TaskMoments.from_arrays(H, Y))
    assert mcc_score(one.transform(H), two.transform(H)) > 1 - 1e-6


def test_says_that_it_has_not_converged():
    H, Y, _ = _problem()
    with pytest.warns(ConvergenceWarning, match="RotatedHeads stopped after 1 iterations"):
        assert not RotatedHeads(max_iter=1, random_state=0).fit(H, Y).converged_


def test_unknown_criterion():
    H, Y, _ = _problem()
    with pytest.raises(ValueError, match="criterion is not valid: got 'promax'"):
        RotatedHeads("promax").fit(H, Y)
