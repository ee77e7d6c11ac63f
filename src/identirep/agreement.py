"""What comparisons of representations return: two sets matched one to one, and several fits with each other."""

from __future__ import annotations

from dataclasses import dataclass

from identirep._typing import Array, IntArray

__all__ = ["MCCResult", "StabilityResult"]


@dataclass(frozen=True)
class MCCResult:
    """Outcome of matching two sets of latents one to one.

    Parameters
    ----------
    score : float
        Mean of `per_latent`: the mean correlation coefficient, in [0, 1] unless scored on held-out rows, where a
        latent whose sign does not hold up counts negative.
    per_latent : array, shape (n_matched,)
        Correlation of each latent of the first set with its partner, sign removed.
    assignment : array of int, shape (n_matched,)
        Column of the second set matched to each latent of the first; -1 for a latent without partner, if the second
        set has fewer (its `per_latent` is then 0).
    signs : array, shape (n_matched,)
        Sign (-1 or 1) by which the partner is multiplied to agree.
    """

    score: float
    per_latent: Array
    assignment: IntArray
    signs: Array


@dataclass(frozen=True)
class StabilityResult:
    """Agreement of several fits with each other.

    Parameters
    ----------
    score : float
        Mean strong MCC over all pairs of fits.
    worst : float
        Lowest correlation of any latent in any pair.
    matrix : array, shape (n_fits, n_fits)
        Strong MCC of each pair; ones on the diagonal.
    per_latent : array, shape (n_fits, n_latents)
        Correlation of each latent of each fit with its partners, averaged over the other fits.
    """

    score: float
    worst: float
    matrix: Array
    per_latent: Array
