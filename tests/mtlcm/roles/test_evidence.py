"""Evidence of roles: regressions, effects, and what noise they have in common, each against its Gaussian likelihood."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

from identirep.mtlcm.roles.evidence import (
    NOISE_SHARES,
    Dependence,
    _dependence_evidence,
    _over_sets,
    effect_evidence,
    noise_dependence,
    noise_given_target,
    pair_evidence,
    set_evidence,
)
from identirep.mtlcm.roles.prior import STRENGTH_SCALES
from identirep.mtlcm.roles.sets import correlations, set_members

_D, _N = 6, np.array([20, 30, 50])


def _correlations(n_rows):
    Z = np.random.default_rng(n_rows).normal(size=(len(_N), n_rows, _D)) * np.linspace(0.5, 1.5, _D)
    return np.array([np.corrcoef(rows.T) for rows in Z])


def _direct(dependence, t, causes):
    effects = np.flatnonzero(~causes)
    R, F = (M[t][np.ix_(effects, effects)] for M in dependence)
    gains = []
    for share in NOISE_SHARES:
        model = share * R + (1.0 - share) * np.eye(len(effects))
        loss = np.linalg.slogdet(model)[1] + np.trace(np.linalg.solve(model, F)) - np.trace(F) if len(effects) else 0.0
        gains.append(-0.5 * (_N[t] - 1.0) * loss)
    return logsumexp(gains) - np.log(len(NOISE_SHARES))


@pytest.mark.parametrize("candidates", [range(_D), (4, 1), (2,)], ids=["all latents", "two", "one"])
def test_all_sets_have_the_gain_of_the_likelihood(candidates, monkeypatch):
    dependence = Dependence(_correlations(18), _correlations(40))
    candidates = np.tile(np.array(candidates), (len(_N), 1))
    causal = np.random.default_rng(0).random((len(_N), _D)) < 0.4
    causal[np.arange(len(_N))[:, None], candidates] = False
    members = set_members(candidates.shape[1]) > 0.5
    expected = np.empty((len(_N), len(members)))
    for t in range(len(_N)):
        for k, among in enumerate(members):
            causes = causal[t].copy()
            causes[candidates[t]] = among
            expected[t, k] = _direct(dependence, t, causes)
    np.testing.assert_allclose(_dependence_evidence(dependence, _N, candidates, causal), expected, atol=1e-9)
    # Task by task, as where there are many, nothing changes.
    monkeypatch.setattr("identirep.mtlcm.roles.evidence._MAX_NUMBERS", 1)
    np.testing.assert_allclose(_dependence_evidence(dependence, _N, candidates, causal), expected, atol=1e-9)


def test_impossible_correlations_cost_no_more_than_nearly_singular_ones():
    model = np.full((1, 3, 3), -0.9)
    model[:, np.arange(3), np.arange(3)] = 1.0
    gain = _dependence_evidence(
        Dependence(model, np.eye(3)[None]), np.array([30]), np.arange(3)[None], np.zeros((1, 3), bool)
    )
    assert np.isfinite(gain).all()
    assert gain.max() <= 0.0


def _regression(C, n, causes, scale):
    """Log evidence of y given the causes: the Gaussian of n rows with unit variances, s summed out."""
    K = np.eye(len(causes)) + n * scale * C[np.ix_(causes, causes)]
    r = C[causes, -1]
    return -0.5 * np.linalg.slogdet(K)[1] - 0.5 * (n - 1) * np.log(1.0 - n * scale * r @ np.linalg.solve(K, r))


@pytest.mark.parametrize("candidates", [range(4), (3, 1), ()], ids=["all latents", "two", "none"])
def test_evidence_of_a_set_is_that_of_its_regression_however_it_is_named(candidates):
    """As one of all sets of the candidates, or as the set that is held."""
    Z = np.random.default_rng(0).normal(size=(5, 40, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    C, n = np.array([np.corrcoef(rows.T) for rows in Z]), np.arange(20, 70, 10)
    candidates = np.tile(np.array(candidates, dtype=int), (5, 1))
    causal = np.random.default_rng(2).random((5, 4)) < 0.5
    np.put_along_axis(causal, candidates, False, axis=1)
    scales, dependence = np.array([2, 9]), Dependence(C[:, :4, :4], np.tile(np.eye(4), (5, 1, 1)))
    found, none = set_evidence(C, n, candidates, causal, scales), np.zeros((5, 0), dtype=int)
    with_noise = set_evidence(C, n, candidates, causal, scales, dependence)
    for k, among in enumerate(set_members(candidates.shape[1]) > 0.5):
        held = causal.copy()
        np.put_along_axis(held, candidates, np.tile(among, (5, 1)), axis=1)
        for t, s in itertools.product(range(5), range(2)):
            expected = _regression(C[t], n[t], list(np.flatnonzero(held[t])), STRENGTH_SCALES[scales[s]])
            assert found[t, s, k] == pytest.approx(expected, abs=1e-9)
        np.testing.assert_allclose(with_noise[..., k], set_evidence(C, n, none, held, scales, dependence)[..., 0])


def test_one_cause_and_one_effect_have_the_same_evidence():
    rho2 = np.array([[0.02, 0.3, 0.97]])
    effect = effect_evidence(rho2, np.array([40]))[0]
    for i, rho in enumerate(np.sqrt(rho2[0])):
        C = np.array([[1.0, rho], [rho, 1.0]])
        np.testing.assert_allclose(effect[i], [_regression(C, 40, [0], tau) for tau in STRENGTH_SCALES], atol=1e-9)


def test_evidence_of_a_pair_is_that_of_its_likelihood():
    rng = np.random.default_rng(0)
    joint = np.cov(rng.normal(size=(3, 50)) + rng.normal(size=50))[None]
    C, n = correlations(joint), np.array([50])
    noise = np.array([[[0.2, 0.1], [0.1, 0.3]]])
    found = pair_evidence(noise_dependence(C, noise), n)[0]
    left = C[0, :2, :2] - np.outer(C[0, :2, 2], C[0, :2, 2])
    assumed = np.diag(np.diag(left)) + 0.1 * (1 - np.eye(2))
    log_p = [
        -0.5 * 49 * (np.linalg.slogdet(S)[1] + np.trace(np.linalg.solve(S, left)))
        for S in (assumed, np.diag(np.diag(left)))
    ]
    np.testing.assert_allclose(found, (log_p[0] - log_p[1]) * (1 - np.eye(2)), atol=1e-9)


@pytest.mark.parametrize("share", [0.3, 0.55, 0.95])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_that_is_a_part_of_what_is_assumed_costs_no_more_than_not_knowing_the_part(share, seed):
    """Correlations near 1 that are not quite there would cost effects more than any role."""
    rng, n = np.random.default_rng(seed), np.array([1000])
    loading = np.sqrt(rng.uniform(0.9, 0.99, size=5)) * rng.choice([-1.0, 1.0], size=5)
    R = np.outer(loading, loading)
    np.fill_diagonal(R, 1.0)
    true = share * R + (1.0 - share) * np.eye(5)
    F = np.cov(rng.multivariate_normal(np.zeros(5), true, size=1000).T)
    all_effects = np.zeros((1, 5), dtype=bool)
    found = _dependence_evidence(Dependence(R[None], F[None]), n, np.zeros((1, 0), dtype=int), all_effects)[0, 0]
    known = -0.5 * 999 * (np.linalg.slogdet(true)[1] + np.trace(np.linalg.solve(true, F)) - np.trace(F))
    assert known > 0.0
    # Shares between those summed over fit a little less well.
    assert found > 0.75 * known - np.log(len(NOISE_SHARES))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_that_leaks_is_what_posterior_means_covary_by_given_the_target(seed):
    """Exact covariances of posterior means of latents that are all effects, with little noise from few directions."""
    rng, D = np.random.default_rng(seed), 5
    gamma = rng.uniform(0.3, 0.9, size=D)
    own = 1.0 - gamma**2
    mixing = (np.linalg.qr(rng.normal(size=(D, D)))[0] * [1.0, 1.0, 1.0, 0.2, 0.1]) @ np.linalg.qr(
        rng.normal(size=(D, D))
    )[0]
    noise_variance = 1e-5
    unmixing = np.linalg.solve(mixing.T @ mixing + noise_variance * np.eye(D), mixing.T)
    latent_noise, M = noise_variance * unmixing @ unmixing.T, unmixing @ mixing
    given_target = M @ np.diag(own) @ M.T + latent_noise
    joint = np.block([[given_target + np.outer(M @ gamma, M @ gamma), (M @ gamma)[:, None]], [M @ gamma, 1.0]])
    found = noise_given_target(latent_noise, joint[None])[0]
    scale, apart = np.sqrt(np.diag(joint)[:D]), ~np.eye(D, dtype=bool)
    np.testing.assert_allclose(
        found[apart], (given_target / np.outer(scale, scale))[apart], atol=0.02 * np.abs(latent_noise).max()
    )


def test_sets_of_effects_take_one_half_of_symmetric_matrices():
    R, F = _correlations(18), _correlations(40)
    lower = np.tril(np.ones((_D, _D), dtype=bool))
    found = _over_sets(*(np.where(lower, M, np.nan) for M in (R, F)))
    for s, causes in enumerate(itertools.product([False, True], repeat=_D)):
        effects = ~np.array(causes)
        own, shown = (M[:, effects][:, :, effects] for M in (R, F))
        trace = np.einsum("tii->t", np.linalg.solve(own, shown)) if effects.any() else 0.0
        np.testing.assert_allclose(found[s], np.linalg.slogdet(own)[1] + trace, atol=1e-9)
