"""What another seed on the same rows would give: replicates of a network in two groups, each reduced by itself."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.moments import TaskMoments
from identirep.mtrn.estimator import MTRN
from identirep.mtrn.reduction import linear_heads, reduce_features, residual_squares
from identirep.mtrn.sides import split_moments
from identirep.validation import TaskData

__all__ = ["replicate_groups"]


def replicate_groups(stage: MTRN, data: TaskData, groups: IntArray | None) -> list[tuple[Array, TaskMoments]]:
    """Return features and their moments for two disjoint groups of the replicates, on the rows of the fit.

    As many features as the fit has; none with a single replicate, or where a group has fewer directions.
    """
    size = stage.n_replicates // 2
    F = stage._base_features(data.X) if size else np.zeros((0, 0))
    # With an order the network knows the rows on both sides of the gap only.
    part, groups, _ = stage._in_order(data, groups, np.random.default_rng(0))
    G = F if part is data or not size else stage._base_features(part.X)
    width = F.shape[1] // stage.n_replicates
    found = []
    for start in range(0, 2 * size, max(size, 1)):
        own = slice(start * width, (start + size) * width)
        trained, untouched, _ = split_moments(G[:, own], part, groups, stage._held_out)
        heads = linear_heads(trained, n_blocks=size)
        n, m = trained.n_samples, untouched.n_samples
        squares = n * heads.noise + residual_squares(untouched, heads.coef, heads.intercept)
        reduction = reduce_features(trained, heads.coef, squares / np.maximum(n + m, 1))
        components = reduction.components[: stage.n_components_]
        if len(components) < stage.n_components_:
            return []
        offset = -components @ reduction.mean
        found.append((F[:, own] @ components.T + offset, (trained + untouched).map_features(components, offset)))
    return found
