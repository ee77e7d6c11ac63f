r"""Axes of an old model, read off all features that a new one has, of which its own axes are the leading few.

An old axis z is approached by a w + b + F c, with w the axis of the new model that it comes back in, F all features:
a and b by least squares, c by ridge regression of what they leave. Its penalty is the one of a grid under which rows
left out, groups together, are predicted best, the infinite one among them, which leaves w as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.splits import folds

__all__ = ["Reading", "read_off"]

_N_FOLDS = 5
# Penalties, as shares of the sum of squares of a feature of average size; the last one stands for an infinite one.
_PENALTIES = np.concatenate([np.logspace(-7.0, 2.0, 19), [np.inf]])
# Directions of all features that count, and the least size of one relative to the first.
_MOST_DIRECTIONS, _RANK_TOLERANCE = 256, 1e-6


class Reading(NamedTuple):
    """Axes read off: ``slope * own + features @ coef``, up to an origin, and the features' share of them on all rows.

    Of rows that were learnt from, `unseen` is what others say of them.
    """

    slope: Array
    coef: Array
    values: Array
    unseen: Array


def read_off(
    features: Array,
    own: Array,
    old: Array,
    learn: BoolArray,
    *,
    groups: IntArray | None = None,
    order: IntArray | None = None,
    weights: Array | None = None,
) -> Reading | None:
    """Read old axes (n, k) off features (n, K), beside axes of their own (n, k); None if rows do not part into folds.

    Rows to `learn` from are chosen by the caller, who measures on others.
    """
    n, w = int(learn.sum()), np.ones(len(own)) if weights is None else weights
    root = np.sqrt(w[learn])[:, None]
    center, own_center, old_center = (np.average(of[learn], axis=0, weights=w[learn]) for of in (features, own, old))
    x, z = own[learn] - own_center, old[learn] - old_center
    slope = (w[learn] @ (x * z)) / np.maximum(w[learn] @ (x * x), np.finfo(float).tiny)
    rest = z - slope * x
    scale = np.sqrt(np.average((features[learn] - center) ** 2, axis=0, weights=w[learn]))
    varies = scale > _RANK_TOLERANCE * scale.max(initial=0.0)
    standard = (features[:, varies] - center[varies]) / scale[varies]
    try:
        parts = list(
            folds(
                n,
                min(_N_FOLDS, n if groups is None else len(np.unique(groups[learn]))),
                np.random.default_rng(0),
                groups=None if groups is None else groups[learn],
                order=None if order is None else order[learn],
            )
        )
    except ValueError:
        return None
    if len(parts) < 2 or not varies.any():
        return None
    _, sizes, directions = np.linalg.svd(standard[learn] * root, full_matrices=False)
    directions = directions[sizes > _RANK_TOLERANCE * sizes[0]][:_MOST_DIRECTIONS]
    scores = standard @ directions.T
    A = scores[learn]
    penalties = _PENALTIES * float((w[learn] @ A**2).mean())
    left_out = np.zeros((len(penalties), n, own.shape[1]))
    for others, inside in parts:
        found = _ridge(A[others] * root[others], rest[others] * root[others], penalties)
        left_out[:, inside] = A[inside] @ found
    tested = np.concatenate([inside for _, inside in parts])
    errors = np.einsum("n,pnk->pk", w[learn][tested], (rest[tested] - left_out[:, tested]) ** 2)
    # Of penalties that are as good the larger one.
    best = len(penalties) - 1 - errors[::-1].argmin(axis=0)
    every = _ridge(A * root, rest * root, penalties)
    axes = np.arange(own.shape[1])
    coef = every[best, :, axes]
    values = scores @ coef.T
    unseen = values.copy()
    unseen[learn] = left_out[best, :, axes].T
    in_units = np.zeros((own.shape[1], features.shape[1]))
    in_units[:, varies] = coef @ directions / scale[varies]
    return Reading(slope, in_units, values, unseen)


def _ridge(A: Array, B: Array, penalties: Array) -> Array:
    """Return the coefficients of ridge regression for each penalty, shape (n_penalties, n_features, n_targets)."""
    values, vectors = np.linalg.eigh(A.T @ A)
    turned, values = vectors.T @ (A.T @ B), np.maximum(values, 0.0)
    shrunk = 1.0 / (values + np.maximum(penalties, np.finfo(float).tiny)[:, None])
    return np.asarray(vectors @ (shrunk[:, :, None] * turned))
