"""iCaRL: the prior's derivatives, score matching and parents against known truth, and recovery of latents."""

import sys

import numpy as np
import pytest
import torch

from identirep.baselines import IVAE, ICaRL
from identirep.baselines.energy import EnergyPrior
from identirep.baselines.networks import AffineMap, AffinePrior, Batch
from identirep.baselines.parents import find_parents, fisher_z_p_values, kernel_p_values
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score

_ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _prior(n_latents=3, n_statistics=4):
    generator = torch.Generator().manual_seed(0)
    factors, coefficients = AffinePrior(1, 0, n_latents), AffineMap(1, 0, n_statistics)
    prior = EnergyPrior(factors, coefficients, n_latents, n_statistics, generator).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return prior


def _rows(n):
    empty = torch.zeros(n, 0, dtype=torch.float64)
    return Batch(empty, empty, empty, torch.zeros(n, dtype=torch.int64))


def test_score_matching_against_automatic_differentiation():
    prior, batch = _prior(), _rows(1)
    (mean, variance), a = prior(batch), prior.coefficients(batch)

    def log_density(z):
        return (-0.5 * (z - mean) ** 2 / variance).sum() + prior.interaction(z[None], a).sum()

    z = torch.tensor([0.4, -1.2, 0.7], dtype=torch.float64)
    score = torch.autograd.functional.jacobian(log_density, z)
    curvature = torch.diagonal(torch.autograd.functional.hessian(log_density, z))
    expected = (variance[0] * (curvature + 0.5 * score**2)).sum()
    ridge = prior.score_matching(z[None], (mean, variance), a) - expected
    # What is left is the ridge, the same at any latents and quadratic in the coefficients.
    other = torch.tensor([[2.0, 0.3, -0.5]], dtype=torch.float64)
    score = torch.autograd.functional.jacobian(log_density, other[0])
    curvature = torch.diagonal(torch.autograd.functional.hessian(log_density, other[0]))
    expected = (variance[0] * (curvature + 0.5 * score**2)).sum()
    torch.testing.assert_close(prior.score_matching(other, (mean, variance), a) - expected, ridge)
    assert 0.0 < ridge.item() < (a**2).sum().item()


def test_score_matching_learns_dependence():
    # Two latents that depend on each other: no product of Gaussians has their correlation.
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.7], [0.7, 1.0]])
    z = torch.from_numpy(rng.multivariate_normal([0.5, -0.5], covariance, size=4000))
    prior, batch = _prior(2, 8), _rows(4000)
    optimizer = torch.optim.Adam(prior.parameters(), lr=5e-2)
    for _ in range(300):
        optimizer.zero_grad()
        loss = prior.score_matching(z, prior(batch), prior.coefficients(batch)).mean()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        score = prior.score(z, prior(batch), prior.coefficients(batch))[0].numpy()
    truth = -(z.numpy() - [0.5, -0.5]) @ np.linalg.inv(covariance)
    factorized = -(z.numpy() - [0.5, -0.5])
    assert ((score - truth) ** 2).mean() < 0.5 * ((factorized - truth) ** 2).mean()


def test_the_bound_does_not_train_the_prior():
    prior, batch = _prior(), _rows(5)
    z = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    prior.interaction(z, prior.coefficients(batch)).sum().backward()
    assert z.grad.abs().min() > 0
    assert all(parameter.grad is None for parameter in prior.parameters())


def _collider(rng, n):
    """Return latents 0 and 1, causes of y, and 2 and 3, its effects."""
    causes = rng.normal(size=(n, 2))
    y = causes.sum(axis=1) + 0.5 * rng.normal(size=n)
    effects = np.outer(y, [1.0, -0.7]) + 0.5 * rng.normal(size=(n, 2))
    return np.column_stack([causes, effects]), y


def test_parents_of_a_collider():
    rng = np.random.default_rng(0)
    found = np.array([find_parents(*fisher_z_p_values(*_collider(rng, 200)), 0.05)[0] for _ in range(200)])
    # Causes are found unless their independence is rejected, at the level of the test; effects are not.
    assert found[:, :2].mean() > 0.9
    assert found[:, 2:].mean() < 0.05


def test_p_values_are_uniform_under_independence():
    rng = np.random.default_rng(0)
    both = [fisher_z_p_values(rng.normal(size=(30, 2)), rng.normal(size=30)) for _ in range(2000)]
    for p in np.array([[pair[0, 1] for pair in pairs] for pairs in both]).T:
        assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)
        assert p.mean() == pytest.approx(0.5, abs=0.03)


