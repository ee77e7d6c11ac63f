"""The spectrum: how many directions have signal on held-out rows, which chance does not, and where a cut comes back."""

from itertools import combinations

import numpy as np
import pytest

from identirep import TaskMoments
from identirep.metrics import canonical_correlations
from identirep.mtrn.reduction import HeldOut, Reduction, linear_heads, reduce_features
from identirep.mtrn.sides import feature_moments
from identirep.mtrn.spectrum import FEW_PERMUTATIONS, PERMUTATIONS, _Blocks, predictive_spectrum


def _wide(n=600, D=3, K=8, T=30, noise=0.5, seed=0):
    """Draw K features of which D directions matter to T targets."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(n, K))
    F, Z = U @ rng.normal(size=(K, K)) + 5.0, U[:, :D]
    return F, Z, Z @ rng.normal(size=(D, T)) + noise * rng.normal(size=(n, T))


def _long(n=40, T=60, D=3, K=6, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(T), n)
    F = rng.normal(size=(n * T, K))
    w = rng.normal(size=(T, D))
    return F, (F[:, :D] * w[index]).sum(axis=1) + noise * rng.normal(size=n * T), index


def _spectrum(trained, held_out, seed=0, groups=None):
    (F, Y, index), (G, V, other) = trained, held_out
    n_tasks = Y.shape[1] if index is None else int(index.max()) + 1
    moments = feature_moments(F, Y, index, n_tasks)
    heads = linear_heads(moments)
    reduction = reduce_features(moments, heads.coef, heads.noise)
    return predictive_spectrum(
        reduction, HeldOut(G, V, other, groups), np.random.default_rng(seed), int(moments.n_samples.sum())
    )


@pytest.mark.parametrize("seed", range(3))
def test_spectrum_counts_directions(seed):
    F, _, Y = _wide(seed=seed)
    spectrum = _spectrum((F[:400], Y[:400], None), (F[400:], Y[400:], None))
    assert spectrum.n_components == 3
    F, y, index = _long(seed=seed)
    rest = np.arange(len(y)) % 5 > 0
    assert _spectrum((F[rest], y[rest], index[rest]), (F[~rest], y[~rest], index[~rest])).n_components == 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weak", [0.0, 0.3])
def test_what_leaks_from_a_strong_direction_is_none(seed, weak):
    # The encoder knows the first latent by two curves, whose best combination depends on where a task has its inputs:
    # a second direction of the same latent is significant, but not one of the targets.
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(60), 500)
    Z = rng.normal(size=(30_000, 2)) + rng.normal(size=(60, 2))[index]
    w = rng.choice([-1.0, 1.0], size=(60, 2)) * np.array([1.0, weak])
    y = (Z * w[index]).sum(axis=1) + 0.3 * rng.normal(size=30_000)
    F = np.column_stack([Z[:, 0] + 0.3 * np.sin(2 * Z[:, 0]), np.sin(2 * Z[:, 0] + 1), Z[:, 1]])
    rest = np.arange(30_000) % 5 > 0
    spectrum = _spectrum((F[rest], y[rest], index[rest]), (F[~rest], y[~rest], index[~rest]), seed=seed)
    # A weak direction with a tenth of the signal counts.
    assert spectrum.n_components == 1 + (weak > 0)


@pytest.mark.parametrize("seed", range(3))
def test_targets_that_are_almost_exact_do_not_decide_alone(seed):
    # Three quantities that many targets depend on, and one of which a single target is a copy.
    rng = np.random.default_rng(seed)
    F = rng.normal(size=(600, 4))
    Y = F[:, :3] @ rng.normal(size=(3, 60)) + 0.3 * rng.normal(size=(600, 60))
    Y[:, 0] = F[:, 3]
    moments = TaskMoments.from_arrays(F, Y)
    coef, noise = linear_heads(moments).coef, linear_heads(moments).noise
    found = []
    for residual in (1e-4, 1e-8):
        noise[0] = residual * moments.var_y[0]
        reduction = reduce_features(moments, coef, noise)
        found.append((F - reduction.mean) @ reduction.components[:3].T)
    # The many come first, whatever the residual of the one is taken for.
    assert canonical_correlations(found[0], F[:, :3]).min() > 0.9
    assert canonical_correlations(*found).min() > 0.999
    # No target counts more than one with a hundredth of its variance as noise.
    spectrum = _spectrum((F[:400], Y[:400, :1], None), (F[400:], Y[400:, :1], None))
    assert spectrum.values[0] == pytest.approx(100, rel=0.4)


def test_spectrum_is_the_signal_to_noise_ratio():
    F, Z, Y = _wide(n=20000, D=1, T=5, noise=1.0)
    spectrum = _spectrum((F[:10000], Y[:10000], None), (F[10000:], Y[10000:], None))
    weights = np.linalg.lstsq(Z, Y, rcond=None)[0][0]
    # Noise counts with another hundredth of the variance of the target.
    expected = np.mean(weights**2 * Z.var() / (1.0 + 0.01 * (1.0 + weights**2 * Z.var())))
    assert spectrum.values[0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_spectrum_finds_nothing_where_nothing_is(seed):
    rng = np.random.default_rng(seed)
    F, _, Y = _wide(n=120, K=30, T=40)
    Y = Y[rng.permutation(len(Y))]
    # In the rows of the heads the same targets seem to be explained.
    assert _spectrum((F[:80], Y[:80], None), (F[:80], Y[:80], None)).n_components > 0
    assert _spectrum((F[:80], Y[:80], None), (F[80:], Y[80:], None)).n_components == 0


def test_missing_labels_do_not_move_the_spectrum_of_the_others():
    F, _, Y = _wide()
    V = np.concatenate([Y, np.full((len(Y), 1), np.nan)], axis=1)
    V[:5, 30] = 1.0, 2.0, 3.0, 4.0, 5.0
    expected = _spectrum((F[:400], Y[:400], None), (F[400:], Y[400:], None)).values[:3]
    np.testing.assert_allclose(
        _spectrum((F[:400], V[:400], None), (F[400:], V[400:], None)).values[:3], expected, rtol=0.02
    )


def test_dependent_rows_are_no_signal():
    # One target that is constant in each of a few groups, and features that tell the groups apart: by row it looks
    # like signal, by group it is chance.
    rng = np.random.default_rng(0)
    found = {False: 0, True: 0}
    for _ in range(20):
        groups = np.repeat(np.arange(24), 25)
        F = rng.normal(size=(24, 3))[groups] + 0.1 * rng.normal(size=(600, 3))
        Y = rng.normal(size=(24, 2))[groups] + 0.1 * rng.normal(size=(600, 2))
        rest = groups < 12
        for known in (False, True):
            spectrum = _spectrum(
                (F[rest], Y[rest], None), (F[~rest], Y[~rest], None), groups=groups[~rest] if known else None
            )
            found[known] += spectrum.n_components > 0
    assert found[False] >= 5
    assert found[True] <= 2


def test_tasks_without_rows_have_no_say():
    F, y, index = _long()
    moments = feature_moments(F, y, index, 61)
    heads = linear_heads(moments)
    assert heads.coef[60].tolist() == [0.0] * 6
    reduction = reduce_features(moments, heads.coef, heads.noise)
    spectrum = predictive_spectrum(reduction, HeldOut(F, y, index, None), np.random.default_rng(0), len(y))
    assert np.isfinite(spectrum.values).all()


def _factors(strength, n=3000, T=60, noise=1.0, seed=0):
    """Draw standard normal features, and targets with heads of exactly these lengths, the same in all draws."""
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.normal(size=(T, len(strength))))[0] * np.sqrt(T * np.asarray(strength))
    rng = np.random.default_rng(seed + 1)
    F = rng.normal(size=(n, 12))
    return F, F[:, : len(strength)] @ W.T + noise * rng.normal(size=(n, T)), None


def _fit(data, groups=None, seed=0):
    F, Y, _ = data
    rest = np.arange(len(F)) % 4 > 0
    held_out = None if groups is None else groups[~rest]
    return _spectrum((F[rest], Y[rest], None), (F[~rest], Y[~rest], None), seed, held_out)


def test_cut_between_directions_of_the_same_signal_is_not_made():
    # The fourth is just above the resolution, the fifth at it: they are in or out together.
    fits = [_fit(_factors([1.0, 0.3, 0.1, 0.0205, 0.02], seed=seed)) for seed in range(8)]
    assert any(fit.n_signal == 4 and fit.mixing[3] > 0.9 for fit in fits)
    for fit in fits:
        assert fit.range == (3, 5)
        assert fit.mixing[fit.n_components - 1] < 0.5


def test_disjoint_rows_give_the_same_number_or_the_range_says_so():
    strength = [1.0, 0.4, 0.2, 0.1, 0.024, 0.02, 0.018, 0.012]
    fits = [_fit(_factors(strength, seed=seed)) for seed in range(8)]
    numbers = [fit.n_components for fit in fits]
    assert len(set(numbers)) > 1
    for a, b in combinations(fits, 2):
        inside = a.range[0] <= b.n_components <= a.range[1] or b.range[0] <= a.n_components <= b.range[1]
        assert abs(a.n_components - b.n_components) <= 1 or inside, (numbers, [fit.range for fit in fits])


def test_a_large_group_counts_once():
    # A composition that was measured two hundred times among others that were measured once.
    F, Y, _ = _factors([1.0, 0.3, 0.1], n=800)
    copies = np.r_[np.arange(200), np.full(200, np.abs(F[:200, 2]).argmax())]
    once = _spectrum((F[200:], Y[200:], None), (F[:200], Y[:200], None))
    often = _spectrum((F[200:], Y[200:], None), (F[copies], Y[copies], None), groups=copies)
    np.testing.assert_allclose(often.values, once.values)
    np.testing.assert_allclose(often.error, once.error)
    assert often.n_components == 3


def test_weak_directions_are_found_beside_strong_ones():
    # Each direction is tested by itself: the largest eigenvalue that chance gives to all directions is larger.
    F, Y, _ = _factors([1.0, 0.05, 0.04], n=800, noise=3.0)
    assert _fit((F, Y, None)).n_signal == 3


def test_directions_with_signal_come_first():
    # Heads of few rows take a memorised direction for a strong one.
    rng = np.random.default_rng(0)
    F, Y, _ = _factors([1.0, 0.5], n=400)
    moments = TaskMoments.from_arrays(F, Y)
    heads = linear_heads(moments)
    reduction = reduce_features(moments, heads.coef, heads.noise)
    shuffled = reduction.ordered(rng.permutation(len(reduction.components)))
    G, V, _ = _factors([1.0, 0.5], n=400, seed=1)
    for given in (reduction, shuffled):
        spectrum = predictive_spectrum(given, HeldOut(G, V, None, None), np.random.default_rng(0), 400 * 60)
        assert spectrum.n_signal == 2
        H = (G - given.mean) @ given.ordered(spectrum.order).components[:2].T
        assert canonical_correlations(H, G[:, :2]).min() > 0.95


def test_few_permutations_order_the_directions_as_many_do():
    F, Y, _ = _factors([1.0, 0.5, 0.2], n=800)
    rng = np.random.default_rng(0)
    moments = TaskMoments.from_arrays(F[200:], Y[200:])
    heads = linear_heads(moments)
    reduction = reduce_features(moments, heads.coef, heads.noise).ordered(rng.permutation(12))
    held_out = HeldOut(F[:200], Y[:200], None, None)
    few, many = (
        predictive_spectrum(reduction, held_out, np.random.default_rng(0), 600 * 60, n_permutations=n)
        for n in (FEW_PERMUTATIONS, PERMUTATIONS)
    )
    np.testing.assert_array_equal(few.order[:3], many.order[:3])
    assert few.n_signal == many.n_signal == 3


@pytest.mark.parametrize("n", [600, 4800])
def test_redrawn_directions_differ_as_those_of_fits_to_other_rows(n):
    def spectrum(seed):
        rng = np.random.default_rng(seed)
        F = rng.normal(size=(2 * n, 4))
        Y = F @ heads + 2.0 * rng.normal(size=(2 * n, 30))
        return _spectrum((F[:n], Y[:n], None), (F[n:], Y[n:], None))

    heads = np.linalg.qr(np.random.default_rng(9).normal(size=(30, 4)))[0].T * np.array([6.0, 4.0, 3.0, 1.0])[:, None]
    found = spectrum(0)
    drawn = found.redrawn(2, 50, np.random.default_rng(0))
    assert drawn.shape == (50, 2, 4)
    np.testing.assert_allclose(drawn @ drawn.transpose(0, 2, 1), np.broadcast_to(np.eye(2), (50, 2, 2)), atol=1e-10)
    # As near to the first two as can be: what remains inside is symmetric.
    np.testing.assert_allclose(drawn[:, :, :2], drawn[:, :, :2].transpose(0, 2, 1), atol=1e-10)
    outside = np.mean(np.linalg.norm(drawn[:, :, 2:], axis=2) ** 2, axis=0).max()
    assert outside == pytest.approx(found.mixing[1], rel=0.6)
    # Of a fit to a quarter of the rows: what fits to all of them would do.
    assert found.mixing_of(2, 1.0) == found.mixing[1]
    assert found.mixing_of(2, 0.25) == pytest.approx(0.25 * found.mixing[1])
    drawn = found.redrawn(2, 50, np.random.default_rng(0), 0.25)
    assert np.mean(np.linalg.norm(drawn[:, :, 2:], axis=2) ** 2, axis=0).max() == pytest.approx(0.25 * outside, rel=0.4)


@pytest.mark.parametrize("alike", [0.0, 0.8])
def test_few_groups_show_signal_and_chance_does_not(alike):
    found = np.zeros(2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(12), rng.integers(1, 9, 12))

        def draw(width, rng=rng, groups=groups):
            shared = rng.normal(size=(12, width))[groups]
            return np.sqrt(alike) * shared + np.sqrt(1.0 - alike) * rng.normal(size=(len(groups), width))

        W, F, Y = rng.normal(size=(8, 4)), draw(4), draw(8)
        reduction = Reduction(np.eye(4), np.zeros(4), W, np.ones(8))
        for i, targets in enumerate((Y, F @ W.T + Y)):
            spectrum = predictive_spectrum(reduction, HeldOut(F, targets, None, groups), rng, 400.0)
            found[i] += np.any(spectrum.values > spectrum.threshold)
    assert found[0] <= 3
    assert found[1] >= 54


def test_groups_get_the_rows_of_others_whole():
    groups = np.repeat(np.arange(4), [3, 3, 1, 5])
    blocks = _Blocks.of(groups)
    for seed in range(20):
        source = blocks.permuted(np.random.default_rng(seed))
        for g in range(4):
            own = source[groups == g]
            (other,) = set(groups[own])
            first = np.flatnonzero(groups == other)
            np.testing.assert_array_equal(own, first[np.arange(len(own)) % len(first)])
