"""Moves since a fit: moves that are seen, rows that are not tested, rows that lie outside."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, MTRN, IdentifiableRegressor
from identirep.comparing import check_drift


def _problem(seed, n=600):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    # A law with a long tail, and one of few values.
    X[:, 1], X[:, 3] = np.exp(X[:, 1]), rng.integers(3, size=n)
    return X, np.repeat(X[:, :2], 4, axis=1) + 0.3 * rng.normal(size=(n, 8))


def _fit(X, y, regressor=None):
    regressor = LinearRegression() if regressor is None else regressor
    return IdentifiableRegressor(2, regressor=regressor, n_checks=0, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def model():
    X, y = _problem(0)
    return _fit(pd.DataFrame(X[:300], columns=list("abcd")), y[:300]).name_latents({0: "first"})


def _frame(X):
    return pd.DataFrame(X, columns=list("abcd"))


@pytest.mark.parametrize(
    "regressor",
    [
        LinearRegression(),
        ExtraTreesRegressor(10, min_samples_leaf=3, random_state=0),
        MTRN(hidden_sizes=(8,), max_epochs=4, n_replicates=1),
    ],
)
def test_halves_of_the_same_data_do_not_move(regressor):
    alarms = 0
    for seed in range(6):
        X, y = _problem(seed)
        rows = np.random.default_rng(seed).permutation(600)
        found = check_drift(_fit(X[rows[:300]], y[rows[:300]], regressor), X[rows[300:]], y[rows[300:]], level=0.1)
        alarms += found.latents.moved.any() + found.targets.moved.any()
    # 12 families at a rate of 0.1.
    assert alarms <= 5


def test_forests_raise_no_more_alarms():
    # Latents of folds vary less than those of later rows, which a test against them alone would call moved.
    alarms = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(2400, 4))
        y = np.repeat(X[:, :2], 4, axis=1) + rng.normal(size=(2400, 8))
        forest = ExtraTreesRegressor(10, min_samples_leaf=10, random_state=0)
        alarms += check_drift(_fit(X[:1200], y[:1200], forest), X[1200:], level=0.2).latents.moved.any()
    assert alarms <= 2


def test_moves_are_seen_and_measured(model):
    X, y = _problem(0)
    moved = X[300:] + np.array([0.8, 0.0, 0.0, 0.0])
    found = check_drift(model, _frame(moved), y[300:] + 1.0)
    sensitive = int(
        np.abs(model.transform(_frame(X + np.eye(4)[0])) - model.transform(_frame(X))).mean(axis=0).argmax()
    )
    assert found.latents.moved.tolist() == [i == sensitive for i in range(2)]
    assert abs(found.latents.shift[sensitive]) == pytest.approx(0.8, abs=0.2)
    assert found.latents.names == ("first", "latent_1")
    assert found.targets.moved.sum() >= 6
    assert found.n_tested == 300
    spread = check_drift(model, _frame(X[300:] * [2, 1, 1, 1]))
    assert spread.latents.moved[sensitive]
    assert spread.latents.spread[sensitive] == pytest.approx(2.0, abs=0.3)
    assert spread.targets.names == ()


def test_rows_that_were_trained_on_and_repeated_ones_are_not_tested(model):
    X, _ = _problem(0)
    rows = np.concatenate([np.arange(330), np.arange(300, 330)])
    found = check_drift(model, _frame(X[rows]))
    assert (found.n_rows, found.n_tested, found.n_independent) == (360, 60, 30)
    assert found.remark.startswith("300 of 360 rows are not tested")
    assert "60 rows count as 30: they repeat inputs, all as often or such as no row of the fit has" in found.remark
    assert check_drift(model, _frame(X[300:])).remark == ""


def test_rows_outside_of_what_was_fitted_to(model):
    X, _ = _problem(0)
    new = X[300:].copy()
    assert len(check_drift(model, _frame(new)).outside) <= 10
    new[7, 2], new[9, 0] = 50.0, -40.0
    found = check_drift(model, _frame(new))
    reasons = dict(zip(found.outside.tolist(), found.reasons, strict=True))
    assert (reasons[7], reasons[9]) == ("c", "a")


def test_rows_that_no_single_input_betrays():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(400, 2))
    X = np.column_stack([Z, Z[:, 0] + Z[:, 1]]) + 0.1 * rng.normal(size=(400, 3))
    model = _fit(X[:300], np.repeat(Z[:300], 4, axis=1) + 0.1 * rng.normal(size=(300, 8)))
    # Each value is within the ends of its input; of both latents together no row is as far out.
    ends = X[:300].max(axis=0) * 0.98
    found = check_drift(model, np.concatenate([X[300:], [[ends[0], -ends[1], 0.0]]]))
    assert found.outside.tolist()[-1] == 100
    assert found.reasons[-1] == "latents"


def test_a_constant_input_that_changes_is_outside():
    X, y = _problem(1)
    X[:, 2] = 7.0
    model = _fit(X[:300], y[:300])
    new = X[300:].copy()
    new[4, 2] = 7.5
    found = check_drift(model, new)
    assert 4 in found.outside
    assert found.reasons[found.outside.tolist().index(4)] == "input 2"


def test_what_is_known_is_stored_and_small(model, tmp_path):
    X, y = _problem(0)
    model.save(tmp_path / "run")
    loaded = IdentifiableRegressor.load(tmp_path / "run")
    one, other = (check_drift(each, _frame(X[300:]), y[300:]) for each in (model, loaded))
    np.testing.assert_array_equal(one.latents.p_value, other.latents.p_value)
    np.testing.assert_array_equal(one.targets.p_value, other.targets.p_value)
    np.testing.assert_array_equal(one.outside, other.outside)
    assert sum(array.nbytes for array in model._reference.to_arrays().values()) < 20_000


def test_what_is_known_moves_with_the_axes(model):
    X, _ = _problem(0)
    order, factor = np.array([1, 0]), np.array([-2.0, 0.5])
    moved = model._in_axes(order, factor, np.array([3.0, -1.0]))
    one, other = (check_drift(each, _frame(X[300:] * 1.3)) for each in (model, moved))
    np.testing.assert_allclose(other.latents.shift, (one.latents.shift * [1, 1])[order] * np.sign(factor), atol=1e-9)
    np.testing.assert_allclose(other.latents.spread, one.latents.spread[order], rtol=1e-9)
    np.testing.assert_allclose(other.latents.p_value, one.latents.p_value[order], atol=0.05)
    np.testing.assert_array_equal(one.outside, other.outside)


def test_rows_of_a_series_are_remarked_on():
    X, y = _problem(2)
    model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0)
    model.fit(X[:300], y[:300], order=np.arange(300))
    assert "Rows have an order" in check_drift(model, X[300:]).remark


def test_bad_input(model):
    X, y = _problem(0)
    with pytest.raises(
        ValueError, match=r"too few rows .*: got 0 different ones that were not trained on, expected at"
    ):
        check_drift(model, _frame(X[:300]))
    with pytest.raises(ValueError, match="lacks 1 of the 4 inputs"):
        check_drift(model, _frame(X).drop(columns="a"))
    for level in (0.0, 1.0, -1):
        with pytest.raises(ValueError, match="level"):
            check_drift(model, _frame(X), level=level)
    with pytest.raises(ValueError, match="does not know what its latents looked like"):
        check_drift(MTLCM(random_state=0).fit(X[:, :2], y), X[:, :2])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_raw_tables_are_checked_by_the_names_of_what_they_become(tmp_path):
    rng = np.random.default_rng(0)
    n = 500
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.choice(["x", "y"], n), "gappy": rng.normal(size=n)})
    frame.loc[rng.random(n) < 0.3, "gappy"] = np.nan
    frame["when"] = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    y = np.repeat(np.column_stack([frame.a, 2.0 * (frame.b == "x")]), 4, axis=1) + 0.3 * rng.normal(size=(n, 8))
    y[:, 3] = 1.0
    trees = ExtraTreesRegressor(30, min_samples_leaf=3, bootstrap=True, oob_score=True, random_state=0)
    model = IdentifiableRegressor(2, regressor=trees, n_checks=0, random_state=0).fit(frame[:250], y[:250])
    model.save(tmp_path / "run")
    model = IdentifiableRegressor.load(tmp_path / "run")
    later = frame[250:].reset_index(drop=True)
    later.loc[3, "when"] = pd.Timestamp("2090-01-01")
    found = check_drift(model, later, y[250:])
    assert found.reasons[found.outside.tolist().index(3)] == "when: days since 1970"
    # The target that nothing can be learnt of has no place among the others.
    assert found.targets.names == ("0", "1", "2", "4", "5", "6", "7")
    assert not found.targets.moved.any()
    assert check_drift(model, later, np.delete(y[250:], 3, axis=1)).targets.p_value == pytest.approx(
        found.targets.p_value
    )
    assert check_drift(model, frame).n_tested == 250, "rows of the fit are known again, gaps included"
    later["a"] += 2.0
    assert check_drift(model, later).latents.moved.any()


def _long(seed, n_tasks=6, n=80, repeated=1):
    """Rows with one task each, in which rows of equal inputs are repeated."""
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.normal(size=(n_tasks * n // repeated, 4)), repeated, axis=0)
    tasks = np.tile(np.arange(n_tasks), n)
    y = X[np.arange(len(X)), tasks % 2] + 0.3 * rng.normal(size=len(X))
    return X, y, tasks


@pytest.fixture(scope="module")
def long_model():
    X, y, tasks = _long(0)
    stage = MTRN(hidden_sizes=(8,), max_epochs=10, n_replicates=1)
    return IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0).fit(X, y, tasks)


def test_targets_of_the_long_layout_move_task_by_task(long_model, tmp_path):
    X, y, tasks = _long(1)
    found = check_drift(long_model, X, np.where(tasks == 3, y + 1.5, y), tasks)
    assert dict(zip(found.targets.names, found.targets.moved, strict=True)) == {str(t): t == 3 for t in range(6)}
    assert found.targets.shift[3] == pytest.approx(1.5 / y[tasks == 3].std(), abs=0.4)
    # Labels of any type, rows of tasks that are not known, and a task of too few rows.
    few = (tasks != 5) | (np.arange(len(tasks)) < 90)
    labels = np.where(tasks == 4, "another", tasks.astype(str))
    assert check_drift(long_model, X[few], y[few], labels[few]).targets.names == ("0", "1", "2", "3")
    long_model.save(tmp_path / "run")
    again = check_drift(IdentifiableRegressor.load(tmp_path / "run"), X, y, tasks)
    np.testing.assert_array_equal(again.targets.p_value, check_drift(long_model, X, y, tasks).targets.p_value)


def test_targets_that_do_not_go_with_the_rows_are_refused(model, long_model):
    X, y = _problem(0)
    for wrong in (y[300:, 0], y[300:, :5], y[310:]):
        with pytest.raises(ValueError, match=r"y does not go with X and the fit: got shape"):
            check_drift(model, _frame(X[300:]), wrong)
    X, y, tasks = _long(1)
    with pytest.raises(ValueError, match=r"y and tasks do not go with X: got shapes \(480,\) and \(10,\)"):
        check_drift(long_model, X, y, tasks[:10])
    with pytest.raises(ValueError, match=r"tasks has none of the tasks of the fit: got 'x' first, expected .* such as"):
        check_drift(long_model, X, y, np.full(480, "x"))
    with pytest.raises(ValueError, match="y does not go with X"):
        check_drift(long_model, X, y)


def test_rows_of_a_group_count_once(model):
    X, _ = _problem(3)
    # Twenty measurements of each of thirty samples, which differ in an input that says nothing.
    rows = np.repeat(X[:30], 20, axis=0)
    rows[:, 2] += np.random.default_rng(0).normal(size=600)
    samples = np.repeat([f"sample {k}" for k in range(30)], 20)
    once = check_drift(model, _frame(rows), groups=samples)
    assert (once.n_tested, check_drift(model, _frame(rows)).n_tested) == (30, 600)
    assert once.latents.p_value.min() > 10 * check_drift(model, _frame(rows)).latents.p_value.min()
    with pytest.raises(ValueError, match=r"groups does not go with X: got shape \(5,\), expected \(600,\)"):
        check_drift(model, _frame(rows), groups=samples[:5])


def test_axes_that_cannot_be_tested_are_no_good_news():
    X, y = _problem(4)
    stage = MTRN(hidden_sizes=(8,), max_epochs=4, n_replicates=1)
    few = IdentifiableRegressor(2, regressor=stage, n_checks=0, random_state=0).fit(X[:60], y[:60])
    with pytest.raises(
        ValueError, match=r"knows too few rows to tell .*: got \d that were held out from it, expected at"
    ):
        check_drift(few, X[300:])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "regressor", [LinearRegression(), MTRN(hidden_sizes=(8,), max_epochs=4, n_replicates=1), ExtraTreesRegressor(10)]
)
def test_fits_to_few_values_can_be_checked(regressor, tmp_path):
    rng = np.random.default_rng(0)
    X = (rng.random((800, 3)) < 0.4).astype(float)
    y = np.repeat(X[:, :2], 4, axis=1) + 0.3 * rng.normal(size=(800, 8))
    _fit(X[:400], y[:400], regressor).save(tmp_path / "run")
    model = IdentifiableRegressor.load(tmp_path / "run")
    found = check_drift(model, X[400:], y[400:], level=0.01)
    assert (found.n_tested, found.n_independent, found.remark) == (400, 400, "")
    assert not found.latents.moved.any()
    assert not found.targets.moved.any()
    assert check_drift(model, 1.0 - X[400:], level=0.01).latents.moved.any()
