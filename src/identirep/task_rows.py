"""Sums of rows whose targets are of any kind: levels of Gaussian variables, curved effects, rows with errors.

In both layouts levels (binary, ordinal, count) make moments those of the variable behind the target
(`latent_targets`). Where rows are of one task each, curved effects of continuous targets are straightened
(`curved_effects`), and rows get weights (`robust_weights`), in these moments.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import Sums, long_sums, wide_sums
from identirep.curved_effects import LINES, curves_of, shape_of_effects
from identirep.latent_targets import LatentTargets, latent_targets
from identirep.robust_weights import Robust, robust_weights, shares_rows, times
from identirep.target_kinds import TargetType, kinds_of_columns, kinds_of_tasks

__all__ = ["Found", "found_of_arrays", "found_of_rows", "sums_of_levels"]

# A level that has fewer labels than this tells nothing of a threshold.
_LEAST_LABELS = 3


class Found(NamedTuple):
    """Sums, and what is known of the rows behind them; None where nothing had to be found, or was not looked for.

    `weights` are of rows, `kinds` of tasks, and `curves`, (n_tasks, K, K), are the covariance of the features that
    curved effects explain and the sums are without.
    """

    sums: Sums
    weights: Array | None = None
    kinds: tuple[str, ...] | None = None
    degree: int = 1
    curves: Array | None = None


class _Rows(NamedTuple):
    """Rows of the long layout."""

    H: NDArray[Any]
    y: Array
    task_index: IntArray
    n_tasks: int


def found_of_rows(
    sums: Sums,
    H: NDArray[Any],
    y: Array,
    index: IntArray,
    names: Sequence[Hashable],
    weight: Array | None,
    robust: Robust,
    target_type: TargetType,
) -> Found:
    """Return the sums of rows of the long layout as their targets, and what looks wrong with rows, would have them.

    `sums` are those of the rows as they are.
    """
    kinds = None if target_type is None else kinds_of_tasks(y, index, names, target_type)
    return _found(sums, _Rows(H, y, index, len(names)), weight, robust, kinds)


def found_of_arrays(
    sums: Sums,
    H: NDArray[Any],
    Y: NDArray[Any],
    names: Sequence[Hashable],
    weight: Array | None,
    robust: Robust,
    target_type: TargetType,
) -> Found:
    """Do the same in the wide layout; on rows of several tasks neither curves nor errors of rows are looked for."""
    kinds = None if target_type is None else kinds_of_columns(np.asarray(Y, dtype=np.float64), names, target_type)
    labels = ~np.isnan(Y)
    if shares_rows(labels, robust):
        return _levels_alone(sums, H, Y, labels, weight, kinds)
    seen = labels.any(axis=1)
    if (robust is None and kinds is None) or not seen.any():
        return Found(sums, kinds=kinds)
    index = labels[seen].argmax(axis=1)
    rows = _Rows(H[seen], np.asarray(Y[seen, index], dtype=np.float64), index, Y.shape[1])
    own = None if weight is None else weight[seen]
    long = long_sums(*rows, own)
    found = _found(long, rows, own, robust, kinds)
    if found.sums is long:
        return found._replace(sums=sums)
    # Tasks without labels share a group.
    weights = found.weights
    if weights is not None:
        weights = np.ones(len(seen))
        weights[seen] = found.weights
        sums, _ = wide_sums(H, Y, times(weight, weights))
    some = np.flatnonzero(found.sums.counts > 0)
    scatter_h = sums.scatter_h.copy()
    scatter_h[sums.group[some]] = found.sums.scatter_h[some]
    scatter_hy, scatter_y = found.sums.scatter_hy, found.sums.scatter_y
    sums = sums._replace(scatter_h=scatter_h, scatter_hy=scatter_hy, scatter_y=scatter_y)
    return found._replace(sums=sums, weights=weights)


def sums_of_levels(
    sums: Sums,
    H: NDArray[Any],
    targets: Array,
    index: IntArray | None,
    kinds: tuple[str, ...],
    weight: Array | None,
) -> Sums:
    """Return sums in either layout with targets of levels as the variables behind them, and all else as it is."""
    if index is None:
        return _levels_alone(sums, H, targets, ~np.isnan(targets), weight, kinds).sums
    usable = (sums.counts[sums.group] >= _LEAST_LABELS) & (sums.scatter_y > 0.0)
    levels = np.flatnonzero(usable & np.array([kind != "continuous" for kind in kinds]))
    if not len(levels):
        return sums
    return _of_latent(sums, latent_targets(H, targets, index, len(kinds), weight, levels), levels)


def _levels_alone(
    sums: Sums,
    H: NDArray[Any],
    Y: NDArray[Any],
    labels: BoolArray,
    weight: Array | None,
    kinds: tuple[str, ...] | None,
) -> Found:
    """Moments of targets of levels on shared rows, one after the other."""
    scatter_hy, scatter_y = sums.scatter_hy.copy(), sums.scatter_y.copy()
    counts, changed = sums.counts[sums.group], False
    for t, kind in enumerate(kinds or ()):
        rows = labels[:, t]
        y = np.asarray(Y[rows, t], dtype=np.float64)
        if kind == "continuous" or len(y) < _LEAST_LABELS or np.ptp(y) == 0.0:
            continue
        own = None if weight is None else weight[rows]
        found = latent_targets(H[rows], y, np.zeros(len(y), dtype=np.int64), 1, own, np.zeros(1, dtype=np.int64))
        scatter_hy[t] = counts[t] * found.scale[0] * found.cov_hy[0]
        scatter_y[t], changed = counts[t] * found.scale[0] ** 2, True
    return Found(sums._replace(scatter_hy=scatter_hy, scatter_y=scatter_y) if changed else sums, kinds=kinds)


def _found(sums: Sums, rows: _Rows, weight: Array | None, robust: Robust, kinds: tuple[str, ...] | None) -> Found:
    H, y, index, T = rows
    usable = (sums.counts >= _LEAST_LABELS) & (sums.scatter_y > 0.0)
    leveled = np.zeros(T, dtype=bool) if kinds is None else np.array([kind != "continuous" for kind in kinds])
    levels = np.flatnonzero(leveled & usable)
    lines = np.flatnonzero(~leveled & usable) if kinds is not None else levels[:0]
    latent = latent_targets(*rows, weight, levels) if len(levels) else None
    # What rows are judged by is Gaussian in a task: no levels, no curves.
    target = y if latent is None else np.where(np.isin(index, levels), latent.completed, y)
    weights = robust_weights(H, target, index, T, weight, robust)
    shape = shape_of_effects(*rows, times(weight, weights), lines) if len(lines) else LINES
    if weights is not None and shape != LINES:
        straight = H - curves_of(*rows, times(weight, weights), lines, shape).values
        weights = robust_weights(straight, target, index, T, weight, robust)
    if weights is not None:
        weight = times(weight, weights)
        sums = long_sums(H, y, index, T, weight)
        latent = latent_targets(*rows, weight, levels) if len(levels) else None
    if latent is not None:
        sums = _of_latent(sums, latent, levels)
    if shape == LINES:
        return Found(sums, weights, kinds)
    curves = curves_of(*rows, weight, lines, shape).covariance
    scatter_h = sums.scatter_h - sums.counts[:, None, None] * curves
    return Found(sums._replace(scatter_h=scatter_h), weights, kinds, shape.degree, curves)


def _of_latent(sums: Sums, latent: LatentTargets, levels: IntArray) -> Sums:
    """Put the variables behind some targets in their place, in units of these."""
    scatter_hy, scatter_y = sums.scatter_hy.copy(), sums.scatter_y.copy()
    n, scale = sums.counts[sums.group][levels], latent.scale[levels]
    scatter_hy[levels] = (n * scale)[:, None] * latent.cov_hy[levels]
    scatter_y[levels] = n * scale**2
    return sums._replace(scatter_hy=scatter_hy, scatter_y=scatter_y)
