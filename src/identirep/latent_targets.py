r"""Covariances of features with the Gaussian variable of which a binary, ordinal or count target shows the level.

A target of levels says in which interval between thresholds a standard normal y* lies. With features that are Gaussian
beside it, y* given h is regression on h with noise, so that levels follow an ordered probit model,

    P(y <= k | h) = \Phi(c \tau_k - e - \beta' h),

with thresholds tau from the shares of the levels. From beta and the covariance S of the features,

    r = cov(h, y*) = S \beta / sqrt(1 + \beta' S \beta),

so that S - r r' is never singular, as it can be for the moment estimate r = cov(h, y) / sum_k \phi(tau_k) (Olsson,
Drasgow and Dorans 1982), which this replaces. A small penalty, lambda beta' S beta / 2,
keeps the estimate finite where features separate the levels.

In units of the target y* counts a = sum_k (y_{k+1} - y_k) \phi(\tau_k), for which cov(h, y) = a r: with a r in place
of cov(h, y) and a^2 of var(y) moments are those of y*, and regressions on features predict y itself.

References
----------
U. Olsson, F. Drasgow, N. J. Dorans, "The polyserial correlation coefficient", Psychometrika 47 (1982) 337-347."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from identirep._typing import Array, IntArray
from identirep.task_blocks import Block, Stacks

__all__ = ["LatentTargets", "latent_targets"]

_LOG_2PI = float(np.log(2 * np.pi))
# Newton steps, their halvings, and the relative step at which they end.
_MAX_STEPS, _MAX_HALVINGS, _TOL = 60, 12, 1e-7
# Strength of the penalty lambda. Learnt from the tasks it comes out far larger, and spoils axes where features all but
# determine targets: shrunk, these leave effects correlated.
_PENALTY = 1e-3
# Rows of the covariance of all tasks that a task with few rows is penalised by besides its own.
_SHARED_ROWS = 1.0
_TINY = 1e-300


class LatentTargets(NamedTuple):
    """Of each task cov(h, y*), (T, K), and what y* counts for in units of the target, (T,); of rows draws of y*, (N,).

    Draws are given h and y, in units of the noise of y*. Tasks that are not of levels have zeros.
    """

    cov_hy: Array
    scale: Array
    completed: Array


class _Levels(NamedTuple):
    """Thresholds below and above each row (0 for none, as `weight_*` says), and the unit of each task."""

    low: Array
    high: Array
    scale: Array


def latent_targets(
    H: NDArray[Any], y: Array, index: IntArray, n_tasks: int, weight: Array | None, tasks: IntArray
) -> LatentTargets:
    """Fit the ordered probit model of some tasks of the long layout, whose targets have at least two levels."""
    K = H.shape[1]
    counted = np.ones(len(H)) if weight is None else weight / weight.max()
    stacks = Stacks.of(index, n_tasks, K)
    levels = _levels(y, counted, stacks, tasks)
    mean = np.average(H, axis=0, weights=counted)
    rows = np.isin(index, tasks)
    some = (H[rows][:: max(1, int(rows.sum()) // 20_000)] - mean).astype(np.float64)
    values, vectors = np.linalg.eigh(some.T @ some / max(len(some), 1))
    whitener = vectors / np.sqrt(np.maximum(values, 1e-12 * max(values[-1], _TINY)))
    x = (H - mean) @ whitener
    found = LatentTargets(np.zeros((n_tasks, K)), levels.scale, np.zeros(len(H)))
    back, uniform = np.linalg.pinv(whitener), np.random.default_rng(0).random(len(H))
    for block in stacks.blocks(tasks):
        problem = _Problem.of(block, x, counted, levels)
        own = problem.solved()
        covariance = np.einsum("tij,tj->ti", problem.covariance, own[:, :K])
        size = np.einsum("ti,ti->t", covariance, own[:, :K])
        found.cov_hy[block.tasks] = (covariance / np.sqrt(1.0 + size)[:, None]) @ back
        block.put(found.completed, problem.drawn(own, uniform[block.index]))
    return found


def _levels(y: Array, counted: Array, stacks: Stacks, tasks: IntArray) -> _Levels:
    """Thresholds of the rows of some tasks, infinite at the ends, from the weighted shares of the levels."""
    low, high, scale = np.full(len(y), -np.inf), np.full(len(y), np.inf), np.zeros(len(stacks.counts))
    for t in tasks:
        rows = stacks.order[stacks.starts[t] : stacks.starts[t] + stacks.counts[t]]
        level, place = np.unique(y[rows], return_inverse=True)
        share = np.cumsum(np.bincount(place.reshape(-1), counted[rows]))
        tau = np.concatenate([[-np.inf], ndtri(share[:-1] / share[-1]), [np.inf]])
        low[rows], high[rows] = tau[place.reshape(-1)], tau[place.reshape(-1) + 1]
        scale[t] = np.diff(level) @ np.exp(-0.5 * (tau[1:-1] ** 2 + _LOG_2PI))
    return _Levels(low, high, scale)


class _Problem(NamedTuple):
    """Penalised ordered probit of a stack of tasks, with parameters beta, e and c; of two levels c is 1."""

    h: Array
    weight: Array
    low: Array
    high: Array
    covariance: Array
    penalty: Array
    is_binary: Array

    @classmethod
    def of(cls, block: Block, x: Array, counted: Array, levels: _Levels) -> _Problem:
        h, w = block.of(x), block.weights(counted)
        n = w.sum(axis=1)
        # Weights count for as many rows as they are worth.
        w = w * (n / np.maximum((w**2).sum(axis=1), _TINY))[:, None]
        n = w.sum(axis=1)
        h = h - (np.einsum("tm,tmk->tk", w, h) / n[:, None])[:, None]
        S = (h * w[..., None]).swapaxes(1, 2) @ h / n[:, None, None]
        low, high = block.of(levels.low), block.of(levels.high)
        unit = S + (_SHARED_ROWS / n)[:, None, None] * np.eye(h.shape[2])
        finite = np.isfinite(np.where(block.real, low, -np.inf))
        least = np.where(finite, low, np.inf).min(axis=1)
        most = np.where(finite, low, -np.inf).max(axis=1)
        return cls(h, w, low, high, S, _PENALTY * unit, least == most)

    def solved(self) -> Array:
        """Maximise by Newton's method, steps halved until they rise; all tasks at once."""
        beta = np.zeros((len(self.h), self.h.shape[2] + 2))
        beta[:, -1] = 1.0
        value = self._value(beta)
        for _ in range(_MAX_STEPS):
            gradient, hessian = self._derivatives(beta)
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            factor = np.ones(len(beta))
            for _ in range(_MAX_HALVINGS):
                trial = beta + factor[:, None] * step
                # Thresholds keep their order.
                trial[:, -1] = np.maximum(trial[:, -1], 0.2 * beta[:, -1])
                at_trial = self._value(trial)
                better = at_trial >= value - 1e-12 * np.abs(value)
                if better.all():
                    break
                factor = np.where(better, factor, 0.5 * factor)
            moved = np.where(better[:, None], trial, beta)
            reached = np.where(better, at_trial, value)
            change = np.abs(moved - beta).max(axis=1) / np.maximum(np.abs(moved).max(axis=1), 1.0)
            beta, value = moved, reached
            if change.max() < _TOL:
                break
        return beta

    def _ends(self, beta: Array) -> tuple[Array, Array, Array]:
        """Linear predictor, and the ends of each row's interval about it."""
        eta = np.einsum("tmk,tk->tm", self.h, beta[:, :-2]) + beta[:, -2:-1]
        c = beta[:, -1:]
        with np.errstate(invalid="ignore"):
            return eta, c * self.low - eta, c * self.high - eta

    def _value(self, beta: Array) -> Array:
        _, low, high = self._ends(beta)
        b = beta[:, :-2]
        return np.asarray((self.weight * _log_probability(low, high)).sum(axis=1)) - 0.5 * np.einsum(
            "ti,tij,tj->t", b, self.penalty, b
        )

    def _shares(self, beta: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Densities at both ends over the probability between them, and the ends, 0 where there is none."""
        eta, low, high = self._ends(beta)
        log_p = _log_probability(low, high)
        at_low, at_high = np.isfinite(low), np.isfinite(high)
        low, high = np.where(at_low, low, 0.0), np.where(at_high, high, 0.0)
        a = np.where(at_high, np.exp(-0.5 * (high**2 + _LOG_2PI) - log_p), 0.0)
        b = np.where(at_low, np.exp(-0.5 * (low**2 + _LOG_2PI) - log_p), 0.0)
        return eta, low, high, a, b

    def _derivatives(self, beta: Array) -> tuple[Array, Array]:
        """Gradient, (t, K + 2), and negative Hessian, (t, K + 2, K + 2)."""
        _, low, high, a, b = self._shares(beta)
        tau_low, tau_high = (np.where(np.isfinite(end), end, 0.0) for end in (self.low, self.high))
        slope, of_c = b - a, a * tau_high - b * tau_low
        curve = slope**2 + a * high - b * low
        cross = slope * of_c - (a * high * tau_high - b * low * tau_low)
        curve_c = of_c**2 + a * high * tau_high**2 - b * low * tau_low**2
        t, m, K = self.h.shape
        design = np.concatenate([self.h, np.ones((t, m, 1))], axis=2)
        gradient, hessian = np.empty((t, K + 2)), np.zeros((t, K + 2, K + 2))
        w = self.weight
        gradient[:, :-1] = np.einsum("tm,tmk->tk", w * slope, design)
        gradient[:, -1] = (w * of_c).sum(axis=1)
        hessian[:, :-1, :-1] = (design * (w * curve)[..., None]).swapaxes(1, 2) @ design
        hessian[:, :-1, -1] = hessian[:, -1, :-1] = np.einsum("tm,tmk->tk", w * cross, design)
        hessian[:, -1, -1] = (w * curve_c).sum(axis=1)
        gradient[:, :K] -= np.einsum("tij,tj->ti", self.penalty, beta[:, :K])
        hessian[:, :K, :K] += self.penalty
        # Of two levels the one threshold is the intercept.
        gradient[self.is_binary, -1] = 0.0
        hessian[self.is_binary, -1, :], hessian[self.is_binary, :, -1] = 0.0, 0.0
        hessian[self.is_binary, -1, -1] = 1.0
        diagonal = np.arange(K + 2)
        hessian[:, diagonal, diagonal] *= 1.0 + 1e-10
        hessian[:, diagonal, diagonal] += 1e-10
        return gradient, hessian

    def drawn(self, beta: Array, uniform: Array) -> Array:
        """Draw y* given h and level, in units of its noise, from uniform numbers, (t, m)."""
        eta, low, high = self._ends(beta)
        flip = low > 0
        below, above = ndtr(np.where(flip, -high, low)), ndtr(np.where(flip, -low, high))
        normal = ndtri(np.clip(below + uniform * (above - below), _TINY, 1.0 - 1e-16))
        return np.asarray(eta + np.where(flip, -normal, normal))


def _log_probability(low: Array, high: Array) -> Array:
    """log(Phi(high) - Phi(low)), in the tail where it keeps its digits."""
    flip = low > 0
    below, above = np.where(flip, -high, low), np.where(flip, -low, high)
    top = log_ndtr(above)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rest = np.where(np.isneginf(below), -np.inf, log_ndtr(below) - top)
        return np.asarray(top + np.log(-np.expm1(np.minimum(rest, -1e-300))))
