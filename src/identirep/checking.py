r"""Does what a fit says come back? Both stages are fitted again to disjoint halves of the rows, and compared.

A share of the rows is held out from both halves; on these the latents of the fit, and those of both halves, are
matched axis by axis (assignment by absolute correlation, learnt and scored on different rows). Halves see fewer rows,
and their correlation is carried over to as many as the fit had (`extrapolated`). A half has half of the replicates of
the network, too, over which errors average in the same way. There are two estimates of the loss 1 - c of an axis:
between the halves, and between the fit and each half, which tells if the fit is in another optimum. The likely loss is
the geometric mean of the second, the lower end of the interval starts from the larger of both; and since one pair of
halves says little of a single axis, axes better than the others of the fit are drawn towards them.

Nearly tied optima of stage two turn several axes at once, and one pair of halves falls into one of them or the other.
How often that happens is told by refits of stage two alone, on heads that are disturbed as rows disturb them: the
difference of the halves' heads, less its best common linear map (which only mixes features), with a random sign for
each task. With rows of their own, tasks mix the halves of their rows instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import effective_number
from identirep.canonical_analysis import column_correlations
from identirep.label_sides import Labels
from identirep.losses_of_halves import kinship, losses, of_fits
from identirep.metrics import mcc
from identirep.mtlcm import (
    MTLCM,
    TURNED,
    ComesBack,
    check_rows,
    cut_agreement,
    disturbed_agreement,
    extrapolated,
    whitened_heads,
)
from identirep.mtrn import MTRN, PredictiveFeatures, feature_moments, replicate_groups
from identirep.row_weights import effective_numbers
from identirep.splits import halves, row_hashes, split_rows, two_sides
from identirep.validation import TaskData
from identirep.wording import short

__all__ = ["Fitted", "check_fit"]

# Share of rows held out from both halves; more, up to the second share, until there are so many.
_RESERVE, _MOST_RESERVE, _ENOUGH_RESERVE = 0.15, 0.3, 100
# Rows that each half needs, and labels of each task in it.
_LEAST_ROWS, _LEAST_LABELS = 12, 3
# Share of the tasks that may have fewer.
_MOST_LEFT_OUT = 0.5
# Standard deviations of the logarithm of actual over predicted loss with one pair of halves, upwards from the larger
# estimate and downwards from the likely one, measured on tables of 60 to 7,000 rows with networks, trees and linear
# regressions.
_LOG_ERROR = np.array([0.4, 1.0])
# Refits of stage two to disturbed heads: enough for a chance that only counts from a quarter on, for any regressor.
_REFITS = {"most_draws": 10, "n_rotations": 4}
# Mean squared sine of the angle between the cuts of two fits from which it is as likely as not that they differ.
_CUT_MIXES = 0.5
# Quantile of the normal distribution for an interval of 90%.
_QUANTILE = 1.645


@dataclass(frozen=True)
class Fitted:
    """Both fitted stages and what they were fitted to, groups numbered from 0."""

    stage: MTRN | PredictiveFeatures
    model: MTLCM
    data: TaskData
    groups: IntArray | None

    def latents(self, rows: BoolArray) -> Array:
        """Return latents of rows of the fit, where possible as a regressor gives them that has not seen the row."""
        H = self.stage._reduce(self.data.X[rows])
        if isinstance(self.stage, PredictiveFeatures):
            unseen = (self.stage._unseen[rows] - self.stage.mean_) @ self.stage.components_.T
            H = np.where(np.isnan(unseen), H, unseen)
        return self.model._map(H)

    def base_features(self) -> tuple[Array, BoolArray]:
        """Return all features of the rows of the fit, as `latents` does those that count, and which rows are unseen."""
        F = np.asarray(self.stage._base_features(self.data.X), dtype=np.float64)
        if not isinstance(self.stage, PredictiveFeatures):
            return F, np.ones(len(F), dtype=bool)
        known = np.asarray(~np.isnan(self.stage._unseen).any(axis=1))
        return np.where(known[:, None], self.stage._unseen, F), known

    def of_others(self, X: NDArray[Any]) -> Array:
        """Return latents of rows that this was not fitted to."""
        return self.model._map(self.stage._reduce(X))


# Fits both stages to some rows, with a seed; with True a variant that costs less and differs by its seed alone.
Refit = Callable[[BoolArray, int, bool], Fitted]


def check_fit(
    fit: Fitted, refit: Refit, n_checks: int, rng: np.random.Generator, say: Callable[[str], None]
) -> ComesBack:
    """Fit again to halves of the rows, `n_checks` fits in all, and say of each axis how far it comes back."""
    reserve, D = _reserve(fit, rng), fit.stage.n_components_
    try:
        pairs = [_halves(fit, reserve, rng) for _ in range(n_checks // 2)]
        folds = _folds(fit, reserve, rng)
    except ValueError as error:
        got = str(error).split(". ")[0]
        return ComesBack.unknown(D, f"the rows do not part into halves ({got}): add rows")
    if (fault := _too_few(fit.data, pairs)) is not None:
        return ComesBack.unknown(D, f"too few rows to fit again to halves of them ({fault}): add rows")
    fits: list[tuple[Fitted, Fitted]] = []
    with warnings.catch_warnings():
        # What is to be said of the data the fit itself has said.
        warnings.simplefilter("ignore")
        try:
            for k, pair in enumerate(pairs):
                seeds = rng.integers(2**31, size=2).tolist()
                halves = []
                for i, (rows, seed) in enumerate(zip(pair, seeds, strict=True)):
                    say(f"Check {2 * k + i + 1} of {n_checks}: a fit to {int(rows.sum()):,} of the rows")
                    halves.append(refit(rows, seed, False))
                fits.append((halves[0], halves[1]))
            same = _same_rows(fit, fits[0][0], pairs[0][0], reserve, refit, rng)
        except (ValueError, RuntimeError) as error:
            got = str(error).split(". ")[0]
            return ComesBack.unknown(D, f"halves of the rows could not be fitted again ({got}): add rows")
    share = _share(fit.stage, pairs)
    between, to_halves = _agreement(fit, fits, reserve, folds)
    between = extrapolated(between, share)
    to_halves = extrapolated(to_halves, of_fits(share, *kinship(fit.stage, fit.groups, between, same)))
    likely, largest = losses(between, to_halves)
    n_pairs = len(fits)
    spread = np.sqrt(_LOG_ERROR**2 * (1.0 + 1.0 / n_pairs) / 2.0 + 4.0 / _effective(fit.data, reserve))
    interval = np.stack([1.0 - largest * np.exp(_QUANTILE * spread[0]), 1.0 - likely * np.exp(-_QUANTILE * spread[1])])
    same = np.clip(same - _held_out(fit.stage) * likely, 0.0, 1.0)
    # Disturbed heads and redrawn cuts err on the side of turns; fits to halves that do not turn say so, and count as
    # much. Few targets have no heads to disturb.
    disturbed, cut = _turns(fit, fits, rng), _cut_turns(fit, fits, share, rng)
    seen = np.mean(to_halves < TURNED, axis=0)
    turns = 0.5 * (np.maximum(np.where(np.isnan(disturbed), seen, disturbed), cut) + seen)
    return ComesBack(
        same,
        1.0 - likely,
        np.clip(interval.T, 0.0, 1.0),
        turns,
        f"measured on {2 * n_pairs} fits to halves of the rows",
    )


def _share(stage: MTRN | PredictiveFeatures, pairs: list[tuple[BoolArray, BoolArray]]) -> float:
    """Share of the rows that a half has, by which errors fall; 1 for a single network, half of which there is not.

    Its own part of the errors is the same in a half, and how large that is nobody knows, so that nothing is taken off.
    """
    if isinstance(stage, MTRN) and stage.n_replicates == 1:
        return 1.0
    return float(np.mean([rows.mean() for pair in pairs for rows in pair]))


def _held_out(stage: MTRN | PredictiveFeatures) -> float:
    """Share of the rows that another seed holds out from training, and so differs in like a fit to other rows."""
    return stage.validation_fraction if isinstance(stage, MTRN) else 0.0


def _reserve(fit: Fitted, rng: np.random.Generator) -> BoolArray:
    """Choose rows that no half is fitted to: those that the network of the fit was not trained on, and more if few."""
    tasks, order, n = fit.data.task_index, fit.data.order, len(fit.data.X)
    if isinstance(fit.stage, MTRN) and order is None:
        reserve = fit.stage._held_out.copy()
    else:
        share = fit.stage.validation_fraction if isinstance(fit.stage, MTRN) else _RESERVE
        reserve = two_sides(n, share, rng, groups=fit.groups, tasks=tasks, order=order)[1]
    missing = min(_ENOUGH_RESERVE, _MOST_RESERVE * n) - reserve.sum()
    # With an order, rows held out are the last ones.
    if missing > 0 and order is None:
        others = ~reserve
        groups, of_rows = (None if of is None else of[others] for of in (fit.groups, tasks))
        share = float(missing / others.sum())
        reserve[others] = split_rows(int(others.sum()), share, rng, groups=groups, tasks=of_rows)
    return reserve


def _halves(fit: Fitted, reserve: BoolArray, rng: np.random.Generator) -> tuple[BoolArray, BoolArray]:
    """Split the rows that are not held out in two, as `halves` does; with an order some near a cut are in neither."""
    others = ~reserve
    groups, tasks, order = (
        None if of is None else of[others] for of in (fit.groups, fit.data.task_index, fit.data.order)
    )
    first, second = np.zeros_like(reserve), np.zeros_like(reserve)
    data, least = fit.data, (_LEAST_LABELS, _LEAST_LABELS)
    labels = Labels(data.targets, data.task_index, least, trains=False, weights=data.weights).of(others)
    sides = halves(int(others.sum()), rng, groups=groups, tasks=tasks, order=order, labels=labels)
    first[others], second[others] = sides
    return first, second


def _too_few(data: TaskData, pairs: list[tuple[BoolArray, BoolArray]]) -> str | None:
    """Say what is missing for a fit to each half, None if nothing is."""
    rows = min(_effective(data, half) for pair in pairs for half in pair)
    if rows < _LEAST_ROWS:
        return f"{rows:.3g} in a half, at least {_LEAST_ROWS} are needed"
    for half in (half for pair in pairs for half in pair):
        counts = _labels(data.rows(half))
        # A few tasks less make no other axes: fits to halves leave out what has too few labels there.
        if np.mean(counts < _LEAST_LABELS) > _MOST_LEFT_OUT:
            task = short(repr(data.task_names[int(counts.argmin())]))
            return f"task {task} has {counts.min():.3g} in a half, at least {_LEAST_LABELS} are needed"
    return None


def _effective(data: TaskData, rows: BoolArray) -> float:
    """Number of the rows, those with equal inputs once, since one of them tells all; effective where rows weigh."""
    _, index = np.unique(row_hashes(data.X[rows]), return_inverse=True)
    weights = None if data.weights is None else data.weights[rows]
    return float(index.max(initial=-1) + 1) if weights is None else effective_number(np.bincount(index, weights))


def _labels(data: TaskData) -> Array:
    """Number of labels of each task; effective where rows have weights."""
    if data.weights is None:
        weights = np.ones(len(data.X))
    else:
        weights = data.weights
    if data.task_index is not None:
        return effective_numbers(weights, data.task_index, data.n_tasks)
    return np.array([effective_number(weights[~np.isnan(column)]) for column in data.targets.T])


def _folds(fit: Fitted, reserve: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Split the rows held out in two: partners are learnt on one and scored on the other, in turn."""
    groups = None if fit.groups is None else fit.groups[reserve]
    learn = split_rows(int(reserve.sum()), 0.5, rng, groups=groups)
    if learn.all() or not learn.any():
        raise ValueError("rows held out from both are of one group")
    return learn


