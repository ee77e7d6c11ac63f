r"""Effects that curve with the target: powers of its normal score beside the line.

The likelihood of stage two needs R_t = cov(h given y). Where E[h | y] is no line, the covariance that a line leaves
still correlates effects, and axes turn. So features are regressed on y and on powers 2, ..., d of the normal score of y
(the normal quantile of its rank in the task), or of y itself, and what these powers explain beyond the line is taken
out of the covariance of the features. One shape serves all tasks: that with the least AIC of all
regressions together, if a likelihood-ratio test over all tasks (Bartlett's factor, chi-squared) rejects the line.

References
----------
M. S. Bartlett, "Further aspects of the theory of multiple regression", Math. Proc. Cambridge 34 (1938) 33-40.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from identirep._typing import Array, IntArray
from identirep.task_blocks import RIDGE, Block, Stacks

__all__ = ["LINES", "Curves", "Shape", "curves_of", "shape_of_effects"]

_MOST_POWERS = 4
# Standard errors by which curves have to be better than lines, over all tasks.
_ERRORS = 5.0
# Standard deviations to which powers of targets reach.
_REACH = 4.0
# Rows that a task needs beyond its features and powers.
_SPARE_ROWS = 3
_TINY = 1e-300


class Shape(NamedTuple):
    """Degree of curves, 1 for lines, and whether powers are of ranks' normal scores or of the target itself."""

    degree: int = 1
    of_scores: bool = True


LINES = Shape()


class Curves(NamedTuple):
    """Covariance of the features that curves explain beyond lines, (T, K, K), and what they are in each row, (N, K)."""

    covariance: Array
    values: Array


def shape_of_effects(
    H: NDArray[Any], y: Array, index: IntArray, n_tasks: int, weight: Array | None, tasks: IntArray
) -> Shape:
    """Return the shape that suits the effects of some tasks of the long layout."""
    K, counted = H.shape[1], _counted(weight, len(H))
    stacks = Stacks.of(index, n_tasks, K + _MOST_POWERS)
    shapes = [Shape(power + 1, of_scores) for of_scores in (True, False) for power in range(1, _MOST_POWERS)]
    gain, freedom, aic = np.zeros((3, len(shapes)))
    for block in stacks.blocks(_large_enough(tasks, stacks, K)):
        lines = _Lines.of(block, H, y, counted)
        n, ratios = lines.n, [lines.with_powers(kind).log_ratios() for kind in (True, False)]
        for i, ((degree, _), ratio) in enumerate(zip(shapes, np.concatenate(ratios), strict=True)):
            power = degree - 1
            gain[i] += float(np.sum((n - 2.0 - 0.5 * (K + power + 1)) * ratio))
            freedom[i] += K * power * len(n)
            aic[i] += float(np.sum(n * ratio - 2.0 * K * power * n / (n - K - power - 2)))
    best = int(np.argmax(aic))
    if aic[best] <= 0.0 or gain[best] - freedom[best] < _ERRORS * np.sqrt(2.0 * freedom[best]):
        return LINES
    return shapes[best]


def curves_of(
    H: NDArray[Any],
    y: Array,
    index: IntArray,
    n_tasks: int,
    weight: Array | None,
    tasks: IntArray,
    shape: Shape,
) -> Curves:
    """Return what curves of a shape explain in some tasks; nothing in those with too few rows."""
    K, counted = H.shape[1], _counted(weight, len(H))
    stacks = Stacks.of(index, n_tasks, K + _MOST_POWERS)
    found = Curves(np.zeros((n_tasks, K, K)), np.zeros((len(H), K)))
    for block in stacks.blocks(_large_enough(tasks, stacks, K)):
        lines, power = _Lines.of(block, H, y, counted), shape.degree - 1
        regression = lines.with_powers(shape.of_scores)
        f = regression.coefficients[:, :power]
        found.covariance[block.tasks] = f.swapaxes(1, 2) @ f / lines.n[:, None, None]
        block.put(found.values, regression.powers[:, :, :power] @ f)
    return found


def _counted(weight: Array | None, n: int) -> Array:
    return np.ones(n) if weight is None else weight / weight.max()


def _large_enough(tasks: IntArray, stacks: Stacks, K: int) -> IntArray:
    return tasks[stacks.counts[tasks] > K + _MOST_POWERS + _SPARE_ROWS]


