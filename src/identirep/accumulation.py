"""Counts, means and centred second moments of rows, in one pass and without cancellation.

By the update of Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The American Statistician
37 (1983) 242-247.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.missing import as_labels, as_numbers, missing_labels

__all__ = [
    "Sums",
    "as_float_matrix",
    "as_floats",
    "check_finite",
    "effective_number",
    "factorize",
    "floats_of",
    "long_sums",
    "unlike_labels",
    "wide_sums",
]

# Rows handled at once: large enough for the matrix product to dominate, small enough to stay in cache.
_CHUNK_ROWS = 4096
_TINY = float(np.finfo(np.float64).tiny)


class Sums(NamedTuple):
    """Statistics of T tasks in G groups of rows: `TaskMoments` without the names of its tasks.

    Of rows with weights, `counts` are effective numbers, and scatters are the weighted covariance times these.
    """

    group: IntArray  # (T,)
    counts: Counts  # (G,)
    mean_h: Array  # (G, K)
    scatter_h: Array  # (G, K, K)
    mean_y: Array  # (T,)
    scatter_hy: Array  # (T, K)
    scatter_y: Array  # (T,)
    weight_sums: Array | None = None  # (G,); None where rows have no weights
    row_counts: IntArray | None = None  # (G,)


def factorize(labels: ArrayLike, name: str = "labels") -> tuple[tuple[Hashable, ...], IntArray]:
    """Return the distinct labels (sorted where they can be) and the position of each row's label among them."""
    values = as_labels(labels, name)
    missing = missing_labels(values)
    if missing.any():
        raise ValueError(
            f"{name} has missing labels: got {int(missing.sum())}, first at index {int(np.flatnonzero(missing)[0])}, "
            "expected a label for each row. Drop those rows."
        )
    if values.dtype != object:
        unique, index = np.unique(values, return_inverse=True)
        return tuple(unique.tolist()), index.reshape(-1).astype(np.int64)
    listed = values.tolist()
    try:
        distinct = list(dict.fromkeys(listed))
    except TypeError as error:
        raise ValueError(unlike_labels(name, error)) from None
    try:
        distinct = sorted(distinct)
    except TypeError:
        pass
    position = {name: i for i, name in enumerate(distinct)}
    return tuple(distinct), np.array([position[name] for name in listed], dtype=np.int64)


def unlike_labels(name: str, error: TypeError) -> str:
    """Say that labels are of a type that cannot be compared."""
    rule = "expected texts, numbers or the like. Convert them."
    return f"{name} has labels that cannot be told apart: got an {error}, {rule}"


def as_floats(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as float32 or float64, NaN for what is missing, or say what is wrong with them."""
    try:
        return floats_of(values, name)
    except TypeError as error:
        raise ValueError(str(error)) from None


def floats_of(values: Any, name: str) -> NDArray[Any]:
    """Do as `as_floats`, with TypeError for what is of a wrong type, as scikit-learn has it."""
    if values is None:
        raise ValueError(f"{name} is missing: got None, expected an array of numbers. Pass {name}.")
    if hasattr(values, "toarray"):
        raise TypeError(f"{name} is a sparse matrix: got sparse data, expected a dense array. Call {name}.toarray().")
    array = as_numbers(values, name)
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype.kind in "cmMV":
        more = " Complex data not supported." if array.dtype.kind == "c" else ""
        raise ValueError(
            f"{name} is not numeric: got values of {array.dtype}, expected real numbers. Convert {name}.{more}"
        )
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(
            f"{name} is not numeric: got {type(values).__name__} ({error}), expected an array of numbers, rows of one "
            f"length. Convert {name}."
        ) from None


def as_float_matrix(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return `values` as a two-dimensional float array without copying float32 or float64 input."""
    array = as_floats(values, name)
    if array.ndim != 2:
        raise ValueError(f"{name} is not a matrix: got shape {array.shape}, expected two dimensions. Reshape {name}.")
    return array


def check_finite(array: NDArray[Any], name: str, accepts: Callable[[NDArray[Any]], BoolArray]) -> None:
    """Raise an error that names the first entry that `accepts` does not take."""
    bad = ~accepts(array)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} contains {int(bad.sum())} non-finite values: got {array[row, column]} first at index {row}, "
            f"column {column}, expected finite numbers. Impute or drop those rows."
        )


def wide_sums(H: NDArray[Any], Y: NDArray[Any], weight: Array | None = None) -> tuple[Sums, int]:
    """Sums of the wide layout, tasks with the same missing rows in one group, and the number of rows with any label."""
    K, T = H.shape[1], Y.shape[1]
    # Most data are complete: look for what is missing only if the moments show it.
    with np.errstate(invalid="ignore", over="ignore"):
        complete = _complete_rows(H, Y, weight)
    if all(np.isfinite(part).all() for part in complete):
        n, mean_h, scatter_h, *of_tasks = complete
        sums = Sums(np.zeros(T, dtype=np.int64), np.array([n]), mean_h[None], scatter_h[None], *of_tasks)
        return _with_weights(sums, weight, [np.ones(len(H), dtype=bool)]), len(H)
    check_finite(H, "H", np.isfinite)
    check_finite(Y, "Y", lambda values: ~np.isinf(values))
    packed, group = np.unique(np.packbits(~np.isnan(Y), axis=0), axis=1, return_inverse=True)
    group = group.reshape(-1)
    patterns = np.unpackbits(packed, axis=0, count=len(Y)).T.astype(bool)
    G = len(patterns)
    counts = np.zeros(G, dtype=np.int64 if weight is None else np.float64)
    mean_h, scatter_h = np.zeros((G, K)), np.zeros((G, K, K))
    mean_y, scatter_hy, scatter_y = np.zeros(T), np.zeros((T, K)), np.zeros(T)
    for g, rows in enumerate(patterns):
        tasks = np.flatnonzero(group == g)
        counts[g], mean_h[g], scatter_h[g], mean_y[tasks], scatter_hy[tasks], scatter_y[tasks] = _complete_rows(
            H[rows], Y[np.ix_(rows, tasks)], None if weight is None else weight[rows]
        )
    sums = Sums(group, counts, mean_h, scatter_h, mean_y, scatter_hy, scatter_y)
    return _with_weights(sums, weight, list(patterns)), int(np.count_nonzero(patterns.any(axis=0)))


