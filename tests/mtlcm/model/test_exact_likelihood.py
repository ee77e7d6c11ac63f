"""The exact likelihood: against rows, by finite differences, and what the causal model implies."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.model import JointMoments, exact_criterion, joint_covariances, joint_model_covariances


def _problem(**options):
    data = make_linear_tasks(n_latents=4, n_causal=2, observation_noise=0.0, random_state=0, **options)
    m = TaskMoments.from_long(data.H, data.y, data.tasks)
    return data, m, JointMoments(m.cov_h, m.cov_hy, m.var_y, m.weights)


def test_gradient_by_finite_differences():
    data, _, moments = _problem(n_tasks=20)
    z = moments.mapped(np.random.default_rng(0).normal(size=(4, 4)))
    found = exact_criterion(z, data.causal).gradient
    for i in range(4):
        for j in range(4):
            E = np.zeros((4, 4))
            E[i, j] = 1e-5
            up = exact_criterion(z.mapped(np.eye(4) + E), data.causal).value - np.linalg.slogdet(np.eye(4) + E)[1]
            down = exact_criterion(z.mapped(np.eye(4) - E), data.causal).value - np.linalg.slogdet(np.eye(4) - E)[1]
            assert found[i, j] == pytest.approx((up - down) / 2e-5, abs=1e-7)


def test_criterion_is_the_likelihood_of_the_rows():
    # Differences of the criterion between two unmixing matrices are those of log p(h, y | t) at the best scales.
    data, _, moments = _problem(n_tasks=3, n_samples=40)
    rng = np.random.default_rng(1)
    values, likelihoods = [], []
    for _ in range(2):
        B = rng.normal(size=(4, 4))
        values.append(exact_criterion(moments.mapped(B), data.causal).value - np.linalg.slogdet(B)[1])
        Sigma = joint_model_covariances(np.linalg.inv(B), moments.mapped(B), data.causal, 0.0)
        total = 0.0
        for t in range(3):
            rows = np.c_[data.H, data.y][data.tasks == t]
            total += multivariate_normal(cov=Sigma[t]).logpdf(rows - rows.mean(axis=0)).sum()
        likelihoods.append(total / len(data.y))
    assert values[0] - values[1] == pytest.approx(likelihoods[1] - likelihoods[0], rel=1e-6)


def test_model_covariance_of_causes_and_effects():
    data, _, _ = _problem(n_tasks=5, n_samples=20_000, standardize=False)
    latents = TaskMoments.from_long(data.Z, data.y, data.tasks)
    z = JointMoments(latents.cov_h, latents.cov_hy, latents.var_y, latents.weights)
    Sigma = joint_model_covariances(np.eye(4), z, data.causal, 0.0)
    # The data come from the model, so that its covariance is that of the data.
    np.testing.assert_allclose(Sigma, joint_covariances(latents), atol=0.25)
    both = data.causal[:, :, None] & data.causal[:, None, :] & ~np.eye(4, dtype=bool)
    assert np.all(Sigma[:, :4, :4][both] == 0)
