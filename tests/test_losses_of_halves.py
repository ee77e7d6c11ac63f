"""What the agreement of a fit with its halves says of fits to other rows, where errors are known."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from identirep import MTRN, PredictiveFeatures
from identirep.losses_of_halves import kinship, losses, of_fits

N, SHARE = 4000, 0.5


def _loss(first, second):
    return 1.0 - np.corrcoef(first, second)[0, 1]


@pytest.mark.parametrize("by_rows", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seen", [1.0, 0.8])
def test_loss_of_means_is_that_of_fits_to_other_rows(by_rows, seen):
    """Axes are means over ten parts of the rows, plus what seeds do; errors fall as one over the rows."""
    rng = np.random.default_rng(0)
    axis = rng.normal(size=N)

    def fit(parts):
        own = rng.normal(size=N) / np.sqrt(parts.shape[1])
        return axis + 0.3 * (np.sqrt(by_rows) * parts.mean(axis=1) + np.sqrt(1 - by_rows) * own)

    actual, found = [], []
    for _ in range(30):
        mine, others = rng.normal(size=(2, N, 10))
        actual.append(_loss(fit(mine), fit(others)))
        # Of ten parts a fold leaves out two, one of which is in the half.
        predicting = mine if seen == 1.0 else mine[:, 1:9]
        found.append(_loss(fit(predicting), fit(mine[:, : round(SHARE * 10)])) * of_fits(SHARE, seen, by_rows))
    assert np.mean(found) == pytest.approx(np.mean(actual), rel=0.1)


def test_rows_make_what_another_seed_does_not_change():
    stage = PredictiveFeatures(LinearRegression())
    between = np.array([[0.8, 0.9]])
    assert kinship(stage, None, between, np.array([1.0, 1.0])) == (0.8, 1.0)
    assert kinship(stage, None, between, np.array([0.9, 0.95])) == (0.8, pytest.approx(0.5))
    assert kinship(stage, None, between, np.array([0.5, 0.5])) == (0.8, 0.0)
    assert kinship(stage, np.array([0, 0, 1]), between, np.ones(2))[0] == 0.5
    assert kinship(stage.set_params(cross_fit="oob"), None, between, np.ones(2)) == (1.0, 1.0)
    assert kinship(MTRN(), None, between, np.ones(2)) == (1.0, 0.0)


def test_the_larger_loss_is_where_the_interval_starts_and_good_axes_are_drawn_to_the_others():
    likely, largest = losses(np.array([[0.8, 0.98]]), np.array([[0.9, 0.99], [0.9, 0.99]]))
    assert likely == pytest.approx([0.1, np.sqrt(0.01 * np.sqrt(0.1 * 0.01))])
    assert largest[0] == pytest.approx(0.2)
    assert likely[1] < largest[1]
