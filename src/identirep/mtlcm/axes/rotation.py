r"""The axes on shared rows: those under which the heads of the tasks are sparse.

Where tasks share their rows there is one law of the latents for all of them, and any invertible map of the features
predicts the targets as well. What has to be chosen is a map that comes back on other rows. With c_t the least-squares
head of task t on latents of unit variance, in units of the noise of its target, minimise

    F(B) = sum_t p_t sum_i |c_ti|,      c_t = B^{-T} w_t / sigma_t,   diag(B S B') = 1,

with w_t the heads on the features, whose covariance is S. Heads of a given length cost least where one coefficient is
all of it, which quartimax and varimax reward with fourth powers and independent axes; here axes may correlate, since
nothing makes latents of the same rows independent. Pham's criterion grows without bound as a correlation with a target
goes to one, so that axes chase the target that a fit happens to predict best, and rotations cannot follow latents that
correlate. Powers of abs(c) between one and two often come back better still, but mix weak latents with strong ones,
however many rows there are. What comes back better is that mixture: sums of the axes' lengths |c_i|_p, which do not
mix, have no advantage. The absolute value is smoothed, sqrt(c^2 + w^2), with w a twentieth of the root mean square of
c, about what fits to other rows differ by. `benchmarks/rotations.py` compares all these.

Steps are those of `diagonalise`: relative, with the Hessian of each pair of entries and a memory, all starts at once.

References
----------
H. F. Kaiser, "The varimax criterion for analytic rotation in factor analysis", Psychometrika 23 (1958) 187-200.
S. Lachapelle et al., "Synergies between disentanglement and sparsity: generalization and identifiability in multi-task
learning", ICML 2023, arXiv:2211.14666.
R. I. Jennrich, "Rotation to simple loadings using component loss functions: the oblique case", Psychometrika 71 (2006)
173-191.
Y. Shen, Y. Xue, J. Zhang, K. Letaief, V. Lau, "Complete dictionary learning via l_p-norm maximization", UAI 2020.
K. Rohe, M. Zeng, "Vintage factor analysis with varimax performs statistical inference", J. R. Stat. Soc. B 85 (2023)
1037-1060.
X. Liu, G. Wallin, Y. Chen, I. Moustaki, "Rotation to sparse loadings using L^p losses and related inference problems",
Psychometrika 88 (2023) 527-553.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.diagonalise import StepMemory, pair_step
from identirep.mtlcm.axes.noise import denoised_joint_moments
from identirep.mtlcm.axes.solutions import Solutions

__all__ = ["NEAR", "ROUGH", "HeadsOfTasks", "length_of_heads", "mostly_shared", "n_starts", "sparsest_heads"]

# Width of the smoothed absolute value, in units of the root mean square coefficient.
_WIDTH = 0.05
# Tasks have their rows in common where a row of one task has labels of at least this share of the others, on average.
_SHARED = 0.5
# A target counts with at least this share of its variance as noise, as in stage one: otherwise the few that are almost
# deterministic decide alone.
_NOISE_SHARE = 0.01
# Gradient at which a line search that finds nothing lower has arrived: the criterion is flat up to rounding there.
_FLAT = 1e-5
# Numbers held at once when many starts are iterated together (float64, 40 MB).
_MAX_NUMBERS = 5_000_000
# Determinants of the 2 x 2 Hessians, their common part one, are held above this: far from an optimum steps are short.
_LEAST_CURVATURE = 1.0
# Share of the length of all heads that two latents count with at least.
_LEAST_LENGTH = 1e-3
# Largest entry of a relative step, and the share of the fall that its slope promises which it has to have.
_MAX_STEP, _LEAST_FALL, _MAX_HALVINGS = 0.5, 1e-4, 20
# Norm of the inverse of the unmixing matrix up to which steps go. Where heads lie in fewer dimensions than there are
# latents, nearly parallel axes make them ever sparser.
_LARGEST_INVERSE = 1e4
# Which start leads lowest is told by this norm of the gradient, long before an end is reached.
ROUGH = 1e-3
# Log F that a start may yet fall from there. Where only the best end counts, others are given up once they promise,
# by this factor on the fall along their step (a Newton step falls by half of its slope), to end above it by more. One
# in seven of those would have come to the best end from a saddle; in 60 problems that end was never missed.
NEAR, _PROMISE = 1e-4, 10.0
# Rounding error of log F.
_ROUNDING = 2e-15
_TINY = 1e-12


class HeadsOfTasks(NamedTuple):
    """Heads on whitened features, in units of the targets' noise, (n_tasks, D), and weights of the tasks.

    Both may have a leading axis, for problems that are solved at once.
    """

    coef: Array
    weights: Array

    @classmethod
    def of(cls, moments: TaskMoments, noise_variance: float) -> tuple[HeadsOfTasks, Array]:
        """Heads from moments with the noise of the features taken out, and the map that whitens those."""
        joint = denoised_joint_moments(moments, noise_variance)
        values, vectors = np.linalg.eigh(np.tensordot(joint.weights, joint.S, axes=1))
        whitener = vectors.T / np.sqrt(values)[:, None]
        white = joint.mapped(whitener)
        coef = np.linalg.solve(white.S, white.s[..., None])[..., 0]
        left = 1.0 - np.einsum("ti,ti->t", coef, white.s) / white.v
        noise = white.v * np.maximum(left, _NOISE_SHARE)
        return cls(coef / np.sqrt(noise)[:, None], joint.weights), whitener

    @property
    def size(self) -> Array:
        """Root mean square coefficient, of shape () or the leading axis."""
        return np.asarray(np.sqrt(np.einsum("...t,...ti->...", self.weights, self.coef**2) / self.coef.shape[-1]))

    @property
    def width(self) -> Array:
        """Width of the smoothed absolute value, as `size`."""
        return _WIDTH * self.size

    @classmethod
    def stacked(cls, problems: Sequence[HeadsOfTasks], n_starts: int) -> HeadsOfTasks:
        """So many starts of each problem, one after the other."""
        return cls(*(np.repeat(np.stack(parts), n_starts, axis=0) for parts in zip(*problems, strict=True)))


def mostly_shared(moments: TaskMoments) -> bool:
    """Whether tasks have most of their rows in common, so that all have about the same law of the latents."""
    further_labels = moments._n_labels - moments.n_rows
    return moments.is_shared or further_labels >= _SHARED * (moments.n_tasks - 1) * moments.n_rows


def n_starts(n_init: int | str, moments: TaskMoments, prior: str) -> dict[str, int]:
    """How many starts of the solver are taken at first, and at most."""
    if n_init != "auto":
        return {"n_init": int(n_init)}
    if mostly_shared(moments) and prior == "factorized":
        return {"n_init": 20, "most_starts": 100}
    return {"n_init": 5}


def sparsest_heads(
    heads: HeadsOfTasks, initial: Array, *, max_iter: int, tol: float, rivals: IntArray | None = None
) -> Solutions:
    """Minimise log F from each start, shape (n_starts, D, D), in whitened coordinates, until no gradient exceeds `tol`.

    Heads are those of all starts, or with a leading axis those of each. As many starts are iterated at once as fit into
    a bounded amount of memory. Of starts with the same number in `rivals` only the best end is asked for.
    """
    n_starts = len(initial)
    coef = np.broadcast_to(heads.coef, (n_starts, *heads.coef.shape[-2:]))
    weights = np.broadcast_to(heads.weights, (n_starts, heads.weights.shape[-1]))
    problem = _Problem(coef, weights, np.broadcast_to(heads.width, n_starts))
    block = max(1, int(_MAX_NUMBERS // np.prod(coef.shape[1:])))
    parts = [np.s_[i : i + block] for i in range(0, n_starts, block)]
    rivals = np.arange(n_starts) if rivals is None else rivals
    return Solutions.joined(
        [_solved(problem.select(part), initial[part], max_iter, tol, rivals[part]) for part in parts]
    )


def length_of_heads(heads: HeadsOfTasks, unmixing: Array) -> Array:
    """What each task adds to F, smoothed, before its weight, shape (n_tasks,), for rows of unit norm."""
    coef = heads.coef @ np.linalg.inv(unmixing)
    return np.asarray(np.sqrt(coef**2 + heads.width**2).sum(axis=1))


class _Problem(NamedTuple):
    """Heads, task weights and width of the smoothed absolute value of each start."""

    coef: Array
    weights: Array
    width: Array

    def select(self, starts: Any) -> _Problem:
        return _Problem(*(values[starts] for values in self))


def _solved(problem: _Problem, initial: Array, max_iter: int, tol: float, rivals: IntArray) -> Solutions:
    """Take quasi-Newton steps B <- (I + E) B with a memory, rows scaled to unit norm, from several starts."""
    n_starts, D = initial.shape[:2]
    state = _State.at(problem, np.arange(n_starts), initial)
    unmixing, criterion = state.B.copy(), state.value.copy()
    norm, n_iter = np.full(n_starts, np.inf), np.zeros(n_starts, dtype=np.int64)
    converged, stalled = np.zeros(n_starts, dtype=bool), np.zeros(n_starts, dtype=bool)
    best = np.full(rivals.max() + 1, np.inf)
    memory, step, last = StepMemory(), np.zeros((0, D, D)), np.zeros((0, D, D))
    for iteration in range(max_iter + 1):
        index = state.start
        G, curvature, coupling = _derivatives(problem, state)
        before, norm[index] = norm[index], np.abs(G).max(axis=(1, 2))
        unmixing[index], criterion[index] = state.B, state.value
        if iteration:
            memory.remember(step, G - last)
        solve = partial(_plain_step, curvature=curvature, coupling=coupling)
        E = memory.direction(G, solve)
        E *= np.minimum(1.0, _MAX_STEP / np.maximum(np.abs(E).max(axis=(1, 2)), _TINY))[:, None, None]
        slope = np.einsum("sij,sij->s", E, G)
        # Where a step promises less than rounding, a start has arrived once its gradient falls no more.
        stalled[index] |= np.isinf(state.value) | ((-slope <= _ROUNDING) & (norm[index] >= before))
        near = np.where(stalled[index], _FLAT, tol)
        converged[index] = np.isfinite(state.value) & (norm[index] <= np.maximum(near, tol))
        arrived = index[converged[index]]
        np.minimum.at(best, rivals[arrived], criterion[arrived])
        beaten = state.value + _PROMISE * slope > best[rivals[index]] + NEAR
        going = ~(converged[index] | stalled[index] | beaten)
        if iteration == max_iter or not going.any():
            break
        if not going.all():
            memory.select(going)
            problem, state, G, E, slope = problem.select(going), state.select(going), G[going], E[going], slope[going]
        moved, failed = _line_search(problem, state, E, slope)
        # What the memory suggested may lead nowhere; where there is none, nothing does.
        stalled[state.start[failed]] = not memory.forget(failed)
        n_iter[state.start[~failed]] += 1
        last, step, state = G, moved.B @ state.inverse - np.eye(D), moved
    return Solutions(criterion, norm, n_iter, converged, unmixing)


class _State(NamedTuple):
    """The starts still iterated: position, unmixing matrix with unit rows, its inverse, its heads, and log F."""

    start: IntArray
    B: Array
    inverse: Array
    coef: Array
    smooth: Array
    value: Array

    @classmethod
    def at(cls, problem: _Problem, start: IntArray, unmixing: Array) -> _State:
        """Scale rows to unit norm; a matrix that hardly has an inverse has an infinite criterion."""
        B = unmixing / np.linalg.norm(unmixing, axis=2, keepdims=True)
        singular = np.zeros(len(B), dtype=bool)
        try:
            inverse = np.linalg.inv(B)
        except np.linalg.LinAlgError:
            singular = np.linalg.slogdet(B)[0] == 0.0
            inverse = np.linalg.inv(np.where(singular[:, None, None], np.eye(B.shape[1]), B))
        singular |= np.einsum("sij,sij->s", inverse, inverse) > _LARGEST_INVERSE**2
        coef = problem.coef @ inverse
        smooth = np.sqrt(coef**2 + problem.width[:, None, None] ** 2)
        value = np.log(np.einsum("st,sti->s", problem.weights, smooth))
        return cls(start, B, inverse, coef, smooth, np.where(singular, np.inf, value))

    def select(self, starts: Any) -> _State:
        return _State(*(values[starts] for values in self))


def _derivatives(problem: _Problem, state: _State) -> tuple[Array, Array, Array]:
    """Gradient of log F in E, and what each pair of entries adds to its second derivative: own and common parts.

    With B <- (I + E) B the heads become coef (I - E + E^2); rows keep their norm by E_ii = -sum_j E_ij (B B')_ij.
    """
    i, total = np.arange(state.B.shape[1]), np.exp(state.value)[:, None, None]
    weights, width = problem.weights[:, :, None], problem.width[:, None, None]
    transposed = state.coef.swapaxes(1, 2) / total
    weighted = weights / state.smooth
    G = -transposed @ (weighted * state.coef)
    length, gram = -G[:, i, i], state.B @ state.B.swapaxes(1, 2)
    G += length[:, :, None] * gram
    G[:, i, i] = 0.0
    curvature = (transposed * state.coef.swapaxes(1, 2)) @ (weighted * (width / state.smooth) ** 2)
    curvature += length[:, :, None] * (1.0 - gram**2)
    return G, curvature, length[:, :, None] + length[:, None, :]


def _plain_step(gradient: Array, curvature: Array, coupling: Array) -> Array:
    """Newton step of each pair of entries alone, made to go downhill."""
    # Of latents that no target has to do with nothing is known but rounding, which shall not move them.
    common = np.maximum(coupling, _LEAST_LENGTH)
    E = pair_step(gradient / common, np.maximum(curvature, _TINY) / common, _LEAST_CURVATURE)
    i = np.arange(E.shape[1])
    E[:, i, i] = 0.0
    return E


def _line_search(problem: _Problem, state: _State, E: Array, slope: Array) -> tuple[_State, BoolArray]:
    """Halve each step until the criterion falls; tell for which starts it does not."""
    step, share = E @ state.B, 1.0
    moved = _State.at(problem, state.start, state.B + step)
    pending = np.flatnonzero(~_falls(moved, state, slope))
    for _ in range(1, _MAX_HALVINGS):
        if not len(pending):
            break
        share *= 0.5
        before = state.select(pending)
        tried = _State.at(problem.select(pending), before.start, before.B + share * step[pending])
        fell = _falls(tried, before, share * slope[pending])
        for values, new in zip(moved, tried, strict=True):
            values[pending[fell]] = new[fell]
        pending = pending[~fell]
    failed = np.zeros(len(E), dtype=bool)
    failed[pending] = True
    if len(pending):
        for values, old in zip(moved, state, strict=True):
            values[pending] = old[pending]
    return moved, failed


def _falls(moved: _State, state: _State, slope: Array) -> BoolArray:
    """Tell whether log F is less by enough of what the slope of the step promised, up to rounding."""
    return np.asarray(moved.value <= state.value + _LEAST_FALL * slope + _ROUNDING)
