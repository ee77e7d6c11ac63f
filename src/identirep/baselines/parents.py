"""Which latents are parents of a target, by tests of conditional independence."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

from identirep._typing import Array, BoolArray

__all__ = ["find_parents", "fisher_z_p_values", "kernel_p_values"]

# Columns that vary less than this share of the largest standard deviation are constant, and independent of all others.
_CONSTANT = 1e-8
# Correlations are held below 1, where Fisher's z is infinite.
_LARGEST_CORRELATION = 1.0 - 1e-12

# Rows below which nothing is tested: the correlation given one variable needs as many.
_MIN_ROWS = 5


def find_parents(pairs: Array, pairs_given_target: Array, alpha: float) -> tuple[BoolArray, Array]:
    """Read parents off p-values of the independence of two latents, shape (D, D), as they are and given the target.

    Causes of one target depend on each other given the target. The p-value of a latent is the smallest given the target
    among the latents it is independent of (1 without any), times the number of other latents (Bonferroni): large for an
    effect of the target, which depends on no other latent given it.
    """
    D = len(pairs)
    collider = np.where((pairs >= alpha) & ~np.eye(D, dtype=bool), pairs_given_target, 1.0)
    p_values = np.minimum(collider.min(axis=1, initial=1.0) * max(D - 1, 1), 1.0)
    return p_values < alpha, p_values


def fisher_z_p_values(Z: Array, y: Array) -> tuple[Array, Array]:
    """Test all pairs of latents by Fisher's z of their correlation, as it is and given the target; 1 with few rows."""
    Z = _standardized(Z)
    y = _standardized(y[:, None])[:, 0]
    residuals = _standardized(Z - np.outer(y, y @ Z / len(y)))
    return _correlation_p_values(Z, 0), _correlation_p_values(residuals, 1)


def kernel_p_values(Z: Array, y: Array) -> tuple[Array, Array]:
    """Test all pairs of latents by the kernel test KCI of causal-learn, as `fisher_z_p_values` does."""
    D = Z.shape[1]
    pairs, pairs_given_target = np.ones((D, D)), np.ones((D, D))
    if len(Z) < _MIN_ROWS:
        return pairs, pairs_given_target
    test = independence_test_class()(np.column_stack([Z, y]), "kci")
    for i in range(D):
        for j in range(i):
            pairs[i, j] = pairs[j, i] = test(i, j)
            pairs_given_target[i, j] = pairs_given_target[j, i] = test(i, j, [D])
    return pairs, pairs_given_target


def independence_test_class() -> Any:
    """Return the class of causal-learn's tests; ImportError if it is not installed."""
    try:
        from causallearn.utils.cit import CIT
    except ImportError as error:
        raise ImportError(
            "independence_test='kci' needs causal-learn, which is not installed. Install it with "
            "`pip install 'identirep[baselines]'`, or use independence_test='fisherz'."
        ) from error
    return CIT


def _standardized(Z: Array) -> Array:
    """Return columns with mean 0 and variance 1; zeros where they are constant."""
    Z = Z - Z.mean(axis=0)
    scale = Z.std(axis=0)
    varies = scale > _CONSTANT * max(scale.max(initial=0.0), np.finfo(np.float64).tiny)
    return np.where(varies, Z / np.where(varies, scale, 1.0), 0.0)


def _correlation_p_values(Z: Array, n_conditioned: int) -> Array:
    """Return two-sided p-values of the correlations of standardised columns."""
    if len(Z) < _MIN_ROWS:
        return np.ones((Z.shape[1], Z.shape[1]))
    freedom = len(Z) - n_conditioned - 3
    correlation = np.clip(Z.T @ Z / len(Z), -_LARGEST_CORRELATION, _LARGEST_CORRELATION)
    return 2.0 * ndtr(-np.sqrt(freedom) * np.abs(np.arctanh(correlation)))
