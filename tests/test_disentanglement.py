"""DCI and MIG: one for latents that are the factors, known values between, units, constants, wrong use."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.neighbors import KNeighborsRegressor

from identirep.metrics import dci, mig_score

V = np.random.default_rng(0).normal(size=(3000, 3))
HADAMARD = np.array([[1.0, 1.0], [1.0, -1.0]])


def test_latents_that_are_the_factors_are_perfect_in_any_units():
    Z = V[:, [2, 0, 1]] * [1e-8, -3.0, 1e6] + [0.0, 5.0, 1e7]
    found = dci(Z, V)
    assert found.disentanglement == pytest.approx(1.0, abs=1e-6)
    assert found.completeness == pytest.approx(1.0, abs=1e-6)
    assert found.informativeness == pytest.approx(1.0, abs=1e-9)
    assert mig_score(Z, V) > 0.9
    assert mig_score(V.round(), V.round()) > 0.98


def test_even_mixtures_are_not_disentangled_but_inform():
    found = dci(V[:, :2] @ HADAMARD, V[:, :2])
    assert found.disentanglement == pytest.approx(0.0, abs=0.01)
    assert found.completeness == pytest.approx(0.0, abs=0.01)
    assert found.informativeness == pytest.approx(1.0)
    assert mig_score(V[:, :2] @ HADAMARD, V[:, :2]) < 0.05


def test_disentanglement_and_completeness_are_apart():
    # Each of six latents carries one factor, and each factor is in two of them.
    rng = np.random.default_rng(1)
    Z = np.repeat(V, 2, axis=1) + rng.normal(size=(3000, 6))
    found = dci(Z, V)
    # Shares of a twentieth, which errors of coefficients leave, have entropy.
    assert found.disentanglement > 0.7
    # 1 - log 2 / log 6 is 0.61 without these.
    assert 0.4 < found.completeness < 0.65
    # The other copy says as much: no gap.
    assert mig_score(Z, V) < 0.05


def test_mutual_information_is_that_of_a_known_law():
    rng = np.random.default_rng(2)
    v = rng.integers(2, size=(20000, 1)).astype(float)
    flipped = np.where(rng.random((20000, 1)) < 0.1, 1 - v, v)
    known = 1 + (0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))
    assert mig_score(np.hstack([flipped, rng.normal(size=(20000, 1))]), v) == pytest.approx(known, abs=0.02)


def test_unrelated_latents_say_nothing():
    Z = np.random.default_rng(3).normal(size=(3000, 3))
    assert dci(Z, V).informativeness < 0.01
    assert mig_score(Z, V) < 0.02


def test_constants_count_for_nothing():
    ones = np.full((3000, 1), 0.1)
    found = dci(np.hstack([V, ones]), V)
    assert not found.importance[3].any()
    assert found.disentanglement == pytest.approx(1.0)
    with_constant = dci(V, np.hstack([V, ones]))
    assert with_constant.r2[3] == 0.0
    assert mig_score(ones, V) == 0.0
    assert mig_score(V, ones) == 0.0


def test_importances_of_trees_see_what_is_not_linear():
    trees = ExtraTreesRegressor(30, max_features=1.0, random_state=0)
    found = dci(V[:400, :2], V[:400, :2] ** 2, regressor=trees)
    assert found.disentanglement > 0.7
    assert found.informativeness > 0.8 > dci(V[:400, :2], V[:400, :2] ** 2).informativeness


@pytest.mark.parametrize("score", [dci, mig_score])
@pytest.mark.parametrize(
    ("Z", "factors", "message"),
    [
        (V[:10], V[:9], "factors does not match: got shapes"),
        (V[:, 0], V, "Z is not a matrix"),
        (np.where(V > 3, np.nan, V), V, "Z contains"),
    ],
)
def test_wrong_data_are_explained(score, Z, factors, message):
    with pytest.raises(ValueError, match=message):
        score(Z, factors)


def test_wrong_settings_are_explained():
    with pytest.raises(ValueError, match="n_bins is not valid: got 1"):
        mig_score(V, V, n_bins=1)
    with pytest.raises(ValueError, match="Z has too few rows: got 3"):
        dci(V[:3], V[:3])
    with pytest.raises(TypeError, match="regressor has the wrong type"):
        dci(V, V, regressor="trees")
    with pytest.raises(ValueError, match="regressor has no importances: got KNeighborsRegressor"):
        dci(V, V, regressor=KNeighborsRegressor())
