"""Moments of tasks in which some rows are not of the task."""

import numpy as np
import pytest

from identirep import MTLCM, IdentifiableRegressor, TaskMoments
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc_score

T, N, D = 40, 100, 5


def linear(seed=0, n_samples=N, **settings):
    return make_linear_tasks(
        T, n_samples, D, 2, mixing="orthogonal", observation_noise=0.0, spurious_std=0.5, random_state=seed, **settings
    )


def mixed_up(share, seed=0, **settings):
    """Permute the labels of tasks in a share of the rows; the rows that have another one now."""
    data, rng = linear(seed, **settings), np.random.default_rng(seed)
    hit = np.flatnonzero(rng.random(len(data.y)) < share)
    tasks = data.tasks.copy()
    tasks[hit] = rng.permutation(tasks[hit])
    data.wrong, data.tasks = tasks != data.tasks, tasks
    return data


def gross_errors(share, of, seed=0, **settings):
    data, rng = linear(seed, **settings), np.random.default_rng(seed)
    data.wrong, data.clean = rng.random(len(data.y)) < share, data.H
    if of == "y":
        data.y = data.y + data.wrong * 10 * data.y.std() * rng.standard_normal(len(data.y))
    else:
        data.H = data.H + data.wrong[:, None] * 10 * rng.standard_normal(data.H.shape)
    return data


def fitted(data, robust):
    # Curves follow gross errors of targets, too: without repairs means without them.
    kinds = None if robust is None else "auto"
    model = MTLCM(noise_std=0.0, robust=robust, target_type=kinds, random_state=0)
    return model.fit(data.H, data.y, tasks=data.tasks)


def found(model, data):
    return mcc_score(data.Z @ data.mixing.T @ model.components_.T, data.Z)


@pytest.mark.parametrize("robust", ["auto", "mixture"])
def test_labels_mixed_up_are_found_and_do_not_turn_the_axes(robust):
    data = mixed_up(0.4)
    model = fitted(data, robust)
    assert found(fitted(data, None), data) < 0.95
    assert found(model, data) > 0.995
    weights = model.row_weights_
    assert weights[data.wrong].mean() < 0.5 < 0.85 < weights[~data.wrong].mean()


@pytest.mark.parametrize("robust", ["auto", "mixture", "student"])
@pytest.mark.parametrize("of", ["h", "y"])
def test_gross_errors_do_not_turn_the_axes(of, robust):
    data = gross_errors(0.02, of)
    model = fitted(data, robust)
    assert found(fitted(data, None), data) < 0.98
    assert found(model, data) > 0.995
    weights = model.row_weights_
    # An error of ten deviations times a normal number may be a small one.
    assert np.median(weights[data.wrong]) < 0.15 * np.median(weights[~data.wrong])


@pytest.mark.parametrize("n_samples", [8, 15, 60])
def test_auto_leaves_gaussian_rows_bit_for_bit(n_samples):
    for seed in range(5):
        data = linear(seed, n_samples)
        robust, plain = (TaskMoments.from_long(data.H, data.y, data.tasks, robust=kind) for kind in ("auto", None))
        assert robust.row_weights_ is None
        for part, other in zip(robust._sums, plain._sums, strict=True):
            np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("n_samples", [15, 60])
def test_weights_of_gaussian_rows_are_no_heavy_tails_and_those_of_errors_are(n_samples):
    for seed in range(3):
        for data, is_robust in (
            (linear(seed, n_samples), False),
            (gross_errors(0.02, "h", seed, n_samples=n_samples), True),
        ):
            weight = np.random.default_rng(seed).exponential(size=len(data.y)) ** 1.5
            moments = TaskMoments.from_long(data.H, data.y, data.tasks, sample_weight=weight, robust="auto")
            assert (moments.row_weights_ is not None) == is_robust


def test_gross_errors_in_tasks_of_few_rows_are_seen():
    data = gross_errors(0.02, "h", n_samples=12)
    assert fitted(data, "auto").row_weights_ is not None


@pytest.mark.parametrize("n_samples", [12, 30])
def test_tasks_of_few_rows_keep_them(n_samples):
    data = linear(0, n_samples)
    for kind in ("mixture", "student"):
        moments = TaskMoments.from_long(data.H, data.y, data.tasks, robust=kind)
        assert moments.n_samples.min() > 0.6 * n_samples
        assert found(MTLCM(random_state=0).fit_moments(moments), data) > found(fitted(data, None), data) - 0.003


