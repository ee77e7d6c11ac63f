"""Stage one on rows with weights: objectives, heads, spectrum, and rows that hardly count."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from identirep import MTRN, PredictiveFeatures
from identirep.mtrn import network_fit
from identirep.mtrn.batches import LongBatches, WideBatches
from identirep.mtrn.network import LongObjective, WideObjective
from identirep.mtrn.reduction import HeldOut, linear_heads, reduce_features
from identirep.mtrn.sides import feature_moments
from identirep.mtrn.spectrum import predictive_spectrum

_SMALL = {"hidden_sizes": (16,), "n_replicates": 2, "max_epochs": 25, "device": "cpu", "random_state": 0}


class _Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return x.expand(2, -1, -1) @ self.weight


def _rows(seed=0, n=400, layout="wide"):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    Z = X[:, :2]
    if layout == "wide":
        return X, Z @ rng.normal(size=(2, 8)) + 0.2 * rng.normal(size=(n, 8)), None, rng
    tasks = np.arange(n) % 8
    return X, np.einsum("nd,dn->n", Z, rng.normal(size=(2, 8))[:, tasks]) + 0.2 * rng.normal(size=n), tasks, rng


def test_weights_of_rows_that_share_labels_are_repeated_rows():
    g = torch.Generator().manual_seed(1)
    x, y, w = torch.randn(10, 3, generator=g), torch.randn(10, 4, generator=g), torch.tensor([1.0, 2.0] * 5)
    y[3, 1] = torch.nan
    make = lambda: WideObjective(_Encoder(), 2, 2, 4, torch.Generator().manual_seed(0))  # noqa: E731
    again = torch.repeat_interleave(torch.arange(10), w.long())
    rss, count = make().residual_squares(x, y, w[:, None])
    expected = make().residual_squares(x[again], y[again])
    torch.testing.assert_close(rss, expected[0])
    torch.testing.assert_close(count, expected[1].float())
    torch.testing.assert_close(make()(x, y, w[:, None]), make()(x[again], y[again]))


def test_weights_of_rows_of_tasks_are_repeated_rows():
    g = torch.Generator().manual_seed(1)
    x, y, w = (
        torch.randn(2, 6, 3, generator=g),
        torch.randn(2, 6, generator=g),
        torch.tensor([1.0, 2, 1, 3, 1, 0]).repeat(2, 1),
    )
    y = y - (w * y).sum(1, keepdim=True) / w.sum(1, keepdim=True)
    again = torch.repeat_interleave(torch.arange(6), w[0].long())
    objective, ones = LongObjective(_Encoder()), torch.ones(2, len(again))
    loss = objective(x.flatten(0, 1), y, w)
    repeated = x[:, again].flatten(0, 1)
    torch.testing.assert_close(loss, objective(repeated, y[:, again], ones))
    held = torch.tensor([0.0, 0, 0, 0, 0, 2.0]).repeat(2, 1)
    rss, count = objective.residual_squares(x.flatten(0, 1), y, w, held)
    single = objective.residual_squares(x.flatten(0, 1), y, w, (held > 0).float())
    torch.testing.assert_close(rss, 2 * single[0])
    torch.testing.assert_close(count, 2 * single[1])


def test_batches_carry_effective_weights():
    _, Y, _, rng = _rows(n=60)
    w, held_out, x = rng.exponential(size=60), np.arange(60) % 5 == 0, torch.zeros(60, 3)
    wide = WideBatches(x, torch.from_numpy(Y), held_out, 16, w)
    found = torch.cat([batch[2] for batch in wide.epoch(torch.Generator().manual_seed(0))])
    v = w[~held_out]
    assert float(found.sum()) == pytest.approx(v.sum() ** 2 / (v @ v), rel=1e-5)
    assert [batch[2].shape for batch in wide.validation()] == [(12, 1)]
    tasks = np.arange(60) % 3
    # Targets name the task.
    long = LongBatches(x, torch.from_numpy(1.0 * tasks), tasks, held_out, 16, w)
    batches = list(long.epoch(torch.Generator().manual_seed(0)))
    for t in range(3):
        v = w[~held_out & (tasks == t)]
        assert float(sum(weight[y == t].sum() for _, y, weight in batches)) == pytest.approx(
            v.sum() ** 2 / (v @ v), rel=1e-5
        )
    assert len(next(iter(WideBatches(x, torch.from_numpy(Y), held_out, 16).validation()))) == 2


@pytest.mark.filterwarnings("ignore:n_components=2 cuts")
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_weights_of_zero_and_one_leave_rows_out_bit_for_bit(layout):
    X, y, tasks, rng = _rows(layout=layout, n=200)
    kept, groups = rng.random(200) < 0.7, np.arange(200) // 2
    model = MTRN(2, **_SMALL).set_params(max_epochs=5).fit(X, y, tasks, groups=groups, sample_weight=kept)
    part = None if tasks is None else tasks[kept]
    other = MTRN(2, **_SMALL).set_params(max_epochs=5).fit(X[kept], y[kept], part, groups=groups[kept])
    np.testing.assert_array_equal(model.transform(X), other.transform(X))
    np.testing.assert_array_equal(model.spectrum_, other.spectrum_)
    np.testing.assert_array_equal(model._held_out, other._held_out)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:n_components=2 cuts", "ignore:y has no predictive signal")
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_rows_of_little_weight_do_no_harm(layout):
    """A third of the rows has targets, and inputs, of another scale."""
    X, y, tasks, rng = _rows(layout=layout, n=600)
    bad = rng.random(600) < 0.3
    y[bad] *= -30.0
    w = np.where(bad, 1e-6, 1.0)
    clean = (X[~bad], y[~bad], None if tasks is None else tasks[~bad])
    weighted = MTRN(2, **_SMALL).fit(X, y, tasks, sample_weight=w)
    assert weighted.score(*clean) > 0.9
    assert weighted.score(X, y, tasks, sample_weight=w) > 0.9
    assert weighted.score(X, y, tasks) < 0.5
    assert MTRN(2, **_SMALL).fit(X, y, tasks).score(*clean) < 0.5
    # What is told of the noise of the targets is that of the rows that count.
    assert np.all(weighted.noise_std_ < 1.0)


def test_rows_of_little_weight_do_no_harm_to_other_regressors():
    X, y, _, rng = _rows(n=600)
    bad = rng.random(600) < 0.3
    y[bad] *= -30.0
    model = PredictiveFeatures(LinearRegression(), random_state=0).fit(X, y, sample_weight=np.where(bad, 1e-6, 1.0))
    assert model.n_components_ == 2
    assert model.score(X[~bad], y[~bad]) > 0.9
    assert model.moments_.n_samples[0] == pytest.approx((~bad).sum(), rel=1e-3)


def test_scores_are_those_of_scikit_learn():
    X, y, _, rng = _rows()
    w = rng.exponential(size=400)
    y[rng.random(400) < 0.1, 0] = np.nan
    model = MTRN(2, **_SMALL).set_params(max_epochs=3).fit(X, y)
    predicted, seen = model.predict(X), ~np.isnan(y)
    expected = [r2_score(y[s, t], predicted[s, t], sample_weight=w[s]) for t, s in enumerate(seen.T)]
    assert model.score(X, y, sample_weight=w) == pytest.approx(np.mean(expected))
    assert model.score(X, y, sample_weight=w) != pytest.approx(model.score(X, y), abs=1e-5)


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_chance_does_more_to_fewer_rows(layout):
    """Heavy weights without a meaning: signal stays, thresholds and errors are those of fewer rows."""
    F, y, tasks, rng = _rows(layout=layout, n=2000)
    w = rng.exponential(size=2000) ** 2
    index = tasks
    moments = feature_moments(F, y, index, 8)
    heads = linear_heads(moments)
    reduction = reduce_features(moments, heads.coef, heads.noise)
    plain, weighted = (
        predictive_spectrum(reduction, HeldOut(F, y, index, None, v), np.random.default_rng(0), 2000) for v in (None, w)
    )
    assert plain.n_signal == weighted.n_signal == 2
    ratio = 2000 * (w @ w) / w.sum() ** 2
    assert 0.5 * ratio < (weighted.error / plain.error)[0] ** 2 < 2.0 * ratio
    alone = predictive_spectrum(
        reduction, HeldOut(F, y, index, None, (np.arange(2000) < 200) * 1.0), np.random.default_rng(0), 2000
    )
    part = predictive_spectrum(
        reduction,
        HeldOut(F[:200], y[:200], None if index is None else index[:200], np.arange(200)),
        np.random.default_rng(0),
        2000,
    )
    np.testing.assert_allclose(alone.values, part.values, rtol=1e-6)
    np.testing.assert_allclose(alone.error, part.error, rtol=1e-6)


def test_scales_of_the_weights_of_tasks_say_nothing():
    X, y, tasks, rng = _rows(layout="long")
    w, scale = rng.uniform(0.5, 2.0, len(X)), 2.0 ** rng.integers(-10, 11, size=8)
    settings = _SMALL | {"max_epochs": 2, "n_components": 2}
    for one, other in ((w, w * scale[tasks]), (None, scale[tasks])):
        models = [MTRN(**settings).fit(X, y, tasks, sample_weight=v) for v in (one, other)]
        np.testing.assert_array_equal(models[0].spectrum_, models[1].spectrum_)
        np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))


def test_weights_reach_the_batches(monkeypatch):
    """Heads and moments know of weights as well, so that a fit shows little of what its loss does without them."""
    X, y, _, rng = _rows()
    w, seen = rng.exponential(size=400), []

    class Batches(WideBatches):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            seen.append(self.weight)

    monkeypatch.setattr(network_fit, "WideBatches", Batches)
    MTRN(2, **_SMALL).set_params(max_epochs=1).fit(X, y, sample_weight=w)
    ratio = seen[0].numpy() / w[:, None]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-5)
