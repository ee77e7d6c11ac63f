"""Leakage: the sandwich against simulation where the model is wrong, moderation, quantiles."""

from typing import NamedTuple

import numpy as np
import pytest

from identirep import MTLCM
from identirep.mtlcm.model.information import PairInformation, fisher_leakage
from identirep.mtlcm.trust.latents import latent_information
from identirep.mtlcm.trust.leakage import loss_quantiles, moderated_leakage, robust_leakage


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


def _information(model):
    """Of the factorised likelihood, which does not ask for roles."""
    return latent_information(model.fit_, model.moments_, np.zeros(model.fit_.variances.shape, dtype=bool))


@pytest.mark.slow
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
        fisher.append(scale**2 * fisher_leakage(_information(model))[1][tuple(order)])
        robust.append(scale**2 * robust_leakage(_information(model))[0][tuple(order)])
    actual = np.var(found)
    assert 0.7 < np.mean(robust) / actual < 1.4
    if model_holds:
        assert 0.75 < np.mean(fisher) / actual < 1.35
    else:
        assert np.mean(fisher) / actual < 0.3


@pytest.mark.slow
def test_leakage_with_observation_noise_is_the_variance_over_repetitions():
    # Mixing of condition 10: the noise is as large as what latents leave in the smallest direction of the features.
    rng = np.random.default_rng(0)
    T, n, D, noise = 60, 200, 3, 0.1
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    A = (U * np.geomspace(1, 0.1, D)) @ V
    variances = rng.gamma(1.0, size=(T, D)) + 0.1
    scale = np.sqrt(variances.mean(axis=0))
    found, fisher, robust = [], [], []
    for _ in range(40):
        Z = np.sqrt(variances)[:, None] * rng.normal(size=(T, n, D))
        H = (Z @ A.T + noise * rng.normal(size=Z.shape)).reshape(-1, D)
        model = MTLCM(n_init=1, random_state=0).fit(H, rng.normal(size=T * n), tasks=np.repeat(np.arange(T), n))
        assert model.noise_std_ == pytest.approx(noise, rel=0.1)
        shares = (model.fit_.unmixing @ A) * scale
        order = np.argmax(np.abs(shares), axis=0)
        shares = shares[order]
        found.append(shares / np.diag(shares)[:, None])
        fisher.append(fisher_leakage(_information(model))[1][np.ix_(order, order)])
        robust.append(robust_leakage(_information(model))[0][np.ix_(order, order)])
    off = ~np.eye(D, dtype=bool)
    actual = np.var(found, axis=0)[off]
    for predicted in (fisher, robust):
        ratio = np.mean(predicted, axis=0)[off] / actual
        assert 0.6 < np.exp(np.log(ratio).mean()) < 1.4
        assert ratio.min() > 0.4
        assert ratio.max() < 2.0


def test_degrees_of_freedom_count_the_tasks_that_inform():
    rng = np.random.default_rng(4)
    T = 30
    alike = np.broadcast_to(np.array([1.0, 0.1]), (T, 2))
    # Latent 1 is a hundred times smaller in three tasks, and the share of latent 0 in it is seen there alone.
    few = alike.copy()
    few[:3, 1] /= 100.0
    counted = []
    for variances in (alike, few):
        Z, y, tasks = _draw(rng, variances, 0.0, 500)
        model = MTLCM(noise_std=0.0, n_init=1, random_state=0).fit(Z, y, tasks=tasks)
        order = np.argmax(np.abs(model.components_), axis=0)
        counted.append(_information(model).effective_tasks()[np.ix_(order, order)])
    assert np.all(counted[0] <= T)
    assert counted[1][1, 0] < 0.3 * T


def _distance(first, second):
    """Root mean square of the log ratio."""
    return np.sqrt(np.mean(np.log(first / second) ** 2))


def test_moderated_leakage_follows_the_model_where_it_holds_and_the_sandwich_where_not():
    rng = np.random.default_rng(5)
    D, freedom = 12, np.full((12, 12), 5.0)
    modelled = np.where(np.eye(D, dtype=bool), 0.0, 1e-3)
    chance = modelled * rng.chisquare(5, size=(D, D)) / 5
    off = ~np.eye(D, dtype=bool)
    holds = moderated_leakage(modelled, chance, freedom)
    # The sampling error of the sandwich is taken out.
    assert _distance(holds[off], modelled[off]) < 0.5 * _distance(chance[off], modelled[off])
    spread = modelled * np.exp(rng.normal(0.0, 1.5, size=(D, D)))
    wrong = spread * rng.chisquare(5, size=(D, D)) / 5
    doubted = moderated_leakage(modelled, wrong, freedom)
    assert _distance(doubted[off], spread[off]) < _distance(modelled[off], spread[off])
    # A single pair far off is believed, whatever the others say.
    chance[0, 1] = 50 * modelled[0, 1]
    assert moderated_leakage(modelled, chance, freedom)[0, 1] == chance[0, 1]


def test_moderated_leakage_without_a_sandwich_is_the_models():
    modelled = np.where(np.eye(3, dtype=bool), 0.0, 1e-3)
    unknown = np.where(np.eye(3, dtype=bool), 0.0, np.nan)
    np.testing.assert_array_equal(moderated_leakage(modelled, unknown, np.zeros((3, 3))), modelled)


def test_two_tasks_leave_no_degree_of_freedom():
    rng = np.random.default_rng(2)
    Z, y, tasks = _draw(rng, np.array([[1.0, 0.1, 0.5], [0.2, 1.0, 0.4]]), 0.0, 500)
    certificate = MTLCM(noise_std=0.0, random_state=0).fit(Z, y + Z[:, 0], tasks=tasks).certificate_
    assert np.isnan(certificate.robust_leakage[~np.eye(3, dtype=bool)]).all()
    np.testing.assert_array_equal(certificate.robust_mcc, certificate.fisher_mcc)
    assert np.isfinite(certificate.features_mcc).all()


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


class _Given(NamedTuple):
    """Information with scores and Hessian as given."""

    given: tuple
    n_rows: int = 1000

    def scores(self):
        return self.given

    def effective_tasks(self):
        return np.full((2, 2), float(len(self.given[0])))


def test_the_error_of_the_noise_comes_on_top_of_the_sandwich():
    # Tasks do not show it: it moves all of them alike.
    scores = np.random.default_rng(6).normal(size=(20, 2, 2)) / 1000
    own, drift = np.array([[1.0, 3.0], [2.0, 1.0]]), np.array([[0.0, 5.0], [7.0, 0.0]])
    without, _ = robust_leakage(_Given((scores, PairInformation(own, np.ones((2, 2)), np.zeros((2, 2))))))
    found, _ = robust_leakage(_Given((scores, PairInformation(own, np.ones((2, 2)), drift))))
    np.testing.assert_allclose(found - without, drift / 1000)