def test_units_and_order_of_rows_do_not_matter():
    data, rng = mixed_up(0.3), np.random.default_rng(0)
    weights = fitted(data, "mixture").row_weights_
    order = rng.permutation(len(data.y))
    M, scale = rng.standard_normal((D, D)), np.geomspace(1e-6, 1e6, T)[data.tasks]
    H, y = 1e3 + data.H @ M.T, 1e3 + scale * data.y
    moments = TaskMoments.from_long(H[order], y[order], data.tasks[order], robust="mixture")
    np.testing.assert_allclose(moments.row_weights_, weights[order], atol=0.05)


def test_weights_of_rows_are_multiplied():
    data, rng = mixed_up(0.3), np.random.default_rng(0)
    given = rng.uniform(0.5, 1.5, len(data.y))
    given[:50] = 0.0
    data.y[60:70] = np.nan
    moments = TaskMoments.from_long(data.H, data.y, data.tasks, sample_weight=given, robust="mixture")
    weights = moments.row_weights_
    assert weights.shape == given.shape
    assert not weights[:50].any()
    assert not weights[60:70].any()
    seen = weights > 0
    plain = TaskMoments.from_long(
        data.H[seen], data.y[seen], data.tasks[seen], sample_weight=given[seen] * weights[seen]
    )
    np.testing.assert_allclose(moments.scatter_h, plain.scatter_h)
    model = MTLCM(robust="mixture", noise_std=0.0).fit(data.H, data.y, tasks=data.tasks, sample_weight=given)
    np.testing.assert_array_equal(model.row_weights_, weights)


def test_columns_with_rows_of_their_own_are_the_long_layout():
    data = mixed_up(0.3)
    Y = np.full((len(data.y), T), np.nan)
    Y[np.arange(len(Y)), data.tasks] = data.y
    wide = TaskMoments.from_arrays(data.H, Y, robust="auto")
    long = TaskMoments.from_long(data.H, data.y, data.tasks, robust="auto")
    np.testing.assert_array_equal(wide.row_weights_, long.row_weights_)
    np.testing.assert_allclose(wide.scatter_hy, long.scatter_hy, atol=1e-9)


def test_shared_rows_are_left_as_they_are_or_refused():
    rng = np.random.default_rng(0)
    H, Y = rng.standard_t(2, size=(50, 3)), rng.standard_normal((50, 4))
    assert TaskMoments.from_arrays(H, Y, robust="auto").row_weights_ is None
    with pytest.raises(ValueError, match="rows of their own"):
        MTLCM(robust="mixture").fit(H, Y)


def test_what_needs_all_rows_says_so():
    data = linear()
    model = MTLCM(robust="student")
    with pytest.raises(ValueError, match="robust needs all rows"):
        model.partial_fit(data.H, data.y, tasks=data.tasks)
    with pytest.raises(ValueError, match="robust needs all rows"):
        model.fit_moments(TaskMoments.from_long(data.H, data.y, data.tasks))
    with pytest.raises(ValueError, match="causal_model: robust needs all rows"):
        IdentifiableRegressor(causal_model=model).fit(data.H, data.y, tasks=data.tasks)
    with pytest.raises(ValueError, match="robust"):
        TaskMoments.from_long(data.H, data.y, data.tasks, robust="huber")


def test_verdicts_follow_other_rows_with_errors_of_their_own():
    data = mixed_up(0.3)
    model = fitted(data, "auto")
    # Each half is made robust by itself, so that what weights cost is in what comes back.
    first, second = model._examined.halves
    assert first.row_weights_ is not None
    assert second.row_weights_ is not None
    np.testing.assert_array_equal(first.row_counts + second.row_counts, model.moments_.row_counts)
    assert set(model.certificate_.verdict) == {"identified"}


def test_task_of_errors_alone_keeps_the_others():
    data = linear()
    data.y[data.tasks == 3] = np.random.default_rng(0).standard_cauchy(N) * 50
    moments = TaskMoments.from_long(data.H, data.y, data.tasks, robust="mixture")
    assert np.isfinite(moments.scatter_y).all()
    assert moments.n_samples.min() > 3
    others = data.tasks != 3
    assert moments.row_weights_[others].mean() > 0.95
