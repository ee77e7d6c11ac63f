"""Likelihoods from moments equal those of the rows."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from threadpoolctl import threadpool_limits

from identirep import TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.mtlcm.model import (
    causal_regression,
    gaussian_log_likelihood,
    inverse_and_log_det,
    joint_covariances,
    latent_covariances,
    model_covariances,
    regular_residual_covariances,
    residual_covariances,
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
    R = residual_covariances(TaskMoments.from_long(H, y, tasks))
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


@pytest.mark.parametrize(("size", "threads"), [(3, 1), (40, 1), (40, 2)])
def test_inverse_and_log_determinant(size, threads):
    A = np.random.default_rng(0).normal(size=(6, size, 2 * size))
    Sigma = A @ A.swapaxes(1, 2)
    with threadpool_limits(threads):
        inverse, log_det = inverse_and_log_det(Sigma)
    np.testing.assert_allclose(inverse @ Sigma, np.broadcast_to(np.eye(size), Sigma.shape), atol=1e-9)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(Sigma)[1], rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError):
        inverse_and_log_det(-Sigma)


def test_latent_covariances_are_those_of_unmixed_features():
    rng = np.random.default_rng(4)
    A, variances = rng.normal(size=(3, 3)), rng.uniform(0.5, 2, size=(4, 3))
    B = np.linalg.inv(A)
    np.testing.assert_allclose(
        latent_covariances(B, variances, 0.3), B @ model_covariances(A, variances, 0.3) @ B.T, atol=1e-10
    )


def test_regression_on_causes_alone():
    data = make_linear_tasks(n_tasks=20, n_samples=5000, n_causal=3, random_state=0)
    moments = TaskMoments.from_long(data.Z, data.y, data.tasks)
    w = causal_regression(moments.cov_h, moments.cov_hy, data.causal)
    assert np.all(w[~data.causal] == 0)
    np.testing.assert_allclose(w, data.causal_coef, atol=0.15)
    t = 4
    rows, causes = data.tasks == t, data.causal[t]
    design = np.c_[np.ones(rows.sum()), data.Z[rows][:, causes]]
    expected = np.linalg.lstsq(design, data.y[rows], rcond=None)[0][1:]
    np.testing.assert_allclose(w[t, causes], expected, rtol=1e-8)


def test_small_tasks_borrow_from_the_pooled_covariance():
    # Six rows less mean and target span four directions: without what is borrowed there would be zeros.
    rng = np.random.default_rng(5)
    H, y, tasks = _long(rng, T=20, n=6, K=8)
    moments = TaskMoments.from_long(H, y, tasks)
    assert np.linalg.eigvalsh(residual_covariances(moments)).min() < 1e-6
    assert np.linalg.eigvalsh(regular_residual_covariances(moments)).min() > 1e-3
    large = TaskMoments.from_long(*_long(rng, n=15))
    np.testing.assert_array_equal(regular_residual_covariances(large), residual_covariances(large))
