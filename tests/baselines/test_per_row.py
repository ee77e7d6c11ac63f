"""MTLCM as published: its likelihood against SciPy, recovery, and epochs that users can watch."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from identirep.baselines import PerRowMTLCM
from identirep.baselines.per_row_model import PerRowModel
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def data():
    return make_linear_tasks(50, 60, 3, 1, mixing="orthogonal", random_state=1)


@pytest.mark.slow
def test_recovers_latents_and_causes(data):
    model = PerRowMTLCM(max_epochs=100, learning_rate=3e-2, random_state=1).fit(data.H, data.y, data.tasks)
    assert mcc_score(model.transform(data.H), data.Z) > 0.99
    order = np.abs(np.corrcoef(data.Z.T, model.transform(data.H).T)[:3, 3:]).argmax(axis=1)
    probability = model.causal_probability_[:, order]
    assert probability[data.causal].mean() > probability[~data.causal].mean() + 0.5
    np.testing.assert_allclose(model.components_ @ model.mixing_, np.eye(3), atol=1e-8)


def test_likelihood_of_rows():
    generator = torch.Generator().manual_seed(0)
    model = PerRowModel(2, 4, 3, 0.3, 0.2, generator).double()
    with torch.no_grad():
        model.indicator.copy_(torch.randn(2, 3, generator=generator))
    rng = np.random.default_rng(0)
    h, y, t = rng.normal(size=(5, 4)), rng.normal(size=5), np.array([0, 1, 1, 0, 1])
    A, c = model.mixing.detach().numpy(), model.indicator.sigmoid().detach().numpy()
    gamma = model.gamma.detach().numpy()
    expected = [
        multivariate_normal.logpdf(
            h[i],
            A @ ((1 - c[t[i]]) * gamma[t[i]] * y[i]),
            A @ np.diag(c[t[i]] + 0.09 * (1 - c[t[i]])) @ A.T + 0.04 * np.eye(4),
        )
        for i in range(5)
    ]
    found = model(*(torch.from_numpy(part) for part in (h, y, t)))
    np.testing.assert_allclose(found.item(), np.mean(expected), rtol=1e-6)


def test_derivatives_of_the_likelihood():
    generator = torch.Generator().manual_seed(1)
    model = PerRowModel(4, 3, 2, 0.3, 0.2, generator).double()
    h, y = (torch.randn(*size, dtype=torch.float64, generator=generator) for size in ((7, 3), (7,)))
    t = torch.tensor([0, 3, 3, 0, 2, 3, 0])  # one task without a row, groups of different size
    parameters = (model.mixing, model.indicator, model.gamma)

    def likelihood(*values):
        names = ("mixing", "indicator", "gamma")
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (h, y, t))

    assert torch.autograd.gradcheck(likelihood, tuple(p.detach().requires_grad_() for p in parameters))


def test_stops_when_the_callback_says_so(data):
    seen = []

    def on_epoch(model, n_epochs):
        seen.append((n_epochs, model.transform(data.H[:2])))
        return n_epochs == 3

    model = PerRowMTLCM(max_epochs=10, on_epoch=on_epoch, random_state=0).fit(data.H, data.y, data.tasks)
    assert [n for n, _ in seen] == [1, 2, 3]
    assert len(model.history_) == 3
    # Each call sees the latents of its epoch, the last one those that the fit returns.
    assert np.abs(seen[0][1] - seen[1][1]).max() > 1e-6
    np.testing.assert_array_equal(seen[-1][1], model.transform(data.H[:2]))


def test_a_callback_that_watches_changes_nothing(data):
    quick = {"max_epochs": 3, "random_state": 0}
    watched = PerRowMTLCM(on_epoch=lambda model, n_epochs: None, **quick).fit(data.H, data.y, data.tasks)
    np.testing.assert_array_equal(watched.mixing_, PerRowMTLCM(**quick).fit(data.H, data.y, data.tasks).mixing_)


def test_wide_layout_is_the_long_one_with_copied_rows():
    rng = np.random.default_rng(0)
    H, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 4))
    Y[rng.random(Y.shape) < 0.3] = np.nan
    row, task = np.nonzero(~np.isnan(Y))
    settings = {"max_epochs": 2, "noise_std": 0.1, "dtype": "float64", "random_state": 0}
    wide = PerRowMTLCM(**settings).fit(H, Y)
    long = PerRowMTLCM(**settings).fit(H[row], Y[row, task], task)
    np.testing.assert_allclose(wide.mixing_, long.mixing_, rtol=1e-10)
    np.testing.assert_allclose(wide.causal_probability_, long.causal_probability_, rtol=1e-10)


def test_standardised_targets_have_no_unit(data):
    settings = {"max_epochs": 2, "standardize_targets": True, "dtype": "float64", "random_state": 0}
    plain = PerRowMTLCM(**settings).fit(data.H, data.y, data.tasks)
    scaled = PerRowMTLCM(**settings).fit(data.H, 1000.0 * data.y - 7.0, data.tasks)
    np.testing.assert_allclose(scaled.mixing_, plain.mixing_, rtol=1e-6)


def test_singular_covariance(data):
    with pytest.raises(RuntimeError, match=r"training diverged: .*raise noise_std or use dtype='float64'"):
        PerRowMTLCM(learning_rate=1e25, max_epochs=3, random_state=0).fit(data.H, data.y, data.tasks)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"dtype": "float16"}, ValueError, "dtype is not valid: got 'float16'"),
        ({"noise_std": 0.0}, ValueError, "noise_std is not valid: got 0.0"),
        ({"max_epochs": 0}, ValueError, "max_epochs is not valid: got 0"),
        ({"on_epoch": 3}, TypeError, "on_epoch has the wrong type: got 3"),
    ],
)
def test_bad_parameters(settings, error, message, data):
    with pytest.raises(error, match=message):
        PerRowMTLCM(**settings).fit(data.H, data.y, data.tasks)
