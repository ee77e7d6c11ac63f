"""A few values far from all others do not decide; long tails, rare values and small samples stay as they are."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from identirep import IdentifiableRegressor
from identirep.datasets import make_linear_tasks
from identirep.gross_errors import fences, gross_error_remark, limited

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=300)


def changed(values, value, rows):
    values = np.array(values, dtype=float)
    values[rows] = value
    return values


@pytest.mark.parametrize("unit", [1.0, 1e-60, 1e60])
@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("value", [30.0, -5000.0, 1e12])
def test_one_label_counts_as_far_out_as_the_farthest_other(value, offset, unit):
    column = unit * (changed(NORMAL, value, 7) + offset)
    bounded, counts = limited(column[:, None], None, 1)
    assert counts.tolist() == [1]
    rest = np.delete(column, 7)
    centre = 0.5 * (np.sort(column)[3] + np.sort(column)[-4])
    assert abs(bounded[7, 0] - centre) == pytest.approx(np.abs(rest - centre).max(), rel=1e-6)
    np.testing.assert_array_equal(np.delete(bounded[:, 0], 7), rest)


def test_up_to_a_hundredth_of_the_labels():
    assert limited(changed(NORMAL, 100.0, [1, 5, 9])[:, None], None, 1)[1] == 3
    assert limited(changed(NORMAL, 100.0, range(6))[:, None], None, 1)[1] == 0


def test_errors_on_both_sides_and_of_several_sizes():
    column = changed(NORMAL, [80.0, -300.0, 5000.0], [1, 5, 9])
    bounded, counts = limited(column[:, None], None, 1)
    assert counts == 3
    assert np.abs(bounded).max() < 5


@pytest.mark.parametrize(
    "values",
    [
        NORMAL,
        np.exp(NORMAL),
        RNG.uniform(size=300),
        np.geomspace(1e-3, 1e3, 300),
        RNG.integers(0, 2, 300),
        np.where(RNG.random(300) < 0.005, 1.0, 0.0),
        RNG.poisson(0.3, 300),
        np.ones(300),
        np.full(300, np.nan),
        NORMAL[:9] * [1, 1, 1, 1, 1, 1, 1, 1, 1000],
        [],
    ],
)
def test_honest_values(values):
    values = np.asarray(values, dtype=float)[:, None]
    bounded, counts = limited(values, None, 1)
    np.testing.assert_array_equal(bounded, values)
    assert counts == 0
    assert np.isinf(fences(values)).all()


def test_missing_labels_stay_missing():
    column = changed(changed(NORMAL, np.nan, range(50, 90)), 100.0, 3)
    bounded, counts = limited(column[:, None], None, 1)
    np.testing.assert_array_equal(np.isnan(bounded[:, 0]), np.isnan(column))
    assert counts == 1


def test_each_task_of_the_long_layout_has_its_own_fences():
    index = np.repeat([0, 1, 2], 100)
    y = NORMAL * np.array([1.0, 1000.0, 1.0])[index]
    y[[5, 150]] = 500.0, 500.0
    bounded, counts = limited(y, index, 4)
    assert counts.tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(np.delete(bounded, 5), np.delete(y, 5))


def test_remark_names_targets_and_what_to_do():
    assert gross_error_remark(np.zeros(3, dtype=int), "abc") == ""
    remark = gross_error_remark(np.array([2, 0, 1]), "abc")
    assert "2 of 'a', 1 of 'c'" in remark
    assert "correct or delete them" in remark
    assert "and 3 more targets" in gross_error_remark(np.ones(8, dtype=int), "abcdefgh")


def fitted(regressor, X, Y, tasks=None):
    return IdentifiableRegressor(2, regressor=regressor, n_checks=0, random_state=0).fit(X, Y, tasks)


@pytest.mark.parametrize("regressor", ["ridge", "mtrn"])
def test_one_wrong_label_costs_next_to_nothing(regressor):
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(400, 2))
    X, Y = Z @ rng.normal(size=(2, 6)), Z @ rng.choice([-1.0, 1.0], (2, 5)) + 0.1 * rng.normal(size=(400, 5))
    wrong = Y.copy()
    wrong[17, 2] = 1e4
    with pytest.warns(UserWarning, match="Labels far from all others"):
        found = fitted(regressor, X[:300], wrong[:300])
    right = fitted(regressor, X[:300], Y[:300])
    score, best = (r2_score(Y[300:, 2], model.predict(X[300:])[:, 2]) for model in (found, right))
    assert score > best - 0.02


def test_wrong_inputs_do_not_set_the_units_of_a_network():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 3))
    Y = np.tanh(X) @ rng.normal(size=(3, 4)) + 0.1 * rng.normal(size=(400, 4))
    wrong = X.copy()
    wrong[17, 1] = -1e6
    found, right = fitted("mtrn", wrong[:300], Y[:300]), fitted("mtrn", X[:300], Y[:300])
    assert found.score(X[300:], Y[300:]) > right.score(X[300:], Y[300:]) - 0.02


def test_long_layout_end_to_end():
    data = make_linear_tasks(n_tasks=30, n_samples=60, n_latents=2, target_noise=(0.5, 1.0), random_state=0)
    wrong = data.y.copy()
    wrong[::600] *= 1e5
    with pytest.warns(UserWarning, match="Labels far from all others"):
        found = fitted("mtrn", data.H, wrong, data.tasks)
    right = fitted("mtrn", data.H, data.y, data.tasks)
    assert found.score(data.H, data.y, data.tasks) > right.score(data.H, data.y, data.tasks) - 0.03
