"""Leakage: the sandwich against simulation where the model is wrong, scores against gradients, quantiles."""

import numpy as np
import pytest

from identirep import MTLCM
from identirep.mtlcm.diagnostics import latent_moments
from identirep.mtlcm.exact import exact_scores, exact_state
from identirep.mtlcm.leakage import curvature, information, loss_quantiles, robust_leakage


def _draw(rng, variances, tilt, n):
    """Tasks with latents of given variances, pushed together (or apart) by a random angle in each task."""
    T, D = variances.shape
    Z = np.sqrt(variances)[:, None] * rng.normal(size=(T, n, D))
    angle = tilt * rng.normal(size=(T, 1))
    Z[..., 0] += angle * Z[..., 1]
    y = rng.normal(size=(T, n))
    return Z.reshape(-1, D), y.ravel(), np.repeat(np.arange(T), n)


def _shares(model):
    """Relative coordinates of the estimated axes among the true ones, which are the features themselves."""
    B = model.components_
    order = np.argmax(np.abs(B), axis=0)
    B = B[order]
    return B / np.diag(B)[:, None]


@pytest.mark.parametrize(("tilt", "model_holds"), [(0.0, True), (0.3, False)])
def test_sandwich_is_the_variance_over_repetitions(tilt, model_holds):
    rng = np.random.default_rng(0)
    T, n, repeats = 60, 200, 150
    variances = rng.gamma(1.0, size=(T, 3)) + 0.1
    found, fisher, robust = [], [], []
    for _ in range(repeats):
        Z, y, tasks = _draw(rng, variances, tilt, n)
        model = MTLCM(noise_std=0.0, n_init=1, random_state=0).fit(Z, y, tasks=tasks)
        found.append(_shares(model)[0, 1])
        order = np.argmax(np.abs(model.components_), axis=0)[:2]
        scale = np.sqrt(model.moments_.pooled_covariance()[0, 0] / model.moments_.pooled_covariance()[1, 1])
        causal = model.posterior_.best
        G = curvature(model.fit_, model.moments_, causal)
        fisher.append(scale**2 * information(G, model.moments_.n_rows)[1][tuple(order)])
        robust.append(scale**2 * robust_leakage(model.fit_, model.moments_, causal, G)[tuple(order)])
    actual = np.var(found)
    assert 0.7 < np.mean(robust) / actual < 1.4
    if model_holds:
        assert 0.75 < np.mean(fisher) / actual < 1.35
    else:
        assert np.mean(fisher) / actual < 0.3


def test_scores_of_the_exact_likelihood_sum_to_its_gradient():
    rng = np.random.default_rng(1)
    Z, y, tasks = _draw(rng, rng.gamma(1.0, size=(20, 4)) + 0.1, 0.2, 40)
    y = y + Z @ rng.normal(size=4)
    model = MTLCM(noise_std=0.0, random_state=0).fit(Z, y, tasks=tasks)
    z = latent_moments(model.fit_, model.moments_)
    causal = rng.random(z.s.shape) < 0.5
    scores = exact_scores(z, causal)
    assert scores.shape == (20, 4, 4)
    np.testing.assert_allclose(scores.sum(axis=0) - np.eye(4), exact_state(z, causal).gradient, atol=1e-10)


def test_two_tasks_leave_no_degree_of_freedom():
    rng = np.random.default_rng(2)
    Z, y, tasks = _draw(rng, np.array([[1.0, 0.1, 0.5], [0.2, 1.0, 0.4]]), 0.0, 500)
    certificate = MTLCM(noise_std=0.0, random_state=0).fit(Z, y + Z[:, 0], tasks=tasks).certificate_
    assert np.isnan(certificate.robust_leakage[~np.eye(3, dtype=bool)]).all()
    np.testing.assert_array_equal(certificate.robust_mcc, certificate.fisher_mcc)
    assert np.isfinite(certificate.expected_mcc).all()


def test_quantiles_of_the_loss_are_those_of_the_weighted_chi_squares():
    rng = np.random.default_rng(3)
    leakage = np.array([[0.0, 1e-3, 5e-4, 1e-3]])
    loss = 0.5 * leakage.sum(axis=1)
    drawn = 0.5 * np.sum(rng.normal(size=(100_000, 4)) ** 2 * leakage, axis=1)
    steady = np.full((10, 1), loss[0])
    found = loss_quantiles(loss, leakage, steady, (0.05, 0.95))
    np.testing.assert_allclose(found[0, 1], np.quantile(drawn, 0.95), rtol=0.03)
    np.testing.assert_allclose(found[0, 0], np.quantile(drawn, 0.05), rtol=0.3)
    # Refits that scatter more widen the interval.
    wider = loss_quantiles(loss, leakage, loss * rng.exponential(size=(200, 1)) ** 2, (0.05, 0.95))
    assert wider[0, 0] < found[0, 0]
    assert wider[0, 1] > found[0, 1]
