"""Sparse heads: recovers latents whose heads are sparse, and says when it has not converged."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.exceptions import ConvergenceWarning

from identirep import TaskMoments
from identirep.baselines import SparseHeads
from identirep.baselines.sparse_heads import _objective
from identirep.metrics import mcc_score


def _problem(seed=0, n=2000, D=5, T=60, K=5):
    rng = np.random.default_rng(seed)
    # Correlated latents: the map to find is no rotation.
    Z = rng.normal(size=(n, D)) @ (np.eye(D) + 0.3 * rng.normal(size=(D, D)))
    Y = Z @ (rng.normal(size=(D, T)) * (rng.random((D, T)) < 0.3)) + 0.2 * rng.normal(size=(n, T))
    return Z @ rng.normal(size=(D, K)), Y, Z


@pytest.mark.parametrize("seed", range(3))
def test_recovers_latents_with_sparse_heads(seed):
    H, Y, Z = _problem(seed)
    Y[::7, 3] = np.nan
    model = SparseHeads(random_state=seed).fit(H, Y)
    assert mcc_score(model.transform(H), Z) > 0.99


def test_dense_heads_identify_nothing():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(2000, 5))
    H, Y = Z @ rng.normal(size=(5, 5)), Z @ rng.normal(size=(5, 60)) + 0.2 * rng.normal(size=(2000, 60))
    assert mcc_score(SparseHeads(random_state=0).fit(H, Y).transform(H), Z) < 0.9


def test_moments_are_enough():
    H, Y, _ = _problem()
    from_rows = SparseHeads(random_state=0).fit(H, Y)
    from_moments = SparseHeads(random_state=0).fit_moments(TaskMoments.from_arrays(H, Y))
    assert mcc_score(from_rows.transform(H), from_moments.transform(H)) > 1 - 1e-6
    np.testing.assert_allclose(from_moments.transform(H).std(axis=0), 1.0, rtol=1e-6)


def test_long_layout_and_fewer_components():
    H, Y, Z = _problem()
    rows, tasks = np.tile(np.arange(500), 60), np.repeat(np.arange(60), 500)
    model = SparseHeads(random_state=0).fit(H[rows], Y[rows, tasks], tasks)
    assert mcc_score(model.transform(H), Z) > 0.98
    assert SparseHeads(3, random_state=0).fit(H, Y).transform(H).shape == (2000, 3)


def test_gradient_against_finite_differences():
    rng = np.random.default_rng(0)
    heads, C = rng.normal(size=(20, 4)), rng.normal(size=16)
    for width in (1.0, 0.1):
        error = check_grad(lambda x: _objective(x, heads, width)[0], lambda x: _objective(x, heads, width)[1], C)  # noqa: B023
        assert error < 1e-4


def test_says_that_it_has_not_converged():
    H, Y, _ = _problem()
    with pytest.warns(ConvergenceWarning, match="SparseHeads stopped after 1 iterations"):
        assert not SparseHeads(max_iter=1, random_state=0).fit(H, Y).converged_


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_components": 6}, "n_components is too large: got 6"), ({"n_init": 0}, "n_init is not valid: got 0")],
)
def test_bad_parameters(settings, message):
    H, Y, _ = _problem()
    with pytest.raises(ValueError, match=message):
        SparseHeads(**settings).fit(H, Y)
