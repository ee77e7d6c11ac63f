"""Weights of rows together with what else is done with rows: tasks left out, gross errors, tables, gaps, sides."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from torch import nn

from identirep import MTLCM, MTRN, IdentifiableRegressor, TableEncoder
from identirep.accumulation import effective_number
from identirep.checking import Fitted, _halves
from identirep.label_sides import Labels, keep_labels
from identirep.mtrn import PredictiveFeatures
from identirep.mtrn.reduction import HeldOut, linear_heads, reduce_features
from identirep.mtrn.sides import feature_moments
from identirep.mtrn.spectrum import predictive_spectrum
from identirep.signal_check import check_signal
from identirep.splits import halves
from identirep.validation import TaskData, check_task_data

_NETWORK = MTRN(hidden_sizes=(16,), n_replicates=2, max_epochs=6, device="cpu")
pytestmark = pytest.mark.filterwarnings("ignore")


def _rows(layout="wide", n=200, n_tasks=8, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    heads = rng.laplace(size=(2, n_tasks))
    if layout == "wide":
        return X, X[:, :2] @ heads + 0.3 * rng.normal(size=(n, n_tasks)), None, rng
    tasks = np.arange(n) % n_tasks
    return X, np.einsum("nd,dn->n", X[:, :2], heads[:, tasks]) + 0.3 * rng.normal(size=n), tasks, rng


def _with_few(layout, rng, y, tasks, kept):
    """Leave task 3 with labels in rows of weight 0, and two others: with that weight it is too small."""
    of_task = np.ones(len(y), dtype=bool) if tasks is None else tasks == 3
    spared = np.flatnonzero(of_task & kept)[:2]
    missing = of_task & kept
    missing[spared] = False
    y = y.copy()
    y[(missing, 3) if layout == "wide" else missing] = np.nan
    return y


@pytest.mark.parametrize("given", ["groups", "order"])
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_zeros_and_tasks_left_out_bit_for_bit(layout, given):
    X, y, tasks, rng = _rows(layout, n=160, n_tasks=5)
    kept = rng.random(len(X)) < 0.7
    y = _with_few(layout, rng, y, tasks, kept)
    of_rows = {given: np.arange(len(X)) // 3}
    network = clone(_NETWORK).set_params(n_replicates=1)
    model, other = (IdentifiableRegressor(2, regressor=network, random_state=0) for _ in range(2))
    model.fit(X, y, tasks, **of_rows, sample_weight=kept)
    part = {name: values[kept] for name, values in of_rows.items()}
    other.fit(X[kept], y[kept], None if tasks is None else tasks[kept], **part)
    assert model.left_out_tasks_ == other.left_out_tasks_ == {3: "2 labels"}
    np.testing.assert_array_equal(model.transform(X), other.transform(X))
    np.testing.assert_array_equal(model.comes_back_.other_rows, other.comes_back_.other_rows)
    np.testing.assert_array_equal(model.regressor_.limited_labels_, other.regressor_.limited_labels_)


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_scores_of_tasks_left_out_count_by_weight(layout):
    X, y, tasks, rng = _rows(layout)
    y = _with_few(layout, rng, y, tasks, np.ones(len(X), dtype=bool))
    weight = rng.exponential(size=len(X)) * (rng.random(len(X)) < 0.8)
    model = MTRN(2, hidden_sizes=(16,), n_replicates=1, max_epochs=6, device="cpu", random_state=0)
    model._least_labels = 3
    model.fit(X, y, tasks, sample_weight=weight)
    assert list(model.left_out_tasks_) == [3]
    score = model.score(X, y, tasks, sample_weight=weight)
    if layout == "wide":
        expected = model.score(X, np.delete(y, 3, axis=1), [0, 1, 2, *range(4, 8)], sample_weight=weight)
    else:
        expected = model.score(X[tasks != 3], y[tasks != 3], tasks[tasks != 3], sample_weight=weight[tasks != 3])
    assert score == pytest.approx(expected, abs=1e-12)
    assert score != pytest.approx(model.score(X, y, tasks), abs=1e-6)


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_tasks_too_light_for_stage_two_are_left_out(layout):
    X, y, tasks, _ = _rows(layout)
    weight = np.ones(len(X))
    if layout == "wide":
        y[5:, 3] = np.nan
        weight[:4] = 1e-3
    else:
        weight[tasks == 3] = 1e-3
        weight[np.flatnonzero(tasks == 3)[0]] = 1.0
    found = {}
    for model in (IdentifiableRegressor(2, regressor=_NETWORK, n_checks=0, random_state=0), MTLCM(2)):
        model.fit(X[:, :2] if isinstance(model, MTLCM) else X, y, tasks, sample_weight=weight)
        assert list(model.left_out_tasks_) == [3]
        found[type(model)] = model.left_out_tasks_[3]
    assert set(found.values()) == {found[MTLCM]}
    assert found[MTLCM].endswith("labels by their weights")
    assert float(found[MTLCM].split()[0]) < 1.2
    # Where all are too light that is an error, with the number that counts.
    with pytest.raises(ValueError, match=r"too few labels: got 1 at least in 'only'"):
        check_task_data(X[:4], np.arange(4.0), ["only"] * 4, min_labels=3, sample_weight=[1, 1e-9, 1e-9, 1e-9])


def test_gross_errors_of_rows_without_weight_are_none():
    X, y, _, rng = _rows()
    weight = rng.exponential(size=len(X)) + 0.1
    spoilt, zero = y.copy(), weight.copy()
    spoilt[5, 2], zero[5] = 1e7, 0.0
    model = PredictiveFeatures(LinearRegression(), 2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(X, spoilt, sample_weight=zero)
    assert not model.limited_labels_.any()
    rows = np.arange(len(X)) != 5
    other = PredictiveFeatures(LinearRegression(), 2, random_state=0).fit(X[rows], y[rows], sample_weight=weight[rows])
    np.testing.assert_array_equal(model.transform(X), other.transform(X))

    with pytest.warns(UserWarning, match="1 of 2"):
        model.fit(X, spoilt, sample_weight=weight)
    assert model.limited_labels_[2] == 1
    # Limited ones count by their weights as all others do.
    assert model.moments_.is_weighted
    assert model.moments_.n_samples[0] == pytest.approx(effective_number(weight))


def _table(kind, X, kept, rng):
    """Return a table with texts and gaps, which in rows of weight 0 are others, or a matrix with gaps."""
    X = X.copy()
    X[rng.random(len(X)) < 0.2, 3] = np.nan
    X[~kept, 3] = 1e3
    if kind == "matrix":
        return X, lambda rows: X[rows]
    colours = np.where(kept, np.array(["red", "blue", "green"])[np.arange(len(X)) % 3], "never seen")
    columns = {**{f"x{j}": X[:, j] for j in range(4)}, "colour": colours.tolist()}
    frame = pd.DataFrame(columns) if kind == "pandas" else pl.DataFrame(columns)
    return frame, lambda rows: frame[rows] if kind == "pandas" else frame.filter(rows)


@pytest.mark.parametrize("kind", ["pandas", "polars", "matrix"])
def test_tables_are_learnt_of_rows_with_weight(kind):
    X, y, _, rng = _rows()
    kept = rng.random(len(X)) < 0.7
    frame, rows_of = _table(kind, X, kept, rng)
    settings = {"regressor": Ridge(), "n_checks": 0, "random_state": 0, "table_encoder": TableEncoder()}
    model = IdentifiableRegressor(2, **settings).fit(frame, y, sample_weight=kept)
    other = IdentifiableRegressor(2, **settings).fit(rows_of(kept), y[kept])
    names = model.table_encoder_.get_feature_names_out().tolist()
    assert names == other.table_encoder_.get_feature_names_out().tolist()
    assert "colour=never seen" not in names
    np.testing.assert_array_equal(model.transform(rows_of(kept)), other.transform(rows_of(kept)))
    assert model.score(frame, y, sample_weight=kept) == pytest.approx(other.score(rows_of(kept), y[kept]), abs=1e-9)
    # Of rows with weight all teach alike, as is documented.
    weight = np.where(kept, rng.exponential(size=len(X)), 0.0)
    weighted = IdentifiableRegressor(2, **settings).fit(frame, y, sample_weight=weight)
    found = [each.table_encoder_.transform(rows_of(kept)) for each in (weighted, other)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("weight", [1.0, "all"])
def test_what_is_no_weight_of_a_table_is_refused(weight):
    X, y, _, rng = _rows()
    frame, _ = _table("pandas", X, np.ones(len(X), dtype=bool), rng)
    model = IdentifiableRegressor(2, regressor=Ridge(), n_checks=0, random_state=0)
    if weight == 1.0:
        assert not model.fit(frame, y, sample_weight=1.0).moments_.is_weighted
    else:
        with pytest.raises(ValueError, match="sample_weight does not match X"):
            model.fit(frame, y, sample_weight=np.zeros(7))


def test_gaps_and_weights():
    X, y, _, rng = _rows()
    kept = rng.random(len(X)) < 0.7
    X[rng.random(X.shape) < 0.1] = np.nan
    trees = ExtraTreesRegressor(10, min_samples_leaf=2, random_state=0)
    model, other = (IdentifiableRegressor(2, regressor=trees, random_state=0) for _ in range(2))
    model.fit(X, y, sample_weight=kept)
    other.fit(X[kept], y[kept])
    np.testing.assert_array_equal(model.transform(X), other.transform(X))
    np.testing.assert_array_equal(model.comes_back_.other_rows, other.comes_back_.other_rows)
    assert model.score(X, y, sample_weight=kept) == pytest.approx(other.score(X[kept], y[kept]), abs=1e-12)

    noise = TaskData(X, rng.normal(size=y.shape), None, tuple(range(8)), weights=rng.exponential(size=len(X)))
    assert check_signal(noise, None, np.random.default_rng(0)).answer != "signal"
    with pytest.raises(ValueError, match="not possible with KNeighborsRegressor"):
        PredictiveFeatures(MultiOutputRegressor(KNeighborsRegressor()), 2).fit(X, y, sample_weight=kept + 1.0)


def test_samples_with_axes_and_weights():
    X, y, tasks, rng = _rows("long", n=160, n_tasks=5)
    X = X.reshape(-1, 2, 2)
    kept = rng.random(len(X)) < 0.7
    y = _with_few("long", rng, y, tasks, kept)

    def encoder():
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))

    network = MTRN(2, encoder=encoder, n_replicates=2, max_epochs=4, device="cpu")
    model, other = (
        IdentifiableRegressor(2, regressor=network, n_checks=2, n_refinements=1, random_state=0) for _ in range(2)
    )
    model.fit(X, y, tasks, sample_weight=kept)
    other.fit(X[kept], y[kept], tasks[kept])
    np.testing.assert_array_equal(model.transform(X), other.transform(X))
    np.testing.assert_array_equal(model.comes_back_.other_rows, other.comes_back_.other_rows)
    assert model.score(X, y, tasks, sample_weight=kept) == pytest.approx(
        other.score(X[kept], y[kept], tasks[kept]), abs=1e-12
    )


@pytest.mark.parametrize("layout", ["wide", "long"])
@pytest.mark.parametrize("seed", range(2))
def test_sides_keep_labels_that_count(layout, seed):
    rng = np.random.default_rng(seed)
    n, few = 300, 12
    weights = np.full(n, 1.0)
    if layout == "wide":
        y, index = np.column_stack([np.full(n, np.nan), rng.normal(size=n)]), None
        rows = rng.choice(n, few, replace=False)
        y[rows, 0] = rng.normal(size=few)
    else:
        y, index = rng.normal(size=n), (np.arange(n) >= few).astype(np.int64)
        rows = np.arange(few)
    # Six of twelve labels count for next to nothing.
    weights[rows[6:]] = 1e-3
    labels = Labels(y, index, (3, 3), trains=False, weights=weights)
    first, second = halves(n, rng, labels=labels)
    for side in (first, second):
        assert effective_number(weights[rows[side[rows]]]) > 2.99
    # By their number alone they would have been left as they fell.
    light = rng.random(n) < 0.5
    light[rows] = np.arange(few) >= 5
    kept = keep_labels(light, labels, np.random.default_rng(0))
    assert not np.array_equal(kept, light)
    np.testing.assert_array_equal(keep_labels(light, Labels(y, index, (3, 3), trains=False), rng), light)


# By their number alone the labels of these would be left as they fall, with one half too light.
@pytest.mark.parametrize("seed", [13, 21, 28])
def test_sides_of_a_check_keep_labels_that_count(seed):
    rng, n = np.random.default_rng(seed), 120
    y = rng.normal(size=(n, 3))
    rows = rng.choice(n, 16, replace=False)
    y[:, 0] = np.where(np.isin(np.arange(n), rows), y[:, 0], np.nan)
    weight = np.ones(n)
    weight[rows[8:]] = 1e-4
    fit = Fitted(None, None, TaskData(y, y, None, (0, 1, 2), weights=weight), None)
    for side in _halves(fit, np.zeros(n, dtype=bool), np.random.default_rng(seed)):
        assert effective_number(weight[rows[side[rows]]]) > 2.99


def test_halves_leave_out_what_is_too_light_there():
    X, y, _, _ = _rows(n=240)
    # Task 0 has effectively four labels: the fit takes it, halves do not, and go on without it.
    y[12:, 0] = np.nan
    weight = np.ones(len(X))
    weight[:12] = np.r_[np.ones(4), np.full(8, 1e-4)]
    model = IdentifiableRegressor(2, regressor=_NETWORK, random_state=0).fit(X, y, sample_weight=weight)
    assert not model.left_out_tasks_
    assert np.isfinite(model.comes_back_.other_rows).all()


def test_directions_and_their_variance_count_what_rows_say():
    X, y, _, rng = _rows(n=400)
    weight = np.where(rng.random(len(X)) < 0.5, 1.0, 1e-6)
    some = weight == 1.0
    deviations, moments = [], []
    for rows, w in ((np.ones(len(X), dtype=bool), weight), (some, None)):
        trained = feature_moments(X[rows], y[rows], None, y.shape[1], w)
        heads = linear_heads(trained)
        reduction = reduce_features(trained, heads.coef, heads.noise)
        held_out = HeldOut(X[rows], y[rows], None, np.arange(rows.sum()), w)
        n_trained = float(trained.n_samples.sum())
        spectrum = predictive_spectrum(reduction, held_out, np.random.default_rng(0), n_trained)
        deviations.append(np.sqrt(np.diagonal(spectrum.variance)))
        drawn = spectrum.redrawn(1, 4, np.random.default_rng(0))
        own = trained.map_features(reduction.components[:2], -reduction.components[:2] @ reduction.mean)
        moments.append((reduction.ordered(spectrum.order).direction_moments(own), own, drawn))
    # Rows that say next to nothing make nothing surer: as the rows alone that count.
    np.testing.assert_allclose(deviations[0], deviations[1], rtol=1e-3)
    np.testing.assert_allclose(moments[0][2], moments[1][2], atol=1e-2)
    for found, own, _ in moments:
        np.testing.assert_array_equal(found.counts, own.counts)
        assert found.is_weighted == own.is_weighted
        np.testing.assert_array_equal(found.weight_sums, own.weight_sums)
    np.testing.assert_allclose(moments[0][0].cov_hy, moments[1][0].cov_hy, atol=1e-3)
    assert moments[0][0].n_samples[0] == pytest.approx(some.sum(), rel=1e-3)