def _with_weights(sums: Sums, weight: Array | None, groups: list[BoolArray]) -> Sums:
    """Add what is known of the weights of the rows of each group."""
    if weight is None:
        return sums
    counts = np.array([np.count_nonzero(rows) for rows in groups], dtype=np.int64)
    return sums._replace(weight_sums=np.array([weight[rows].sum() for rows in groups]), row_counts=counts)


def effective_number(weight: NDArray[Any]) -> float:
    """Effective number of rows (sum w)^2 / sum w^2 of weights, of any scale (Kish, "Survey Sampling", 1965)."""
    if not len(weight):
        return 0.0
    w = weight / weight.max()
    return float(w.sum() ** 2 / (w @ w))


def _complete_rows(H: NDArray[Any], Y: NDArray[Any], weight: Array | None = None) -> tuple[Any, ...]:
    """Count, means and scatters of rows that carry every label, chunk by chunk.

    One pass: each chunk is shifted by the mean of its first rows while it is copied, and corrected by the rest.
    """
    K, T = H.shape[1], Y.shape[1]
    n: Any
    n, mean, product, square = 0, np.zeros(K + T), np.zeros((K, K + T)), np.zeros(T)
    buffer, ones = np.empty((min(_CHUNK_ROWS, len(H)), K + T)), np.ones(min(_CHUNK_ROWS, len(H)))
    # Each group has its own scale: only ratios of weights count.
    relative = None if weight is None or not len(weight) else weight / weight.max()
    for start in range(0, len(H), _CHUNK_ROWS):
        h, y = H[start : start + _CHUNK_ROWS], Y[start : start + _CHUNK_ROWS]
        w = ones[: len(h)] if relative is None else relative[start : start + _CHUNK_ROWS]
        m: Any = len(h) if relative is None else w.sum()
        if m == 0:
            continue
        block = buffer[: len(h)]
        shift = np.concatenate([h[:32].mean(axis=0, dtype=np.float64), y[:32].mean(axis=0, dtype=np.float64)])
        np.subtract(h, shift[:K], out=block[:, :K])
        np.subtract(y, shift[K:], out=block[:, K:])
        rest = (w @ block) / m
        weighted = block if relative is None else block * w[:, None]
        product += weighted[:, :K].T @ block - m * np.outer(rest[:K], rest)
        square += np.einsum("ij,ij->j", weighted[:, K:], block[:, K:]) - m * rest[K:] ** 2
        delta = shift + rest - mean
        factor = n * m / (n + m)
        product += factor * np.outer(delta[:K], delta)
        square += factor * delta[K:] ** 2
        mean += delta * (m / (n + m))
        n += m
    if weight is not None:
        effective = effective_number(weight)
        product *= effective / max(n, _TINY)
        square *= effective / max(n, _TINY)
        n = effective
    scatter_h = product[:, :K]
    return n, mean[:K], 0.5 * (scatter_h + scatter_h.T), mean[K:], product[:, K:].T, square


def long_sums(H: NDArray[Any], y: Array, index: IntArray, n_tasks: int, weight: Array | None = None) -> Sums:
    """Sums of the long layout, `index` naming the task of each row."""
    K = H.shape[1]
    if weight is not None:
        return _weighted_long_sums(H, y, index, n_tasks, weight)
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


def _weighted_long_sums(H: NDArray[Any], y: Array, index: IntArray, n_tasks: int, weight: Array) -> Sums:
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=n_tasks)
    stops, effective, K = np.cumsum(counts), np.zeros(n_tasks), H.shape[1]
    mean, scatter = np.zeros((n_tasks, K + 1)), np.zeros((n_tasks, K + 1, K + 1))
    for t in np.flatnonzero(counts):
        own = order[stops[t] - counts[t] : stops[t]]
        w = weight[own] / weight[own].max()
        total, effective[t] = w.sum(), effective_number(w)
        rows = np.column_stack([H[own], y[own]]).astype(np.float64)
        # Means first of all rows alike, so that what the weights leave is small beside large origins.
        mean[t] = rows.mean(axis=0)
        rows -= mean[t]
        shift = w @ rows / total
        mean[t] += shift
        rows -= shift
        scatter[t] = (rows * w[:, None]).T @ rows * (effective[t] / total)
    parts = mean[:, :K], scatter[:, :K, :K], mean[:, K], scatter[:, :K, K], scatter[:, K, K]
    return Sums(np.arange(n_tasks), effective, *parts, np.bincount(index, weight, n_tasks), counts)  # type: ignore[arg-type]
