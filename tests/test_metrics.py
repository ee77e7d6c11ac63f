"""Metrics: invariances, known values, agreement with scikit-learn."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.cross_decomposition import CCA

from identirep.metrics import canonical_correlations, match_latents, mcc, mcc_score, stability, weak_mcc_score


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_mcc_is_one_under_permutation_sign_and_scale(rng, correlation):
    Z = rng.normal(size=(200, 5))
    order, scale = rng.permutation(5), rng.uniform(0.1, 10, size=5) * rng.choice([-1, 1], size=5)
    result = mcc(Z, Z[:, order] * scale + 3.0, correlation=correlation)
    assert result.score == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(order[result.assignment], np.arange(5))
    np.testing.assert_array_equal(result.signs, np.sign(scale)[result.assignment])


def test_mcc_is_not_one_under_rotation(rng):
    Z = rng.normal(size=(5000, 2))
    angle = np.pi / 4
    R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert mcc_score(Z, Z @ R) == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_mcc_matches_optimally_not_greedily():
    correlation = np.array([[0.9, 0.8], [0.85, 0.1]])
    result = match_latents(correlation)
    np.testing.assert_array_equal(result.assignment, [1, 0])
    assert result.score == pytest.approx(0.825)


def test_spearman_sees_monotone_maps_as_equal(rng):
    Z = rng.normal(size=(300, 3))
    assert mcc_score(Z, np.exp(3 * Z), correlation="spearman") == pytest.approx(1.0)
    assert mcc_score(Z, np.exp(3 * Z)) < 0.9
    expected = abs(spearmanr(Z[:, 0], Z[:, 1] + Z[:, 0])[0])
    assert mcc_score(Z[:, :1], (Z[:, 1] + Z[:, 0])[:, None], correlation="spearman") == pytest.approx(expected)


def test_mcc_with_fewer_partners_counts_the_unmatched_as_zero(rng):
    Z = rng.normal(size=(100, 3))
    result = mcc(Z, Z[:, [2, 0]])
    assert result.score == pytest.approx(2 / 3)
    np.testing.assert_array_equal(result.assignment, [1, -1, 0])


def test_constant_latent_has_correlation_zero(rng):
    Z = rng.normal(size=(100, 2))
    constant = np.c_[Z[:, 0], np.full(100, 1e6 + 0.1)]
    assert mcc(Z, constant).per_latent[1] == 0.0


def test_held_out_mcc_keeps_assignment_and_sign(rng):
    Z = rng.normal(size=(500, 2))
    noise = rng.normal(size=(500, 2))
    # On the second half the signs flip: a matching learnt on the first half must not adapt.
    flipped = np.r_[Z[:250], -Z[250:]]
    assert mcc_score(Z[:250], flipped[:250], held_out=(Z[250:], flipped[250:])) == pytest.approx(-1.0)
    # Many pure-noise candidates: in-sample matching looks better than it is.
    candidates = rng.normal(size=(500, 200))
    in_sample = mcc_score(noise[:30], candidates[:30])
    held_out = mcc_score(noise[:30], candidates[:30], held_out=(noise[30:], candidates[30:]))
    assert in_sample > 0.4
    assert abs(held_out) < 0.2


def test_canonical_correlations_equal_scikit_learn(rng):
    X = rng.normal(size=(2000, 4))
    Y = X @ rng.normal(size=(4, 3)) + rng.normal(size=(2000, 3))
    a, b = CCA(3, max_iter=20_000, tol=1e-14).fit(X, Y).transform(X, Y)
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(canonical_correlations(X, Y), expected, atol=1e-8)


@pytest.mark.parametrize("condition", [1.0, 1e8])
def test_weak_mcc_is_one_under_any_invertible_map(rng, condition):
    X = rng.normal(size=(500, 6))
    U, _, Vt = np.linalg.svd(rng.normal(size=(6, 6)))
    M = (U * np.geomspace(1, condition, 6)) @ Vt
    assert weak_mcc_score(X, X @ M + 5.0) == pytest.approx(1.0, abs=1e-6)
    assert canonical_correlations(X, X @ M).min() == pytest.approx(1.0, abs=1e-6)


def test_known_canonical_correlations(rng):
    X = rng.normal(size=(200_000, 2))
    Y = np.c_[0.8 * X[:, 0] + 0.6 * rng.normal(size=200_000), rng.normal(size=200_000)]
    np.testing.assert_allclose(canonical_correlations(X, Y), [0.8, 0.0], atol=0.01)


def test_held_out_canonical_correlations_of_noise_are_near_zero(rng):
    X, Y = rng.normal(size=(400, 20)), rng.normal(size=(400, 20))
    in_sample = canonical_correlations(X[:100], Y[:100])[0]
    held_out = canonical_correlations(X[:100], Y[:100], held_out=(X[100:], Y[100:]))
    assert in_sample > 0.6
    assert np.abs(held_out).mean() < 0.15


def test_collinear_columns_count_once(rng):
    X = rng.normal(size=(300, 2))
    correlations = canonical_correlations(np.c_[X, X[:, 0] + X[:, 1]], np.c_[X, X[:, 0]])
    np.testing.assert_allclose(correlations, [1, 1, 0], atol=1e-10)


def test_weak_mcc_spearman(rng):
    X = rng.normal(size=(1000, 3))
    assert weak_mcc_score(X, X @ rng.normal(size=(3, 3)), correlation="spearman") == pytest.approx(1.0, abs=1e-9)


def _random_fits(seed, n_rows=400):
    """Two sets of latents, each on rows to learn from and on rows to score: correlated, disturbed, mixed."""
    rng = np.random.default_rng(seed)
    D = int(rng.integers(1, 9))
    true = rng.normal(size=(2 * n_rows, D)) + rng.uniform(0, 3) * rng.normal(size=(2 * n_rows, 1))
    mixing = np.eye(D) + rng.choice([0.0, rng.uniform()]) * rng.normal(size=(D, D))
    first, second = (Z + rng.uniform(0, 1.5, size=D) * rng.normal(size=Z.shape) for Z in (true, true @ mixing))
    return (first[:n_rows], second[:n_rows]), (first[n_rows:], second[n_rows:])


def test_strong_mcc_never_exceeds_the_weak_one():
    excess = []
    for seed in range(400):
        learn, score = _random_fits(seed)
        assert mcc_score(*learn) <= weak_mcc_score(*learn) + 1e-12
        excess.append(mcc_score(*learn, held_out=score) - weak_mcc_score(*learn, held_out=score))
    # On other rows up to what the coefficients of the maps have learnt by chance.
    assert max(excess) < 0.05
    assert np.mean(np.array(excess) > 0.01) < 0.02


def test_weak_mcc_of_latents_without_partner():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    assert weak_mcc_score(X, X[:, [2, 0]] @ [[1.0, 2.0], [-1.0, 1.0]]) == pytest.approx(1.0)
    assert mcc_score(X, X[:, :2]) <= weak_mcc_score(X, X[:, :2])


def test_linear_maps_are_learnt_on_the_first_rows_alone(rng):
    X, Y = rng.normal(size=(400, 20)), rng.normal(size=(400, 20))
    assert weak_mcc_score(X[:100], Y[:100]) > 0.3
    assert abs(weak_mcc_score(X[:100], Y[:100], held_out=(X[100:], Y[100:]))) < 0.1


def test_stability_of_several_fits(rng):
    Z = rng.normal(size=(1000, 3))
    noisy = Z[:, [1, 2, 0]].copy()
    noisy[:, 0] += 0.5 * rng.normal(size=1000)
    result = stability([Z, -Z, noisy])
    assert result.matrix[0, 1] == pytest.approx(1.0)
    expected = mcc(Z, noisy)
    assert result.matrix[0, 2] == pytest.approx(expected.score)
    assert result.worst == pytest.approx(expected.per_latent.min())
    assert result.score == pytest.approx((1 + 2 * expected.score) / 3)
    # The disturbed latent is column 1 of the first two fits and column 0 of the third.
    assert result.per_latent.argmin(axis=1).tolist() == [1, 1, 0]


def test_stability_on_held_out_rows(rng):
    Z = rng.normal(size=(100, 2))
    other = np.r_[Z[:50], rng.normal(size=(50, 2))]
    result = stability([Z[:50], other[:50]], held_out=[Z[50:], other[50:]])
    assert abs(result.score) < 0.4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda Z: mcc_score(Z, Z[:5]), "does not match: got shapes"),
        (lambda Z: mcc_score(Z[:, 0], Z), "Z1 is not a matrix: got shape"),
        (lambda Z: mcc_score(Z, Z, correlation="kendall"), "correlation is unknown: got 'kendall'"),
        (lambda Z: weak_mcc_score(Z, Z, correlation="x"), "correlation is unknown"),
        (lambda Z: mcc_score(Z, Z, held_out=(Z, Z[:3])), r"held_out\[1\] does not match"),
        (lambda Z: mcc_score(Z, Z, held_out=(Z, Z[:, :2])), "held_out has other columns than Z2: got 2"),
        (lambda Z: mcc_score(Z, Z, held_out=Z), "held_out is no pair: got ndarray"),
        (lambda Z: stability([Z]), "expected at least two fits"),
        (lambda Z: stability([Z, Z[:, :2]]), "expected at least two fits of one shape"),
        (lambda Z: stability([Z, Z], held_out=[Z]), "held_out has the wrong length"),
    ],
)
def test_bad_calls_say_what_is_wrong(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(rng.normal(size=(10, 3)))


@pytest.mark.parametrize("value", [3, np.float64(3.0), np.array(3.0), np.datetime64("2020-01-01"), None])
def test_fits_that_are_no_sequence_are_refused(rng, value):
    Z = rng.normal(size=(10, 3))
    with pytest.raises(TypeError, match=f"^Zs is no sequence: got {type(value).__name__}, expected one array"):
        stability(value)
    if value is not None:
        with pytest.raises(TypeError, match="held_out is no sequence"):
            stability([Z, Z], held_out=value)


def _all_metrics(X, Y, **options):
    """Every score of two sets of three variables, in one row of numbers."""
    held_out = options.get("held_out")
    parts = [canonical_correlations(X, Y, **options)]
    for correlation in ("pearson", "spearman"):
        parts += [
            mcc(X, Y, correlation=correlation, **options).per_latent,
            [weak_mcc_score(X, Y, correlation=correlation, **options)],
            stability([X, Y], correlation=correlation, held_out=held_out).per_latent.ravel(),
        ]
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e60, 1e68), (1e-60, 1e-52), (1e160, 0.0), (1e-310, 0.0), (5e307, 0.0), (1.0, -1e8)]
)
@pytest.mark.parametrize("held_out", [False, True])
def test_units_and_origins_change_no_metric(rng, scale, offset, held_out):
    X = rng.uniform(-1, 1, size=(300, 3))
    Y = X[:, [2, 0, 1]] + 0.5 * rng.uniform(-1, 1, size=(300, 3))
    units = np.array([1.0, scale, 1.0]), np.array([0.0, offset, 0.0])

    def moved(A):
        return units[0] * A + units[1]

    own, other = ({"held_out": (A[200:], B[200:])} if held_out else {} for A, B in ((X, Y), (moved(X), moved(Y))))
    expected = _all_metrics(X[:200], Y[:200], **own)
    with np.errstate(all="raise", under="ignore"):
        found = _all_metrics(moved(X)[:200], moved(Y)[:200], **other)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_rounding_residues_of_constants_correlate_with_nothing(rng, dtype, correlation):
    """The mean of 0.1 is not 0.1, and both sets would be left with the same constant."""
    first, second = np.full((200, 1), 0.1, dtype), np.full((200, 1), 0.3, dtype)
    wobbling = first * (1 + np.finfo(dtype).eps * rng.integers(-1, 2, size=(200, 1))).astype(dtype)
    noise = rng.normal(size=(200, 1)).astype(dtype)
    for a, b in ((first, second), (wobbling, wobbling), (wobbling, noise), (noise, first)):
        for held_out in (None, (a, b)):
            assert mcc_score(a, b, correlation=correlation, held_out=held_out) == 0.0
        for held_out in (None, (a, b), (noise, noise)):
            assert weak_mcc_score(a, b, correlation=correlation, held_out=held_out) == 0.0
            assert canonical_correlations(a, b, held_out=held_out)[0] == 0.0


def test_columns_collinear_up_to_their_rounding_count_once(rng):
    """Far from zero a sum of columns is rounded, and what is left is no direction."""
    X, Y = (rng.normal(size=(300, 2)) + 1e8 for _ in range(2))
    X, Y = (np.c_[A, (A[:, 0] - 1e8) / 3.0 + A[:, 1] + 0.1] for A in (X, Y))
    assert canonical_correlations(X, Y)[2] == 0.0
    np.testing.assert_allclose(canonical_correlations(X, X), [1.0, 1.0, 0.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(rng, bad):
    Z = rng.normal(size=(20, 3))
    faulty = Z.copy()
    faulty[5, 1] = bad
    calls = {
        "Z2": lambda: mcc_score(Z, faulty),
        "Z1": lambda: mcc(faulty, Z),
        "X": lambda: canonical_correlations(faulty, Z),
        "Y": lambda: weak_mcc_score(Z, faulty),
        r"Zs\[1\]": lambda: stability([Z, faulty]),
        r"held_out\[0\]": lambda: mcc_score(Z, Z, held_out=(faulty, Z)),
        r"held_out\[1\]": lambda: weak_mcc_score(Z, Z, held_out=(Z, faulty)),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"{name} contains 1 non-finite values: got .* index 5, column 1"):
            call()
    with pytest.raises(ValueError, match="correlation contains 1 non-finite values"):
        match_latents([[np.inf, 0.0], [0.0, 1.0]])
    masked = np.ma.MaskedArray(Z, mask=np.isnan(faulty) | np.isinf(faulty))
    with pytest.raises(ValueError, match="Z1 contains 1 non-finite values"):
        mcc_score(masked, Z)


@pytest.mark.parametrize(
    "values", ["text", 5, None, {"a": 1}, [[1.0, 2.0], [3.0]], [["a", "b"], ["c", "d"]], np.ones((4, 2)) * 1j]
)
@pytest.mark.parametrize("metric", [mcc, weak_mcc_score, canonical_correlations])
def test_what_is_no_matrix_of_numbers_is_refused_in_our_words(metric, values):
    with pytest.raises(ValueError, match=r"is (not numeric|not a matrix|missing|no array): got .* expected"):
        metric(values, np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"is (not numeric|not a matrix|missing|no array): got .*expected"):
        match_latents(values)


def test_sets_without_latents_agree_in_nothing():
    few, none = np.random.default_rng(0).normal(size=(5, 2)), np.empty((5, 0))
    assert mcc(none, none, held_out=(none, none)).score == 0.0
    assert mcc(few, none, held_out=(few, none)).score == 0.0
    assert (stability([none, none]).score, stability([none, none]).worst) == (0.0, 0.0)
    with pytest.raises(TypeError, match=r"Zs is no sequence: got int, expected one array for each fit"):
        stability(5)
