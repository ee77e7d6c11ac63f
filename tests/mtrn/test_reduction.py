"""Heads, directions and the spectrum on problems with known answers."""

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.metrics import canonical_correlations
from identirep.mtrn.reduction import (
    HEAD_PENALTY,
    linear_heads,
    reduce_features,
    residual_squares,
)


def _wide(n=600, D=3, K=8, T=30, noise=0.5, seed=0):
    """Draw K features of which D directions matter to T targets."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, K))
    F, Z = U @ rng.normal(size=(K, K)) + 5.0, U[:, :D]
    return F, Z, Z @ rng.normal(size=(D, T)) + noise * rng.normal(size=(n, T))


def _long(n=40, T=60, D=3, K=6, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(T), n)
    F = rng.normal(size=(n * T, K))
    w = rng.normal(size=(T, D))
    return F, (F[:, :D] * w[index]).sum(axis=1) + noise * rng.normal(size=n * T), index


def test_heads_are_ridge_regressions():
    F, _, Y = _wide()
    moments = TaskMoments.from_arrays(F, Y)
    heads = linear_heads(moments)
    C = F - F.mean(axis=0)
    penalty = HEAD_PENALTY * np.mean(C.var(axis=0))
    expected = np.linalg.solve(C.T @ C + penalty * np.eye(8), C.T @ (Y - Y.mean(axis=0))).T
    np.testing.assert_allclose(heads.coef, expected, rtol=1e-8)
    prediction = F @ heads.coef.T + heads.intercept
    np.testing.assert_allclose(residual_squares(moments, heads.coef, heads.intercept), ((Y - prediction) ** 2).sum(0))
    # 600 rows less 8 weights and the intercept.
    np.testing.assert_allclose(heads.noise, ((Y - prediction) ** 2).sum(0) / 591, rtol=1e-3)


def test_noise_is_unbiased_although_heads_use_degrees_of_freedom():
    F, y, index = _long(n=20, K=8, noise=0.5)
    noise = linear_heads(TaskMoments.from_long(F, y, index)).noise
    assert noise.mean() == pytest.approx(0.25, rel=0.1)


def test_residual_squares_of_other_rows_count_the_bias():
    F, y, index = _long()
    heads = linear_heads(TaskMoments.from_long(F, y, index))
    other, target, _ = _long(seed=1)
    target = target + 3.0
    moments = TaskMoments.from_long(other, target, index)
    residual = target - heads.intercept[index] - (other * heads.coef[index]).sum(axis=1)
    np.testing.assert_allclose(
        residual_squares(moments, heads.coef, heads.intercept), np.bincount(index, residual**2), rtol=1e-9
    )


def test_blocks_average_predictions():
    F, _, Y = _wide()
    heads = linear_heads(TaskMoments.from_arrays(F, Y), n_blocks=2)
    halves = [linear_heads(TaskMoments.from_arrays(F[:, part], Y)) for part in (slice(0, 4), slice(4, 8))]
    np.testing.assert_allclose(heads.coef, np.concatenate([half.coef for half in halves], axis=1) / 2, rtol=1e-8)


@pytest.mark.parametrize("copies", [1, 2])
def test_directions_recover_what_matters(copies):
    F, Z, Y = _wide()
    # Doubled columns make the covariance of the features singular.
    F = np.concatenate([F] * copies, axis=1)
    moments = TaskMoments.from_arrays(F, Y)
    heads = linear_heads(moments)
    reduction = reduce_features(moments, heads.coef, heads.noise)
    H = (F - reduction.mean) @ reduction.components[:3].T
    assert canonical_correlations(H, Z).min() > 0.99
    np.testing.assert_allclose(np.cov(H.T, bias=True), np.eye(3), atol=1e-6)
    # The heads in the reduced features are the heads.
    full = (F - reduction.mean) @ reduction.components.T @ (reduction.heads * reduction.scale[:, None]).T
    np.testing.assert_allclose(full, (F - reduction.mean) @ heads.coef.T, atol=1e-3)
