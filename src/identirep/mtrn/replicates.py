"""What another seed on the same rows would give: replicates of a network in two groups, each reduced by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.mapped_rows import MappedRows
from identirep.moments import TaskMoments
from identirep.mtrn.estimator import MTRN
from identirep.mtrn.reduction import linear_heads, reduce_features, residual_squares
from identirep.mtrn.sides import mapped_moments, split_moments
from identirep.validation import TaskData

__all__ = ["replicate_groups"]


def replicate_groups(
    stage: MTRN, data: TaskData, groups: IntArray | None, rows: BoolArray
) -> list[tuple[Array, TaskMoments]]:
    """Return features of some rows, and moments on those of the fit, for two disjoint groups of the replicates.

    As many features as the fit has; none with a single replicate, or where a group has fewer directions.
    """
    size = stage.n_replicates // 2
    X: Any = data.X
    on_disk = isinstance(X, MappedRows)
    F = np.zeros((0, len(stage.mean_))) if on_disk or not size else stage._base_features(data.X)
    # With an order the network knows the rows on both sides of the gap only.
    part, groups, _ = stage._in_order(data, groups, np.random.default_rng(0))
    G = F if part is data or not size or on_disk else stage._base_features(part.X)
    width = F.shape[1] // stage.n_replicates
    found = []
    for start in range(0, 2 * size, max(size, 1)):
        own = slice(start * width, (start + size) * width)

        def features(block: NDArray[Any], own: slice = own) -> Array:
            return stage._base_features(block)[:, own]

        if on_disk:
            trained, untouched, _ = mapped_moments(features, part, groups, stage._held_out)
        else:
            trained, untouched, _ = split_moments(G[:, own], part, groups, stage._held_out)
        heads = linear_heads(trained, n_blocks=size)
        n, m = trained.n_samples, untouched.n_samples
        squares = n * heads.noise + residual_squares(untouched, heads.coef, heads.intercept)
        reduction = reduce_features(trained, heads.coef, squares / np.maximum(n + m, 1))
        components = reduction.components[: stage.n_components_]
        if len(components) < stage.n_components_:
            return []
        offset = -components @ reduction.mean
        blocks = map(features, X[rows].blocks()) if on_disk else [F[:, own]]
        H = np.concatenate([block @ components.T + offset for block in blocks])
        found.append((H if on_disk else H[rows], (trained + untouched).map_features(components, offset)))
    return found
