"""Information about pairs of latents: against derivatives and errors over repetitions; scores against gradients."""

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.model import exact_criterion
from identirep.mtlcm.model.information import ExactInformation, FactorizedInformation, fisher_leakage
from identirep.mtlcm.model.likelihood import JointMoments


def _problem(**options):
    data = make_linear_tasks(n_latents=4, n_causal=2, observation_noise=0.0, random_state=0, **options)
    m = TaskMoments.from_long(data.H, data.y, data.tasks)
    return data, m, JointMoments(m.cov_h, m.cov_hy, m.var_y, m.weights)


def test_information_is_the_second_derivative_of_the_criterion():
    data, _, moments = _problem(n_tasks=20)
    z = moments.mapped(np.linalg.inv(data.mixing) + 0.1 * np.random.default_rng(0).normal(size=(4, 4)))
    found = ExactInformation(z, data.causal, 1).scores()[1].own
    step = 1e-4
    for i in range(4):
        for j in range(4):
            E = np.zeros((4, 4))
            E[i, j] = step
            values = [exact_criterion(z.mapped(np.eye(4) + sign * E), data.causal).value for sign in (1, 0, -1)]
            if i != j:
                assert found[i, j] == pytest.approx(max(values[0] - 2 * values[1] + values[2], 0.0) / step**2, rel=1e-3)


def test_a_cause_says_nothing_of_another_through_the_regression():
    # Low target noise: were the coefficients known, two causes could not be mixed without anybody noticing.
    data, _, moments = _problem(n_tasks=200, n_samples=500, target_noise=(0.05, 0.1))
    z = moments.mapped(np.linalg.inv(data.mixing))
    together = JointMoments(z.S, z.s, z.v, np.where(data.causal[:, 0] & data.causal[:, 1], z.weights, 0.0))
    alike = JointMoments(together.S, together.s, together.v, together.weights / together.weights.sum())
    np.testing.assert_allclose(ExactInformation(alike, data.causal, 1).pairs().own[0, 1], 1.0, rtol=0.1)


def test_scores_of_the_exact_likelihood_sum_to_its_gradient():
    data, _, moments = _problem(n_tasks=20)
    z = moments.mapped(np.random.default_rng(1).normal(size=(4, 4)))
    scores, _ = ExactInformation(z, data.causal, 1).scores()
    assert scores.shape == (20, 4, 4)
    np.testing.assert_allclose(scores.sum(axis=0) - np.eye(4), exact_criterion(z, data.causal).gradient, atol=1e-9)


def _variance_by_all_parameters(mixing, variances, noise_variance, weights, *, noise_known):
    """Variance of each E_ij times the rows: inverse Fisher information of mixing, variances and noise at once."""
    (K, D), T = mixing.shape, len(variances)
    pairs = [(i, j) for i in range(D) for j in range(D) if i != j]
    directions = [np.outer(mixing[:, i], np.eye(D)[j]) for i, j in pairs]
    outside = np.linalg.qr(mixing, mode="complete")[0][:, D:]
    directions = np.array(directions + [np.outer(c, e) for c in outside.T for e in np.eye(D)])
    own = np.einsum("ki,li->ikl", mixing, mixing)
    total = 0.0
    for t in range(T):
        moved = (directions * variances[t]) @ mixing.T
        slopes = np.zeros((len(directions) + T * D + 1, K, K))
        slopes[: len(directions)] = moved + moved.swapaxes(1, 2)
        slopes[len(directions) + t * D + np.arange(D)] = own
        slopes[-1] = np.eye(K)
        relative = np.linalg.solve((mixing * variances[t]) @ mixing.T + noise_variance * np.eye(K), slopes)
        total = total + 0.5 * weights[t] * np.einsum("aij,bji->ab", relative, relative)
    inverse = np.linalg.inv(total[:-1, :-1] if noise_known else total)
    found = np.zeros((D, D))
    for a, (i, j) in enumerate(pairs):
        found[i, j] = inverse[a, a]
    return found


@pytest.mark.parametrize("n_features", [3, 4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_leakage_is_the_inverse_of_the_information_of_all_parameters(seed, n_features):
    # Pair by pair, and with the error of the estimated noise on top: what one large inverse gives.
    rng = np.random.default_rng(seed)
    T, D, noise_variance = 20, 3, 0.05
    U, V = (np.linalg.qr(rng.normal(size=(size, D)))[0] for size in (n_features, D))
    mixing = (U * np.geomspace(1, 0.3, D)) @ V
    variances = rng.gamma(4.0, size=(T, D)) / 4
    rows = rng.normal(size=(T * 200, n_features)), rng.normal(size=T * 200), np.repeat(np.arange(T), 200)
    moments = TaskMoments.from_long(*rows)
    known, estimated = (
        _variance_by_all_parameters(mixing, variances, noise_variance, moments.weights, noise_known=value)
        for value in (True, False)
    )
    model = FactorizedInformation(moments, np.linalg.pinv(mixing), variances, noise_variance)
    own, cross, drift = model.pairs()
    off = ~np.eye(D, dtype=bool)
    by_pairs = own.T[off] / (own * own.T - cross**2)[off]
    np.testing.assert_allclose(by_pairs, known[off], rtol=0.1)
    found = fisher_leakage(model)[1][off] * model.n_rows
    np.testing.assert_allclose(found, by_pairs + drift[off])
    # Over all pairs, the error of the noise is what it adds; pair by pair as far as pairs are alone.
    assert np.sum(drift) == pytest.approx(np.sum(estimated - known), rel=0.15)
    np.testing.assert_allclose(found, estimated[off], rtol=0.25)
