r"""Weights of rows: checked, and what they count for.

A weight is *analytic*: how much a row says relative to the others of its task (a precision, one over the variance of
its error; a sampling weight). Only ratios within a task matter. Means and covariances are weighted ones, and whatever
counts rows counts the effective number

    n_eff = (sum w)^2 / sum w^2,

so that weights of 0 and 1 leave rows out, weights that are all alike change nothing, and no weight makes more rows of
one: a weight of 3 is not three independent rows.

References
----------
L. Kish, "Survey Sampling", Wiley 1965.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.accumulation import as_floats, effective_number

__all__ = ["as_weights", "effective_numbers", "effective_weights", "effective_weights_of_labels"]
__all__ += ["first_bad_weight", "unless_ones", "weight_faults", "weights_of_tasks"]

# Sums of weights stay in range.
_MOST = 1e100


def as_weights(sample_weight: Any, n_rows: int) -> tuple[Array | None, list[str]]:
    """Return weights of so many rows, of a number for all as well; None without any; and what is wrong with them."""
    if sample_weight is None:
        return None, []
    try:
        weight = as_floats(sample_weight, "sample_weight").astype(np.float64)
    except ValueError as error:
        return None, [str(error)]
    if weight.ndim == 0:
        weight = np.full(n_rows, float(weight))
    faults = weight_faults(weight, n_rows)
    return (None if faults else weight), faults


def weight_faults(weight: Array, n_rows: int, first: int = 0) -> list[str]:
    """List what is wrong with weights: how many there are, and what they are; rows are counted from `first`."""
    if weight.shape != (n_rows,):
        return [
            f"sample_weight does not match X: got shape {weight.shape}, expected ({n_rows},). Pass one weight for each "
            "row."
        ]
    row = first_bad_weight(weight)
    if row is not None:
        bad = _bad_weights(weight)
        return [
            f"sample_weight contains {int(bad.sum())} values that are no weights: got {weight[row]:g} first at row "
            f"{row + first}, expected finite numbers from 0 to {_MOST:.0e}. Set them, or drop those rows."
        ]
    if not weight.any():
        return ["sample_weight is zero in all rows: got no row that counts, expected some. Leave sample_weight out."]
    return []


def first_bad_weight(weight: Array) -> int | None:
    """Return where the first value is that is no weight; None if there is none."""
    bad = _bad_weights(weight)
    return int(np.argmax(bad)) if bad.any() else None


def _bad_weights(weight: Array) -> BoolArray:
    return np.asarray(~(np.isfinite(weight) & (weight >= 0.0) & (weight <= _MOST)))


def unless_ones(weight: Array | None) -> Array | None:
    """Return weights, None if all are one: what is left of 0 and 1 is the same, bit for bit, as without weights."""
    return None if weight is None or np.all(weight == 1.0) else weight


def effective_numbers(weight: Array, index: IntArray, n_tasks: int) -> Array:
    """Effective number of rows of each task, weights of any scale, shape (n_tasks,)."""
    top = np.zeros(n_tasks)
    np.maximum.at(top, index, weight)
    w = weight / np.where(top > 0, top, 1.0)[index]
    total, squares = np.bincount(index, w, n_tasks), np.bincount(index, w**2, n_tasks)
    return np.asarray(total**2 / np.where(squares > 0, squares, 1.0))


def effective_weights(weight: Array, index: IntArray | None = None, of: BoolArray | None = None) -> Array:
    """Scale weights so that those `of` the rows, default all, sum to their effective number, in each task apart."""
    of = np.ones(len(weight), dtype=bool) if of is None else of
    if index is None:
        total = weight[of].sum()
        return np.asarray(weight * (effective_number(weight[of]) / total if total > 0 else 0.0))
    n_tasks = int(index.max(initial=-1)) + 1
    total = np.bincount(index[of], weight[of], n_tasks)
    scale = effective_numbers(weight[of], index[of], n_tasks) / np.where(total > 0, total, 1.0)
    return np.asarray(weight * scale[index])


def weights_of_tasks(weight: Array, index: IntArray) -> Array:
    """Scale weights above 0 so that those of each task sum to its effective number: ones where they are alike there."""
    top = np.zeros(int(index.max(initial=-1)) + 1)
    np.maximum.at(top, index, weight)
    return effective_weights(weight / top[index], index)


def effective_weights_of_labels(weight: Array, seen: BoolArray, of: BoolArray | None = None) -> Array:
    """Scale weights of rows for each task of the wide layout as `effective_weights` does, 0 where no label is seen.

    Shape (n_rows, n_tasks), or (n_rows, 1) where all labels are seen, so that all tasks share one scale.
    """
    if seen.all():
        return effective_weights(weight, of=of)[:, None]
    rows = np.ones(len(weight), dtype=bool) if of is None else of
    columns = [effective_weights(np.where(column, weight, 0.0), of=rows) for column in seen.T]
    return np.stack(columns, axis=1)