def _agreement(
    fit: Fitted, fits: list[tuple[Fitted, Fitted]], reserve: BoolArray, folds: BoolArray
) -> tuple[Array, Array]:
    """Correlation of the partners of each axis between two halves, (n_pairs, D), and of the axis with each, (n, D)."""
    Z, weights = fit.latents(reserve), fit.data.rows(reserve).weights
    between, to_halves = [], []
    for pair in fits:
        others = [half.of_others(fit.data.X[reserve]) for half in pair]
        scores = []
        for learn in (folds, ~folds):
            first, second = (_partners(Z, W, learn, weights)[~learn] for W in others)
            own, w = Z[~learn], None if weights is None else weights[~learn]
            sides = ((first, second), (own, first), (own, second))
            scores.append([column_correlations(*pair_of, weights=w) for pair_of in sides])
        found = np.mean(scores, axis=0)
        between.append(found[0])
        to_halves += [found[1], found[2]]
    return np.array(between), np.array(to_halves)


def _partners(Z: Array, others: Array, learn: BoolArray, weights: Array | None) -> Array:
    """Latents of another fit in the order and with the signs of `Z`, as learnt on some of the rows."""
    found = mcc(Z[learn], others[learn], sample_weight=None if weights is None else weights[learn])
    return np.asarray(others[:, found.assignment] * found.signs)


