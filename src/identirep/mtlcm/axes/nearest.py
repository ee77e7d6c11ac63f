"""Axes near given ones: of optima that the targets do not tell apart, the one that another fit has chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.canonical import latent_agreement
from identirep.mtlcm.axes.fit import LatentFit, fit_from
from identirep.mtlcm.axes.rotation import HeadsOfTasks, length_of_heads, mostly_shared, sparsest_heads

__all__ = ["nearest_fit"]

# Standard errors by which an optimum has to be worse to count as worse.
_WORSE = 1.645
# Axes that agree so far are those of the fit.
_SAME = 0.999
# A start whose axes are nearly dependent leads nowhere.
_MOST_CONDITION = 1e4


def nearest_fit(fit: LatentFit, moments: TaskMoments, start: Array, *, max_iter: int, tol: float) -> LatentFit | None:
    """Return the fit in the optimum that `start` (D, K) leads to; None if the targets say that it is worse.

    Only where tasks share their rows, where axes are chosen and not identified: the lengths of the heads of all tasks
    are then compared task by task (the test of Vuong for models that are not nested), and two optima whose difference
    is within its error over tasks are equally good.
    """
    shared = fit.prior == "factorized" and mostly_shared(moments)
    if not shared or start.shape != fit.unmixing.shape or start.shape[0] != start.shape[1]:
        return None
    if not np.isfinite(start).all() or np.linalg.cond(start) > _MOST_CONDITION:
        return None
    heads, whitener = HeadsOfTasks.of(moments, fit.noise_variance)
    initial = start @ np.linalg.inv(whitener)
    initial = initial / np.linalg.norm(initial, axis=1, keepdims=True)
    found = sparsest_heads(heads, initial[None], max_iter=max_iter, tol=tol)
    own = fit.unmixing @ np.linalg.inv(whitener)
    if _is_worse(heads, found.unmixing[0], own / np.linalg.norm(own, axis=1, keepdims=True)):
        return None
    found = replace(found, unmixing=found.unmixing @ whitener)
    S = moments.pooled_covariance()
    if latent_agreement(fit.unmixing, found.unmixing[0], S).per_latent.min() > _SAME:
        return None
    return fit_from(fit, moments, found)


def _is_worse(heads: HeadsOfTasks, unmixing: Array, other: Array) -> bool:
    """Whether heads are longer with one unmixing matrix than with another, by more than chance over tasks."""
    difference = heads.weights * (length_of_heads(heads, unmixing) - length_of_heads(heads, other))
    error = np.sqrt(len(difference)) * difference.std()
    return bool(difference.sum() > _WORSE * error)
