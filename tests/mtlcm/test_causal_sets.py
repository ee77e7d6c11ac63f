"""Algebra of causal sets: against regressions, brute force, and long sampling."""

import itertools

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.causal_sets import (
    _sweep,
    causal_regression,
    correlations,
    log_residual_variances,
    own_terms,
    sample_sets,
    search_mode,
    set_members,
)
from identirep.mtlcm.likelihood import joint_covariances


def _moments(**options):
    data = make_linear_tasks(random_state=0, **options)
    return TaskMoments.from_long(data.Z, data.y, data.tasks), data


def _correlations(moments):
    return correlations(joint_covariances(moments))


def _evidence(C, n, causal):
    """The log evidence of the module docstring, one set at a time."""
    D = len(C) - 1
    spurious = [i for i in range(D) if i not in causal]
    r = C[:D, D]
    R2 = r[causal] @ np.linalg.solve(C[np.ix_(causal, causal)], r[causal]) if causal else 0.0
    return -0.5 * n * (np.log1p(-(r[spurious] ** 2)).sum() + np.log1p(-R2))


def test_residual_variances_of_all_sets_are_those_of_regressions():
    moments, _ = _moments(n_tasks=5, n_latents=4)
    C = _correlations(moments)
    found = log_residual_variances(C, np.tile(np.arange(4), (5, 1)))
    for s, members in enumerate(itertools.product([0, 1], repeat=4)):
        causal = [i for i in range(4) if members[i]]
        for t in range(5):
            r = C[t, causal, 4]
            R2 = r @ np.linalg.solve(C[t][np.ix_(causal, causal)], r) if causal else 0.0
            assert found[t, s] == pytest.approx(np.log1p(-R2), abs=1e-10)


def test_mode_search_is_not_beaten_by_any_single_flip():
    moments, _ = _moments(n_tasks=40, n_latents=8, n_causal=3)
    C = _correlations(moments)
    own = 50 * np.log1p(-(C[:, :8, 8] ** 2))
    best, odds = search_mode(C, moments.n_samples, own, np.zeros((40, 8), dtype=bool))
    for t in range(40):
        value = _evidence(C[t], 100, list(np.flatnonzero(best[t])))
        for i in range(8):
            flipped = best[t].copy()
            flipped[i] ^= True
            other = _evidence(C[t], 100, list(np.flatnonzero(flipped)))
            assert other <= value + 1e-6
            expected = value - other if best[t, i] else other - value
            assert odds[t, i] == pytest.approx(expected, abs=1e-6)


def test_sweeping_twice_restores_the_matrix():
    C = _correlations(_moments(n_tasks=3, n_latents=5)[0])
    M = C.copy()
    for latent in (1, 3, 3, 1):
        _sweep(M, np.arange(3), np.full(3, latent))
    np.testing.assert_allclose(M, C, atol=1e-9)


def test_regression_on_causes_alone():
    moments, data = _moments(n_tasks=20, n_samples=5000, n_causal=3)
    w = causal_regression(moments.cov_h, moments.cov_hy, data.causal)
    assert np.all(w[~data.causal] == 0)
    np.testing.assert_allclose(w, data.causal_coef, atol=0.15)
    t = 4
    rows, causes = data.tasks == t, data.causal[t]
    design = np.c_[np.ones(rows.sum()), data.Z[rows][:, causes]]
    expected = np.linalg.lstsq(design, data.y[rows], rcond=None)[0][1:]
    np.testing.assert_allclose(w[t, causes], expected, rtol=1e-8)


def test_gibbs_draws_follow_the_enumerated_posterior():
    moments, _ = _moments(n_tasks=3, n_samples=12, n_latents=3, n_causal=1, spurious_std=1.0, standardize=False)
    C, n = _correlations(moments), moments.n_samples
    own = own_terms(C, n)
    values = own @ set_members(3).T - 0.5 * n[:, None] * log_residual_variances(C, np.tile(np.arange(3), (3, 1)))
    p = np.exp(values - values.max(axis=1, keepdims=True))
    expected = (p / p.sum(axis=1, keepdims=True)) @ set_members(3)
    rng, causal, total = np.random.default_rng(0), np.zeros((3, 3), dtype=bool), np.zeros((3, 3))
    for _ in range(3000):
        causal = sample_sets(C, n, causal, 1.0, rng)
        total += causal
    np.testing.assert_allclose(total / 3000, expected, atol=0.05)
    assert ((expected > 0.1) & (expected < 0.9)).any()


def test_low_temperature_flattens_the_draws():
    moments, _ = _moments(n_tasks=50, n_latents=5)
    C, rng = _correlations(moments), np.random.default_rng(0)
    flat = np.mean([sample_sets(C, moments.n_samples, np.zeros((50, 5), bool), 1e-6, rng) for _ in range(200)], axis=0)
    np.testing.assert_allclose(flat, 0.5, atol=0.2)
