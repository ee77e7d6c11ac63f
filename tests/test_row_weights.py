"""Weights of rows: what is refused, everywhere in the same words, and what they count for."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from identirep import MTLCM, MTRN, IdentifiableRegressor, PredictiveFeatures, TaskMoments
from identirep.metrics import canonical_correlations, mcc, stability, weak_mcc_score
from identirep.row_weights import effective_numbers, effective_weights, effective_weights_of_labels

_N = 40
_TAKERS = {
    "from_arrays": lambda X, Y, w: TaskMoments.from_arrays(X, Y, sample_weight=w),
    "from_long": lambda X, Y, w: TaskMoments.from_long(X, Y[:, 0], np.arange(_N) % 2, sample_weight=w),
    "update": lambda X, Y, w: TaskMoments.from_arrays(X, Y).update(X, Y, sample_weight=w),
    "MTLCM": lambda X, Y, w: MTLCM().fit(X, Y, sample_weight=w),
    "partial_fit": lambda X, Y, w: MTLCM().partial_fit(X, Y, sample_weight=w),
    "MTRN": lambda X, Y, w: MTRN(max_epochs=1).fit(X, Y, sample_weight=w),
    "PredictiveFeatures": lambda X, Y, w: PredictiveFeatures(LinearRegression()).fit(X, Y, sample_weight=w),
    "IdentifiableRegressor": lambda X, Y, w: IdentifiableRegressor(regressor="ridge").fit(X, Y, sample_weight=w),
    "auto": lambda X, Y, w: IdentifiableRegressor(regressor="auto").fit(X, Y, sample_weight=w),
    "mcc": lambda X, Y, w: mcc(X, Y, sample_weight=w),
    "canonical": lambda X, Y, w: canonical_correlations(X, Y, sample_weight=w),
    "weak": lambda X, Y, w: weak_mcc_score(X, Y, sample_weight=w),
    "stability": lambda X, Y, w: stability([X, X], sample_weight=w),
}
_BAD = {
    "negative": (np.where(np.arange(_N) == 3, -1.0, 1.0), "no weights: got -1 first at index 3"),
    "nan": (np.where(np.arange(_N) == 5, np.nan, 1.0), "no weights: got nan first at index 5"),
    "inf": (np.where(np.arange(_N) == 5, np.inf, 1.0), "no weights: got inf first at index 5"),
    "zero": (np.zeros(_N), "sample_weight is zero in all rows"),
    "short": (np.ones(_N - 1), r"sample_weight does not match X: got shape \(39,\)"),
    "matrix": (np.ones((_N, 1)), r"sample_weight does not match X: got shape \(40, 1\)"),
    "text": (["a"] * _N, "sample_weight is not numeric"),
}


@pytest.mark.parametrize("bad", _BAD)
@pytest.mark.parametrize("taker", _TAKERS)
def test_what_is_no_weight_is_refused(taker, bad):
    rng = np.random.default_rng(0)
    weight, message = _BAD[bad]
    with pytest.raises(ValueError, match=message):
        _TAKERS[taker](rng.normal(size=(_N, 3)), rng.normal(size=(_N, 3)), weight)


def test_faults_of_weights_are_told_with_all_others():
    with pytest.raises(ValueError, match=r"(?s)non-finite.*sample_weight is zero|sample_weight is zero.*non-finite"):
        MTLCM().fit(np.full((5, 2), np.nan), np.arange(10.0).reshape(5, 2), sample_weight=np.zeros(5))


def test_effective_numbers_are_those_of_kish_at_any_scale():
    w, index = np.array([1.0, 1.0, 1.0, 3.0, 1.0, 1e-200, 3e-200]), np.array([0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(effective_numbers(w, index, 4), [3.0, 16 / 10, 16 / 10, 0.0])


def test_effective_weights_sum_to_the_effective_number_of_rows_that_are_meant():
    rng = np.random.default_rng(0)
    w, index, of = rng.exponential(size=60), np.arange(60) % 3, rng.random(60) < 0.7
    scaled = effective_weights(w, index, of)
    for t in range(3):
        own = w[of & (index == t)]
        assert scaled[of & (index == t)].sum() == pytest.approx(own.sum() ** 2 / (own @ own))
        np.testing.assert_allclose(scaled[index == t] / w[index == t], (scaled / w)[index == t][0])


def test_labels_that_are_missing_count_for_no_task():
    w, seen = np.array([1.0, 2.0, 5.0]), np.array([[True, True], [True, False], [True, True]])
    np.testing.assert_allclose(effective_weights_of_labels(w, seen).sum(axis=0), [64 / 30, 36 / 26])
    assert effective_weights_of_labels(w, np.ones((3, 2), dtype=bool)).shape == (3, 1)
