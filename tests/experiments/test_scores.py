"""Agreement of fits: axes as they are, and what each has of its own."""

import numpy as np
import pytest

from identirep.experiments.scores import agreement


def _two_fits(shared, rng, n=4000):
    """Two noisy looks at the same latents, which share a direction with the given weight that is seen without noise."""
    common, own = rng.normal(size=(n, 1)), rng.normal(size=(n, 5))
    return [shared * common + own + 0.3 * rng.normal(size=own.shape) for _ in range(2)]


def _halves(Z):
    return Z[: len(Z) // 2], Z[len(Z) // 2 :]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_shared_direction_raises_the_mcc_and_not_that_of_decorrelated_latents(rng):
    apart = agreement(*(_halves(Z) for Z in _two_fits(0.0, rng)))
    together = agreement(*(_halves(Z) for Z in _two_fits(3.0, rng)))
    assert apart["mean_correlation"] < 0.05
    assert together["mean_correlation"] > 0.8
    assert together["mcc"] > apart["mcc"] + 0.05
    assert together["decorrelated_mcc"] < apart["decorrelated_mcc"] + 0.02
    assert apart["decorrelated_mcc"] == pytest.approx(apart["mcc"], abs=0.005)


def test_decorrelated_latents_do_not_depend_on_the_scale_and_shift_of_a_fit(rng):
    one, two = _two_fits(1.0, rng)
    as_is = agreement(_halves(one), _halves(two))
    scaled = agreement(_halves(one * np.array([1, 50, 1e-3, 2, 7]) + 4), _halves(two))
    assert scaled["decorrelated_mcc"] == pytest.approx(as_is["decorrelated_mcc"], abs=1e-10)
