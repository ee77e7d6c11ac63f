r"""Whether axes come back on other rows, features given: from the moments of two halves of the rows.

Let a and b be statistics of the halves of the rows of a task (covariances, correlations with a target), m their mean.
The error of m has half the variance of that of a or b, so that :math:`m \pm (a - b) / \sqrt 8` differ as much as the
statistics of two sets of as many rows as there are. Tasks with rows of their own are independent, so the sign is drawn
for each: one split of the rows is 2^T of them, all as good. Tasks on shared rows share one covariance, which hardly
moves the axes; what moves them are the correlations of features with targets, and these take signs in the same way.
There the fit itself is one of the two, the other at :math:`m \pm (a - b) / \sqrt 2`: pairs around m would end in
different optima as often as one of them is left. Where only moments of all rows are known, the parametric bootstrap of
rows takes the place of halves.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, latent_agreement
from identirep.mtlcm.trust.comes_back import TURNED, ComesBack
from identirep.mtlcm.trust.refits import bootstrap, refitted, refitted_to
from identirep.mtlcm.trust.some_tasks import on_some_tasks

__all__ = ["check_rows", "disturbed_agreement", "whitened_heads"]

_HALVES = "measured on two halves of the rows, features given"
_BOOTSTRAP = "by the parametric bootstrap of rows, features given"
_MOMENTS = f"{_BOOTSTRAP}, since no halves of the rows are known"
# Pairs that are drawn, fewer where one of them takes long (numbers touched in an iteration of its refit).
_N_DRAWS, _LEAST_DRAWS, _LARGE = 20, 3, 2e8
# Random starts on shared rows, where local optima are routine.
_N_ROTATIONS = 10
_LEVELS = (0.05, 0.95)
# Labelled rows that a task needs in each half.
_LEAST_ROWS = 3
# Share of its variance below which what a target has in a half is rounding.
_LEAST_VARIANCE = 1e-9
# Numbers drawn by the parametric bootstrap, about a second.
_WORK = 2e4
# A target explained without residual leaves no room for a disturbance.
_MOST_EXPLAINED = 0.9999


def check_rows(
    fit: LatentFit, moments: TaskMoments, causal: BoolArray, halves: tuple[TaskMoments, ...], rng: np.random.Generator
) -> ComesBack:
    """Measure how far the axes of a fit move from rows to rows, features given, by the moments of half of its rows.

    Those of the other half follow from them unless they are given, too.
    """
    if halves and np.array_equal(halves[0].group, moments.group):
        half = halves[0]
        rest = halves[1] if len(halves) > 1 else moments._without(half)
        if min(half.n_samples.min(), rest.n_samples.min()) >= _LEAST_ROWS:
            if moments._has_own_rows:
                sides = partial(_own_rows, half=half, rest=rest, rng=rng)
                return _of_agreement(on_some_tasks(sides, fit, moments, causal, rng), _HALVES)
            if moments.is_shared and _vary(moments, half, rest):
                delta = (whitened_heads(half, moments) - whitened_heads(rest, moments)) / np.sqrt(2.0)
                return _of_agreement(disturbed_agreement(fit, moments, causal, delta, rng), _HALVES)
    found = on_some_tasks(partial(_drawn_anew, rng=rng), fit, moments, causal, rng)
    # The refits differ from the fit, which stands for the truth: two fits differ from each other by twice as much.
    why = _BOOTSTRAP if halves else _MOMENTS
    return _of_agreement(np.maximum(1.0 - 2.0 * (1.0 - found), 0.0), why)


def _drawn_anew(
    fit: LatentFit, moments: TaskMoments, causal: BoolArray, _: IntArray, rng: np.random.Generator
) -> Array:
    """Agreement of refits to rows of the parametric bootstrap."""
    n_refits = int(np.clip(_WORK / moments.n_tasks, 2, _N_DRAWS))
    return bootstrap(fit, moments, causal, "samples", n_refits, rng).agreement


def _vary(moments: TaskMoments, *halves: TaskMoments) -> bool:
    """Tell whether all targets vary in halves of the rows: rare values may all be in one of them."""
    return all(bool((half.var_y > _LEAST_VARIANCE * moments.var_y).all()) for half in halves)


def _of_agreement(draws: Array, how: str) -> ComesBack:
    """Read the agreement of pairs of fits, shape (n_pairs, D), as draws of what other rows give."""
    interval = np.quantile(draws, _LEVELS, axis=0).T
    unknown = np.full(draws.shape[1], np.nan)
    return ComesBack(unknown, draws.mean(axis=0), interval, np.mean(draws < TURNED, axis=0), how)


def _n_draws(moments: TaskMoments) -> int:
    work = moments.n_tasks * moments.n_features ** (2 if moments.is_shared else 3)
    return int(np.clip(_LARGE / work, _LEAST_DRAWS, _N_DRAWS))


def _own_rows(
    fit: LatentFit,
    moments: TaskMoments,
    causal: BoolArray,
    tasks: IntArray,
    half: TaskMoments,
    rest: TaskMoments,
    rng: np.random.Generator,
) -> Array:
    """Agreement between fits to moments that differ as those of other rows do, shape (n_draws, D).

    The tasks of the fit are at `tasks` of the halves.
    """
    if len(tasks) < half.n_tasks:
        half, rest = half.select_tasks(tasks), rest.select_tasks(tasks)
    S = moments.pooled_covariance()
    found = []
    for _ in range(_n_draws(moments)):
        share = 0.5 + rng.choice([-1.0, 1.0], size=moments.n_tasks) / np.sqrt(8.0)
        sides = (_mixed(moments, half, rest, share), _mixed(moments, half, rest, 1.0 - share))
        found.append(_agreement(fit, [refitted(fit, side, causal, rng) for side in sides], S))
    return np.stack(found)


def _mixed(moments: TaskMoments, first: TaskMoments, second: TaskMoments, share: Array) -> TaskMoments:
    """Moments of as many rows, this share of them like the first half; each task is its own row group."""
    p = np.empty(len(share))
    p[moments.group] = share
    n = moments.counts.astype(np.float64)
    n_task = moments.n_samples.astype(np.float64)
    delta_h, delta_y = second.mean_h - first.mean_h, second.mean_y - first.mean_y
    between_h = (p * (1.0 - p))[:, None, None] * delta_h[:, :, None] * delta_h[:, None, :]
    between_y = share * (1.0 - share) * delta_y
    cov_h = p[:, None, None] * first.cov_h + (1.0 - p)[:, None, None] * second.cov_h + between_h
    cov_hy = share[:, None] * first.cov_hy + (1.0 - share)[:, None] * second.cov_hy
    var_y = share * first.var_y + (1.0 - share) * second.var_y + between_y * delta_y
    return moments._replaced(
        mean_h=first.mean_h + (1.0 - p)[:, None] * delta_h,
        scatter_h=cov_h * n[:, None, None],
        mean_y=first.mean_y + (1.0 - share) * delta_y,
        scatter_hy=(cov_hy + between_y[:, None] * delta_h[moments.group]) * n_task[:, None],
        scatter_y=var_y * n_task,
    )


def _agreement(fit: LatentFit, pair: list[Array], S: Array) -> Array:
    """Correlation between two refits of the partners of each axis of the fit, on features of covariance `S`."""
    first, second = (B[latent_agreement(fit.unmixing, B, S).assignment] for B in pair)
    scale = np.sqrt(np.einsum("ij,jk,ik->i", first, S, first) * np.einsum("ij,jk,ik->i", second, S, second))
    return np.asarray(np.abs(np.einsum("ij,jk,ik->i", first, S, second)) / scale)


def _whitener(moments: TaskMoments) -> Array:
    """W with W S W' = I, of the pooled covariance S."""
    values, vectors = np.linalg.eigh(moments.pooled_covariance())
    return np.asarray(vectors.T / np.sqrt(values)[:, None])


