"""What has become of each axis: known rotations, mergers and splits, and intervals that hold what they say."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from identirep.comparing.axes import _interval, pair_axes

_SEEDS = range(20)


def _latents(seed, n=300, D=5):
    """Axes of different laws, none of them normal but the first."""
    rng = np.random.default_rng(seed)
    laws = (rng.normal, rng.laplace, rng.exponential, rng.uniform, rng.logistic)
    return np.column_stack([laws[i % 5](size=n) for i in range(D)]), rng


def _noise(Z, rng, share):
    """Add noise of that share of the variance."""
    return Z + np.sqrt(share) * Z.std(axis=0) * rng.normal(size=Z.shape)


def _turned(Z, angle, i=0, j=1):
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    W = Z.copy()
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    W[:, [i, j]] = np.column_stack([c * Z[:, i] + s * Z[:, j], -s * Z[:, i] + c * Z[:, j]])
    return Z, W


@pytest.mark.parametrize("seed", _SEEDS)
def test_order_sign_scale_and_origin_keep_axes(seed):
    Z, rng = _latents(seed)
    order, sign = rng.permutation(5), rng.choice([-1.0, 1.0], 5)
    W = _noise(Z[:, order] * sign * rng.uniform(0.1, 10, 5) + rng.normal(size=5), rng, 0.05)
    found = pair_axes(Z, W)
    assert found.verdict == found.new_verdict == ("kept",) * 5
    np.testing.assert_array_equal(order[found.partner], range(5))
    np.testing.assert_array_equal(found.sign, sign[found.partner])
    assert [int(j) for (j,) in found.of] == found.partner.tolist()
    assert [order[j] for j in range(5)] == [i for (i,) in found.new_of]


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_turn_of_two_axes(seed):
    Z, rng = _latents(seed)
    Z, W = _turned(Z, 45)
    order = rng.permutation(5)
    found = pair_axes(Z, _noise(W[:, order], rng, 0.03))
    place = {int(i): j for j, i in enumerate(order)}
    assert found.verdict == ("turned", "turned", "kept", "kept", "kept")
    assert found.of[0] == found.of[1] == tuple(sorted((place[0], place[1])))
    assert [found.new_verdict[place[i]] for i in range(5)] == ["turned", "turned", "kept", "kept", "kept"]
    assert found.new_of[place[0]] == (0, 1)


@pytest.mark.parametrize(("angle", "verdict"), [(0, "kept"), (15, "kept"), (35, "turned"), (60, "kept"), (85, "kept")])
def test_small_turns_keep_axes(angle, verdict):
    # Turned by more than half a right angle the two have changed places: 60 degrees are 30 degrees, 0.87.
    for seed in _SEEDS:
        Z, _ = _latents(seed, n=2000)
        found = pair_axes(*_turned(Z, angle))
        expected = "turned" if min(angle, 90 - angle) > 26 else "kept"
        assert found.verdict[:2] == (expected,) * 2
        if angle != 60:
            assert verdict == expected


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_turn_of_all_axes(seed):
    Z, _ = _latents(seed, n=500)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    found = pair_axes(Z, Z @ ortho_group.rvs(5, random_state=seed))
    assert set(found.verdict) <= {"turned", "kept"}
    assert found.verdict.count("turned") >= 3
    np.testing.assert_allclose(found.carried, 1.0)


@pytest.mark.parametrize("seed", _SEEDS)
def test_two_axes_that_merge(seed):
    Z, rng = _latents(seed)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    W = np.column_stack([Z[:, 2], Z[:, 0] + Z[:, 1], Z[:, 3], Z[:, 4]])
    found = pair_axes(Z, _noise(W, rng, 0.03))
    assert found.verdict == ("merged", "merged", "kept", "kept", "kept")
    assert found.of == ((1,), (1,), (0,), (2,), (3,))
    assert found.new_verdict == ("kept", "merged", "kept", "kept")
    assert found.new_of[1] == (0, 1)


@pytest.mark.parametrize("seed", _SEEDS)
def test_an_axis_that_splits(seed):
    Z, rng = _latents(seed)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    old = np.column_stack([Z[:, 2], Z[:, 0] + Z[:, 1], Z[:, 3], Z[:, 4]])
    found = pair_axes(_noise(old, rng, 0.03), Z)
    assert found.verdict == ("kept", "split", "kept", "kept")
    assert found.of[1] == (0, 1)
    assert found.new_verdict == ("split", "split", "kept", "kept", "kept")
    assert found.new_of[0] == found.new_of[1] == (1,)


@pytest.mark.parametrize("seed", _SEEDS)
def test_axes_that_are_lost_and_new(seed):
    Z, rng = _latents(seed, D=5)
    found = pair_axes(Z[:, :4], np.column_stack([Z[:, [3, 1, 0]], rng.normal(size=300), Z[:, 4]]))
    assert found.verdict == ("kept", "kept", "lost", "kept")
    assert found.of[2] == ()
    assert found.new_verdict == ("kept", "kept", "kept", "new", "new")
    assert found.new_of[3:] == ((), ())


@pytest.mark.parametrize("seed", _SEEDS)
def test_all_at_once(seed):
    Z, rng = _latents(seed, n=600, D=9)
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    old = np.column_stack([Z[:, 0], Z[:, 1], Z[:, 2], Z[:, 3] + Z[:, 4], Z[:, 5], Z[:, 6], Z[:, 7]])
    new = np.column_stack([(Z[:, 0] + Z[:, 1]), (Z[:, 0] - Z[:, 1]), -Z[:, 2], Z[:, 3], Z[:, 4], Z[:, 5] + Z[:, 6]])
    new = np.column_stack([new, Z[:, 8]])
    found = pair_axes(old, _noise(new, rng, 0.02))
    assert found.verdict == ("turned", "turned", "kept", "split", "merged", "merged", "lost")
    assert found.new_verdict == ("turned", "turned", "kept", "split", "split", "merged", "new")
    assert found.of == ((0, 1), (0, 1), (2,), (3, 4), (5,), (5,), ())


def test_nothing_is_kept_by_chance():
    # Least rows, most axes: chance must not make partners, nor mixtures.
    for seed in range(50):
        rng = np.random.default_rng(seed)
        found = pair_axes(rng.normal(size=(60, 20)), rng.normal(size=(60, 20)))
        assert set(found.verdict) == {"lost"}
        assert set(found.new_verdict) == {"new"}


def test_constant_axes_are_lost():
    Z, _ = _latents(0)
    found = pair_axes(np.column_stack([Z, np.ones(300)]), Z)
    assert found.verdict == ("kept",) * 5 + ("lost",)
    assert found.partner[5] == -1
    assert np.isnan(found.interval[5]).all()


@pytest.mark.parametrize("r", [0.0, 0.7, 0.95, 0.99])
@pytest.mark.parametrize("law", ["normal", "laplace", "exponential", "uniform"])
def test_intervals_hold_the_correlation_as_often_as_they_say(r, law):
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        draw = getattr(rng, law)
        x = draw(size=200)
        x = (x - {"exponential": 1.0, "uniform": 0.5}.get(law, 0.0)) / {"laplace": 2**0.5, "uniform": 12**-0.5}.get(
            law, 1.0
        )
        low, high = _interval(x, r * x + np.sqrt(1 - r**2) * rng.normal(size=200), None, 0.9)
        held += low <= r <= high
    assert 0.85 <= held / 300 <= 0.99, held / 300


@pytest.mark.parametrize("n", [50, 100])
@pytest.mark.parametrize("law", ["exponential", "t"])
def test_intervals_hold_correlations_of_few_rows_with_heavy_tails(n, law):
    held, r = 0, 0.95
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x, e = rng.standard_t(5, size=(2, n)) * 0.6**0.5 if law == "t" else rng.exponential(size=(2, n)) - 1.0
        low, high = _interval(x, r * x + np.sqrt(1 - r**2) * e, None, 0.9)
        held += low <= r <= high
    assert 0.88 <= held / 400 <= 0.96, held / 400


def test_intervals_of_normal_rows_are_no_wider_than_those_of_fisher():
    width = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, e = rng.normal(size=(2, 200))
        low, high = np.arctanh(_interval(x, 0.8 * x + 0.6 * e, None, 0.9))
        width.append((high - low) / (2.0 * 1.645 / np.sqrt(197)))
    assert 1.0 <= np.median(width) < 1.08


def test_an_axis_that_a_single_row_makes_has_a_wide_interval():
    x = np.zeros(100)
    x[0] = 1.0
    low, high = _interval(x, x + 0.01 * np.random.default_rng(0).normal(size=100), None, 0.9)
    assert low < 0.0 < 0.9 < high


def test_rows_that_know_of_each_other_count_once():
    held = {"together": 0, "apart": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, e = rng.normal(size=(2, 50))
        groups = np.repeat(np.arange(50), 6)
        x, y = x[groups], (0.8 * x + 0.6 * e)[groups]
        for name, given in (("together", groups), ("apart", None)):
            low, high = _interval(x, y, given, 0.9)
            held[name] += low <= 0.8 <= high
    assert held["together"] >= 170 > 130 >= held["apart"], held
