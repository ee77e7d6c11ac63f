"""What is missing, told from values: masks, None, NaN, NaT and pandas' NA in numbers and in labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import BoolArray

__all__ = ["as_labels", "as_numbers", "is_missing", "missing_labels"]

# Told by name, so that pandas is not imported for those who do not use it.
_MISSING_TYPES = ("NAType", "NaTType", "MaskedConstant")


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for none: None, NaN, NaT, pandas' NA or a masked entry, but no text."""
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and value != value


def as_numbers(values: Any) -> NDArray[Any]:
    """Return an array in which what is masked or missing is NaN; anything that needs no such change as it is."""
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values, np.float64 if values.dtype.kind in "biuf" else object)
    array = np.asarray(values)
    if array.dtype != object:
        return array
    flat = [np.nan if is_missing(value) else value for value in array.reshape(-1).tolist()]
    numbers = np.empty(len(flat), dtype=object)
    numbers[:] = flat
    return numbers.reshape(array.shape)


def as_labels(values: Any) -> NDArray[Any]:
    """Return labels as an array of one dimension that keeps tuples, mixed types and missing ones whole."""
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values, object)
    array = np.asarray(values) if hasattr(values, "__array__") else None
    if array is None or array.ndim != 1:
        try:
            listed = list(values)
        except TypeError:
            raise ValueError(
                f"labels are no sequence: got {type(values).__name__}, expected one for each row. Pass a list or "
                "an array."
            ) from None
        mixed = len({type(label) for label in listed}) != 1 or isinstance(listed[0], tuple)
        array = np.empty(len(listed), dtype=object) if mixed else np.asarray(listed)
        if mixed:
            array[:] = listed
    return array


def _unmasked(values: np.ma.MaskedArray[Any, Any], dtype: type) -> NDArray[Any]:
    """Return the entries of a masked array, None or NaN where they are masked."""
    kept: NDArray[Any] = np.array(values.data, dtype=dtype)
    kept[np.ma.getmaskarray(values)] = None
    return kept


def missing_labels(labels: NDArray[Any]) -> BoolArray:
    """Tell which labels are missing; the text NA is a label (Namibia), as any other text."""
    if labels.dtype.kind in "mM":
        return np.asarray(np.isnat(labels))
    if labels.dtype.kind == "f":
        return np.asarray(np.isnan(labels))
    if labels.dtype != object:
        return np.zeros(len(labels), dtype=bool)
    return np.array([is_missing(label) for label in labels], dtype=bool)
