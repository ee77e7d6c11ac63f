"""Algebra of causal sets: against regressions and brute force."""

import itertools

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.model.likelihood import joint_covariances
from identirep.mtlcm.roles.sets import (
    all_sets,
    correlations,
    log_residual_variances,
    search_mode,
    set_members,
    sweep,
)


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


def test_mode_search_with_a_prior_of_the_coefficients():
    moments, _ = _moments(n_tasks=20, n_latents=6, n_causal=3)
    C, log_g = _correlations(moments), np.linspace(0.0, 6.0, 20)
    bonus = np.random.default_rng(0).normal(size=(20, 6))
    best, odds = search_mode(C, moments.n_samples - 1, bonus, np.zeros((20, 6), dtype=bool), log_g)

    def value(t, causal):
        K = np.exp(log_g[t]) * C[t][np.ix_(causal, causal)] + np.eye(causal.sum())
        r = np.exp(0.5 * log_g[t]) * C[t, :6][causal, 6]
        left = 1.0 - r @ np.linalg.solve(K, r)
        return bonus[t, causal].sum() - 0.5 * np.linalg.slogdet(K)[1] - 49.5 * np.log(left)

    for t in range(20):
        for i in range(6):
            with_i, without = best[t].copy(), best[t].copy()
            with_i[i], without[i] = True, False
            assert odds[t, i] == pytest.approx(value(t, with_i) - value(t, without), abs=1e-6)
            assert best[t, i] == (odds[t, i] > 0)


def test_log_determinants_of_all_sets():
    moments, _ = _moments(n_tasks=3, n_latents=3)
    C = _correlations(moments)
    found = all_sets(C)[1]
    for s, members in enumerate(set_members(3) > 0.5):
        for t in range(3):
            expected = np.linalg.slogdet(C[t][np.ix_(members.nonzero()[0], members.nonzero()[0])])[1]
            assert found[t, s] == pytest.approx(expected, abs=1e-10)


def test_sweeping_twice_restores_the_matrix():
    C = _correlations(_moments(n_tasks=3, n_latents=5)[0])
    M = C.transpose(1, 2, 0).copy()
    for latent in (1, 3, 3, 1):
        sweep(M, latent)
    np.testing.assert_allclose(M.transpose(2, 0, 1), C, atol=1e-9)


def test_all_sets_take_one_half_of_symmetric_matrices():
    moments, _ = _moments(n_tasks=5, n_latents=6)
    C = _correlations(moments)
    half = C.copy()
    # The target comes first there.
    half[:, 6, :6] = np.nan
    above = np.triu(np.ones((7, 7), dtype=bool), 1)
    above[:6, 6] = False
    half[:, above] = np.nan
    for found, expected in zip(all_sets(half), all_sets(C), strict=True):
        np.testing.assert_array_equal(found, expected)
    log_det = all_sets(C)[1]
    for s, members in enumerate(itertools.product([False, True], repeat=6)):
        own = C[:, :6, :6][:, members][:, :, members]
        np.testing.assert_allclose(log_det[:, s], np.linalg.slogdet(own)[1], atol=1e-10)
