"""iVAE recovers the data of its own paper, encodes with and without targets, and refuses what it cannot use."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from identirep.baselines import IVAE, IndependentComponents
from identirep.datasets import make_linear_tasks
from identirep.experiments.segments import piecewise_stationary, published_segments
from identirep.metrics import mcc_score

_QUICK = {"hidden_sizes": (), "max_epochs": 3}
_ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.slow
@_ignore_convergence
def test_recovers_sources_of_changing_variance():
    data = piecewise_stationary(20, 200, 2, 2, np.random.default_rng(0))
    model = IVAE(auxiliary="task", prior="network", hidden_sizes=(32,), max_epochs=200, batch_size=500, random_state=0)
    found = mcc_score(model.fit(data.X, None, data.segments).transform(data.X), data.Z)
    assert found >= 0.9
    assert found > mcc_score(IndependentComponents(random_state=0).fit(data.X).transform(data.X), data.Z) + 0.03
    # Knowing the segment must not spoil the latents.
    assert mcc_score(model.transform(data.X, tasks=data.segments), data.Z) >= 0.9


@pytest.mark.slow
@_ignore_convergence
def test_smooth_networks_recover_the_published_data():
    data = published_segments(20, 200, 2, 2, np.random.default_rng(0), means=False)
    settings = {"auxiliary": "task", "prior": "network", "hidden_sizes": (32,), "max_epochs": 200, "batch_size": 500}
    smooth, leaky = (
        IVAE(activation=name, **settings, random_state=0).fit(data.X, None, data.segments)
        for name in ("gelu", "leaky_relu")
    )
    assert mcc_score(smooth.transform(data.X, tasks=data.segments), data.Z) >= 0.9
    # A leaky network is made of flat pieces, in which most points and their close neighbours lie.
    assert _curvature(leaky, data.X) < 0.1 * _curvature(smooth, data.X)


def _curvature(model, X):
    step = 1e-3 * X.std(axis=0)
    bend = model.transform(X + step) - 2 * model.transform(X) + model.transform(X - step)
    return np.median(np.abs(bend))


@pytest.mark.slow
@_ignore_convergence
def test_recovers_linear_mixture_in_the_wide_layout():
    # Variances of the sources depend on the targets, which all rows have.
    rng = np.random.default_rng(0)
    Y = rng.uniform(-1, 1, size=(4000, 3))
    Z = np.exp(1.5 * Y) * rng.normal(size=(4000, 3))
    X = Z @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    model = IVAE(hidden_sizes=(), max_epochs=100, random_state=0).fit(X, Y)
    assert mcc_score(model.transform(X), Z) > 0.95
    assert model.transform(X, Y).shape == (4000, 3)


@_ignore_convergence
def test_loss_falls():
    data = make_linear_tasks(n_tasks=20, n_latents=3, n_causal=1, random_state=0)
    model = IVAE(hidden_sizes=(), max_epochs=50, random_state=0).fit(data.H, data.y, data.tasks)
    losses = [entry["loss"] for entry in model.history_]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert losses[0] == pytest.approx(model.history_[0]["reconstruction"] + model.history_[0]["divergence"])
    assert set(model.history_[0]) == {"epoch", "loss", "reconstruction", "divergence", "learning_rate", "seconds"}


@_ignore_convergence
def test_targets_move_latents_and_joint_inference_encodes_without_them():
    data = make_linear_tasks(n_tasks=5, n_samples=40, n_latents=3, n_causal=1, random_state=0)
    for inference in ("product", "joint"):
        model = IVAE(inference=inference, **_QUICK, random_state=0).fit(data.H, data.y, data.tasks)
        alone, labelled = model.transform(data.H), model.transform(data.H, data.y, data.tasks)
        assert alone.shape == labelled.shape == data.Z.shape
        assert np.abs(alone - labelled).max() > 1e-6


def test_warns_if_training_ends_early():
    data = make_linear_tasks(n_tasks=20, n_latents=3, n_causal=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="IVAE stopped while its loss fell"):
        assert not IVAE(hidden_sizes=(), max_epochs=4, random_state=0).fit(data.H, data.y, data.tasks).converged_


def test_diverging_training():
    data = make_linear_tasks(n_tasks=5, n_samples=40, n_latents=3, n_causal=1, random_state=0)
    with pytest.raises(RuntimeError, match=r"training diverged: .*Lower learning_rate"):
        IVAE(learning_rate=1e30, max_epochs=5, random_state=0).fit(data.H, data.y, data.tasks)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auxiliary": "target"}, "auxiliary is not valid: got 'target'"),
        ({"prior": "flow"}, "prior is not valid: got 'flow'"),
        ({"inference": "exact"}, "inference is not valid: got 'exact'"),
        ({"posterior": "diagonal"}, "posterior is not valid: got 'diagonal'"),
        ({"activation": "tanh"}, "activation is not valid: got 'tanh'"),
        ({"hidden_sizes": (8, 0)}, r"hidden_sizes is not valid: got \(8, 0\)"),
        ({"min_noise_std": 0.0}, "min_noise_std is not valid: got 0.0"),
        ({"beta_warm_up": 2.0}, "beta_warm_up is not valid: got 2.0"),
        ({"max_epochs": 0}, "max_epochs is not valid: got 0"),
    ],
)
def test_bad_parameters(settings, message):
    data = make_linear_tasks(n_tasks=5, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    with pytest.raises(ValueError, match=message):
        IVAE(**settings).fit(data.H, data.y, data.tasks)


def test_all_faults_are_listed():
    data = make_linear_tasks(n_tasks=5, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    with pytest.raises(ValueError, match=r"(?s)max_epochs is not valid.*prior is not valid"):
        IVAE(prior="flow", max_epochs=0).fit(data.H, data.y, data.tasks)


def test_task_alone_needs_the_long_layout():
    with pytest.raises(ValueError, match="auxiliary does not fit the layout"):
        IVAE(auxiliary="task").fit(np.eye(4), np.eye(4))


@_ignore_convergence
def test_unknown_task():
    data = make_linear_tasks(n_tasks=5, n_samples=20, n_latents=3, n_causal=1, random_state=0)
    model = IVAE(**_QUICK, random_state=0).fit(data.H, data.y, data.tasks)
    with pytest.raises(ValueError, match="99"):
        model.transform(data.H[:2], data.y[:2], [0, 99])


@_ignore_convergence
def test_the_start_with_the_lowest_loss_wins():
    data = make_linear_tasks(n_tasks=10, n_samples=40, n_latents=3, n_causal=1, random_state=0)
    one = IVAE(**_QUICK, random_state=0).fit(data.H, data.y, data.tasks)
    several = IVAE(**_QUICK, n_init=4, random_state=0).fit(data.H, data.y, data.tasks)
    assert several.history_[-1]["loss"] < one.history_[-1]["loss"]
    with pytest.raises(ValueError, match="n_init"):
        IVAE(n_init=0).fit(data.H, data.y, data.tasks)
