"""Posterior of causal sets: brute force, truth, invariances, calibration."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import f1_score, roc_auc_score

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.causal_sets import correlations
from identirep.mtlcm.likelihood import joint_covariances
from identirep.mtlcm.structure import causal_posterior


def _moments(**options):
    data = make_linear_tasks(random_state=0, **options)
    return TaskMoments.from_long(data.Z, data.y, data.tasks), data


def _correlations(moments):
    return correlations(joint_covariances(moments))


def _posterior(moments):
    return causal_posterior(_correlations(moments), moments.n_samples)


def _evidence(C, n, causal):
    """The log evidence of the module docstring, one set at a time."""
    D = len(C) - 1
    spurious = [i for i in range(D) if i not in causal]
    r = C[:D, D]
    R2 = r[causal] @ np.linalg.solve(C[np.ix_(causal, causal)], r[causal]) if causal else 0.0
    return -0.5 * n * (np.log1p(-(r[spurious] ** 2)).sum() + np.log1p(-R2))


def test_probabilities_are_those_of_brute_force_enumeration():
    moments, _ = _moments(n_tasks=30, n_latents=5)
    posterior = _posterior(moments)
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
    posterior = _posterior(moments)
    p, truth = posterior.probability.ravel(), data.causal.ravel()
    assert posterior.exact == (n_latents <= 12)
    assert roc_auc_score(truth, p) > 0.985
    assert f1_score(truth, p > 0.5) > 0.95
    bins = np.minimum((p * 10).astype(int), 9)
    error = sum(abs(p[bins == b].mean() - truth[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins))
    assert error < 0.05


def test_averaging_over_ambiguous_latents_agrees_with_enumeration(monkeypatch):
    moments, _ = _moments(n_latents=11, n_causal=3)
    exact = _posterior(moments)
    monkeypatch.setattr("identirep.mtlcm.structure._MAX_ENUMERATED", 5)
    averaged = _posterior(moments)
    assert exact.exact
    assert not averaged.exact
    assert np.abs(exact.probability - averaged.probability).mean() < 0.01
    assert np.mean(exact.best == averaged.best) > 0.99


def test_scale_of_latents_in_each_task_does_not_matter():
    moments, data = _moments(n_latents=6)
    rng = np.random.default_rng(1)
    scaled = data.Z * rng.uniform(0.1, 10, size=(200, 6))[data.tasks]
    other = _posterior(TaskMoments.from_long(scaled, data.y, data.tasks))
    np.testing.assert_allclose(other.probability, _posterior(moments).probability, atol=1e-6)


def test_a_single_correlated_latent_is_equivalent_both_ways():
    # One latent: cause and effect have equal evidence in every task, so the data never leave the prior.
    rng = np.random.default_rng(2)
    z = rng.normal(size=(50, 100))
    y = z + rng.normal(size=z.shape)
    moments = TaskMoments.from_long(z.reshape(-1, 1), y.reshape(-1), np.repeat(np.arange(50), 100))
    p = _posterior(moments).probability
    assert p.min() > 0.2
