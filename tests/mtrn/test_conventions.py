"""The conventions of scikit-learn, checked by scikit-learn."""

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from identirep import MTRN, PredictiveFeatures

_MTRN = MTRN(hidden_sizes=(16,), n_replicates=2, n_features=8, max_epochs=20, device="cpu")


_EXPECTED_FAILURES = {
    "check_n_features_in_after_fitting": "passes y to score by name; ours is Y, as a matrix of targets should be",
}


@pytest.mark.filterwarnings("ignore:Y has no predictive signal")
@parametrize_with_checks(
    [_MTRN, PredictiveFeatures(LinearRegression(), cross_fit=3)],
    expected_failed_checks=lambda estimator: _EXPECTED_FAILURES,
)
def test_scikit_learn(estimator, check):
    check(estimator)
