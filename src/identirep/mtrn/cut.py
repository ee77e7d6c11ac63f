"""Whether another fit would keep the same D directions: replicates of one fit tell how accurate the ranking is."""

from __future__ import annotations

import warnings

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtrn.reduction import Reduction

__all__ = ["cut_clarity", "warn_of_unclear_cut"]

# A cut is clear if signals on both sides differ by so many standard errors. Replicates share rows, batches and the rows
# held out, so that they differ less than fits do, and of sorted signals the gap is never zero: hence the distance.
_CLEAR = 10.0
# Clear cuts further away than this are no substitute for the one asked for.
_NEAR = 3


def cut_clarity(moments: TaskMoments, coef: Array, reduction: Reduction, n_replicates: int) -> Array:
    r"""Compare the gap of signal at each cut with how much replicates differ there.

    In the leading directions of the consensus, replicate r has the signal matrix
    :math:`M^r = \sum_t p_t w_t^r w_t^{r\top} / \sigma_t^2`, whose mean is close to diagonal. The directions at the cut
    after D trade places, or mix, as far as the standard errors of :math:`M_{DD} - M_{D+1,D+1}` and of
    :math:`2 M_{D,D+1}` compare with the gap. Those standard errors are taken from the spread over replicates, which
    share rows and batches: another fit may differ several times as much.

    `moments` are of the features of all replicates, side by side, and `coef` are heads on them whose predictions are
    the mean over replicates. Returned are the gaps in standard errors for D = 1, 2, ..., shape (n_directions - 1,).
    """
    K = moments.n_features // n_replicates
    # Covariance of the features with the directions, which have unit variance.
    between = moments.pooled_covariance() @ reduction.components.T
    scale = np.sqrt(moments.weights) / reduction.scale
    signal = np.empty((n_replicates, len(reduction.components), len(reduction.components)))
    for r in range(n_replicates):
        own = slice(r * K, (r + 1) * K)
        w = n_replicates * coef[:, own] @ between[own] * scale[:, None]
        signal[r] = w.T @ w
    strength = np.diagonal(signal, axis1=1, axis2=2)
    gaps, mixed = strength[:, :-1] - strength[:, 1:], 2.0 * np.diagonal(signal, 1, axis1=1, axis2=2)
    error = np.sqrt((gaps.var(axis=0, ddof=1) + mixed.var(axis=0, ddof=1)) / n_replicates)
    return np.asarray(np.maximum(gaps.mean(axis=0), 0.0) / np.maximum(error, np.finfo(np.float64).tiny))


def warn_of_unclear_cut(
    moments: TaskMoments, coef: Array, reduction: Reduction, n_replicates: int, n_components: int
) -> None:
    """Warn if both sides of the cut after D directions carry the same signal, as far as replicates can tell."""
    if n_replicates < 2 or n_components < 1:
        return
    clarity = cut_clarity(moments, coef, reduction, n_replicates)
    if n_components > len(clarity) or clarity[n_components - 1] >= _CLEAR:
        return
    clear = np.flatnonzero(clarity >= _CLEAR) + 1
    clear = clear[np.abs(clear - n_components) <= _NEAR]
    nearest = [*clear[clear < n_components][-1:], *clear[clear > n_components][:1]]
    warnings.warn(
        f"n_components={n_components} cuts between directions of about the same signal: got a gap of "
        f"{clarity[n_components - 1]:.1f} standard errors between networks of this fit, expected at least {_CLEAR:g}. "
        "Another fit may keep other directions. "
        + (
            f"Pass n_components={' or '.join(map(str, nearest))}."
            if nearest
            else f"Average over more networks, as MTRN(n_replicates={2 * n_replicates}) does, or fit to more rows."
        ),
        UserWarning,
        stacklevel=4,
    )
