"""MTRN recovers known features, finds their number, and keeps its promises about seeds, layouts and labels."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from torch import nn

from identirep import MTRN, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import canonical_correlations
from identirep.mtrn import check_fit_data


def _model(**settings):
    defaults = {"hidden_sizes": (32,), "n_replicates": 2, "max_epochs": 40, "device": "cpu", "random_state": 0}
    return MTRN(**defaults | settings)


def _wide(n=500, D=3, T=24, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, D))
    X = np.tanh(Z @ rng.normal(size=(D, 8)) / 2) + Z @ rng.normal(size=(D, 8))
    return X, Z @ rng.normal(size=(D, T)) + 0.3 * rng.normal(size=(n, T)), Z


def _long(seed=0):
    data = make_linear_tasks(n_tasks=60, n_samples=60, n_latents=4, n_causal=2, random_state=seed)
    return data.H, data.y, data.tasks, data.Z


@pytest.fixture(scope="module")
def fitted():
    X, Y, _ = _wide()
    return _model().fit(X, Y, [f"task {t}" for t in range(24)])


def _equal(first, second, X):
    return np.array_equal(first.transform(X), second.transform(X)) and np.array_equal(first.spectrum_, second.spectrum_)


def test_wide_layout_recovers_features_and_their_number(fitted):
    X, Y, Z = _wide()
    assert fitted.n_components_ == 3
    assert canonical_correlations(fitted.transform(X), Z).min() > 0.99
    assert fitted.score(X, Y) > 0.9
    assert fitted.noise_std_ == pytest.approx(0.3, rel=0.2)


def test_long_layout_recovers_features_and_their_number():
    H, y, tasks, Z = _long()
    model = _model().fit(H, y, tasks)
    assert model.n_components_ == 4
    assert canonical_correlations(model.transform(H), Z).min() > 0.99
    assert model.score(H, y, tasks) > 0.9
    assert model.predict(H).shape == (3600, 60)


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_shuffled_targets_carry_no_signal(seed):
    X, Y, _ = _wide(seed=seed)
    rng = np.random.default_rng(seed)
    model = _model(max_epochs=15, random_state=seed).fit(X, Y[rng.permutation(len(Y))])
    assert model.n_components_ == 0
    H, y, tasks, _ = _long(seed)
    order = np.lexsort((rng.random(len(y)), tasks))
    assert _model(max_epochs=15, random_state=seed).fit(H, y[order], tasks).n_components_ == 0


def test_without_signal_fit_says_so_and_predicts_means():
    X, Y, _ = _wide()
    Y = Y[np.random.default_rng(0).permutation(len(Y))]
    with pytest.warns(UserWarning, match="y has no predictive signal on held-out rows"):
        model = _model(max_epochs=5).fit(X, Y)
    assert model.transform(X).shape == (500, 0)
    np.testing.assert_allclose(model.predict(X[:2]), np.tile(Y.mean(axis=0), (2, 1)))


def test_given_number_of_components():
    X, Y, _ = _wide()
    model = _model(n_components=2).fit(X, Y)
    assert model.transform(X).shape == (500, 2)
    assert model.coef_.shape == (24, 2)
    assert len(model.spectrum_) > 2


def test_moments_and_heads_are_those_of_the_features(fitted):
    X, Y, _ = _wide()
    H = fitted.transform(X)
    expected = TaskMoments.from_arrays(H, Y, task_names=fitted.task_names_)
    assert fitted.moments_.task_names == expected.task_names
    for name in ("mean_h", "scatter_h", "scatter_hy", "mean_y", "scatter_y", "counts"):
        np.testing.assert_allclose(getattr(fitted.moments_, name), getattr(expected, name), rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(fitted.predict(X), H @ fitted.coef_.T + fitted.intercept_)


def test_same_seed_same_bits_and_global_generators_untouched():
    X, Y, _ = _wide()
    states = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    first, second, other = (_model(max_epochs=5, random_state=seed).fit(X, Y) for seed in (1, 1, 2))
    assert _equal(first, second, X)
    assert not _equal(first, other, X)
    assert np.array_equal(states[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(states[1], torch.random.get_rng_state())


def test_dropout_acts_in_training_alone_and_repeats():
    X, Y, _ = _wide()
    first, second, without = (_model(dropout=p, max_epochs=5).fit(X, Y) for p in (0.3, 0.3, 0.0))
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    np.testing.assert_array_equal(first.transform(X), first.transform(X))
    assert not np.allclose(first.history_[-1]["train_loss"], without.history_[-1]["train_loss"])


def test_missing_labels_in_the_wide_layout():
    X, Y, Z = _wide()
    Y[np.random.default_rng(0).random(Y.shape) < 0.3] = np.nan
    model = _model().fit(X, Y)
    assert model.n_components_ == 3
    assert canonical_correlations(model.transform(X), Z).min() > 0.99
    np.testing.assert_array_equal(model.moments_.n_samples, (~np.isnan(Y)).sum(axis=0))


def test_missing_label_in_the_long_layout_is_a_row_left_out():
    H, y, tasks, _ = _long()
    y[::7] = np.nan
    seen = ~np.isnan(y)
    first = _model(max_epochs=3).fit(H, y, tasks)
    assert _equal(first, _model(max_epochs=3).fit(H[seen], y[seen], tasks[seen]), H)


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
def test_groups_and_equal_rows_are_held_out_whole():
    # Each row is there twice, so with rows held out one by one the validation rows would be known.
    X, Y, _ = _wide()
    X, Y, groups = np.tile(X[:60], (2, 1)), np.tile(Y[:60], (2, 1)), np.tile(np.arange(60), 2)
    apart = X + 1e-9 * np.arange(120)[:, None]
    settings = {"hidden_sizes": (128,), "max_epochs": 80, "patience": None, "n_components": 3}

    def loss(X, **given):
        return _model(**settings).fit(X, Y, **given).history_[-1]["validation_loss"]

    assert min(loss(apart, groups=[f"g{g}" for g in groups]), loss(X)) > loss(apart) + 0.1


def test_ordered_rows_are_validated_on_the_last_ones():
    # From some moment on the relation is another one: the last rows alone know.
    X, Y, _ = _wide()
    times = np.random.default_rng(0).permutation(len(X))
    last = times >= 0.85 * len(X)
    Y = np.where(last[:, None], -Y, Y)
    settings = {"max_epochs": 30, "patience": None, "n_components": 3}
    ordered = _model(**settings).fit(X, Y, order=times)
    assert ordered.moments_.n_rows == pytest.approx(0.95 * len(X), abs=2), "a gap is left out"
    assert (ordered.spectrum_ <= ordered.spectrum_threshold_).all(), "what holds before does not hold for later rows"
    assert (clone(ordered).fit(X, Y).spectrum_[:2] > 0).all()


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        (np.where(np.arange(500) == 3, np.nan, 1.0), "order contains 1 missing values"),
        (np.zeros(500), "order is the same for all rows"),
        (np.arange(5), "order does not match X: got 5 values for 500 rows"),
        (np.array(["a", 1] * 250, dtype=object), "order cannot be sorted"),
    ],
)
def test_order_is_checked(order, fault):
    X, Y, _ = _wide()
    with pytest.raises(ValueError, match=fault):
        _model().fit(X, Y, order=order)


@pytest.mark.parametrize(
    ("name", "fault"), [("groups", "a single group in the rows"), ("order", "the same for all rows")]
)
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_rows_that_count_have_to_be_told_apart(name, fault, layout):
    X, Y, _ = _wide()
    half = np.arange(len(X)) % 2
    y, tasks, weights = Y, None, half
    if layout == "long":
        y, tasks, weights = np.where(half == 1, Y[:, 0], np.nan), np.arange(len(X)) // 100, None
    with pytest.raises(ValueError, match=f"{name} .*{fault} that count"):
        _model().fit(X, y, tasks, sample_weight=weights, **{name: half})


def test_groups_of_rows_that_count_are_numbered_without_gaps():
    X, Y, _ = _wide()
    rows = np.arange(500)
    weights, groups = (rows >= 460).astype(float), rows // 10
    data, found = check_fit_data(_model(), X, Y, None, groups, sample_weight=weights)
    assert len(data.X) == len(found) == 40
    np.testing.assert_array_equal(found, np.repeat(np.arange(4), 10))


def test_sparse_inputs_are_refused_by_name_with_groups_and_order():
    X, Y, _ = _wide()
    with pytest.raises(TypeError, match="X is a sparse matrix: got sparse data"):
        _model().fit(csr_array(X), Y, groups=np.arange(len(X)) // 2, order=np.arange(len(X)))


def test_consensus_is_closer_between_seeds_than_single_networks():
    X, Y, _ = _wide(n=250)
    worst = {}
    for n_replicates in (1, 6):
        H, G = (
            _model(n_components=3, n_replicates=n_replicates, max_epochs=10, random_state=seed).fit(X, Y).transform(X)
            for seed in (1, 2)
        )
        worst[n_replicates] = canonical_correlations(H, G).min()
    assert worst[6] > worst[1]


def test_history_has_a_record_for_each_epoch_and_replicate(fitted):
    last = fitted.history_[-1]
    assert len(fitted.history_) == 2 * (last["epoch"] + 1)
    assert set(last) == {"epoch", "replicate", "train_loss", "validation_loss", "learning_rate", "seconds"}
    assert last["validation_loss"] < fitted.history_[0]["validation_loss"] - 0.3


def test_early_stopping_restores_the_best_weights():
    X, Y, _ = _wide(n=80)
    settings = {"hidden_sizes": (256,), "learning_rate": 0.02, "n_components": 3, "validation_fraction": 0.3}
    model = _model(max_epochs=200, patience=5, **settings).fit(X, Y)
    losses = np.array([r["validation_loss"] for r in model.history_]).reshape(-1, 2).mean(axis=1)
    assert len(losses) < 200
    assert losses.argmin() == len(losses) - 6


def test_constant_inputs_are_ignored(fitted):
    X, Y, _ = _wide()
    model = _model(max_epochs=3).fit(np.column_stack([X, np.full(500, 7.0)]), Y)
    changed = model.transform(np.column_stack([X, np.full(500, 8.0)]))
    np.testing.assert_array_equal(changed, model.transform(np.column_stack([X, np.full(500, 7.0)])))


def test_offset_and_scale_of_inputs_do_not_matter():
    X, Y, Z = _wide()
    assert canonical_correlations(_model().fit(1e4 + 1e-2 * X, Y).transform(1e4 + 1e-2 * X), Z).min() > 0.99


def test_own_module_and_factory():
    X, Y, Z = _wide()
    module = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.01), nn.Linear(32, 10))
    before = module[0].weight.clone()
    model = _model(encoder=module).fit(X, Y)
    assert canonical_correlations(model.transform(X), Z).min() > 0.98
    assert torch.equal(module[0].weight, before)
    assert _equal(model, clone(model).fit(X, Y), X)
    factory = _model(encoder=lambda: nn.Linear(8, 10)).fit(X, Y)
    assert canonical_correlations(factory.transform(X), Z).min() > 0.98


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mixed_precision():
    X, Y, Z = _wide()
    assert canonical_correlations(_model(precision="bf16-mixed", n_components=3).fit(X, Y).transform(X), Z).min() > 0.95
    H, y, tasks, Z = _long()
    model = _model(precision="bf16-mixed", n_components=4).fit(H, y, tasks)
    assert canonical_correlations(model.transform(H), Z).min() > 0.9


def test_a_split_without_labels_on_one_side():
    H, y, tasks, _ = _long()
    with pytest.raises(ValueError, match=r"leaves no labels for validation: got 0\.001 of 3600"):
        _model(validation_fraction=0.001).fit(H, y, tasks)


def test_module_of_the_wrong_shape():
    X, Y, _ = _wide()
    with pytest.raises(ValueError, match=r"encoder returns the wrong shape: got \(2, 3, 1\) for 2 rows"):
        _model(encoder=nn.Sequential(nn.Linear(8, 3), nn.Unflatten(1, (3, 1)))).fit(X, Y)


def test_to_torch_equals_transform(fitted):
    X, _, _ = _wide()
    module = fitted.to_torch()
    with torch.no_grad():
        H = module(torch.from_numpy(X).float())
    assert H.dtype == torch.float32
    np.testing.assert_allclose(H.numpy(), fitted.transform(X), atol=1e-4)


def test_state_goes_through_arrays_and_json(fitted):
    X, _, _ = _wide()
    arrays, meta = fitted._to_arrays()
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    restored = clone(fitted)._from_arrays(arrays, json.loads(json.dumps(meta)))
    assert _equal(restored, fitted, X)
    np.testing.assert_array_equal(restored.predict(X), fitted.predict(X))
    assert restored.task_names_ == fitted.task_names_
    np.testing.assert_array_equal(restored.moments_.scatter_h, fitted.moments_.scatter_h)


def test_state_of_an_own_module_needs_the_module():
    X, Y, _ = _wide()
    model = _model(encoder=nn.Linear(8, 6), max_epochs=2, n_components=3).fit(X, Y)
    arrays, meta = model._to_arrays()
    assert _equal(_model(encoder=nn.Linear(8, 6), n_components=3)._from_arrays(arrays, meta), model, X)
    with pytest.raises(ValueError, match="the module that the model was fitted with"):
        _model(n_components=3)._from_arrays(arrays, meta)
    with pytest.raises(ValueError, match="encoder does not fit the stored weights"):
        _model(encoder=nn.Linear(8, 7), n_components=3)._from_arrays(arrays, meta)


def test_score_knows_tasks_by_name(fitted):
    X, Y, _ = _wide()
    names = list(fitted.task_names_)
    expected = fitted.score(X, Y[:, :2], names[:2])
    assert fitted.score(X, Y[:, 1::-1], names[1::-1]) == pytest.approx(expected)
    long = fitted.score(np.tile(X, (2, 1)), Y[:, :2].T.ravel(), np.repeat(names[:2], len(X)))
    assert long == pytest.approx(expected)


def test_progress_is_shown_on_request(capsys):
    X, Y, _ = _wide()
    _model(max_epochs=2, verbose=True, n_components=2).fit(X, Y)
    assert "validation loss" in capsys.readouterr().out


def test_diverged_training_is_an_error():
    X, Y, _ = _wide()
    with pytest.raises(RuntimeError, match=r"training diverged: got a loss that is not finite.*Lower learning_rate"):
        _model(learning_rate=1e18).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components is not valid: got 0, expected 'auto' or an int of at least 1"),
        ({"n_components": 25}, ValueError, "n_components exceeds .*: got 25, expected at most"),
        ({"n_components": 2.0}, TypeError, "n_components has the wrong type: got 2.0"),
        ({"n_replicates": 0}, ValueError, "n_replicates is not valid: got 0"),
        ({"hidden_sizes": (4, 0)}, ValueError, r"hidden_sizes is not valid: got \(4, 0\)"),
        ({"max_epochs": 1.5}, TypeError, "max_epochs has the wrong type: got 1.5"),
        (
            {"validation_fraction": 1.0},
            ValueError,
            "expected a number above 0 and below 1",
        ),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is not valid: got 0.0, expected a number above 0"),
        ({"weight_decay": "no"}, TypeError, "weight_decay has the wrong type: got 'no'"),
        ({"dropout": 1.0}, ValueError, "dropout is not valid: got 1.0, expected a number at least 0 and below 1"),
        (
            {"input_scaling": "none"},
            ValueError,
            "got 'none', expected 'whiten' or 'standard'",
        ),
        ({"encoder": "cnn"}, ValueError, "encoder is not valid: got 'cnn', expected 'mlp' or a torch module"),
        ({"encoder": 3}, TypeError, "encoder has the wrong type: got 3"),
    ],
)
def test_bad_parameters(settings, error, message):
    X, Y, _ = _wide()
    with pytest.raises(error, match=message):
        _model(**{"max_epochs": 1} | settings).fit(X, Y)


def test_faults_of_parameters_and_data_are_raised_at_once():
    X, Y, _ = _wide()
    X[3, 1] = np.nan
    with pytest.raises(ValueError) as error:
        _model(n_replicates=0).fit(X, Y[:-1], groups=[1, 2])
    for part in ("n_replicates", "X contains", "y does not match X", "groups does not match X"):
        assert part in str(error.value)


def test_import_does_not_load_torch():
    code = "import sys; from identirep import MTRN; MTRN(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("max_epochs", [1, 4, 5, 6])
def test_few_training_steps(max_epochs):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    Y = X @ rng.normal(size=(4, 5)) + 0.1 * rng.normal(size=(60, 5))
    model = MTRN(2, max_epochs=max_epochs, n_replicates=1, random_state=0).fit(X, Y)
    assert np.isfinite(model.transform(X)).all()