class _Lines(NamedTuple):
    """Regression of the features of stacked tasks on their targets: rows that count for w, (t, m), and what is left.

    `weighted` are centred features times w, `unit` is the centred target in unit length, and `residual` the scatter of
    the features about the line.
    """

    block: Block
    y: Array
    w: Array
    n: Array
    line: Array
    unit: Array
    weighted: Array
    residual: Array

    @classmethod
    def of(cls, block: Block, H: NDArray[Any], y: Array, counted: Array) -> _Lines:
        w = block.weights(counted)
        n = w.sum(axis=1)
        h, line = (_centred(part, w, n) for part in (block.of(H).astype(np.float64), block.of(y)[..., None]))
        unit, weighted = _unit(line, w), h * w[..., None]
        slope = unit.swapaxes(1, 2) @ weighted
        residual = weighted.swapaxes(1, 2) @ h - slope.swapaxes(1, 2) @ slope
        return cls(block, y, w, n, line, unit, weighted, residual)

    def with_powers(self, of_scores: bool) -> _Regression:
        """Add orthonormal powers of a kind."""
        w = self.w
        score = _normal_scores(self.block, self.y, w) if of_scores else _within_reach(self.line[..., 0], w)
        basis = [self.unit]
        for power in range(2, _MOST_POWERS + 1):
            column = _centred(score[..., None] ** power, w, self.n)
            size = np.sqrt(_summed(w, column**2))
            for _ in range(2):
                for known in basis:
                    column = column - known * _summed(w, known * column)[:, None]
            # A power that the others give, as with two values, is none.
            left = np.sqrt(_summed(w, column**2))
            column = np.where((left > 1e-6 * size)[:, None], column, 0.0)
            basis.append(_unit(column, w))
        powers = np.concatenate(basis[1:], axis=2)
        return _Regression(powers, powers.swapaxes(1, 2) @ self.weighted, self.residual)


class _Regression(NamedTuple):
    """Regression of the features of stacked tasks on orthonormal powers, (t, m, p), all orthogonal to y.

    `residual` is the scatter of the features that lines leave.
    """

    powers: Array
    coefficients: Array
    residual: Array

    def log_ratios(self) -> Array:
        """log|R| of lines less that of lines and one, two, ... powers, (n_powers, t)."""
        # Features that are constant have neither residual nor effects.
        size = np.sqrt(np.einsum("tkk->tk", self.residual))
        size = np.where(size > 0, size, 1.0)
        f = self.coefficients / size[:, None]
        residual = self.residual / (size[:, :, None] * size[:, None]) + RIDGE * np.eye(f.shape[2])
        # One system for all powers: those of fewer are its corner.
        explained = f @ np.linalg.solve(residual, f.swapaxes(1, 2))
        found = []
        for power in range(1, f.shape[1] + 1):
            sign, log_det = np.linalg.slogdet(np.eye(power) - explained[:, :power, :power])
            found.append(np.where(sign > 0, -log_det, 0.0))
        return np.array(found)


def _summed(w: Array, values: Array) -> Array:
    """Weighted sums over the rows of each task, (t, k)."""
    return np.asarray((w[:, None] @ values)[:, 0])


def _centred(values: Array, w: Array, n: Array) -> Array:
    return values - (_summed(w, values) / n[:, None])[:, None]


def _unit(column: Array, w: Array) -> Array:
    return column / np.sqrt(np.maximum(_summed(w, column**2), _TINY))[:, None]


def _within_reach(line: Array, w: Array) -> Array:
    """Centred targets in standard deviations, far ones limited: their powers would be all that counts."""
    deviation = np.sqrt(np.einsum("tm,tm->t", w, line**2) / w.sum(axis=1))
    return np.clip(line / np.maximum(deviation, _TINY)[:, None], -_REACH, _REACH)


def _normal_scores(block: Block, y: Array, w: Array) -> Array:
    """Normal quantile of the weighted rank of each target in its task, (t, m); equal targets have equal scores."""
    values = np.where(block.real, block.of(y), np.inf)
    order = np.argsort(values, axis=1, kind="stable")
    ordered, mass = np.take_along_axis(values, order, axis=1), np.take_along_axis(w, order, axis=1)
    above = np.cumsum(mass, axis=1)
    first = np.concatenate([np.ones((len(w), 1), dtype=bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    columns = np.arange(w.shape[1])
    start = np.maximum.accumulate(np.where(first, columns, 0), axis=1)
    last = np.concatenate([first[:, 1:], np.ones((len(w), 1), dtype=bool)], axis=1)
    end = np.minimum.accumulate(np.where(last, columns, w.shape[1])[:, ::-1], axis=1)[:, ::-1]
    low = np.take_along_axis(above - mass, start, axis=1)
    middle = 0.5 * (low + np.take_along_axis(above, end, axis=1)) / above[:, -1:]
    scores = np.empty_like(w)
    np.put_along_axis(scores, order, ndtri(np.clip(middle, 1e-6, 1.0 - 1e-6)), axis=1)
    return np.where(block.real, scores, 0.0)
