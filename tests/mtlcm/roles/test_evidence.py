"""Evidence of the noise that effects have in common is that of the Gaussian likelihood, for all sets at once."""

import numpy as np
import pytest
from identirep.mtlcm.roles.dependence import NOISE_SHARES, Dependence, dependence_evidence
from scipy.special import logsumexp

from identirep.mtlcm.roles.sets import set_members

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


@pytest.mark.parametrize("chosen", [range(_D), (4, 1), (2,)], ids=["all latents", "two", "one"])
def test_all_sets_have_the_gain_of_the_likelihood(chosen, monkeypatch):
    dependence = Dependence(_correlations(18), _correlations(40))
    chosen = np.tile(np.array(chosen), (len(_N), 1))
    outside = np.random.default_rng(0).random((len(_N), _D)) < 0.4
    outside[np.arange(len(_N))[:, None], chosen] = False
    members = set_members(chosen.shape[1]) > 0.5
    expected = np.empty((len(_N), len(members)))
    for t in range(len(_N)):
        for k, inside in enumerate(members):
            causes = outside[t].copy()
            causes[chosen[t]] = inside
            expected[t, k] = _direct(dependence, t, causes)
    np.testing.assert_allclose(dependence_evidence(dependence, _N, chosen, outside), expected, atol=1e-9)
    # Task by task, as where there are many, nothing changes.
    monkeypatch.setattr("identirep.mtlcm.roles.dependence._MAX_NUMBERS", 1)
    np.testing.assert_allclose(dependence_evidence(dependence, _N, chosen, outside), expected, atol=1e-9)


def test_impossible_correlations_cost_no_more_than_nearly_singular_ones():
    model = np.full((1, 3, 3), -0.9)
    model[:, np.arange(3), np.arange(3)] = 1.0
    gain = dependence_evidence(
        Dependence(model, np.eye(3)[None]), np.array([30]), np.arange(3)[None], np.zeros((1, 3), bool)
    )
    assert np.isfinite(gain).all()
    assert gain.max() <= 0.0
