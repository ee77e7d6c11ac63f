r"""Memory of past steps (L-BFGS), on top of steps that solve each pair of latents by itself.

Steps that solve a 2 x 2 system for each pair converge within a dozen iterations or two where the Hessian couples
nothing else. Where it does, because tasks hardly tell the latents apart or the model does not fit, they converge
linearly, and a few pairs of past steps and changes of the gradient restore fast convergence (Ablin, Cardoso, Gramfort
2018). Steps and gradients are relative, in coordinates that move along.

References
----------
P. Ablin, J.-F. Cardoso, A. Gramfort, "Faster independent component analysis by preconditioning with Hessian
approximations", IEEE Trans. Signal Process. 66 (2018) 4040-4049.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray

__all__ = ["StepMemory"]

_SIZE = 5
# Cosine between step and change of the gradient below which the pair says nothing of a positive curvature.
_LEAST_COSINE = 1e-10


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
