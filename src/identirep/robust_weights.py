r"""Weights of rows that keep those which are not of their task from deciding its moments.

A row is x = (h, y). In the long layout a task is one Gaussian, and rows that are not of it (gross errors, labels mixed
up, effects that spread with the target) come from a background that all tasks share, a Student t that is fitted along:

    p(x | t) = (1 - \pi_t) N(x; \mu_t, \Sigma_t) + \pi_t t_3(x; m, C).

Expectation maximisation gives each row the probability that it is of its task, which is its weight. The density of a
row under its task is that which the *other* rows of the task predict (Student's t of a normal-inverse-Wishart prior
with the covariance pooled over tasks), since a covariance of few rows fits each of them too well. Tasks with too few
rows to tell a background by get the weights of a Student t_3 instead (Lange, Little and Taylor 1989).

On Gaussian rows all of that is not needed and costs rows: "auto" looks for heavier tails first (`heavy_tails`).

References
----------
K. L. Lange, R. J. A. Little, J. M. G. Taylor, "Robust statistical modeling using the t distribution", JASA 84 (1989)
881-896.
G. J. McLachlan, D. Peel, "Finite Mixture Models", Wiley 2000.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln

from identirep._typing import Array, BoolArray, IntArray
from identirep.heavy_tails import OWN_ROWS, has_heavy_tails
from identirep.parameters import Fault
from identirep.row_weights import effective_weights
from identirep.task_blocks import RIDGE, Rows, StackedMoments, Stacks, squared_distances, stacked_moments

__all__ = ["ROBUST", "Robust", "needs_rows_fault", "of_given_rows", "robust_weights", "shares_rows", "times"]

Robust: TypeAlias = Literal["auto", "mixture", "student"] | None
ROBUST: tuple[Robust, ...] = ("auto", "mixture", "student", None)

# Degrees of freedom of the Student t, of rows and of the background.
_FREEDOM = 3.0
# Rows for each dimension from which a background is told from a task.
_BACKGROUND_ROWS = 8
# Tasks that what all share is learnt from; more of them tell nothing new.
_MOST_LEARNT_FROM = 1000
_MAX_ITER, _STUDENT_ITER, _TOL = 40, 15, 1e-4
# Rows that the overall share of the background counts for in that of a task, and that share to begin with.
_SHARE_ROWS, _FIRST_SHARE, _MOST_SHARE = 10.0, 0.1, 0.95
# Rows of the scatter of all rows, for each dimension, in that of the background.
_PRIOR_ROWS = 10
# Rows that features are whitened by, and quartiles of a Gaussian, apart by so many standard deviations.
_ROWS_TO_WHITEN, _QUARTILES = 20_000, 1.349
# Beyond so many standard units rows are as far as can be, and squares keep their digits.
_FAR = 1e6
# Weights of nothing would leave tasks without rows.
_LEAST = 1e-12


def robust_weights(
    H: NDArray[Any], y: Array, index: IntArray, n_tasks: int, weight: Array | None, robust: Robust
) -> Array | None:
    """Weights from 0 to 1 of rows of the long layout, besides those that they have; None if all are to count alike."""
    p = H.shape[1] + 1
    stacks = Stacks.of(index, n_tasks, p)
    tasks = np.flatnonzero(stacks.counts > 2)
    if robust is None or not len(tasks):
        return None
    counted = np.ones(len(H)) if weight is None else effective_weights(weight, index)
    rows = Rows(_standardised(H, y, stacks), counted, stacks)
    if robust == "auto" and not has_heavy_tails(rows, tasks):
        return None
    found = np.ones(len(H))
    large = stacks.counts[tasks] >= _BACKGROUND_ROWS * p
    if robust == "student":
        large[:] = False
    W = _student(rows, tasks, found)
    if large.any():
        _mixture(rows, tasks[large], W, found)
    return np.asarray(np.maximum(found, _LEAST))


def shares_rows(labels: BoolArray, robust: Robust) -> bool:
    """Tell whether rows of the wide layout have labels of several tasks; ValueError if weights are asked for then."""
    shared = int(np.sum(labels.sum(axis=1) > 1))
    if shared and robust not in ("auto", None):
        raise ValueError(_shared_rows_fault(robust, shared))
    return shared > 0


def _shared_rows_fault(robust: Robust, n_shared: int) -> str:
    """Say why rows of several tasks cannot be robust: weights of their own would give each task other rows."""
    return (
        f"robust={robust!r} needs tasks with rows of their own: got {n_shared} rows with labels of several tasks, "
        "expected one label in each row. Leave robust at 'auto' or None."
    )


def times(weight: Array | None, found: Array | None) -> Array | None:
    """Weights of rows and those that they were found to deserve, multiplied; None stands for ones."""
    if found is None:
        return weight
    return found if weight is None else weight * found


def of_given_rows(found: Array | None, given: BoolArray | None) -> Array | None:
    """Weights of all rows that were given, 0 for those that are not among the rows looked at."""
    if found is None or given is None:
        return found
    every = np.zeros(len(given))
    every[given] = found
    return every


def needs_rows_fault(robust: Any) -> list[Fault]:
    """Say that moments cannot be made robust any more, where that is asked for."""
    if robust not in ("mixture", "student"):
        return []
    return [
        Fault(
            f"robust needs all rows: got {robust!r} and moments or batches, expected 'auto' or None. Make the moments "
            "robust, TaskMoments.from_long(..., robust=...), and fit to these."
        )
    ]


class _Background(NamedTuple):
    """What all tasks share: background with its location and scatter, its share, and the tasks' pooled covariance."""

    location: Array
    scatter: Array
    share: float
    pooled: Array


