"""Data of the paper of iVAE."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from identirep.experiments.segments import draw_segments

KINDS = ("own", "published", "published, means")


@pytest.mark.parametrize("kind", KINDS)
def test_sources_are_stationary_in_segments(kind):
    data = draw_segments(kind, 20, 500, 3, 2, np.random.default_rng(0))
    assert data.X.shape == data.Z.shape == (10_000, 3)
    np.testing.assert_array_equal(np.bincount(data.segments), np.full(20, 500))
    Z = data.Z.reshape(20, 500, 3)
    deviations = Z.std(axis=1)
    low, high = (0.5, np.sqrt(3.0)) if kind == "own" else (0.5, 3.0)
    assert deviations.min() > 0.9 * low
    assert deviations.max() < 1.1 * high
    assert deviations.max() / deviations.min() > 2
    spread = np.abs(Z.mean(axis=1)).max()
    assert spread < 0.6 if kind == "published" else spread > 1.5
    correlations = [np.corrcoef(segment.T)[np.triu_indices(3, 1)] for segment in Z]
    assert np.abs(np.mean(correlations)) < 0.03


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_likelihood_is_that_of_the_data(kind, n_layers):
    # By change of variables: the entropy of the sources, and derivatives of the map seen between neighbouring rows.
    n_segments, length, D = 20, 2000, 2
    data = draw_segments(kind, n_segments, length, D, n_layers, np.random.default_rng(1))
    deviation = data.Z.reshape(n_segments, length, D).std(axis=1)
    entropy = D / 2 + np.log(deviation).sum(axis=1).mean()
    rows = np.random.default_rng(2).choice(len(data.Z), 2000, replace=False)
    near = KDTree(data.Z).query(data.Z[rows], k=8)[1]
    slopes = [np.linalg.lstsq(data.Z[i[1:]] - data.Z[i[0]], data.X[i[1:]] - data.X[i[0]], rcond=None)[0] for i in near]
    stretched = np.linalg.slogdet(np.stack(slopes))[1].mean()
    white = np.linalg.slogdet(np.cov(data.X, rowvar=False))[1] / 2
    assert data.negative_log_likelihood == pytest.approx(entropy + stretched - white, abs=0.1)


def test_published_layers_are_among_the_better_conditioned():
    rng = np.random.default_rng(0)
    conditions = [draw_segments("published", 2, 10, 3, 2, rng).condition for _ in range(50)]
    matrices = rng.uniform(-1, 1, size=(4000, 3, 3))
    limit = np.percentile(np.linalg.cond(matrices / np.linalg.norm(matrices, axis=1, keepdims=True)), 25)
    assert max(conditions) < 1.1 * limit
    assert len(set(conditions)) == 50
    assert draw_segments("own", 2, 10, 3, 4, rng).condition <= 3


def test_published_layers_are_one_matrix_with_tanh_between():
    one, two = (draw_segments("published", 2, 50, 3, layers, np.random.default_rng(0)) for layers in (1, 2))
    matrix = np.linalg.lstsq(one.Z, one.X, rcond=None)[0]
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=0), 1)
    np.testing.assert_allclose(two.X, (np.tanh(one.X) + 0.1 * one.X) @ matrix, atol=1e-10)
