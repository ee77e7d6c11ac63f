"""Whether a latent carries one known factor, and a factor sits in one latent: DCI and the mutual information gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep._typing import Array, IntArray, RandomState
from identirep.latent_sets import checked_pairs
from identirep.parameters import Choice, Either, Made, Whole, check_arguments
from identirep.seeds import as_generator

__all__ = ["DCIResult", "dci", "mig_score"]

_NAMES = ("Z", "factors")


@dataclass(frozen=True)
class DCIResult:
    """Disentanglement, completeness and informativeness.

    Parameters
    ----------
    disentanglement : float
        1 if each latent is of importance for one factor alone; latents count by their importance.
    completeness : float
        1 if each factor depends on one latent alone; factors count by the importance of all latents for them.
    informativeness : float
        Mean over factors of the R^2 of their prediction from all latents, on rows held out.
    importance : array, shape (n_latents, n_factors)
        Importance of each latent for each factor, at least 0.
    r2 : array, shape (n_factors,)
        R^2 of each factor; 0 for one that is constant.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Array
    r2: Array


def dci(Z: ArrayLike, factors: ArrayLike, *, regressor: Any = None, random_state: RandomState = 0) -> DCIResult:
    r"""Compute disentanglement, completeness and informativeness of latents with known factors.

    With :math:`P_{ij} = R_{ij} / \sum_j R_{ij}` the share of factor j in the importance R of latent i, a latent scores
    one minus the entropy of :math:`P_i` to the base of the number of factors; completeness is the same of the columns.

    Parameters
    ----------
    Z : array-like, shape (n_samples, n_latents)
        Latents.
    factors : array-like, shape (n_samples, n_factors)
        Known factors of the same samples.
    regressor : scikit-learn regressor, optional
        What predicts a factor; it has `coef_`, whose absolute values are importances, or `feature_importances_`.
        Default: least squares. Latents and factors come to it with mean 0 and variance 1.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default 0
        Seed or generator of the random half of the rows that is held out.

    Returns
    -------
    DCIResult
        The three scores, importances and R^2.

    Raises
    ------
    ValueError
        If the numbers of rows differ, there are fewer than 4, a value is not finite, or the regressor has no
        importances.
    TypeError
        If `regressor` cannot be fitted.

    Notes
    -----
    Scores depend on the regressor: least squares sees linear relations alone, and splits importance among latents that
    correlate. Constant latents have no importance. Units and origins do not matter.

    References
    ----------
    C. Eastwood, C. K. I. Williams, "A framework for the quantitative evaluation of disentangled representations",
    ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import dci
    >>> Z = np.random.default_rng(0).normal(size=(200, 3))
    >>> found = dci(Z, 5 * Z[:, ::-1])
    >>> round(found.disentanglement, 6), round(found.completeness, 6), round(found.informativeness, 6)
    (1.0, 1.0, 1.0)
    """
    from sklearn.base import clone
    from sklearn.linear_model import LinearRegression

    methods = ("fit", "predict", "get_params")
    check_arguments(regressor=(regressor, Either(Choice(None), Made("a regressor of scikit-learn", methods))))
    (latents, known), _ = checked_pairs((Z, factors), _NAMES, None)
    if len(latents) < 4:
        raise ValueError(f"Z has too few rows: got {len(latents)}, expected at least 4, half held out. Pass more rows.")
    latents, known = _standardized(latents), _standardized(known)
    order = as_generator(random_state).permutation(len(latents))
    training, test = np.array_split(order, 2)
    importance, r2 = np.zeros((latents.shape[1], known.shape[1])), np.zeros(known.shape[1])
    for j, factor in enumerate(known.T):
        spread = float(np.sum((factor[test] - factor[test].mean()) ** 2))
        if not latents.shape[1] or not np.ptp(factor[training]) > 0.0 or not spread > 0.0:
            continue
        model = LinearRegression() if regressor is None else clone(regressor)
        model.fit(latents[training], factor[training])
        importance[:, j] = _importances(model, latents.shape[1])
        r2[j] = 1.0 - float(np.sum((factor[test] - np.ravel(model.predict(latents[test]))) ** 2)) / spread
    # Coefficients of columns that do not vary are rounding.
    importance[np.ptp(latents, axis=0) == 0.0] = 0.0
    mean = float(r2.mean()) if len(r2) else 0.0
    return DCIResult(_purity(importance), _purity(importance.T), mean, importance, r2)


