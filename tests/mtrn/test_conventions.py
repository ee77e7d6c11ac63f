"""The conventions of scikit-learn, checked by scikit-learn."""

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from identirep import MTRN, PredictiveFeatures

# Columns are taken by their names, where scikit-learn refuses another order.
_BY_NAME = {"check_dataframe_column_names_consistency": "columns are taken by their names, in any order"}
_MTRN = MTRN(hidden_sizes=(16,), n_replicates=2, n_features=8, max_epochs=20, device="cpu")


@pytest.mark.filterwarnings("ignore:y has no predictive signal")
@parametrize_with_checks(
    [_MTRN, PredictiveFeatures(LinearRegression(), cross_fit=3)],
    expected_failed_checks=lambda _: _BY_NAME,
)
def test_scikit_learn(estimator, check):
    check(estimator)
