"""Sets of variables that metrics compare: checked as estimators check, and in units that no square leaves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identirep._typing import Array
from identirep.accumulation import as_floats, check_finite
from identirep.parameters import raise_faults
from identirep.row_weights import as_weights

__all__ = ["Pair", "WeightedPair", "checked_pairs", "checked_set", "counted_rows"]

Pair = tuple[ArrayLike, ArrayLike]


class WeightedPair(NamedTuple):
    """Two sets of the same rows, and the weights of these, None where all are alike."""

    first: Array
    second: Array
    weights: Array | None


# A column is constant if it varies by less than this share of its values, what so many roundings in a row leave.
_CONSTANT = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}


def checked_set(values: Any, name: str) -> NDArray[Any]:
    """Return finite numbers with two dimensions, float32 or float64, or say what is wrong with `values`."""
    array = as_floats(values, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} is not a matrix: got shape {array.shape}, expected (n_samples, n_latents). Pass a column for each "
            "latent, values[:, None] if there is one."
        )
    check_finite(array, name, np.isfinite)
    return array


def checked_pairs(
    pair: Pair, names: tuple[str, str], held_out: Pair | None
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return two sets and other rows of both in units that they have in common; the sets again if there are none."""
    learn = _same_rows(pair, names)
    if held_out is None:
        first, second = (_in_units(values, values) for values in learn)
        return (first, second), (first, second)
    test = _same_rows(_two(held_out), ("held_out[0]", "held_out[1]"))
    for values, others, name in zip(learn, test, names, strict=True):
        if values.shape[1] != others.shape[1]:
            raise ValueError(
                f"held_out has other columns than {name}: got {others.shape[1]}, expected {values.shape[1]}. "
                "Pass other rows of the same latents."
            )
    both = [np.concatenate([a, b]) for a, b in zip(learn, test, strict=True)]
    found = [tuple(_in_units(part, all_) for part, all_ in zip(side, both, strict=True)) for side in (learn, test)]
    return (found[0][0], found[0][1]), (found[1][0], found[1][1])


def counted_rows(
    learn: tuple[Array, Array],
    sample_weight: Any,
    others: tuple[Array, Array],
    held_out: Pair | None,
    held_out_weight: Any,
) -> tuple[WeightedPair, WeightedPair]:
    """Return two sets and other rows of both, each with its weights, without rows of weight 0."""
    weight, faults = as_weights(sample_weight, len(learn[0]))
    if held_out is None and held_out_weight is not None:
        faults.append(
            "held_out_weight has no rows: got weights without held_out, expected both. Pass held_out, or sample_weight."
        )
    of_others, found = as_weights(held_out_weight, len(others[0]))
    words = (("sample_weight", "held_out_weight"), ("match X", "match held_out"))
    faults += [fault.replace(*words[0]).replace(*words[1]) for fault in found]
    raise_faults(faults)
    counted = _counted(learn, weight)
    return counted, counted if held_out is None else _counted(others, of_others)


def _counted(pair: tuple[Array, Array], weight: Array | None) -> WeightedPair:
    if weight is None:
        return WeightedPair(*pair, None)
    counted = weight > 0
    left = weight[counted]
    return WeightedPair(pair[0][counted], pair[1][counted], None if np.all(left == left[0]) else left)


def _two(held_out: Any) -> Pair:
    """Refuse what is no pair."""
    if not isinstance(held_out, (tuple, list)) or len(held_out) != 2:
        raise ValueError(
            f"held_out is no pair: got {type(held_out).__name__}, expected other rows of both sets. Pass two."
        )
    return held_out[0], held_out[1]


def _same_rows(pair: Pair, names: tuple[str, str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two sets, and that they are of the same rows."""
    a, b = (np.asarray(checked_set(values, name)) for values, name in zip(pair, names, strict=True))
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            f"{names[1]} does not match: got shapes {a.shape} and {b.shape}, expected two matrices with the same rows, "
            "at least 2. Pass latents of the same samples."
        )
    return a, b


def _in_units(values: NDArray[Any], everything: NDArray[Any]) -> Array:
    """Divide columns by powers of two near the largest value of `everything`; those that are constant become zero."""
    constant = _CONSTANT[values.dtype]
    exponent = np.frexp(np.abs(everything).max(axis=0, initial=0.0).astype(np.float64))[1]
    scaled = np.ldexp(values.astype(np.float64), -exponent)
    spread = np.ptp(scaled, axis=0)
    return np.where(spread <= constant * np.abs(scaled).max(axis=0, initial=0.0), 0.0, scaled)