def test_nothing_is_found_without_rows_or_variation():
    rng = np.random.default_rng(0)
    Z, y = _collider(rng, 4)
    assert not find_parents(*fisher_z_p_values(Z, y), 0.05)[0].any()
    Z, y = _collider(rng, 100)
    assert not find_parents(*fisher_z_p_values(np.ones_like(Z), np.zeros(100)), 0.05)[0].any()


def test_kernel_test_sees_what_correlation_does_not():
    pytest.importorskip("causallearn")
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(150, 2))
    # Given the target the signs of its causes go together, and their product says nothing about either.
    y = Z[:, 0] * Z[:, 1] + 0.1 * rng.normal(size=150)
    assert find_parents(*kernel_p_values(Z, y), 0.05)[0].all()
    assert not find_parents(*fisher_z_p_values(Z, y), 0.05)[0].any()


@_ignore_convergence
def test_recovers_latents():
    data = make_linear_tasks(n_tasks=50, n_samples=60, n_latents=3, n_causal=1, mixing="orthogonal", random_state=0)
    model = ICaRL(hidden_sizes=(), max_epochs=150, random_state=0).fit(data.H, data.y, data.tasks)
    assert mcc_score(model.transform(data.H), data.Z) > 0.95
    assert mcc_score(model.transform(data.H, data.y, data.tasks), data.Z) > 0.95


@_ignore_convergence
def test_finds_parents_of_recovered_latents():
    data = make_linear_tasks(
        n_tasks=30, n_samples=200, n_latents=3, mixing="orthogonal", target_noise=(0.3, 0.5), random_state=0
    )
    model = ICaRL(hidden_sizes=(), max_epochs=80, random_state=0).fit(data.H, data.y, data.tasks)
    order = np.abs(np.corrcoef(data.Z.T, model.transform(data.H).T)[:3, 3:]).argmax(axis=1)
    assert model.causal_.dtype == bool
    assert model.causal_p_values_.shape == (30, 3)
    found = model.causal_[:, order]
    assert found[data.causal].mean() > found[~data.causal].mean() + 0.3
    np.testing.assert_array_equal(model.causal_, model.causal_p_values_ < 0.05)


@_ignore_convergence
@pytest.mark.parametrize(
    "settings", [{"inference": "joint"}, {"prior": "network"}, {"n_statistics": 0}, {"warm_up": 0.0}]
)
def test_settings(settings):
    data = make_linear_tasks(n_tasks=5, n_samples=40, n_latents=3, n_causal=1, random_state=0)
    model = ICaRL(hidden_sizes=(8,), max_epochs=5, random_state=0, **settings).fit(data.H, data.y, data.tasks)
    assert np.isfinite(model.transform(data.H, data.y, data.tasks)).all()


@_ignore_convergence
def test_all_warm_up_is_ivae():
    data = make_linear_tasks(n_tasks=5, n_samples=40, n_latents=3, n_causal=1, random_state=0)
    settings = {"hidden_sizes": (), "max_epochs": 10, "random_state": 0}
    losses = [
        [entry["loss"] for entry in model.fit(data.H, data.y, data.tasks).history_]
        for model in (IVAE(**settings), ICaRL(n_statistics=0, warm_up=1.0, **settings))
    ]
    np.testing.assert_array_equal(*losses)


@_ignore_convergence
def test_wide_layout_tests_labelled_rows():
    rng = np.random.default_rng(0)
    Z, y = _collider(rng, 400)
    Y = np.column_stack([y, np.where(np.arange(400) < 3, y, np.nan)])
    model = ICaRL(hidden_sizes=(), max_epochs=20, random_state=0).fit(Z, Y)
    assert model.causal_.shape == (2, 4)
    # Three labels are too few for a test.
    np.testing.assert_array_equal(model.causal_p_values_[1], 1.0)


def test_kernel_test_needs_causal_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "causallearn.utils.cit", None)
    data = make_linear_tasks(n_tasks=5, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    with pytest.raises(ImportError, match=r"pip install 'identirep\[baselines\]'"):
        ICaRL(independence_test="kci").fit(data.H, data.y, data.tasks)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"independence_test": "hsic"}, "independence_test is not valid: got 'hsic'"),
        ({"alpha": 1.5}, "alpha is not valid: got 1.5"),
        ({"warm_up": -0.1}, "warm_up is not valid: got -0.1"),
        ({"max_test_rows": 0}, "max_test_rows is not valid: got 0"),
        ({"n_statistics": -1}, "n_statistics is not valid: got -1"),
    ],
)
def test_bad_parameters(settings, message):
    data = make_linear_tasks(n_tasks=5, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    with pytest.raises(ValueError, match=message):
        ICaRL(**settings).fit(data.H, data.y, data.tasks)
