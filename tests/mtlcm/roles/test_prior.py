"""What tasks share of the roles: scales."""

import numpy as np

from identirep.mtlcm.roles.prior import SharedScales


def test_shared_scales_lose_what_the_likelihood_says():
    variances, rho2 = np.array([[1.0], [2.0]]), np.array([[0.5], [0.0]])
    scales = SharedScales(np.array([2.0]), np.array([0.5]), np.zeros((2, 1)), np.zeros((2, 1)))
    fitted = SharedScales.fit(variances, rho2, np.array([1000, 10**9]), np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(fitted.cause, scales.cause, rtol=1e-6)
    np.testing.assert_allclose(fitted.effect, scales.effect, rtol=1e-2)
    # Gaussian log-likelihood of 1000 rows of variance 1 under variance 2, against their own.
    expected = -500 * (np.log(2.0) + 0.5 - 1.0)
    np.testing.assert_allclose(fitted.as_cause[0, 0], expected, rtol=1e-6)
