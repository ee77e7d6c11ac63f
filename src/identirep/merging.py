"""Moments of two sets of rows together, without cancellation (Chan, Golub and LeVeque 1983, see `accumulation`)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import IntArray
from identirep.accumulation import Sums

__all__ = ["aligned", "merged"]

Names = tuple[Hashable, ...]


def merged(a: Sums, b: Sums) -> Sums:
    """Sums of the rows of both, which have the same tasks in the same groups."""
    n = a.counts + b.counts
    share = np.divide(b.counts, n, out=np.zeros(len(n)), where=n > 0)
    delta_h, delta_y = b.mean_h - a.mean_h, b.mean_y - a.mean_y
    factor = a.counts * share
    factor_t, delta_t = factor[a.group], delta_h[a.group]
    return Sums(
        a.group,
        n,
        a.mean_h + share[:, None] * delta_h,
        a.scatter_h + b.scatter_h + factor[:, None, None] * delta_h[:, :, None] * delta_h[:, None, :],
        a.mean_y + share[a.group] * delta_y,
        a.scatter_hy + b.scatter_hy + (factor_t * delta_y)[:, None] * delta_t,
        a.scatter_y + b.scatter_y + factor_t * delta_y**2,
    )


def aligned(names_a: Names, a: Sums, names_b: Names, b: Sums) -> tuple[Names, Sums, Sums]:
    """Lay both out for the union of their tasks, in groups that neither side divides."""
    if names_a == names_b and np.array_equal(a.group, b.group):
        return names_a, a, b
    names = _union(names_a, names_b)
    tasks = [_positions(own, names) for own in (names_a, names_b)]
    # The old group of each task, -1 where a side has not seen it.
    pairs = np.stack([np.where(task < 0, -1, part.group[task]) for task, part in zip(tasks, (a, b), strict=True)])
    sources, group = np.unique(pairs, axis=1, return_inverse=True)
    group = group.reshape(-1)
    laid_out = (
        Sums(group, *(_take(part, source) for part in own[1:4]), *(_take(part, task) for part in own[4:]))
        for own, source, task in zip((a, b), sources, tasks, strict=True)
    )
    return names, *laid_out  # type: ignore[return-value]


def _positions(names: Names, wanted: Sequence[Hashable]) -> IntArray:
    """Position of each wanted name, -1 where there is none."""
    position = {name: t for t, name in enumerate(names)}
    return np.array([position.get(name, -1) for name in wanted], dtype=np.int64)


def _take(values: NDArray[Any], index: IntArray) -> NDArray[Any]:
    """Entries by position, zero where it is -1."""
    taken = values[index]
    taken[index < 0] = 0
    return taken


def _union(a: Names, b: Names) -> Names:
    """All names of both; sorted when each side is, so that merging does not depend on the order of the parts."""
    if a == b:
        return a
    union = list(dict.fromkeys(a + b))
    try:
        if sorted(a) == list(a) and sorted(b) == list(b):  # type: ignore[type-var]
            return tuple(sorted(union))  # type: ignore[type-var]
    except TypeError:
        pass
    return tuple(union)
