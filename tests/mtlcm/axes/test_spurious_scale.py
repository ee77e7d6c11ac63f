"""Refinement with a fixed spurious scale."""

import numpy as np

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm.axes.spurious_scale import _best_scales, refine_with_spurious_scale
from identirep.mtlcm.model.likelihood import conditional_covariances


def _criterion(B, S, R, weights, q):
    cause = np.einsum("ij,tjk,ik->ti", B, S, B)
    effect = np.einsum("ij,tjk,ik->ti", B, R, B) / q + np.log(q)
    return -np.linalg.slogdet(B)[1] + 0.5 * np.sum(weights @ np.minimum(cause, effect))


def _problem():
    data = make_linear_tasks(
        n_tasks=100, n_latents=5, mixing="orthogonal", observation_noise=0.0, standardize=False, random_state=0
    )
    moments = TaskMoments.from_long(data.H, data.y, data.tasks)
    return data, moments.cov_h, conditional_covariances(moments), moments.weights


def test_truth_is_recovered_with_roles_from_a_disturbed_start():
    data, S, R, weights = _problem()
    start = np.linalg.inv(data.mixing) + 0.1 * np.random.default_rng(1).normal(size=(5, 5))
    B = refine_with_spurious_scale(start, S, R, weights, 0.1, max_iter=200, tol=1e-10)
    np.testing.assert_allclose(np.abs(B @ data.mixing), np.eye(5), atol=0.06)


def test_result_is_a_minimum_and_better_than_the_start():
    data, S, R, weights = _problem()
    start = np.linalg.inv(data.mixing)
    B = refine_with_spurious_scale(start, S, R, weights, 0.1, max_iter=200, tol=1e-12)
    reached = _criterion(B, S, R, weights, 0.01)
    assert reached < _criterion(start, S, R, weights, 0.01)
    rng = np.random.default_rng(2)
    for _ in range(20):
        assert _criterion(B + 1e-3 * rng.normal(size=(5, 5)) @ B, S, R, weights, 0.01) > reached


def test_best_scales_find_the_unit_of_causal_latents():
    data, S, R, weights = _problem()
    B = np.linalg.inv(data.mixing) * np.array([1, 10, 0.1, 3, 0.5])[:, None]
    cause, effect = np.einsum("ij,tjk,ik->ti", B, S, B), np.einsum("ij,tjk,ik->ti", B, R, B)
    scales = _best_scales(cause, effect, weights, 0.01)
    np.testing.assert_allclose(scales * np.array([1, 10, 0.1, 3, 0.5]), 1.0, rtol=0.15)


def test_fixed_spurious_scale_reaches_the_estimator():
    data, *_ = _problem()
    learnt = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    fixed = MTLCM(spurious_std=0.1, random_state=0).fit(data.H, data.y, tasks=data.tasks)
    assert mcc(fixed.transform(data.H), data.Z).score > 0.999
    assert not np.allclose(learnt.components_, fixed.components_, rtol=1e-6)
