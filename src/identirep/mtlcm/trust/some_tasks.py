"""Refits of very many tasks, made on some of them drawn at random: what they show of all, by the number of rows.

The error of an axis is a mean over tasks, so that its variance falls as one over their number (`comes_back` has the
law). Refits measure that variance: ten of them leave about a tenth of it open for an axis among 20, whatever the number
of tasks, and `MOST_TASKS` tasks with normal errors a fiftieth, so that more of them add nothing that could be seen. It
holds as long as axes only tremble; where any turns on fewer tasks, all of them are refitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, latent_agreement
from identirep.mtlcm.trust.comes_back import TURNED, extrapolated
from identirep.mtlcm.trust.refits import refitted

__all__ = ["MOST_TASKS", "on_some_tasks"]

# Tasks that refits are made on if there are more of them, each with rows of its own.
MOST_TASKS = 4000


def on_some_tasks(
    agreement: Callable[[LatentFit, TaskMoments, BoolArray, IntArray], Array],
    fit: LatentFit,
    moments: TaskMoments,
    causal: BoolArray,
    rng: np.random.Generator,
) -> Array:
    """Agreement of refits, shape (n_refits, D), which a function of fit, moments, causes and task numbers measures."""
    T = moments.n_tasks
    every = np.arange(T)
    if T <= MOST_TASKS or not moments._has_own_rows:
        return agreement(fit, moments, causal, every)
    some = np.sort(rng.choice(T, MOST_TASKS, replace=False))
    few, roles = moments.select_tasks(some), causal[some]
    part = replace(fit, variances=fit.variances[some])
    S = few.pooled_covariance()
    # Refits tremble around what these tasks have of the axes, by which they are the axes of all.
    B = refitted(part, few, roles, rng)
    matched = latent_agreement(fit.unmixing, B, S)
    if matched.per_latent.min() > TURNED:
        B = B[matched.assignment]
        centre = replace(part, unmixing=B, mixing=fit.mixing @ np.linalg.inv(B @ fit.mixing))
        found = agreement(centre, few, roles, some)
        if found.min() > TURNED:
            return extrapolated(found, float(few.n_samples.sum() / moments.n_samples.sum()))
    return agreement(fit, moments, causal, every)
