"""The MCC that chance gives: against known laws, and against the metric itself on unrelated data."""

import numpy as np
import pytest
from scipy.special import gammaln

from identirep.metrics import chance_mcc, mcc_score


@pytest.mark.parametrize("n", [3, 5, 20, 200])
def test_one_latent_has_the_law_of_a_correlation(n):
    # (1 + r) / 2 is beta with both parameters (n - 2) / 2, which gives the mean of |r|.
    expected = np.exp(gammaln((n - 1) / 2) - gammaln(n / 2)) / np.sqrt(np.pi)
    found = chance_mcc(n, 1, n_draws=3000)
    assert found.mean == pytest.approx(expected, abs=4 * found.standard_error)


@pytest.mark.parametrize(("n", "D"), [(10, 3), (30, 8)])
def test_it_is_that_of_the_metric_on_unrelated_latents(n, D):
    rng = np.random.default_rng(1)
    scores = [mcc_score(*rng.normal(size=(2, n, D))) for _ in range(400)]
    found = chance_mcc(n, D, n_draws=1000)
    assert found.mean == pytest.approx(np.mean(scores), abs=0.02)
    assert np.mean(np.array(scores) > found.quantile) == pytest.approx(0.05, abs=0.035)


def test_two_rows_correlate_perfectly_and_many_do_not():
    assert chance_mcc(2, 4, n_draws=5).mean == pytest.approx(1.0)
    few, many = chance_mcc(100, 5), chance_mcc(10_000, 5)
    assert few.mean == pytest.approx(10 * many.mean, rel=0.1)


def test_offsets_of_blocks_do_not_matter(monkeypatch):
    whole = chance_mcc(400, 3, n_draws=400)
    monkeypatch.setattr("identirep.chance._MOST_NUMBERS", 60)
    parts = chance_mcc(400, 3, n_draws=400)
    assert parts.mean == pytest.approx(whole.mean, abs=5 * whole.standard_error)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1, 3), ValueError, "n_samples is not valid: got 1"),
        ((10, 0), ValueError, "n_components is not valid: got 0"),
        ((10.0, 3), TypeError, "n_samples has the wrong type"),
    ],
)
def test_wrong_use_is_explained(arguments, error, message):
    with pytest.raises(error, match=message):
        chance_mcc(*arguments)


def test_level_is_a_probability():
    with pytest.raises(ValueError, match="level is not valid: got 1"):
        chance_mcc(10, 3, level=1)
