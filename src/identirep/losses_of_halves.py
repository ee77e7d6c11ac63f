"""What fits to halves of the rows show of the loss 1 - c of each axis in a fit to as many other rows."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.mtrn import MTRN, PredictiveFeatures

__all__ = ["kinship", "losses", "of_fits"]

_LEAST_LOSS = 1e-6


def of_fits(share: float, seen: float, by_rows: float) -> float:
    """Loss between two fits to other rows, in units of that between a fit and one to a share of its own rows.

    Errors of the latter are larger by 1 / share; those of the fit by 1 / seen where rows are predicted by fits to that
    share of the others. What rows do, a part `by_rows` of an error's variance, they do to both: the covariance of an
    estimate that is linear in the rows, as a mean is, with that of some of its rows is its own variance.
    """
    return 1.0 / (0.5 * (1.0 / seen + 1.0 / share) - by_rows)


def kinship(
    stage: MTRN | PredictiveFeatures, groups: IntArray | None, between: Array, same: Array
) -> tuple[float, float]:
    """Share of the rows by which a fit predicts those held out, and the part of its errors that rows make.

    That part is what another seed on the same rows, `same` (D,), does not show of the loss between halves, (n, D), over
    all axes. Replicates of a network share more than rows: of networks seeds are taken to decide.
    """
    if isinstance(stage, MTRN):
        return 1.0, 0.0
    by_rows = 1.0 - (1.0 - same).sum() / max(float((1.0 - between.mean(axis=0)).sum()), _LEAST_LOSS)
    seen = 1.0
    if stage.cross_fit != "oob":
        n_folds = int(stage.cross_fit) if groups is None else min(int(stage.cross_fit), int(groups.max()) + 1)
        seen = 1.0 - 1.0 / n_folds
    return seen, float(np.clip(by_rows, 0.0, 1.0))


def losses(between: Array, to_halves: Array) -> tuple[Array, Array]:
    """Return the likely loss 1 - c of each axis in another fit, and the larger of what the halves and the fit show."""
    of_halves = np.maximum(1.0 - to_halves, _LEAST_LOSS)
    larger = np.maximum(of_halves.mean(axis=0), 1.0 - between.mean(axis=0))
    # Of few halves the one that is off says less of the next fit than the one that is not: their geometric mean.
    found = np.log([np.exp(np.log(of_halves).mean(axis=0)), np.maximum(larger, _LEAST_LOSS)])
    # What one pair of halves shows of an axis errs as much as axes differ, so that half of the difference to the other
    # axes of the fit counts; but no axis is said to be better than it was seen to be.
    shrunk = 0.5 * (found + found.mean(axis=1, keepdims=True))
    likely, largest = np.minimum(np.exp(np.maximum(found, shrunk)), 1.0)
    return likely, largest