def whitened_heads(half: TaskMoments, moments: TaskMoments) -> Array:
    """Heads of the targets, of unit variance, on shared features whitened as all `moments` have it, shape (T, K)."""
    coef = np.linalg.solve(half.cov_h[0], half.cov_hy.T).T
    return np.asarray(coef @ np.linalg.inv(_whitener(moments)) / np.sqrt(half.var_y)[:, None])


def disturbed_agreement(
    fit: LatentFit,
    moments: TaskMoments,
    causal: BoolArray,
    delta: Array,
    rng: np.random.Generator,
    *,
    most_draws: int = _N_DRAWS,
    n_rotations: int = _N_ROTATIONS,
) -> Array:
    """Agreement of the fit with fits to heads that are plus or minus `delta` (T, K) away, rows shared, (n_draws, D)."""
    W, S = _whitener(moments), moments.pooled_covariance()
    scale = np.sqrt(moments.var_y)
    whole = moments.cov_hy @ W.T / scale[:, None]
    back = np.linalg.inv(W).T
    others = []
    for _ in range(min(_n_draws(moments), most_draws)):
        L = whole + rng.choice([-1.0, 1.0], size=(moments.n_tasks, 1)) * delta
        L *= np.minimum(1.0, np.sqrt(_MOST_EXPLAINED) / np.maximum(np.linalg.norm(L, axis=1), 1e-12))[:, None]
        other = moments.map_features(np.eye(moments.n_features))
        other.scatter_hy = (L * scale[:, None] @ back) * moments.n_samples[:, None]
        others.append(other)
    found = refitted_to([fit] * len(others), others, causal, rng, n_rotations)
    return np.stack([latent_agreement(fit.unmixing, B, S).per_latent for B in found])