def _same_rows(
    fit: Fitted, half: Fitted, rows: BoolArray, reserve: BoolArray, refit: Refit, rng: np.random.Generator
) -> Array:
    """Correlation to expect of each axis with another seed on the same rows, shape (D,).

    Of a network two groups of the replicates, whose errors fall as one over their number; of another regressor the
    first half fitted again, which says what a fit to fewer rows depends on its seed.
    """
    Z = fit.latents(reserve)
    if isinstance(fit.stage, MTRN):
        groups = replicate_groups(fit.stage, fit.data, fit.groups, reserve)
        if not groups:
            return np.full(Z.shape[1], np.nan)
        pair = []
        for H, moments in groups:
            model = clone(fit.model).set_params(random_state=int(rng.integers(2**31)))
            pair.append(model.fit_moments(moments).transform(H))
        share = (fit.stage.n_replicates // 2) / fit.stage.n_replicates
    else:
        again = refit(rows, int(rng.integers(2**31)), True)
        pair = [other.of_others(fit.data.X[reserve]) for other in (half, again)]
        # Seeds matter less with more rows, as rows do.
        share = float(rows.mean())
    everywhere = np.ones(len(Z), dtype=bool)
    weights = fit.data.rows(reserve).weights
    first, second = (_partners(Z, other, everywhere, weights) for other in pair)
    found = column_correlations(first, second, weights=weights)
    return extrapolated(found, share)


def _turns(fit: Fitted, fits: list[tuple[Fitted, Fitted]], rng: np.random.Generator) -> Array:
    """How often stage two turns an axis if heads are disturbed as other rows do, NaN where that is unknown, (D,)."""
    moments, model, data = fit.stage.moments_, fit.model, fit.data
    T, D = moments.n_tasks, moments.n_features
    causal = model.posterior_.best if model.prior == "exact" else np.zeros((T, D), dtype=bool)
    if data.task_index is not None:
        # Tasks too small for halves of their own.
        many = np.flatnonzero(moments.n_samples >= 2 * _LEAST_LABELS)
        half = split_rows(len(data.X), 0.5, rng, tasks=data.task_index)
        part = data.rows(half)
        own = feature_moments(fit.stage._reduce(part.X), part.targets, part.task_index, T, part.weights)
        # Halves of as many rows, which with weights may count for fewer.
        many = many[np.minimum(own.n_samples, moments._without(own).n_samples)[many] >= _LEAST_LABELS]
        halves = (own.select_tasks(many),)
        return check_rows(model.fit_, moments.select_tasks(many), causal[many], halves, rng).turn_probability
    if not moments.is_shared or not all(half.stage.moments_.is_shared for pair in fits for half in pair):
        return np.full(D, np.nan)
    whole = _heads(fit)
    found = []
    for pair in fits:
        # Refits name the tasks by their place among those of the fit; each may have left out some.
        places = [np.array(half.stage.task_names_, dtype=np.int64) for half in pair]
        common = np.intersect1d(places[0], places[1])
        n = len(common)
        if n <= D + 2:
            return np.full(D, np.nan)
        heads = [_heads(half)[np.isin(own, common)] for half, own in zip(pair, places, strict=True)]
        mapped = [L @ np.linalg.lstsq(L, whole[common], rcond=None)[0] for L in heads]
        share = np.mean([len(half.data.X) for half in pair]) / len(data.X)
        # Maps fitted to so many heads take up D of them.
        delta = np.zeros_like(whole)
        delta[common] = (mapped[0] - mapped[1]) * np.sqrt(share * n / (n - D))
        found.append(disturbed_agreement(model.fit_, moments, causal, delta, rng, **_REFITS))
    return np.asarray(np.mean(np.concatenate(found) < TURNED, axis=0))


def _cut_turns(fit: Fitted, fits: list[tuple[Fitted, Fitted]], share: float, rng: np.random.Generator) -> Array:
    """How often an axis turns as fits of networks to other rows keep other directions, 0 where the cut is clear, (D,).

    Whether it is clear the halves tell as well as the fit, once their errors are those of fits to all rows. They may
    have the same directions by luck.
    """
    D, all_fits = fit.stage.n_components_, [fit, *(half for pair in fits for half in pair)]
    if not isinstance(fit.stage, MTRN) or not all(other.stage.moments_.is_shared for other in all_fits):
        return np.zeros(D)
    shares = [1.0 if other is fit else share for other in all_fits]
    spectra = [other.stage._directions[1] for other in all_fits]
    if np.mean([of.mixing_of(D, part) for of, part in zip(spectra, shares, strict=True)]) < _CUT_MIXES:
        return np.zeros(D)
    turned = []
    for other, part in zip(all_fits, shares, strict=True):
        reduction, spectrum = other.stage._directions
        model, moments = other.model, other.stage.moments_
        causal = model.posterior_.best if model.prior == "exact" else np.zeros((moments.n_tasks, D), dtype=bool)
        subspaces = spectrum.redrawn(D, _REFITS["most_draws"], rng, part)
        directions = reduction.direction_moments(moments)
        found = cut_agreement(model.fit_, directions, causal, subspaces, rng, _REFITS["n_rotations"])
        turned.append(np.mean(found < TURNED, axis=0))
    # Axes of the halves are others in number and order, not in kind.
    return np.asarray(0.5 * (turned[0] + np.mean(turned[1:])))


def _heads(fit: Fitted) -> Array:
    """Correlation of each target with the whitened features of a fit, shape (T, D)."""
    return whitened_heads(fit.stage.moments_, fit.stage.moments_)
