"""How well two representations agree: strong MCC, canonical correlations, weak MCC, stability over fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from identirep._typing import Array
from identirep.accumulation import as_floats
from identirep.agreement import MCCResult, StabilityResult
from identirep.canonical_analysis import (
    Correlation,
    canonical_maps,
    column_correlations,
    cross_correlation,
    linear_maps,
)
from identirep.chance import ChanceMCC, chance_mcc
from identirep.disentanglement import DCIResult, dci, mig_score
from identirep.latent_sets import Pair, checked_pairs, checked_set, counted_rows

__all__ = [
    "ChanceMCC",
    "DCIResult",
    "MCCResult",
    "StabilityResult",
    "canonical_correlations",
    "chance_mcc",
    "dci",
    "match_latents",
    "mcc",
    "mcc_score",
    "mig_score",
    "stability",
    "weak_mcc_score",
]


def match_latents(correlation: ArrayLike) -> MCCResult:
    """Match rows to columns of a correlation matrix so that the sum of absolute values is largest.

    Parameters
    ----------
    correlation : array-like, shape (n_first, n_second)
        Correlation of each latent of the first set with each of the second; NaN counts as 0.

    Returns
    -------
    MCCResult
        One entry for each latent of the first set.

    Examples
    --------
    >>> from identirep.metrics import match_latents
    >>> match_latents([[0.1, -0.9], [0.8, 0.2]]).assignment
    array([1, 0])
    """
    correlation = as_floats(correlation, "correlation")
    correlation = checked_set(np.where(np.isnan(correlation), 0.0, correlation), "correlation")
    rows, columns = linear_sum_assignment(-np.abs(correlation))
    assignment = np.full(len(correlation), -1, dtype=np.int64)
    assignment[rows] = columns
    per_latent, signs = np.zeros(len(correlation)), np.ones(len(correlation))
    matched = correlation[rows, columns]
    per_latent[rows] = np.abs(matched)
    signs[rows] = np.where(matched < 0, -1.0, 1.0)
    score = float(per_latent.mean()) if len(per_latent) else 0.0
    return MCCResult(score, per_latent, assignment, signs)


def mcc(
    Z1: ArrayLike,
    Z2: ArrayLike,
    *,
    correlation: Correlation = "pearson",
    held_out: Pair | None = None,
    sample_weight: ArrayLike | None = None,
    held_out_weight: ArrayLike | None = None,
) -> MCCResult:
    r"""Match two sets of latents one to one and return every part of the answer.

    Strong MCC: :math:`\max_\pi \frac1D \sum_i |\mathrm{corr}(z^{(1)}_i, z^{(2)}_{\pi(i)})|`, with one assignment
    :math:`\pi` over all rows.

    Parameters
    ----------
    Z1, Z2 : array-like, shape (n_samples, n_latents)
        Latents of the same samples. If the numbers of latents differ, the surplus of `Z1` has correlation 0.
    correlation : {"pearson", "spearman"}, default "pearson"
        Linear or rank correlation.
    held_out : pair of array-like, optional
        Other rows of both; then assignment and signs come from `Z1`, `Z2` and the correlations from these rows.
    sample_weight : array-like, shape (n_samples,), optional
        Weight of each row in means and correlations, at least 0; default: all alike.
    held_out_weight : array-like, optional
        Weight of each row of `held_out`.

    Returns
    -------
    MCCResult
        Score, correlation of each latent of `Z1`, assignment and signs.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a value is not finite or `correlation` is unknown.

    Notes
    -----
    A latent that is constant up to rounding has correlation 0 with everything. Units and origins do not matter. The
    assignment is the optimal one (linear sum assignment).

    References
    ----------
    A. Hyvarinen, H. Morioka, "Unsupervised feature extraction by time-contrastive learning and nonlinear ICA",
    NeurIPS 2016. arXiv:1605.06336.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import mcc
    >>> Z = np.random.default_rng(0).normal(size=(50, 3))
    >>> result = mcc(Z, -2 * Z[:, [2, 0, 1]])
    >>> round(result.score, 6), result.assignment, result.signs
    (1.0, array([1, 2, 0]), array([-1., -1., -1.]))
    """
    learn, others = checked_pairs((Z1, Z2), ("Z1", "Z2"), held_out)
    learnt, test_on = counted_rows(learn, sample_weight, others, held_out, held_out_weight)
    result = match_latents(cross_correlation(learnt.first, learnt.second, correlation, learnt.weights))
    if held_out is None:
        return result
    test = cross_correlation(test_on.first, test_on.second, correlation, test_on.weights)
    matched = np.flatnonzero(result.assignment >= 0)
    per_latent = np.zeros(len(result.per_latent))
    per_latent[matched] = test[matched, result.assignment[matched]] * result.signs[matched]
    score = float(per_latent.mean()) if len(per_latent) else 0.0
    return MCCResult(score, per_latent, result.assignment, result.signs)


def mcc_score(
    Z1: ArrayLike,
    Z2: ArrayLike,
    *,
    correlation: Correlation = "pearson",
    held_out: Pair | None = None,
    sample_weight: ArrayLike | None = None,
    held_out_weight: ArrayLike | None = None,
) -> float:
    """Return the strong mean correlation coefficient of two sets of latents.

    Parameters
    ----------
    Z1, Z2 : array-like, shape (n_samples, n_latents)
        Latents of the same samples.
    correlation : {"pearson", "spearman"}, default "pearson"
        Linear or rank correlation.
    held_out : pair of array-like, optional
        Rows to score on, with the assignment and signs learnt on `Z1`, `Z2`.
    sample_weight : array-like, shape (n_samples,), optional
        Weight of each row in means and correlations, at least 0; default: all alike.
    held_out_weight : array-like, optional
        Weight of each row of `held_out`.

    Returns
    -------
    float
        1 if the sets agree up to order, sign and scale.

    See Also
    --------
    mcc : The same with per-latent values, assignment and signs.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import mcc_score
    >>> Z = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(mcc_score(Z, 3 * Z[:, ::-1]), 6)
    1.0
    """
    weights = {"sample_weight": sample_weight, "held_out_weight": held_out_weight}
    return mcc(Z1, Z2, correlation=correlation, held_out=held_out, **weights).score


def canonical_correlations(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    held_out: Pair | None = None,
    sample_weight: ArrayLike | None = None,
    held_out_weight: ArrayLike | None = None,
) -> Array:
    """Compute the canonical correlations of two sets of variables, exactly.

    The singular values of ``Qx.T @ Qy``, where Qx and Qy are orthonormal bases of the centred variables.

    Parameters
    ----------
    X : array-like, shape (n_samples, n_x)
        First set.
    Y : array-like, shape (n_samples, n_y)
        Second set, same rows.
    held_out : pair of array-like, optional
        Other rows of both; the canonical directions come from `X`, `Y`, the correlations from these rows.
    sample_weight : array-like, shape (n_samples,), optional
        Weight of each row in means and correlations, at least 0; default: all alike.
    held_out_weight : array-like, optional
        Weight of each row of `held_out`.

    Returns
    -------
    array, shape (min(n_x, n_y),)
        Correlations in descending order of those on `X`, `Y`. Collinear columns are left out of the bases, so that the
        list ends with zeros.

    Raises
    ------
    ValueError
        If the numbers of rows differ or a value is not finite.

    Notes
    -----
    Unlike iterative CCA this stays accurate near correlation 1. In-sample values are optimistic unless n_samples is
    much larger than n_x + n_y; use `held_out`.

    References
    ----------
    A. Bjorck, G. H. Golub, "Numerical methods for computing angles between linear subspaces", Mathematics of
    Computation 27 (1973) 579-594.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import canonical_correlations
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> canonical_correlations(X, X @ [[1.0, 2.0], [3.0, 4.0]]).round(6)
    array([1., 1.])
    """
    learn, others = checked_pairs((X, Y), ("X", "Y"), held_out)
    counted = counted_rows(learn, sample_weight, others, held_out, held_out_weight)
    (x, y, weight), (x_test, y_test, of_others) = counted
    maps = canonical_maps(x, y, weight)
    found = maps.correlations
    if held_out is not None:
        # Maps are learnt without the means, which may be large.
        u, v = (x_test - x.mean(axis=0)) @ maps.map_x, (y_test - y.mean(axis=0)) @ maps.map_y
        found = column_correlations(u, v, weights=of_others)
    out = np.zeros(min(x.shape[1], y.shape[1]))
    out[: len(found)] = found
    return out


def weak_mcc_score(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    correlation: Correlation = "pearson",
    held_out: Pair | None = None,
    sample_weight: ArrayLike | None = None,
    held_out_weight: ArrayLike | None = None,
) -> float:
    r"""Return the weak MCC: the mean correlation of each axis with the best linear map of the other side to it.

    :math:`\frac1{2D} \sum_i [\max_a \mathrm{corr}(x_i, a^T y) + \max_b \mathrm{corr}(y_i, b^T x)]`. One column of the
    other side is such a map, so the strong MCC of the same rows is never higher.

    Parameters
    ----------
    X : array-like, shape (n_samples, n_x)
        First representation.
    Y : array-like, shape (n_samples, n_y)
        Second representation, same rows. If the numbers of axes differ, those of the larger side that are explained
        best count.
    correlation : {"pearson", "spearman"}, default "pearson"
        Correlation that is averaged; maps are those of least squares with either.
    held_out : pair of array-like, optional
        Rows to score on, with the linear maps learnt on `X`, `Y`, as `mcc` scores an assignment.
    sample_weight : array-like, shape (n_samples,), optional
        Weight of each row in means and correlations, at least 0; default: all alike.
    held_out_weight : array-like, optional
        Weight of each row of `held_out`.

    Returns
    -------
    float
        1 if one is an invertible linear map of the other.

    See Also
    --------
    canonical_correlations : What both sides share whatever their axes.

    Notes
    -----
    The mean of the canonical correlations, which goes by the same name elsewhere, is no bound of the strong MCC where
    axes correlate: all of them may carry what both sides share best, while a canonical direction counts once. On
    held-out rows each map pays for the errors of its coefficients, so that the strong MCC may exceed the weak one by
    about ``(1 - r**2) * n_axes / n_samples``, half of that where r is near 1.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import weak_mcc_score
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> round(weak_mcc_score(X, X @ [[1.0, 2.0], [3.0, 4.0]]), 6)
    1.0
    """
    learn, others = checked_pairs((X, Y), ("X", "Y"), held_out)
    counted = counted_rows(learn, sample_weight, others, held_out, held_out_weight)
    (x, y, weight), (x_test, y_test, of_others) = counted
    to_x, to_y = linear_maps(x, y, weight)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    D, total = min(x.shape[1], y.shape[1]), 0.0
    if D == 0:
        return 0.0
    for learnt, axes, fitted in (
        (column_correlations(x, (y - mean_y) @ to_x, weights=weight), x_test, (y_test - mean_y) @ to_x),
        (column_correlations(y, (x - mean_x) @ to_y, weights=weight), y_test, (x_test - mean_x) @ to_y),
    ):
        explained_best = np.argsort(-learnt, kind="stable")[:D]
        total += float(column_correlations(axes, fitted, correlation, of_others)[explained_best].sum())
    return total / (2 * D)


def stability(
    Zs: Sequence[ArrayLike],
    *,
    correlation: Correlation = "pearson",
    held_out: Sequence[ArrayLike] | None = None,
    sample_weight: ArrayLike | None = None,
    held_out_weight: ArrayLike | None = None,
) -> StabilityResult:
    """Compare the latents of several fits of the same samples, pair by pair.

    Parameters
    ----------
    Zs : sequence of array-like, each (n_samples, n_latents)
        Latents of each fit; all with the same shape.
    correlation : {"pearson", "spearman"}, default "pearson"
        Linear or rank correlation.
    held_out : sequence of array-like, optional
        Latents of each fit on other rows, to score on.
    sample_weight : array-like, shape (n_samples,), optional
        Weight of each row in means and correlations, at least 0; default: all alike.
    held_out_weight : array-like, optional
        Weight of each row of `held_out`.

    Returns
    -------
    StabilityResult
        Mean and worst agreement, the matrix of pairs, and the agreement of each latent.

    Raises
    ------
    ValueError
        If there are fewer than two fits, the shapes differ or a value is not finite.

    Notes
    -----
    Stability says that axes are *reproducible*. It says nothing about signal: fits to shuffled targets can be stable.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import stability
    >>> Z = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(stability([Z, -Z, Z[:, ::-1]]).score, 6)
    1.0
    """
    for name, given in (("Zs", Zs), ("held_out", [] if held_out is None else held_out)):
        # Scalars of NumPy are arrays without an axis.
        if not isinstance(given, Sequence) and (not hasattr(given, "__array__") or np.ndim(given) == 0):
            kind = type(given).__name__
            raise TypeError(f"{name} is no sequence: got {kind}, expected one array for each fit. Pass a list.")
    arrays = [checked_set(Z, f"Zs[{r}]") for r, Z in enumerate(Zs)]
    shapes = {Z.shape for Z in arrays}
    if len(arrays) < 2 or len(shapes) != 1:
        raise ValueError(
            f"Zs cannot be compared: got {len(arrays)} fits of shapes {sorted(shapes)}, expected at least two "
            "fits of one shape. Fit again with the same samples and n_components."
        )
    if held_out is not None and len(held_out) != len(arrays):
        raise ValueError(
            f"held_out has the wrong length: got {len(held_out)}, expected {len(arrays)}. Pass one array for each fit."
        )
    R, D = len(arrays), arrays[0].shape[1]
    weights = {"sample_weight": sample_weight, "held_out_weight": held_out_weight}
    matrix, total, worst = np.eye(R), np.zeros((R, D)), 1.0
    for r in range(R):
        for s in range(r + 1, R):
            pair = None if held_out is None else (held_out[r], held_out[s])
            result = mcc(arrays[r], arrays[s], correlation=correlation, held_out=pair, **weights)
            matrix[r, s] = matrix[s, r] = result.score
            total[r] += result.per_latent
            total[s, result.assignment] += result.per_latent
            # Without latents nothing agrees, as for the score.
            worst = min(worst, float(result.per_latent.min()) if D else 0.0)
    upper = matrix[np.triu_indices(R, 1)]
    return StabilityResult(float(upper.mean()), worst, matrix, total / (R - 1))
