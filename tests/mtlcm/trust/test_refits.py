"""Bootstrap over tasks and over samples: the law of what is drawn, and what refits say."""

import numpy as np
import pytest

from identirep import MTLCM, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc
from identirep.mtlcm.trust.refits import resample_rows


def _fit(n_tasks=40, n_samples=60, prior="factorized", random_state=0, **options):
    data = make_linear_tasks(
        n_tasks, n_samples, 5, mixing="orthogonal", observation_noise=0.0, random_state=random_state, **options
    )
    return data, MTLCM(prior=prior, random_state=0).fit(data.H, data.y, tasks=data.tasks)


@pytest.mark.slow
def test_resampled_scatter_has_the_wishart_law():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(12, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
    y = H[:, 0] + 0.5 * rng.normal(size=12)
    moments = TaskMoments.from_long(H, y, np.zeros(12))
    scatter = np.block([[moments.scatter_h[0], moments.scatter_hy.T], [moments.scatter_hy, moments.scatter_y[:, None]]])
    draws = []
    for _ in range(20_000):
        drawn = resample_rows(moments, rng)
        draws.append(np.block([[drawn.scatter_h[0], drawn.scatter_hy.T], [drawn.scatter_hy, drawn.scatter_y[:, None]]]))
    mean, variance = np.mean(draws, axis=0), np.var(draws, axis=0)
    np.testing.assert_allclose(mean, scatter, atol=0.02 * np.abs(scatter).max())
    own = np.diag(scatter)
    np.testing.assert_allclose(variance, (scatter**2 + np.outer(own, own)) / 11, rtol=0.08)


def test_tasks_on_the_same_rows_get_one_scatter():
    rng = np.random.default_rng(0)
    H = rng.normal(size=(50, 3))
    moments = TaskMoments.from_arrays(H, H @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(50, 4)))
    drawn = resample_rows(moments, rng)
    assert drawn.is_shared
    assert drawn.n_rows == 50
    # Heads move by their sampling noise, which is small next to that of the common scatter.
    heads = np.linalg.solve(moments.scatter_h[0], moments.scatter_hy.T)
    np.testing.assert_allclose(np.linalg.solve(drawn.scatter_h[0], drawn.scatter_hy.T), heads, atol=0.1)
    assert np.abs(drawn.scatter_h[0] / moments.scatter_h[0] - 1).max() > 0.02


def test_tasks_with_fewer_rows_than_features_stay_as_singular_as_they_are():
    rng = np.random.default_rng(0)
    moments = TaskMoments.from_long(rng.normal(size=(8, 6)), rng.normal(size=8), np.repeat([0, 1], 4))
    drawn = resample_rows(moments, rng)
    assert np.linalg.matrix_rank(drawn.scatter_h, hermitian=True).tolist() == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("over", ["tasks", "samples"])
@pytest.mark.parametrize("prior", ["factorized", "exact"])
def test_refits_lose_what_the_fit_has_lost(over, prior):
    losses = []
    for seed in range(4 if prior == "factorized" else 2):
        data, model = _fit(30, prior=prior, random_state=seed, n_causal=2)
        result = model.bootstrap(over, n_refits=15, random_state=0)
        assert result.agreement.shape == (15, 5)
        assert result.over == over
        np.testing.assert_allclose(result.mcc, result.agreement.mean(axis=0))
        losses.append([1 - result.mcc.mean(), 1 - mcc(model.transform(data.H), data.Z).score])
    predicted, actual = np.mean(losses, axis=0)
    assert 0.4 < predicted / actual < 2.5


@pytest.mark.slow
def test_samples_matter_less_the_more_there_are():
    few, many = (1 - _fit(n_samples=n)[1].bootstrap("samples", random_state=0).mcc.mean() for n in (40, 400))
    assert 5 < few / many < 20


def test_fits_of_wide_data_are_resampled_too():
    rng = np.random.default_rng(0)
    H = rng.laplace(size=(400, 4))
    model = MTLCM(random_state=0).fit(H, H @ rng.laplace(size=(4, 30)) + 0.3 * rng.normal(size=(400, 30)))
    for over in ("tasks", "samples"):
        agreement = model.bootstrap(over, n_refits=5, random_state=0).agreement
        assert np.all((agreement > 0.5) & (agreement < 1))


def test_same_seed_same_refits():
    _, model = _fit()
    for over in ("tasks", "samples"):
        first, second, other = (model.bootstrap(over, n_refits=3, random_state=s).agreement for s in (1, 1, 2))
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"over": "rows"}, "over is not valid: got 'rows', expected 'tasks' or 'samples'"),
        ({"n_refits": 0}, "n_refits is not valid: got 0, expected an int of at least 1"),
    ],
)
def test_bootstrap_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        _fit()[1].bootstrap(**arguments)
