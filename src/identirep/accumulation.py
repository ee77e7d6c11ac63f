"""Counts, means and centred second moments of rows, in one pass and without cancellation.

By the update of Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American Statistician
37 (1983) 242-247.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.missing import as_labels, as_numbers, missing_labels

__all__ = ["Sums", "as_float_matrix", "check_finite", "factorize", "long_sums", "wide_sums"]

# Rows handled at once: large enough for the matrix product to dominate, small enough to stay in cache.
_CHUNK_ROWS = 4096


class Sums(NamedTuple):
    """Statistics of T tasks in G groups of rows: `TaskMoments` without the names of its tasks."""

    group: IntArray  # (T,)
    counts: IntArray  # (G,)
    mean_h: Array  # (G, K)
    scatter_h: Array  # (G, K, K)
    mean_y: Array  # (T,)
    scatter_hy: Array  # (T, K)
    scatter_y: Array  # (T,)


def factorize(labels: ArrayLike) -> tuple[tuple[Hashable, ...], IntArray]:
    """Return the distinct labels (sorted where they can be) and the position of each row's label among them."""
    values = as_labels(labels)
    missing = missing_labels(values)
    if missing.any():
        raise ValueError(
            f"labels are missing: got {int(missing.sum())}, first at row {int(np.flatnonzero(missing)[0])}, expected a "
            "label for each row. Drop those rows."
        )
    if values.dtype != object:
        unique, index = np.unique(values, return_inverse=True)
        return tuple(unique.tolist()), index.reshape(-1).astype(np.int64)
    listed = values.tolist()
    distinct = list(dict.fromkeys(listed))
    try:
        distinct = sorted(distinct)
    except TypeError:
        pass
    position = {name: i for i, name in enumerate(distinct)}
    return tuple(distinct), np.array([position[name] for name in listed], dtype=np.int64)


def as_float_matrix(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as a two-dimensional float array without copying float32 or float64 input."""
    array = as_numbers(values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 2:
        raise ValueError(f"{name} is not a matrix: got shape {array.shape}, expected two dimensions. Reshape {name}.")
    return array


def check_finite(array: NDArray[Any], name: str, accepts: Callable[[NDArray[Any]], BoolArray]) -> None:
    """Raise an error that names the first entry that `accepts` does not take."""
    bad = ~accepts(array)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} contains {int(bad.sum())} non-finite values: got {array[row, column]} first at row {row}, column "
            f"{column}, expected finite numbers. Impute or drop those rows."
        )


def wide_sums(H: NDArray[Any], Y: NDArray[Any]) -> tuple[Sums, int]:
    """Sums of the wide layout, tasks with the same missing rows in one group, and the number of rows with any label."""
    K, T = H.shape[1], Y.shape[1]
    # Most data are complete: look for what is missing only if the moments show it.
    with np.errstate(invalid="ignore", over="ignore"):
        complete = _complete_rows(H, Y)
    if all(np.isfinite(part).all() for part in complete):
        n, mean_h, scatter_h, *of_tasks = complete
        return Sums(np.zeros(T, dtype=np.int64), np.array([n]), mean_h[None], scatter_h[None], *of_tasks), len(H)
    check_finite(H, "H", np.isfinite)
    check_finite(Y, "Y", lambda values: ~np.isinf(values))
    packed, group = np.unique(np.packbits(~np.isnan(Y), axis=0), axis=1, return_inverse=True)
    group = group.reshape(-1)
    patterns = np.unpackbits(packed, axis=0, count=len(Y)).T.astype(bool)
    G = len(patterns)
    counts, mean_h, scatter_h = np.zeros(G, dtype=np.int64), np.zeros((G, K)), np.zeros((G, K, K))
    mean_y, scatter_hy, scatter_y = np.zeros(T), np.zeros((T, K)), np.zeros(T)
    for g, rows in enumerate(patterns):
        tasks = np.flatnonzero(group == g)
        counts[g], mean_h[g], scatter_h[g], mean_y[tasks], scatter_hy[tasks], scatter_y[tasks] = _complete_rows(
            H[rows], Y[np.ix_(rows, tasks)]
        )
    sums = Sums(group, counts, mean_h, scatter_h, mean_y, scatter_hy, scatter_y)
    return sums, int(np.count_nonzero(patterns.any(axis=0)))


def _complete_rows(H: NDArray[Any], Y: NDArray[Any]) -> tuple[Any, ...]:
    """Count, means and scatters of rows that carry every label, chunk by chunk.

    One pass: each chunk is shifted by the mean of its first rows while it is copied, and corrected by the rest.
    """
    K, T = H.shape[1], Y.shape[1]
    n, mean, product, square = 0, np.zeros(K + T), np.zeros((K, K + T)), np.zeros(T)
    buffer, ones = np.empty((min(_CHUNK_ROWS, len(H)), K + T)), np.ones(min(_CHUNK_ROWS, len(H)))
    for start in range(0, len(H), _CHUNK_ROWS):
        h, y = H[start : start + _CHUNK_ROWS], Y[start : start + _CHUNK_ROWS]
        m = len(h)
        block = buffer[:m]
        shift = np.concatenate([h[:32].mean(axis=0, dtype=np.float64), y[:32].mean(axis=0, dtype=np.float64)])
        np.subtract(h, shift[:K], out=block[:, :K])
        np.subtract(y, shift[K:], out=block[:, K:])
        rest = (ones[:m] @ block) / m
        product += block[:, :K].T @ block - m * np.outer(rest[:K], rest)
        square += np.einsum("ij,ij->j", block[:, K:], block[:, K:]) - m * rest[K:] ** 2
        delta = shift + rest - mean
        factor = n * m / (n + m)
        product += factor * np.outer(delta[:K], delta)
        square += factor * delta[K:] ** 2
        mean += delta * (m / (n + m))
        n += m
    scatter_h = product[:, :K]
    return n, mean[:K], 0.5 * (scatter_h + scatter_h.T), mean[K:], product[:, K:].T, square


def long_sums(H: NDArray[Any], y: Array, index: IntArray, n_tasks: int) -> Sums:
    """Sums of the long layout, `index` naming the task of each row."""
    K = H.shape[1]
    block = np.empty((len(H), K + 1))
    if len(index) and np.any(index[1:] < index[:-1]):
        order = np.argsort(index, kind="stable")
        block[:, :K], block[:, K] = H[order], y[order]
    else:
        block[:, :K], block[:, K] = H, y
    counts = np.bincount(index, minlength=n_tasks)
    mean, scatter = np.zeros((n_tasks, K + 1)), np.zeros((n_tasks, K + 1, K + 1))
    if len(block) and np.all(counts == counts[0]):
        stack = block.reshape(n_tasks, counts[0], K + 1)
        mean = stack.mean(axis=1)
        stack = stack - mean[:, None]
        scatter = stack.transpose(0, 2, 1) @ stack
    else:
        stops = np.cumsum(counts)
        for t in np.flatnonzero(counts):
            rows = block[stops[t] - counts[t] : stops[t]]
            mean[t] = rows.mean(axis=0)
            rows = rows - mean[t]
            scatter[t] = rows.T @ rows
    group = np.arange(n_tasks)
    return Sums(group, counts, mean[:, :K], scatter[:, :K, :K], mean[:, K], scatter[:, :K, K], scatter[:, K, K])