def _standardised(H: NDArray[Any], y: Array, stacks: Stacks) -> Array:
    """Rows with features whitened over all rows, and the target by median and quartiles of its task."""
    some = H[:: max(1, len(H) // _ROWS_TO_WHITEN)].astype(np.float64)
    location = np.median(some, axis=0)
    some -= location
    scale = np.median(np.abs(some), axis=0)
    scale = np.where(scale > 0, scale, some.std(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    some = np.clip(some / scale, -_FAR, _FAR)
    # By a scatter that outliers do not decide.
    S, shift = some.T @ some / len(some), np.zeros(H.shape[1])
    for _ in range(_STUDENT_ITER):
        centred = some - shift
        squared = np.einsum("ni,ni->n", centred @ np.linalg.pinv(S, hermitian=True), centred)
        u = (_FREEDOM + len(S)) / (_FREEDOM + squared)
        shift = (u @ some) / u.sum()
        S = ((some - shift) * u[:, None]).T @ (some - shift) / len(some)
    values, vectors = np.linalg.eigh(S)
    whitener = vectors / np.sqrt(np.maximum(values, RIDGE * max(values[-1], RIDGE)))
    x = np.empty((len(H), H.shape[1] + 1))
    np.matmul(np.clip((H - location) / scale, -_FAR, _FAR) - shift, whitener, out=x[:, :-1])
    for block in stacks.blocks(np.arange(len(stacks.counts))):
        own = block.of(y)
        ordered = np.sort(np.where(block.real, own, np.inf), axis=1)
        last = block.real.sum(axis=1) - 1
        low, middle, high = (ordered[np.arange(len(last)), (q * last).astype(int)] for q in (0.25, 0.5, 0.75))
        spread = (high - low) / _QUARTILES
        spread = np.where(spread > 0, spread, np.abs(own - middle[:, None]).max(axis=1))
        standard = (own - middle[:, None]) / np.where(spread > 0, spread, 1.0)[:, None]
        block.put(x[:, -1], np.clip(standard, -_FAR, _FAR))
    return x


def _some_of(tasks: IntArray) -> IntArray:
    """Tasks, evenly spaced, that what all of them share is learnt from."""
    step = max(1, len(tasks) // _MOST_LEARNT_FROM)
    return tasks[::step]


def _student(rows: Rows, tasks: IntArray, found: Array) -> Array:
    """Give rows the weights of a Student t_3 for each task; return its scatter, pooled over tasks."""
    p, learnt = rows.x.shape[1], _some_of(tasks)
    pooled = np.eye(p)
    for _ in range(_STUDENT_ITER):
        scatter, total = np.zeros((p, p)), 0.0
        for block in rows.stacks.blocks(learnt):
            counted = block.weights(rows.counted)
            u, own = _student_step(block.of(rows.x), counted, block.of(found), pooled)
            block.put(found, u)
            scatter, total = scatter + own.sum(axis=0), total + float(counted.sum())
        pooled = scatter / total
    for block in rows.stacks.blocks(tasks):
        x, counted, u = block.of(rows.x), block.weights(rows.counted), block.of(found)
        for _ in range(_STUDENT_ITER):
            before = u
            u, _ = _student_step(x, counted, before, pooled)
            if np.abs(u - before)[block.real].mean() < _TOL:
                break
        block.put(found, u)
    return pooled


def _student_step(x: Array, counted: Array, u: Array, pooled: Array) -> tuple[Array, Array]:
    """Weights in (0, 1] of rows of a Student t, from its scatter under the weights before, and that scatter, summed."""
    p = x.shape[2]
    # Weights of a t have an expectation of one.
    moments = stacked_moments(x, counted * u * ((_FREEDOM + p) / _FREEDOM))
    total = counted.sum(axis=1)
    # Few rows leave no scatter of their own: they share as many of the pooled one as there are dimensions.
    prior = np.where(total < OWN_ROWS * p, float(p), 0.0)
    scale = (moments.scatter + prior[:, None, None] * pooled) / (total + prior)[:, None, None]
    squared, _ = squared_distances(moments.centred, scale)
    return _FREEDOM / (_FREEDOM + squared), moments.scatter


def _mixture(rows: Rows, tasks: IntArray, pooled: Array, found: Array) -> None:
    """Replace the weights of a Student t by the probability of each row to be of its task, not of the background."""
    p, learnt = rows.x.shape[1], _some_of(tasks)
    for block in rows.stacks.blocks(tasks):
        u = block.weights(found)
        typical = u.sum(axis=1) / block.real.sum(axis=1)
        block.put(found, np.minimum(u / typical[:, None], 1.0))
    shared = _Background(np.zeros(p), np.eye(p), _FIRST_SHARE, pooled)
    for _ in range(_MAX_ITER):
        sums, moved = _Sums(p), 0.0
        for block in rows.stacks.blocks(learnt):
            x, counted, before = block.of(rows.x), block.weights(rows.counted), block.of(found)
            after, far, scatter = _expectation(x, counted, before, shared)
            block.put(found, after)
            sums.add(x, counted, counted * (1.0 - after), far, scatter, counted * before)
            moved += float(np.abs(after - before)[block.real].sum())
        shared = sums.maximised()
        if moved < _TOL * rows.stacks.counts[learnt].sum():
            break
    for block in rows.stacks.blocks(tasks):
        x, counted, after = block.of(rows.x), block.weights(rows.counted), block.of(found)
        for _ in range(_MAX_ITER):
            before = after
            after, _, _ = _expectation(x, counted, before, shared)
            if np.abs(after - before)[block.real].mean() < _TOL:
                break
        block.put(found, after)


class _Sums:
    """What the background is fitted to: its rows, over all stacks."""

    def __init__(self, p: int) -> None:
        self.first, self.second, self.scale = np.zeros(p), np.zeros((p, p)), 0.0
        self.outside = self.inside = self.total = 0.0
        self.scatter = np.zeros((p, p))

    def add(self, x: Array, counted: Array, outside: Array, far: Array, scatter: Array, inside: Array) -> None:
        """Add the rows of a stack: what each counts for, in all, outside and inside of its task."""
        flat, v = x.reshape(-1, x.shape[2]), (outside * far).ravel()
        self.first += v @ flat
        self.second += (flat * v[:, None]).T @ flat
        self.scale += float(v.sum())
        self.outside += float(outside.sum())
        self.total += float(counted.sum())
        self.inside += float(inside.sum())
        self.scatter += scatter.sum(axis=0)

    def maximised(self) -> _Background:
        """Return the background of these rows; few of them leave it that of all rows, in standard coordinates."""
        p = len(self.first)
        prior = float(_PRIOR_ROWS * p)
        location = self.first / (self.scale + prior)
        moment = self.second - self.scale * np.outer(location, location)
        moment -= np.outer(self.first - self.scale * location, location)
        moment -= np.outer(location, self.first - self.scale * location)
        share = float(np.clip(self.outside / self.total, 1e-8, _MOST_SHARE))
        scatter = (0.5 * (moment + moment.T) + prior * np.eye(p)) / (self.outside + prior)
        return _Background(location, scatter, share, self.scatter / max(self.inside, _LEAST))


def _expectation(x: Array, counted: Array, before: Array, shared: _Background) -> tuple[Array, Array, Array]:
    """Probability of rows to be of their task, their weights in the background's t, and the tasks' scatters."""
    p = x.shape[2]
    w = counted * before
    moments = stacked_moments(x, w)
    inside = _predictive(moments, w, shared.pooled)
    squared, log_det = squared_distances((x - shared.location), shared.scatter[None])
    outside = _log_student(squared, log_det, _FREEDOM, p)
    total = counted.sum(axis=1)
    share = (np.einsum("tm,tm->t", counted, 1.0 - before) + _SHARE_ROWS * shared.share) / (total + _SHARE_ROWS)
    share = np.clip(share, 1e-8, _MOST_SHARE)[:, None]
    after = np.asarray(expit(np.log1p(-share) + inside - np.log(share) - outside))
    return after, (_FREEDOM + p) / (_FREEDOM + squared), moments.scatter


def _predictive(moments: StackedMoments, w: Array, pooled: Array) -> Array:
    """Log density of each row as the other rows of its task predict it, the pooled covariance as p + 1 rows before."""
    p = moments.centred.shape[2]
    prior = p + 1.0
    distance, log_det = squared_distances(moments.centred, moments.scatter + prior * pooled)
    n = moments.n[:, None]
    others = np.maximum(n - w, 0.5)
    # The scatter about the mean without a row of weight w is less by w n / (n - w) times its product.
    left = np.maximum(1.0 - w * n / others * distance, _LEAST)
    freedom = prior + others - p + 1.0
    factor = (others + 1.0) / (others * freedom)
    squared = (n / others) ** 2 * distance / left / factor
    return _log_student(squared, log_det + np.log(left) + p * np.log(factor), freedom, p)


def _log_student(squared: Array, log_det: Array, freedom: Array | float, p: int) -> Array:
    """Log density of a multivariate t, from squared distances and the log determinant of its scale."""
    constant = (
        gammaln((freedom + p) / 2) - gammaln(np.asarray(freedom) / 2) - p / 2 * np.log(np.asarray(freedom) * np.pi)
    )
    return np.asarray(constant - 0.5 * log_det - (freedom + p) / 2 * np.log1p(squared / freedom))
