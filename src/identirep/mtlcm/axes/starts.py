"""Starts of the solver: drawn, iterated, and more of them until the best end has been reached often enough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from identirep._typing import Array
from identirep.mtlcm.axes.covariances import Covariances, DenseCovariances
from identirep.mtlcm.axes.diagonalise import joint_diagonalise, pham_criterion
from identirep.mtlcm.axes.sharded import ShardedCovariances
from identirep.mtlcm.axes.solutions import Solutions, equal_to_best

__all__ = ["random_rotations", "solve_from_some", "solve_in_blocks", "solve_until_found"]

# Numbers held at once when many starts are iterated together (float64, 160 MB).
_MAX_NUMBERS = 2e7
# Starts that have to end in the best optimum before it is believed to be the best there is.
_ENOUGH = 5
# Tasks that lead starts, and gradient at which these are near an end: that of all tasks is a few steps further.
_MOST_TASKS, _LED_TO = 4000, 1e-2


def random_rotations(n: int, D: int, rng: np.random.Generator) -> Array:
    """Draw orthogonal matrices uniformly, shape (n, D, D)."""
    Q, R = np.linalg.qr(rng.normal(size=(n, D, D)))
    return Q * np.where(np.einsum("sii->si", R) < 0, -1.0, 1.0)[:, None, :]


def solve_in_blocks(
    covariances: Covariances | ShardedCovariances, starts: Array, *, max_iter: int, tol: float
) -> Solutions:
    """Iterate as many starts at once as fit into a bounded amount of memory."""
    if isinstance(covariances, ShardedCovariances):
        return joint_diagonalise(covariances, starts, max_iter=max_iter, tol=tol)
    n_starts, D = starts.shape[:2]
    weights = np.broadcast_to(covariances.weights, (n_starts, covariances.weights.shape[-1]))
    block = max(1, int(_MAX_NUMBERS // (D * (weights.shape[1] + D**2))))
    parts = [np.s_[i : i + block] for i in range(0, n_starts, block)]
    return Solutions.joined(
        [joint_diagonalise(covariances.reweighted(weights[k]), starts[k], max_iter=max_iter, tol=tol) for k in parts]
    )


def solve_from_some(
    covariances: Covariances | ShardedCovariances,
    starts: Array,
    *,
    max_iter: int,
    tol: float,
    rng: np.random.Generator,
) -> Solutions:
    """Iterate as `solve_in_blocks`; of very many tasks some lead starts near their ends, which are those of all.

    A start that is closer to an end of all tasks than where some of them lead to stays what it is.
    """
    if isinstance(covariances, DenseCovariances) and covariances.weights.size > _MOST_TASKS:
        some = np.sort(rng.choice(covariances.weights.size, _MOST_TASKS, replace=False))
        led = solve_in_blocks(covariances.select(some), starts, max_iter=max_iter, tol=_LED_TO).unmixing
        before, after = (pham_criterion(covariances, B) for B in (starts, led))
        starts = np.where((after < before)[:, None, None], led, starts)
    return solve_in_blocks(covariances, starts, max_iter=max_iter, tol=tol)


def solve_until_found(
    solve: Callable[[Array], Solutions],
    initial: Array,
    *,
    most_starts: int,
    rng: np.random.Generator,
    equal: float | None = None,
) -> Solutions:
    """Iterate the starts, and as many random ones again, up to `most_starts`, until several reach the best end.

    Ends are the same up to rounding, or where they are not followed that far up to `equal`.
    """
    n_starts, D = initial.shape[:2]
    found = solve(initial)
    while len(found.criterion) < most_starts and np.sum(equal_to_best(found.criterion, equal)) < _ENOUGH:
        more = random_rotations(min(n_starts, most_starts - len(found.criterion)), D, rng)
        found = Solutions.joined([found, solve(more)])
    return found
