r"""Heads of binary targets: logistic regression, by Newton's method, and what it amounts to beside linear heads.

With the weights of iteratively reweighted least squares, W = p (1 - p), a logistic head w acts as a linear one: a row
has the information W about it, a change of the features by dh changes the target by W w' dh. So in units of the target,
0 or 1, a binary task has the head mean(W) w and the noise mean(W), and goes into reduction and spectrum like any other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtrn.reduction import Heads

__all__ = ["LogisticHead", "as_zero_and_one", "fit_logistic", "levels_of", "with_logistic_heads"]

# Strength of the ridge, in features of unit variance: a Gaussian prior of unit variance on coefficients.
_PENALTY = 1.0
_MAX_STEPS, _MAX_HALVINGS, _TOL = 50, 20, 1e-8
_LEAST_SHARE = 1e-6


class LogisticHead(NamedTuple):
    """A logistic head, logit p = h' coef + intercept."""

    coef: Array
    intercept: float

    def logit(self, H: NDArray[np.floating]) -> Array:
        return np.asarray(H @ self.coef + self.intercept)


def levels_of(targets: Array, index: IntArray | None, kinds: tuple[str, ...]) -> Array:
    """Return both values of each binary target, NaN for others, shape (n_tasks, 2)."""
    found = np.full((len(kinds), 2), np.nan)
    for t, kind in enumerate(kinds):
        if kind == "binary":
            own = targets[:, t] if index is None else targets[index == t]
            own = own[~np.isnan(own)]
            low, high = own.min(), own.max()
            # A single value of 0 or 1 says what the other one is.
            found[t] = (low, high) if low < high else (0.0, 1.0) if low in (0.0, 1.0) else (low, low + 1.0)
    return found


def as_zero_and_one(targets: Array, levels: Array) -> Array:
    """Return targets with the larger of two values as 1 and the other as 0."""
    return np.where(np.isnan(targets), np.nan, (targets > levels.mean(axis=-1)).astype(np.float64))


def fit_logistic(H: NDArray[np.floating], y: Array, weight: Array | None = None) -> LogisticHead:
    """Fit the head of one task, features in any units, y of 0 and 1 without NaN; ridge on coefficients alone."""
    w = np.ones(len(y)) if weight is None else weight * (weight.sum() / max(float(weight @ weight), 1e-300))
    share = float(np.clip(np.average(y, weights=w), _LEAST_SHARE, 1.0 - _LEAST_SHARE))
    mean = np.average(H, axis=0, weights=w)
    scale = np.sqrt(np.average((H - mean) ** 2, axis=0, weights=w))
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1e-300), scale, np.inf)
    x = np.column_stack([(H - mean) / scale, np.ones(len(y))])
    penalty = np.full(x.shape[1], _PENALTY)
    penalty[-1] = 1e-8
    beta = np.zeros(x.shape[1])
    beta[-1] = np.log(share / (1.0 - share))

    def loss(beta: Array) -> float:
        eta = x @ beta
        return float(w @ (np.logaddexp(0.0, eta) - y * eta) + 0.5 * penalty[:-1] @ beta[:-1] ** 2)

    value = loss(beta)
    for _ in range(_MAX_STEPS):
        p = expit(x @ beta)
        gradient = x.T @ (w * (y - p))
        gradient[:-1] -= penalty[:-1] * beta[:-1]
        step = np.linalg.solve((x * (w * p * (1.0 - p))[:, None]).T @ x + np.diag(penalty), gradient)
        factor = 1.0
        for _ in range(_MAX_HALVINGS):
            if (reached := loss(beta + factor * step)) <= value:
                break
            factor *= 0.5
        else:
            break
        beta, value = beta + factor * step, reached
        if np.abs(factor * step).max() < _TOL * max(1.0, float(np.abs(beta).max())):
            break
    coef = beta[:-1] / scale
    return LogisticHead(coef, float(beta[-1] - mean @ coef))


def with_logistic_heads(
    heads: Heads,
    F: NDArray[np.floating],
    targets: Array,
    levels: Array,
    trained: BoolArray,
    weight: Array | None,
    n_blocks: int,
) -> Heads:
    """Replace heads of binary targets of the wide layout by logistic ones, in each of `n_blocks` blocks of features.

    They are in the units of the targets, as linear heads are; noise is that of all rows.
    """
    coef, intercept, noise = heads.coef.copy(), heads.intercept.copy(), heads.noise.copy()
    K = F.shape[1] // n_blocks
    for t in np.flatnonzero(~np.isnan(levels[:, 0])):
        seen = ~np.isnan(targets[:, t])
        y, rows = as_zero_and_one(targets[:, t], levels[t]), seen & trained
        if not rows.any() or np.ptp(y[rows]) == 0.0:
            continue
        own = None if weight is None else weight[rows]
        blocks = [slice(b * K, (b + 1) * K) for b in range(n_blocks)]
        fits = [fit_logistic(F[rows][:, block], y[rows], own) for block in blocks]
        eta = np.mean([fit.logit(F[seen][:, block]) for fit, block in zip(fits, blocks, strict=True)], axis=0)
        p, all_weights = expit(eta), None if weight is None else weight[seen]
        information = float(np.average(p * (1.0 - p), weights=all_weights))
        unit = float(levels[t, 1] - levels[t, 0])
        coef[t] = np.concatenate([fit.coef for fit in fits]) / n_blocks * information * unit
        noise[t] = float(np.average((y[seen] - p) ** 2, weights=all_weights)) * unit**2
        intercept[t] = float(np.average(targets[seen, t] - F[seen] @ coef[t], weights=all_weights))
    return Heads(coef, intercept, noise)
