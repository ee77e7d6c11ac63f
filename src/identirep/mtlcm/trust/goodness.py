"""A test of the causal model on the latents of a fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import gamma

from identirep._typing import BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit
from identirep.mtlcm.model import independence_law, joint_covariances, joint_model_covariances
from identirep.mtlcm.trust.latents import latent_moments

__all__ = ["GoodnessOfFit", "goodness_of_fit"]

# Least eigenvalue of the correlations that the model expects of a task that can be tested.
_SINGULAR = 1e-13


class GoodnessOfFit(NamedTuple):
    """Likelihood-ratio test of the causal model against a free covariance of latents and target in each task.

    Parameters
    ----------
    statistic : float
        Summed over tasks; with rows in common the largest of a task.
    p_value : float
        Probability of a statistic as large, if the model holds. NaN if no task has enough rows.

    Examples
    --------
    >>> from identirep.mtlcm import GoodnessOfFit
    >>> statistic, p_value = GoodnessOfFit(12.0, 0.3)
    """

    statistic: float
    p_value: float


def goodness_of_fit(fit: LatentFit, moments: TaskMoments, causal: BoolArray) -> GoodnessOfFit:
    """Likelihood ratio of the model with its roles against a free covariance given the target in each task.

    Given the target, effects are independent of everything; causes are independent before the target is seen, which
    couples them: their covariance given y is diag(S_cc) - s_c s_c' / v.

    The sum over tasks, each of which has the `independence_law`, is matched by a gamma distribution. Tasks with too few
    rows for a free covariance are left out.
    """
    D = len(fit.unmixing)
    n = moments.n_samples
    tested = np.flatnonzero(n - 2 > D)
    if not len(tested) or D < 2:
        return GoodnessOfFit(float("nan"), float("nan"))
    basis = np.linalg.qr(fit.mixing)[0]
    A = basis.T @ fit.mixing
    z = latent_moments(fit, moments).select(tested)
    expected = joint_model_covariances(A, z, causal[tested], fit.noise_variance)
    # A target that its causes determine leaves no density to compare.
    scale = np.sqrt(np.einsum("tii->ti", expected))
    regular = np.linalg.eigvalsh(expected / (scale[:, :, None] * scale[:, None]))[:, 0] > _SINGULAR
    if not regular.any():
        return GoodnessOfFit(float("nan"), float("nan"))
    tested, expected = tested[regular], expected[regular]
    part = moments.select_tasks(tested)
    ratio = np.linalg.solve(expected, joint_covariances(part.map_features(basis.T)))
    per_row = np.einsum("tii->t", ratio) - (D + 1) - np.linalg.slogdet(ratio)[1]
    statistic = n[tested] * np.maximum(per_row, 0.0)
    mean, variance = independence_law(n[tested], causal[tested])
    if len(part.counts) < len(tested):
        # Rows in common make the tasks' statistics dependent: Bonferroni holds whatever the dependence.
        p_values = gamma.sf(statistic, mean**2 / variance, scale=variance / mean)
        return GoodnessOfFit(float(statistic.max()), float(min(1.0, len(tested) * p_values.min())))
    free = 1.0 - (D * D - D) / (len(tested) * D * (D - 1) / 2)
    if free <= 0:
        return GoodnessOfFit(float(statistic.sum()), float("nan"))
    mean_sum, variance_sum = free * mean.sum(), free * variance.sum()
    p_value = gamma.sf(statistic.sum(), mean_sum**2 / variance_sum, scale=variance_sum / mean_sum)
    return GoodnessOfFit(float(statistic.sum()), float(p_value))
