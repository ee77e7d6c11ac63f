"""Moments of two sets of rows together, without cancellation (Chan, Golub and LeVeque 1983, see `accumulation`)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.accumulation import Sums

__all__ = ["aligned", "merged", "without"]

Names = tuple[Hashable, ...]


def merged(a: Sums, b: Sums) -> Sums:
    """Sums of the rows of both, which have the same tasks in the same groups."""
    if a.weight_sums is not None or b.weight_sums is not None:
        return _weighted(a, b, 1.0)
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


def without(whole: Sums, part: Sums) -> Sums:
    """Sums of the rows that are not in a part with the same groups: `merged`, undone."""
    if whole.weight_sums is not None or part.weight_sums is not None:
        return _weighted(whole, part, -1.0)
    n = whole.counts - part.counts
    ratio = whole.counts / np.maximum(n, 1)
    delta_h, delta_y = part.mean_h - whole.mean_h, part.mean_y - whole.mean_y
    share = part.counts / np.maximum(n, 1)
    factor = (part.counts * ratio)[:, None, None]
    g = whole.group
    own = factor[g, 0]
    return Sums(
        g,
        n,
        whole.mean_h - share[:, None] * delta_h,
        whole.scatter_h - part.scatter_h - factor * delta_h[:, :, None] * delta_h[:, None, :],
        whole.mean_y - share[g] * delta_y,
        whole.scatter_hy - part.scatter_hy - own * delta_y[:, None] * delta_h[g],
        np.maximum(whole.scatter_y - part.scatter_y - own[:, 0] * delta_y**2, 0.0),
    )


def _weighted(a: Sums, b: Sums, sign: float) -> Sums:
    """Sums of the weighted rows of both, or of those of `a` that are not in `b`.

    With masses W = sum w, W_2 = sum w^2 = W^2 / n add up, and n is that of the sums; covariances are averaged by W.
    """
    (mass_a, rows_a), (mass_b, rows_b) = _masses(a), _masses(b)
    mass = mass_a + sign * mass_b
    known = (mass > 0) & (rows_a + int(sign) * rows_b > 0)
    whole = np.where(known, mass, 1.0)
    # Masses relative to the sum: their squares stay in range.
    of_a, of_b = mass_a / whole, sign * mass_b / whole
    squares = _over(of_a**2, a.counts) + sign * _over(of_b**2, b.counts)
    n = np.where(known & (squares > 0), 1.0 / np.where(squares > 0, squares, 1.0), 0.0)
    scale_a, scale_b, between = n * _over(of_a, a.counts), n * _over(of_b, b.counts), n * of_a * of_b
    delta_h, delta_y = b.mean_h - a.mean_h, b.mean_y - a.mean_y
    g = a.group
    return Sums(
        g,
        n,
        a.mean_h + of_b[:, None] * delta_h,
        scale_a[:, None, None] * a.scatter_h
        + scale_b[:, None, None] * b.scatter_h
        + between[:, None, None] * delta_h[:, :, None] * delta_h[:, None, :],
        a.mean_y + of_b[g] * delta_y,
        scale_a[g, None] * a.scatter_hy
        + scale_b[g, None] * b.scatter_hy
        + (between[g] * delta_y)[:, None] * delta_h[g],
        np.maximum(scale_a[g] * a.scatter_y + scale_b[g] * b.scatter_y + between[g] * delta_y**2, 0.0),
        np.where(known, mass, 0.0),
        rows_a + int(sign) * rows_b,
    )


def _masses(sums: Sums) -> tuple[Array, IntArray]:
    """Sum of weights and number of rows of each group; rows without weights have weights of one."""
    if sums.weight_sums is None or sums.row_counts is None:
        return sums.counts.astype(np.float64), sums.counts.astype(np.int64)
    return sums.weight_sums, sums.row_counts


def _over(values: Array, counts: NDArray[Any]) -> Array:
    return np.divide(values, counts, out=np.zeros(len(values)), where=counts > 0)


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
        Sums(
            group,
            *(_take(part, source) for part in own[1:4]),
            *(_take(part, task) for part in own[4:7]),
            *(None if part is None else _take(part, source) for part in own[7:]),
        )
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
