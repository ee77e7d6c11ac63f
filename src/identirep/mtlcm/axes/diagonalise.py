r"""Joint diagonalisation of the tasks' covariances: the unmixing matrix by maximum profile likelihood.

With B the unmixing matrix, C_t = B R_t B' and task weights p_t that sum to one, minimise Pham's criterion

    L(B) = -log|det B| + 1/2 sum_t p_t sum_i log (C_t)_ii,

the negative log-likelihood of equation (9) of the paper without noise, under the prior of equation (6), its variances
profiled out. Steps are quasi-Newton, B <- (I + E) B. At a joint diagonaliser the Hessian couples E_ij with E_ji alone,
so that a step costs one 2 x 2 system for each pair (Ablin, Cardoso, Gramfort 2019). All starts are iterated at once,
along the first axis. `covariances` holds what a step asks of the covariances.

Such steps converge within a dozen iterations or two where the Hessian couples nothing else. Where it does, because
tasks hardly tell the latents apart or the model does not fit, they converge linearly, and a memory of a few past steps
and changes of the gradient (L-BFGS) restores fast convergence (Ablin, Cardoso, Gramfort 2018). Steps and gradients are
relative, in coordinates that move along.

References
----------
D. T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices", SIAM J. Matrix Anal. Appl. 22
(2001) 1136-1152.
P. Ablin, J.-F. Cardoso, A. Gramfort, "Faster independent component analysis by preconditioning with Hessian
approximations", IEEE Trans. Signal Process. 66 (2018) 4040-4049.
P. Ablin, J.-F. Cardoso, A. Gramfort, "Beyond Pham's algorithm for joint diagonalization", ESANN 2019, arXiv:1811.11433.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.axes.covariances import DiagonalisedCovariances, Measured
from identirep.mtlcm.axes.solutions import Solutions

__all__ = ["StepMemory", "joint_diagonalise", "pair_step", "pham_criterion"]

# Pairs that no task tells apart have a singular 2 x 2 Hessian; its determinant is held above this.
_MIN_CURVATURE = 1e-3
_MAX_HALVINGS = 12
# Where even that promises a decrease lost in rounding, a start has arrived.
_LEAST_DETERMINANT = 1e-9
# From then on steps have a memory.
_PLAIN_ITERATIONS = 30
# Rounding is looked at where a step promises less than this.
_NEAR = 1e-6
_EPS = float(np.finfo(np.float64).eps)
# Steps remembered.
_SIZE = 5
# Cosine between step and change of the gradient below which the pair says nothing of a positive curvature.
_LEAST_COSINE = 1e-10


def joint_diagonalise(
    covariances: DiagonalisedCovariances, initial: Array, *, max_iter: int = 500, tol: float = 1e-7
) -> Solutions:
    """Minimise Pham's criterion from each start, shape (n_starts, D, D), in the coordinates of the covariances."""
    n_starts, D = initial.shape[:2]
    state = _State.at(covariances, initial)
    unmixing, criterion = initial.copy(), state.value.copy()
    norm, n_iter = np.full(n_starts, np.inf), np.zeros(n_starts, dtype=np.int64)
    converged = np.zeros(n_starts, dtype=bool)
    memory, step, last = StepMemory(), np.zeros_like(unmixing), np.zeros_like(unmixing)
    for iteration in range(max_iter + 1):
        state = state.scaled()
        index = state.start
        rows, h = state.tasks.gradient(state.B)
        G = rows @ state.B.swapaxes(1, 2)
        # The criterion does not see the scale of a row: what differs from one on the diagonal is rounding.
        G[:, np.arange(D), np.arange(D)] = 0.0
        before, norm[index] = norm[index], np.abs(G).max(axis=(1, 2), initial=0.0)
        gain, rounding = _newton_gain(G, h), np.zeros(len(index))
        if np.any(gain < _NEAR):
            rounding = _rounding_error(state)
        lost = gain <= rounding
        # Rounding error stops a start only where it keeps the gradient from falling.
        converged[index] = (norm[index] <= tol) | (lost & (norm[index] >= before))
        unmixing[index], criterion[index] = state.B, state.value
        if iteration > _PLAIN_ITERATIONS:
            memory.remember(step, G - last)
        going = ~converged[index] & (n_iter[index] < max_iter)
        if not going.any():
            break
        memory.select(going)
        state, G, lost, rounding = state.select(going), G[going], lost[going], rounding[going]
        solve = partial(pair_step, curvature=h[going], least=_MIN_CURVATURE)
        moved, stalled = _line_search(
            covariances, state, memory.direction(G, solve), rounding, np.ones(len(G), dtype=bool)
        )
        if memory.forget(stalled):
            # What the memory suggested leads nowhere.
            moved, stalled = _line_search(covariances, moved, solve(G), rounding, stalled)
        n_iter[state.start[~stalled]] += 1
        converged[state.start[stalled]] = lost[stalled]
        if stalled.all():
            break
        if iteration >= _PLAIN_ITERATIONS:
            memory.select(~stalled)
            last, step = G[~stalled], moved.B[~stalled] @ np.linalg.inv(state.B[~stalled]) - np.eye(D)
        state = moved.select(~stalled)
    return Solutions(criterion, norm, n_iter, converged, unmixing)


