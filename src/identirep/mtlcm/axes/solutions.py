"""What an iterative solver returns, for several starts at once along the first axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.mtlcm.axes.canonical import latent_agreement

__all__ = ["Solutions", "Starts", "equal_to_best"]

# Criteria closer than this are one optimum reached twice.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Ends:
    """How each start ended, arrays of shape (n_starts,): the lower the criterion the better.

    The criterion is the negative mean log-likelihood of a row, up to a constant; the norm is the largest entry of the
    relative gradient. A start has converged if that is at most the tolerance, or rounding error leaves nothing to gain.
    """

    criterion: Array
    gradient_norm: Array
    n_iter: IntArray
    converged: BoolArray

    @property
    def best(self) -> int:
        """Position of the best start; of those equal up to rounding the first that converged."""
        equal = equal_to_best(self.criterion)
        return int(np.argmax(equal & self.converged if np.any(equal & self.converged) else equal))


@dataclass(frozen=True)
class Starts(_Ends):
    """What became of all starts; `agreement` (n_starts, D) correlates each latent of the best one with its partner."""

    agreement: Array


@dataclass(frozen=True)
class Solutions(_Ends):
    """The unmixing matrix that each start led to, shape (n_starts, D, D), and how it was reached."""

    unmixing: Array

    @classmethod
    def of_one(cls, unmixing: Array, criterion: float, gradient_norm: float, n_iter: int, tol: float) -> Solutions:
        """The end of a single start."""
        parts = (criterion, gradient_norm, n_iter, gradient_norm <= tol, unmixing)
        return cls(*(np.asarray(part)[None] for part in parts))

    @classmethod
    def joined(cls, parts: Sequence[Solutions]) -> Solutions:
        """The starts of all parts."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def select(self, starts: Any) -> Solutions:
        """Some of the starts."""
        return Solutions(*(getattr(self, field.name)[starts] for field in fields(self)))

    def ranked(self, n: int) -> Solutions:
        """The n best starts, best first."""
        return self.select(np.argsort(self.criterion, kind="stable")[:n])

    def report(self, S: Array) -> Starts:
        """What became of the starts, latents compared on features with the covariance `S`."""
        agreement = np.stack([latent_agreement(self.unmixing[self.best], B, S).per_latent for B in self.unmixing])
        return Starts(self.criterion, self.gradient_norm, self.n_iter, self.converged, agreement)


def equal_to_best(criterion: Array, equal: float | None = None) -> BoolArray:
    """Whether each start reached the least criterion, up to rounding: rounding shall not choose between them."""
    return np.asarray(criterion <= criterion.min() + (_ROUNDING if equal is None else equal))
