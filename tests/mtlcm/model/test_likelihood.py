"""Likelihoods from moments equal those of the rows."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from identirep import TaskMoments
from identirep.mtlcm.model.likelihood import (
    conditional_covariances,
    gaussian_log_likelihood,
    joint_covariances,
    model_covariances,
    residual_second_moments,
)


def _long(rng, T=4, n=50, K=3):
    H = rng.normal(size=(T * n, K)) @ rng.normal(size=(K, K)) + 3.0
    y = H[:, 0] + rng.normal(size=T * n)
    return H, y, np.repeat(np.arange(T), n)


def test_log_likelihood_from_moments_is_the_mean_over_rows():
    rng = np.random.default_rng(0)
    H, y, tasks = _long(rng)
    m = TaskMoments.from_long(H, y, tasks)
    mean_h, mean_y, slope = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(4, 3))
    Sigma = model_covariances(rng.normal(size=(3, 3)), rng.uniform(0.5, 2, size=(4, 3)), 0.1)
    found = gaussian_log_likelihood(residual_second_moments(m, mean_h, mean_y, slope), Sigma)
    for t in range(4):
        rows = tasks == t
        residuals = H[rows] - mean_h[t] - np.outer(y[rows] - mean_y[t], slope[t])
        expected = multivariate_normal(cov=Sigma[t]).logpdf(residuals).mean()
        assert found[t] == pytest.approx(expected, rel=1e-10)


def test_conditional_covariance_is_that_of_regression_residuals():
    H, y, tasks = _long(np.random.default_rng(1))
    R = conditional_covariances(TaskMoments.from_long(H, y, tasks))
    rows = tasks == 2
    design = np.c_[np.ones(rows.sum()), y[rows]]
    residuals = H[rows] - design @ np.linalg.lstsq(design, H[rows], rcond=None)[0]
    np.testing.assert_allclose(R[2], residuals.T @ residuals / rows.sum(), rtol=1e-6)


def test_model_covariance():
    rng = np.random.default_rng(2)
    A, variances = rng.normal(size=(3, 2)), rng.uniform(0.5, 2, size=(4, 2))
    np.testing.assert_allclose(
        model_covariances(A, variances, 0.3)[1], A @ np.diag(variances[1]) @ A.T + 0.3 * np.eye(3), rtol=1e-12
    )


def test_joint_covariance():
    H, y, tasks = _long(np.random.default_rng(3))
    joint = joint_covariances(TaskMoments.from_long(H, y, tasks))
    rows = tasks == 1
    np.testing.assert_allclose(joint[1], np.cov(np.c_[H[rows], y[rows]].T, bias=True), rtol=1e-9)