class _State(NamedTuple):
    """The starts that are still iterated: position, unmixing matrix, what the tasks add up to there, criterion."""

    start: IntArray
    B: Array
    tasks: Measured
    value: Array

    @classmethod
    def at(cls, covariances: DiagonalisedCovariances, B: Array) -> _State:
        start = np.arange(len(B))
        tasks = covariances.measured(B, start)
        return cls(start, B, tasks, _criterion(B, tasks))

    def select(self, starts: Any) -> _State:
        return _State(self.start[starts], self.B[starts], self.tasks.select(starts), self.value[starts])

    def scaled(self) -> _State:
        """Rows of unit mean variance make gradients scale-free; the criterion leaves the scale of rows open."""
        scale = 1.0 / np.sqrt(self.tasks.mean_variances())
        return self._replace(B=self.B * scale[:, :, None], tasks=self.tasks.scaled(scale))


def pair_step(gradient: Array, curvature: Array, least: float) -> Array:
    """Solve [h_ij 1; 1 h_ji] [E_ij; E_ji] = -[G_ij; G_ji] for all pairs, determinants held above `least`.

    Arrays are (n_starts, D, D). The scale of a row, E_ii, is a system of its own.
    """
    h = curvature * np.sqrt(np.maximum((1.0 + least) / (curvature * curvature.swapaxes(1, 2)), 1.0))
    ht = h.swapaxes(1, 2)
    E = -(ht * gradient - gradient.swapaxes(1, 2)) / (h * ht - 1.0)
    i = np.arange(h.shape[1])
    E[:, i, i] = -gradient[:, i, i] / (h[:, i, i] + 1.0)
    return np.asarray(E)


def pham_criterion(covariances: DiagonalisedCovariances, B: Array) -> Array:
    """Return the criterion at unmixing matrices, (n_starts, D, D)."""
    return _criterion(B, covariances.measured(B, np.arange(len(B))))


def _criterion(B: Array, tasks: Measured) -> Array:
    value: Array = -np.linalg.slogdet(B)[1] + 0.5 * tasks.mean_log()
    return value


def _newton_gain(G: Array, h: Array) -> Array:
    """Decrease of the criterion that a Newton step promises."""
    ht = h.swapaxes(1, 2)
    determinant = np.maximum(h * ht - 1.0, _LEAST_DETERMINANT)
    return np.asarray(0.5 * np.sum((ht * G - G.swapaxes(1, 2)) * G / determinant, axis=(1, 2)))


def _rounding_error(state: _State) -> Array:
    """Bound on the rounding error of the criterion: of its terms, and of the variances that they are logarithms of."""
    return np.asarray(_EPS * (np.abs(np.linalg.slogdet(state.B)[1]) + 0.5 * state.tasks.rounding(state.B)))


def _line_search(
    covariances: DiagonalisedCovariances, state: _State, E: Array, rounding: Array, starts: BoolArray
) -> tuple[_State, BoolArray]:
    """Halve the step of the starts named until the criterion falls; one that cannot fall any more has stalled."""
    B, tasks, criterion = state.B.copy(), state.tasks, state.value.copy()
    pending, step = np.flatnonzero(starts), 1.0
    for _ in range(_MAX_HALVINGS):
        moved = B[pending] + step * E[pending] @ B[pending]
        there = covariances.measured(moved, state.start[pending])
        value = _criterion(moved, there)
        # Rounding in the criterion is no reason to refuse a step.
        fell = value <= criterion[pending] + rounding[pending]
        done = pending[fell]
        B[done], criterion[done] = moved[fell], value[fell]
        tasks = tasks.replaced(done, there.select(fell))
        pending = pending[~fell]
        if not len(pending):
            break
        step *= 0.5
    stalled = np.zeros(len(B), dtype=bool)
    stalled[pending] = True
    return state._replace(B=B, tasks=tasks, value=criterion), stalled


class _Pair(NamedTuple):
    """A step, the change of the gradient along it, and the inverse of their product; 0 where that is not positive."""

    step: Array
    change: Array
    inverse: Array


class StepMemory:
    """Past steps of several starts, along the first axis."""

    def __init__(self) -> None:
        self._pairs: list[_Pair] = []

    def remember(self, step: Array, change: Array) -> None:
        """Add a step and the change of the gradient along it, both of shape (n_starts, D, D)."""
        product = _inner(step, change)
        positive = product > _LEAST_COSINE * np.sqrt(_inner(step, step) * _inner(change, change))
        self._pairs.append(_Pair(step, change, np.where(positive, 1.0 / np.where(positive, product, 1.0), 0.0)))
        del self._pairs[:-_SIZE]

    def select(self, starts: BoolArray) -> None:
        """Keep some of the starts."""
        self._pairs = [_Pair(*(values[starts] for values in pair)) for pair in self._pairs]

    def forget(self, starts: BoolArray) -> bool:
        """Forget the steps of some starts; return whether there was anything to forget."""
        known = any(np.any(pair.inverse[starts] > 0.0) for pair in self._pairs)
        for pair in self._pairs:
            pair.inverse[starts] = 0.0
        return known

    def direction(self, gradient: Array, solve: Callable[[Array], Array]) -> Array:
        """Return the step that the memory makes of `solve`, the step for a gradient without one.

        Where that would not go downhill, `solve` alone is used.
        """
        rest, shares = gradient, []
        for pair in reversed(self._pairs):
            shares.append(pair.inverse * _inner(pair.step, rest))
            rest = rest - shares[-1][:, None, None] * pair.change
        step = solve(rest)
        for pair, share in zip(self._pairs, reversed(shares), strict=True):
            step = step - (share + pair.inverse * _inner(pair.change, step))[:, None, None] * pair.step
        uphill = ~(_inner(step, gradient) < 0.0)
        return np.where(uphill[:, None, None], solve(gradient), step) if uphill.any() else step


def _inner(first: Array, second: Array) -> Array:
    return np.asarray(np.einsum("sij,sij->s", first, second))
