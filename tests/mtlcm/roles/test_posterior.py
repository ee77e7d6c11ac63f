"""Posterior of roles: brute force, truth, unrelated latents, shared scales, invariances, calibration."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import f1_score, roc_auc_score

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm.model.likelihood import joint_covariances
from identirep.mtlcm.roles import posterior as role_posterior
from identirep.mtlcm.roles.evidence import effect_evidence, noise_given_target
from identirep.mtlcm.roles.posterior import causal_posterior
from identirep.mtlcm.roles.prior import STRENGTH_SCALES
from identirep.mtlcm.roles.sets import correlations


def _moments(**options):
    data = make_linear_tasks(random_state=0, **options)
    return TaskMoments.from_long(data.Z, data.y, data.tasks), data


def _with_unrelated(seed, n_samples=100, shares=(0.3, 0.4, 0.3), n_tasks=200, n_latents=10, spurious_std=0.1):
    """Tasks in which each latent is a cause (0), an effect (1) or unrelated (2); return moments and roles."""
    rng = np.random.default_rng(seed)
    shape = (n_tasks, n_latents)
    role = rng.choice(3, p=shares, size=shape)
    w = np.where(role == 0, rng.normal(size=shape), 0.0)
    gamma = np.where(role == 1, rng.uniform(-1, 1, size=shape), 0.0)
    noise = rng.normal(size=(n_tasks, n_samples, n_latents))
    y = np.einsum("tnd,td->tn", noise, w) + 2.5 * rng.normal(size=(n_tasks, n_samples))
    Z = np.where((role == 1)[:, None], gamma[:, None] * y[..., None] + spurious_std * noise, noise)
    tasks = np.repeat(np.arange(n_tasks), n_samples)
    return TaskMoments.from_long(Z.reshape(-1, n_latents), y.ravel(), tasks), role


def _correlations(moments):
    return correlations(joint_covariances(moments))


def _posterior(moments, shared=False):
    variances = np.einsum("gii->gi", moments.cov_h)[moments.group] if shared else None
    return causal_posterior(_correlations(moments), moments.n_samples, variances)


def _calibration_error(p, truth):
    p, truth = p.ravel(), truth.ravel()
    bins = np.minimum((p * 10).astype(int), 9)
    return sum(abs(p[bins == b].mean() - truth[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins))


def _regression(C, n, causes, weights):
    """Log evidence of y given the causes: the Gaussian of n rows with unit variances, s and the scale summed out."""
    D = len(C) - 1
    log_p = []
    for scale, weight in zip(STRENGTH_SCALES, weights, strict=True):
        K = n * scale * C[np.ix_(causes, causes)]
        r = C[causes, D]
        left = 1.0 - n * scale * r @ np.linalg.solve(np.eye(len(causes)) + K, r) if causes else 1.0
        log_det = np.linalg.slogdet(np.eye(len(causes)) + K)[1] if causes else 0.0
        log_p.append(np.log(weight) - 0.5 * log_det - 0.5 * (n - 1) * np.log(left))
    return logsumexp(log_p)


@pytest.mark.parametrize("enumerated", [True, False], ids=["enumerated", "averaged"])
def test_probabilities_are_those_of_brute_force_enumeration(enumerated, monkeypatch):
    # Four latents are all ambiguous ones, so that the average is exact too.
    monkeypatch.setattr(role_posterior, "_MAX_ENUMERATED", 12 if enumerated else 3)
    moments, _ = _with_unrelated(0, n_tasks=30, n_latents=4)
    posterior = _posterior(moments)
    prior, C = posterior.prior, _correlations(moments)
    effect = logsumexp(effect_evidence(C[:, :4, 4] ** 2, moments.n_samples) + np.log(prior.effect_weights), axis=2)
    shares = np.log([prior.share, 1.0 - prior.share - prior.unrelated, prior.unrelated])
    every = list(itertools.product([0, 1, 2], repeat=4))
    for t in range(30):
        log_p = []
        for roles in every:
            causes = [i for i in range(4) if roles[i] == 0]
            effects = sum(effect[t, i] for i in range(4) if roles[i] == 1)
            log_p.append(_regression(C[t], 100, causes, prior.cause_weights) + effects + shares[list(roles)].sum())
        p = np.exp(np.array(log_p) - logsumexp(log_p))
        for k, found in enumerate((posterior.cause, posterior.effect, posterior.unrelated)):
            expected = [sum(p[m] for m, roles in enumerate(every) if roles[i] == k) for i in range(4)]
            # Scales of causes below a thousandth are left out.
            np.testing.assert_allclose(found[t], expected, atol=5e-3)


@pytest.mark.parametrize("n_latents", [10, 14], ids=["enumerated", "averaged"])
@pytest.mark.parametrize("standardize", [True, False])
def test_roles_are_found_and_calibrated(n_latents, standardize):
    moments, data = _moments(n_latents=n_latents, n_causal=4, standardize=standardize)
    posterior = _posterior(moments)
    assert posterior.exact == (n_latents <= 12)
    assert roc_auc_score(data.causal.ravel(), posterior.cause.ravel()) > 0.985
    assert f1_score(data.causal.ravel(), posterior.cause.ravel() > 0.5) > 0.95
    assert _calibration_error(posterior.cause, data.causal) < 0.03


def test_no_latent_is_called_unrelated_where_none_is():
    moments, _ = _moments(n_causal=4)
    posterior = _posterior(moments)
    assert posterior.unrelated.mean() < 0.03
    np.testing.assert_allclose(posterior.cause + posterior.effect + posterior.unrelated, 1.0, atol=1e-12)


@pytest.mark.parametrize("n_latents", [10, 14], ids=["enumerated", "averaged"])
def test_unrelated_latents_are_found_and_calibrated(n_latents):
    moments, role = _with_unrelated(0, n_samples=300, n_latents=n_latents)
    posterior = _posterior(moments)
    np.testing.assert_allclose(posterior.cause + posterior.effect + posterior.unrelated, 1.0, atol=1e-12)
    assert roc_auc_score(role.ravel() == 2, posterior.unrelated.ravel()) > 0.94
    assert abs(posterior.unrelated.mean() - 0.3) < 0.04
    for k, p in enumerate((posterior.cause, posterior.effect, posterior.unrelated)):
        assert _calibration_error(p, role == k) < 0.05


def test_unrelated_latents_leave_the_roles_of_the_others_alone():
    # Independent columns appended to every task are recognised, and do not change what is said of the rest.
    moments, data = _moments(n_causal=4, n_latents=8, n_samples=1000)
    rng = np.random.default_rng(1)
    wider = np.concatenate([data.Z, rng.normal(size=(len(data.Z), 2))], axis=1)
    posterior = _posterior(TaskMoments.from_long(wider, data.y, data.tasks))
    assert posterior.unrelated[:, 8:].mean() > 0.6
    clear = _correlations(moments)[:, :8, 8] ** 2 > 0.15
    assert posterior.unrelated[:, :8][clear].max() < 0.02
    change = np.abs(posterior.probability[:, :8] - _posterior(moments).probability)[clear]
    assert change.mean() < 0.01


def test_shared_scales_are_used_where_they_hold_and_tell_roles_apart():
    moments, data = _moments(n_causal=4, standardize=False)
    shared = _posterior(moments, shared=True)
    assert shared.scales is not None
    assert f1_score(data.causal.ravel(), shared.cause.ravel() > 0.5) > 0.995
    assert _calibration_error(shared.cause, data.causal) < 0.02
    np.testing.assert_allclose(shared.scales.cause, 1.0, rtol=0.05)
    np.testing.assert_allclose(shared.scales.effect, 0.01, rtol=0.05)


@pytest.mark.parametrize("case", ["standardised", "scales of each task"])
def test_shared_scales_are_not_used_where_they_mislead(case):
    moments, data = _moments(n_causal=4, standardize=case == "standardised")
    if case == "scales of each task":
        scale = np.random.default_rng(1).uniform(0.5, 2.0, size=(200, 10))
        moments = TaskMoments.from_long(data.Z * scale[data.tasks], data.y, data.tasks)
    posterior = _posterior(moments, shared=True)
    assert posterior.scales is None
    np.testing.assert_array_equal(posterior.cause, _posterior(moments).cause)


def test_averaging_over_ambiguous_latents_agrees_with_enumeration(monkeypatch):
    moments, _ = _moments(n_latents=11, n_causal=3)
    exact = _posterior(moments)
    monkeypatch.setattr("identirep.mtlcm.roles.posterior._MAX_ENUMERATED", 5)
    averaged = _posterior(moments)
    assert exact.exact
    assert not averaged.exact
    assert np.abs(exact.cause - averaged.cause).mean() < 0.01
    assert np.mean(exact.best == averaged.best) > 0.99


def test_scale_of_latents_in_each_task_does_not_matter():
    moments, data = _moments(n_latents=6)
    rng = np.random.default_rng(1)
    scaled = data.Z * rng.uniform(0.1, 10, size=(200, 6))[data.tasks]
    other = _posterior(TaskMoments.from_long(scaled, data.y, data.tasks))
    np.testing.assert_allclose(other.cause, _posterior(moments).cause, atol=1e-6)


def test_a_single_correlated_latent_is_equivalent_both_ways():
    # One latent: cause and effect have equal evidence in every task, so the data never leave the prior.
    rng = np.random.default_rng(2)
    z = rng.normal(size=(50, 100))
    y = z + rng.normal(size=z.shape)
    moments = TaskMoments.from_long(z.reshape(-1, 1), y.reshape(-1), np.repeat(np.arange(50), 100))
    posterior = _posterior(moments)
    assert posterior.unrelated.max() < 0.01
    assert np.abs(posterior.probability - 0.5).max() < 0.3


@pytest.mark.parametrize("n_latents", [8, 14], ids=["enumerated", "averaged"])
def test_noise_common_to_latents_does_not_turn_effects_into_causes(n_latents):
    rng = np.random.default_rng(0)
    data = make_linear_tasks(
        n_tasks=60, n_samples=300, n_latents=n_latents, n_causal=3, mixing="identity", random_state=0
    )
    loading = np.zeros(n_latents)
    loading[:4] = [0.2, -0.2, 0.2, 0.2]
    noise = np.outer(loading, loading)
    Z = data.Z + rng.normal(size=(len(data.Z), 1)) * loading
    # Posterior mean under the pooled prior, as `MTLCM.transform` gives.
    wiener = np.linalg.inv(np.eye(n_latents) + noise)
    moments = TaskMoments.from_long(Z @ wiener, data.y, data.tasks)
    joint = joint_covariances(moments)
    known = causal_posterior(
        correlations(joint), moments.n_samples, noise_covariance=noise_given_target(wiener @ noise @ wiener.T, joint)
    )
    ignored = causal_posterior(correlations(joint), moments.n_samples)
    right = [np.mean((p.cause > 0.5) == data.causal) for p in (known, ignored)]
    assert right[0] > 0.96
    assert right[0] > right[1] + 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_effects_that_are_mostly_noise_do_not_pass_for_causes(seed):
    """The strength that noise leaves of them is that of a cause in a target with other causes."""
    data = make_linear_tasks(
        n_tasks=60, n_latents=8, n_causal=3, mixing="identity", observation_noise=0.0, random_state=seed
    )
    # Two latents are noise by 0.8.
    noise_variance = np.where(np.arange(8) < 2, 4.0, 0.0)
    wiener = 1.0 / (1.0 + noise_variance)
    Z = wiener * (data.Z + np.sqrt(noise_variance) * np.random.default_rng(seed).normal(size=data.Z.shape))
    moments = TaskMoments.from_long(Z, data.y, data.tasks)
    joint = joint_covariances(moments)
    noise_covariance = noise_given_target(np.diag(wiener**2 * noise_variance), joint)
    posterior = causal_posterior(correlations(joint), moments.n_samples, noise_covariance=noise_covariance)
    # What noise hides is not known, but it is no cause more often than all latents are.
    assert posterior.cause[:, :2][~data.causal[:, :2]].mean() < 3 / 8


def test_roles_of_latents_close_to_the_noise_are_found_and_calibrated():
    # In one direction of the latents there is as much noise as signal, so that they correlate with the truth by 0.965
    # on average, and what noise they have is common to all.
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.normal(size=(10, 10)))[0] for _ in range(2))
    mixing = (U * np.array([5.0] * 9 + [0.007])) @ V
    data = make_linear_tasks(n_tasks=200, n_latents=10, n_causal=4, mixing=mixing, random_state=0)
    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
    match = mcc(model.transform(data.H), data.Z)
    truth = data.causal[:, match.assignment]
    assert match.score < 0.98
    assert roc_auc_score(truth.ravel(), model.causal_probability_.ravel()) > 0.98
    assert _calibration_error(model.causal_probability_, truth) < 0.06


def test_the_scale_of_causes_may_leave_those_that_were_left(monkeypatch):
    """What roles have in common pulled it away from the only one left, and there was nothing to sum over."""
    moments, _ = _moments(n_tasks=10, n_samples=30, n_latents=3, n_causal=1)
    expected = causal_posterior(_correlations(moments), moments.n_samples)
    pruned, lost = role_posterior._Sets.pruned, []

    def none_left(sets, prior):
        left = pruned(sets, prior)
        if lost:
            return left
        lost.append(left.scales)
        return left._replace(scales=left.scales[:0], evidence=left.evidence[:, :0], relative=left.relative[:, :0])

    monkeypatch.setattr(role_posterior._Sets, "pruned", none_left)
    found = causal_posterior(_correlations(moments), moments.n_samples)
    assert len(lost) == 1
    np.testing.assert_allclose(found.cause, expected.cause, atol=1e-6)
