"""Covariances for joint diagonalisation: packed and shared forms against plain sums over matrices."""

import numpy as np
import pytest

from identirep.mtlcm.axes.covariances import DenseCovariances, SharedCovariances

T, D, S = 7, 5, 3


def _matrices(rng):
    A = rng.normal(size=(T, D, 2 * D))
    return A @ A.swapaxes(1, 2)


def _shared(rng):
    G = np.cov(rng.normal(size=(D, 30)))
    vectors = 0.1 * rng.normal(size=(T, D))
    return SharedCovariances(G, vectors, np.full(T, 1 / T)), G - vectors[:, :, None] * vectors[:, None, :]


def _both():
    rng = np.random.default_rng(0)
    R = _matrices(rng)
    yield "dense", DenseCovariances.from_matrices(R, np.full(T, 1 / T)), R
    yield "shared", *_shared(rng)


@pytest.mark.parametrize(("covariances", "R"), [(c, R) for _, c, R in _both()], ids=[name for name, _, _ in _both()])
class TestBothForms:
    def test_variances(self, covariances, R):
        B = np.random.default_rng(1).normal(size=(S, D, D))
        expected = np.einsum("sij,tjk,sik->sti", B, R, B)
        np.testing.assert_allclose(covariances.variances(B), expected, rtol=1e-12)

    def test_weighted_rows(self, covariances, R):
        rng = np.random.default_rng(2)
        B, coefficients = rng.normal(size=(S, D, D)), rng.normal(size=(S, T, D))
        expected = np.einsum("sti,tjk,sik->sij", coefficients, R, B)
        np.testing.assert_allclose(covariances.weighted_rows(coefficients, B), expected, rtol=1e-10, atol=1e-12)

    def test_magnitudes_bound_the_terms(self, covariances, R):
        B = np.random.default_rng(3).normal(size=(S, D, D))
        assert np.all(covariances.magnitudes(B) >= covariances.variances(B) * (1 - 1e-12))

    def test_weights_are_replaced_and_nothing_else(self, covariances, R):
        B = np.random.default_rng(4).normal(size=(S, D, D))
        weights = np.random.default_rng(5).dirichlet(np.ones(T), size=S)
        other = covariances.reweighted(weights)
        np.testing.assert_array_equal(other.weights, weights)
        np.testing.assert_array_equal(other.variances(B), covariances.variances(B))


def test_magnitudes_show_cancellation():
    # Along (1, -1) the variance is what is left of terms that are a million times larger.
    R = np.array([[[1.0, 1.0 - 1e-6], [1.0 - 1e-6, 1.0]]])
    covariances = DenseCovariances.from_matrices(R, np.ones(1))
    B = np.array([[[1.0, -1.0], [1.0, 1.0]]])
    ratio = covariances.magnitudes(B) / covariances.variances(B)
    assert ratio[0, 0, 0] > 1e6
    assert ratio[0, 0, 1] < 1.01
