"""Posterior of causal sets: brute force, truth, invariances, calibration."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import f1_score, roc_auc_score

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.likelihood import joint_covariances
from identirep.mtlcm.structure import (
    _log_residual_variances,
    _search_mode,
    _sweep,
    causal_posterior,
    causal_regression,
)


def _moments(**options):
    data = make_linear_tasks(random_state=0, **options)
    return TaskMoments.from_long(data.Z, data.y, data.tasks), data


def _correlations(moments):
    joint = joint_covariances(moments)
    scale = np.sqrt(np.einsum("tii->ti", joint))
    return joint / (scale[:, :, None] * scale[:, None, :])


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
    found = _log_residual_variances(C, np.tile(np.arange(4), (5, 1)))
    for s, members in enumerate(itertools.product([0, 1], repeat=4)):
        causal = [i for i in range(4) if members[i]]
        for t in range(5):
            r = C[t, causal, 4]
            R2 = r @ np.linalg.solve(C[t][np.ix_(causal, causal)], r) if causal else 0.0
            assert found[t, s] == pytest.approx(np.log1p(-R2), abs=1e-10)


def test_probabilities_are_those_of_brute_force_enumeration():
    moments, _ = _moments(n_tasks=30, n_latents=5)
    posterior = causal_posterior(moments)
    C, prior = _correlations(moments), posterior.prior
    strength = np.log(C[:, :5, 5] ** 2 / (1 - C[:, :5, 5] ** 2))
    for t in range(30):
        sets = [list(np.flatnonzero(s)) for s in itertools.product([0, 1], repeat=5)]
        log_p = np.array([_evidence(C[t], 100, s) + prior.log_odds(strength[t])[s].sum() for s in sets])
        p = np.exp(log_p - logsumexp(log_p))
        expected = [sum(p[k] for k, s in enumerate(sets) if i in s) for i in range(5)]
        np.testing.assert_allclose(posterior.probability[t], expected, atol=1e-4)


@pytest.mark.parametrize("n_latents", [10, 14], ids=["enumerated", "averaged"])
@pytest.mark.parametrize("standardize", [True, False])
def test_roles_are_found_and_calibrated(n_latents, standardize):
    moments, data = _moments(n_latents=n_latents, n_causal=4, standardize=standardize)
    posterior = causal_posterior(moments)
    p, truth = posterior.probability.ravel(), data.causal.ravel()
    assert posterior.exact == (n_latents <= 12)
    assert roc_auc_score(truth, p) > 0.985
    assert f1_score(truth, p > 0.5) > 0.95
    bins = np.minimum((p * 10).astype(int), 9)
    error = sum(abs(p[bins == b].mean() - truth[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins))
    assert error < 0.05


def test_averaging_over_ambiguous_latents_agrees_with_enumeration(monkeypatch):
    moments, _ = _moments(n_latents=11, n_causal=3)
    exact = causal_posterior(moments)
    monkeypatch.setattr("identirep.mtlcm.structure._MAX_ENUMERATED", 5)
    averaged = causal_posterior(moments)
    assert exact.exact
    assert not averaged.exact
    assert np.abs(exact.probability - averaged.probability).mean() < 0.01
    assert np.mean(exact.best == averaged.best) > 0.99


def test_scale_of_latents_in_each_task_does_not_matter():
    moments, data = _moments(n_latents=6)
    rng = np.random.default_rng(1)
    scaled = data.Z * rng.uniform(0.1, 10, size=(200, 6))[data.tasks]
    other = causal_posterior(TaskMoments.from_long(scaled, data.y, data.tasks))
    np.testing.assert_allclose(other.probability, causal_posterior(moments).probability, atol=1e-6)


def test_a_single_correlated_latent_is_equivalent_both_ways():
    # One latent: cause and effect have equal evidence in every task, so the data never leave the prior.
    rng = np.random.default_rng(2)
    z = rng.normal(size=(50, 100))
    y = z + rng.normal(size=z.shape)
    moments = TaskMoments.from_long(z.reshape(-1, 1), y.reshape(-1), np.repeat(np.arange(50), 100))
    p = causal_posterior(moments).probability
    assert p.min() > 0.2


def test_mode_search_is_not_beaten_by_any_single_flip():
    moments, _ = _moments(n_tasks=40, n_latents=8, n_causal=3)
    C = _correlations(moments)
    own = 50 * np.log1p(-(C[:, :8, 8] ** 2))
    best, odds = _search_mode(C, moments.n_samples, own, np.zeros((40, 8), dtype=bool))
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
