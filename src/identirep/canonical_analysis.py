"""Correlations of columns, exact canonical analysis of two sets of them (Bjorck and Golub 1973), best linear maps."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import rankdata

from identirep._typing import Array

__all__ = ["Correlation", "canonical_maps", "column_correlations", "cross_correlation", "linear_maps"]

Correlation = Literal["pearson", "spearman"]

_BLOCK_ROWS = 1000


def cross_correlation(first: Array, second: Array, correlation: Correlation, weights: Array | None = None) -> Array:
    """Correlation of each column of the first set with each of the second, rows by their weights."""
    return _standardized(first, correlation, weights).T @ _standardized(second, correlation, weights)


class CanonicalMaps(NamedTuple):
    """Correlations and the maps of centred columns to canonical variates."""

    correlations: Array
    map_x: Array
    map_y: Array


def canonical_maps(x: Array, y: Array, weights: Array | None = None) -> CanonicalMaps:
    """Canonical analysis on the triangular factor of both sets together, which is small and loses no digits."""
    (Rx, Ry), (scale_x, scale_y), (zero_x, zero_y) = _joint_factor(x, y, weights)
    Ux, Wx = _basis(Rx, zero_x)
    Uy, Wy = _basis(Ry, zero_y)
    U, s, Vt = np.linalg.svd(Ux.T @ Uy, full_matrices=False)
    return CanonicalMaps(np.minimum(s, 1.0), (Wx @ U) / scale_x[:, None], (Wy @ Vt.T) / scale_y[:, None])


def linear_maps(x: Array, y: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Maps of y to the columns of x and of x to those of y by least squares, up to offset and scale."""
    (Rx, Ry), (scale_x, scale_y), (zero_x, zero_y) = _joint_factor(x, y, weights)
    Ux, Wx = _basis(Rx, zero_x)
    Uy, Wy = _basis(Ry, zero_y)
    return (Wy @ (Uy.T @ Rx)) / scale_y[:, None], (Wx @ (Ux.T @ Ry)) / scale_x[:, None]


def column_correlations(
    first: Array, second: Array, correlation: Correlation = "pearson", weights: Array | None = None
) -> Array:
    """Correlation of each column of the first set with the same column of the second, rows by their weights."""
    sides = (_standardized(Z, correlation, weights) for Z in (first, second))
    return np.einsum("ij,ij->j", *sides)


def _standardized(Z: Array, correlation: Correlation, weights: Array | None = None) -> Array:
    """Centre columns, or their ranks, and scale them to unit norm; those constant up to rounding become zero.

    Rows with weights are multiplied by the roots of these.
    """
    if correlation == "spearman":
        Z = rankdata(Z, axis=0) if weights is None else _weighted_ranks(Z, weights)
    elif correlation != "pearson":
        raise ValueError(
            f"correlation is unknown: got {correlation!r}, expected 'pearson' or 'spearman'. Choose one of the two."
        )
    centred = Z - _means(Z, weights)
    if weights is not None:
        centred *= _roots(weights)
    norm = np.linalg.norm(centred, axis=0)
    constant = norm <= 1e-12 * np.sqrt(len(Z)) * np.maximum(np.abs(Z).max(axis=0, initial=0.0), np.finfo(float).tiny)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, norm))


def _means(Z: Array, weights: Array | None) -> Array:
    """Mean of each column, of which there may be none."""
    return np.asarray(Z.mean(axis=0) if weights is None else (weights / weights.sum()) @ Z)


def _roots(weights: Array) -> Array:
    """Roots of weights with a mean of one, as a column."""
    relative = weights / weights.max()
    return np.asarray(np.sqrt(relative / relative.mean())[:, None])


def _weighted_ranks(Z: Array, weights: Array) -> Array:
    """Share of the weight below each value, half of its ties counted, of each column."""
    ranks = np.empty(Z.shape)
    for j, column in enumerate(Z.T):
        _, index = np.unique(column, return_inverse=True)
        mass = np.bincount(index.reshape(-1), weights)
        ranks[:, j] = ((np.cumsum(mass) - 0.5 * mass) / mass.sum())[index.reshape(-1)]
    return ranks


def _joint_factor(
    x: Array, y: Array, weights: Array | None
) -> tuple[tuple[Array, Array], tuple[Array, Array], tuple[float, float]]:
    """Triangular factor of the standardised columns of both sets, by set, their scales, and what counts as zero."""
    n_x = x.shape[1]
    joint = np.concatenate([x, y], axis=1)
    n, eps = len(joint), np.finfo(np.float64).eps
    rounding = eps * np.sqrt(n) * np.abs(joint).max(axis=0, initial=0.0)
    joint -= _means(joint, weights)
    # The first mean is rounded itself, which shows where it is large.
    joint -= _means(joint, weights)
    if weights is not None:
        joint *= _roots(weights)
    scale = np.sqrt(np.einsum("ij,ij->j", joint, joint))
    scale = np.where(scale > 0, scale, 1.0)
    joint /= scale
    R = _triangular_factor(joint)
    # Columns may be collinear up to the rounding of their values, large ones where they are far from zero.
    share = max(joint.shape) * eps + rounding / scale
    tolerances = [float(part.max(initial=0.0)) for part in (share[:n_x], share[n_x:])]
    return (R[:, :n_x], R[:, n_x:]), (scale[:n_x], scale[n_x:]), (tolerances[0], tolerances[1])


def _triangular_factor(X: Array) -> Array:
    """R of X = Q R. Tall matrices block by block, each small enough for the cache (TSQR, Demmel et al. 2012)."""
    n, k = X.shape
    rows = max(_BLOCK_ROWS, 4 * k)
    if n < 2 * rows:
        return np.asarray(np.linalg.qr(X, mode="r"))
    blocks = [np.linalg.qr(X[start : start + rows], mode="r") for start in range(0, n, rows)]
    return np.asarray(np.linalg.qr(np.concatenate(blocks), mode="r"))


def _basis(R: Array, tolerance: float) -> tuple[Array, Array]:
    """Orthonormal basis U of the columns of R, and W with ``R @ W = U``; collinear columns are left out."""
    U, s, Vt = np.linalg.svd(R, full_matrices=False)
    rank = int(np.sum(s > tolerance * s[0])) if s.size and s[0] > 0 else 0
    return U[:, :rank], Vt[:rank].T / s[:rank]