def mig_score(Z: ArrayLike, factors: ArrayLike, *, n_bins: int = 20) -> float:
    r"""Return the mutual information gap of latents with known factors.

    :math:`\frac1M \sum_j [I(z_{(1)}; v_j) - I(z_{(2)}; v_j)] / H(v_j)`, with the two latents that say most of factor j.

    Parameters
    ----------
    Z : array-like, shape (n_samples, n_latents)
        Latents.
    factors : array-like, shape (n_samples, n_factors)
        Known factors of the same samples.
    n_bins : int, default 20
        Bins of equal numbers of rows into which latents are cut, and factors with more different values; at least 2.

    Returns
    -------
    float
        1 if each factor is known from one latent and no other says anything of it; 0 for factors that are constant.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a value is not finite or `n_bins` is less than 2.
    TypeError
        If `n_bins` is not an int.

    Notes
    -----
    Mutual information is that of the table of counts (plug-in), which is too large by about ``n_bins**2 / (2 n)``; both
    terms of the gap have that. Of a continuous factor no latent knows more than its bin, so that 1 is reached
    where latent and factor have the same order.

    References
    ----------
    R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, "Isolating sources of disentanglement in variational autoencoders",
    NeurIPS 2018. arXiv:1802.04942.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.metrics import mig_score
    >>> Z = np.random.default_rng(0).normal(size=(4000, 3))
    >>> mig_score(Z, np.exp(Z)) > 0.9, mig_score(Z, Z + Z[:, ::-1]) < 0.5
    (True, True)
    """
    check_arguments(n_bins=(n_bins, Whole(2)))
    (latents, known), _ = checked_pairs((Z, factors), _NAMES, None)
    if not known.shape[1] or not latents.shape[1]:
        return 0.0
    binned = [_bins(column, n_bins) for column in latents.T]
    gaps = []
    for column in known.T:
        factor = _bins(column, n_bins)
        entropy = _entropy(np.bincount(factor))
        if not entropy > 0.0:
            gaps.append(0.0)
            continue
        said = sorted((_information(latent, factor) for latent in binned), reverse=True)
        gaps.append((said[0] - (said[1] if len(said) > 1 else 0.0)) / entropy)
    return float(np.mean(gaps))


def _standardized(values: Array) -> Array:
    """Columns with mean 0 and variance 1; constant ones, which are zero already, stay so."""
    centred = values - values.mean(axis=0)
    scale = centred.std(axis=0)
    return np.asarray(centred / np.where(scale > 0.0, scale, 1.0))


def _importances(model: Any, n_latents: int) -> Array:
    found = getattr(model, "feature_importances_", None)
    found = getattr(model, "coef_", None) if found is None else found
    if found is None or np.size(found) != n_latents:
        raise ValueError(
            f"regressor has no importances: got {type(model).__name__}, expected one with coef_ or "
            "feature_importances_, one for each latent. Choose another."
        )
    return np.abs(np.ravel(found))


def _purity(importance: Array) -> float:
    """One minus the entropy of each row's shares, to the base of the number of columns; rows by their sums."""
    sums = importance.sum(axis=1)
    if not sums.sum() > 0.0:
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    shares = importance / np.where(sums > 0.0, sums, 1.0)[:, None]
    logs = np.log(np.where(shares > 0.0, shares, 1.0))
    return float((sums / sums.sum()) @ (1.0 + (shares * logs).sum(axis=1) / np.log(importance.shape[1])))


def _bins(column: Array, n_bins: int) -> IntArray:
    """Number of the bin of each value; few different values are a bin each."""
    distinct, index = np.unique(column, return_inverse=True)
    if len(distinct) <= n_bins:
        return np.asarray(index.reshape(-1), dtype=np.int64)
    edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, n_bins + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, column, side="right"), dtype=np.int64)


def _information(first: IntArray, second: IntArray) -> float:
    counts = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(counts, (first, second), 1.0)
    return _entropy(counts.sum(axis=1)) + _entropy(counts.sum(axis=0)) - _entropy(counts.ravel())


def _entropy(counts: Any) -> float:
    share = np.asarray(counts, dtype=np.float64)
    share = share[share > 0.0] / share.sum()
    return float(-(share @ np.log(share)))
