"""Starts of the solver: drawn, iterated, and more of them until the best end has been reached often enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.axes.covariances import CovarianceSet
from identirep.mtlcm.axes.diagonalise import DiagonalisationResult, joint_diagonalise

__all__ = ["Starts", "first_best", "random_rotations", "solve_in_blocks", "solve_until_found"]

# Criteria closer than this are one optimum reached twice.
_ROUNDING = 1e-9
# Numbers held at once when many starts are iterated together (float64, 160 MB).
_MAX_NUMBERS = 2e7
# Starts that have to end in the best optimum before it is believed to be the best there is.
_ENOUGH = 5


@dataclass(frozen=True)
class Starts:
    """What became of all starts.

    Parameters
    ----------
    criterion : array, shape (n_starts,)
        Negative mean log-likelihood of a row at the end, up to a constant; lower is better.
    gradient_norm : array, shape (n_starts,)
        Largest entry of the relative gradient at the end.
    n_iter : array of int, shape (n_starts,)
        Iterations.
    converged : array of bool, shape (n_starts,)
        Whether the gradient norm is at most the tolerance, or rounding error leaves nothing to gain.
    agreement : array, shape (n_starts, D)
        Correlation of each latent of the best start with its partner in this start.
    """

    criterion: Array
    gradient_norm: Array
    n_iter: IntArray
    converged: BoolArray
    agreement: Array

    @property
    def best(self) -> int:
        """Position of the best start; of those equal up to rounding the first that converged."""
        return first_best(self.criterion, self.converged)


def first_best(criterion: Array, converged: BoolArray) -> int:
    """Position of the least criterion; the first among equals, so that rounding does not choose."""
    equal = _equal_to_best(criterion)
    return int(np.argmax(equal & converged if np.any(equal & converged) else equal))


def random_rotations(n: int, D: int, rng: np.random.Generator) -> Array:
    """Draw orthogonal matrices uniformly, shape (n, D, D)."""
    Q, R = np.linalg.qr(rng.normal(size=(n, D, D)))
    return Q * np.where(np.einsum("sii->si", R) < 0, -1.0, 1.0)[:, None, :]


def solve_in_blocks(covariances: CovarianceSet, starts: Array, *, max_iter: int, tol: float) -> DiagonalisationResult:
    """Iterate as many starts at once as fit into a bounded amount of memory."""
    n_starts, D = starts.shape[:2]
    weights = np.broadcast_to(covariances.weights, (n_starts, covariances.weights.shape[-1]))
    block = max(1, int(_MAX_NUMBERS // (D * (weights.shape[1] + D**2))))
    parts = [
        joint_diagonalise(
            covariances.reweighted(weights[i : i + block]), starts[i : i + block], max_iter=max_iter, tol=tol
        )
        for i in range(0, n_starts, block)
    ]
    return _joined(parts)


def solve_until_found(
    covariances: CovarianceSet,
    initial: Array,
    *,
    most_starts: int,
    rng: np.random.Generator,
    max_iter: int,
    tol: float,
) -> DiagonalisationResult:
    """Iterate the starts, and as many random ones again until the best end has been reached several times.

    Parameters
    ----------
    covariances : CovarianceSet
        Covariances in the coordinates that the starts act on.
    initial : array, shape (n_starts, D, D)
        Unmixing matrices of the first starts.
    most_starts : int
        No further ones are drawn from this number on.
    rng : numpy.random.Generator
        Source of the further starts.
    max_iter, tol
        See `joint_diagonalise`.

    Returns
    -------
    DiagonalisationResult
        All starts.
    """
    n_starts, D = initial.shape[:2]
    found = solve_in_blocks(covariances, initial, max_iter=max_iter, tol=tol)
    while len(found.criterion) < most_starts and np.sum(_equal_to_best(found.criterion)) < _ENOUGH:
        more = random_rotations(min(n_starts, most_starts - len(found.criterion)), D, rng)
        found = _joined([found, solve_in_blocks(covariances, more, max_iter=max_iter, tol=tol)])
    return found


def _joined(parts: Sequence[DiagonalisationResult]) -> DiagonalisationResult:
    if len(parts) == 1:
        return parts[0]
    names = DiagonalisationResult.__dataclass_fields__
    return DiagonalisationResult(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _equal_to_best(criterion: Array) -> BoolArray:
    return np.asarray(criterion <= criterion.min() + _ROUNDING)
