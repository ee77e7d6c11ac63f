"""What is missing, told from values: masks, None, NaN, NaT and pandas' NA in numbers and in labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import BoolArray
from identirep.tensors import unless_tensors

__all__ = ["as_labels", "as_numbers", "is_missing", "missing_labels", "shape_of"]

# Told by name, so that pandas is not imported for those who do not use it.
_MISSING_TYPES = ("NAType", "NaTType", "MaskedConstant")


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for none: None, NaN, NaT, pandas' NA or a masked entry, but no text."""
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and value != value


def as_numbers(values: Any, name: str = "values") -> NDArray[Any]:
    """Return an array in which what is masked or missing is NaN; anything that needs no such change as it is."""
    values = unless_tensors(values, name)
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values, np.float64 if values.dtype.kind in "biuf" else object)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} is no array: got {type(values).__name__} ({error}), expected numbers, in rows of one length. "
            f"Convert {name}."
        ) from None
    if array.dtype != object:
        return array
    flat = [np.nan if is_missing(value) else value for value in array.reshape(-1).tolist()]
    numbers = np.empty(len(flat), dtype=object)
    numbers[:] = flat
    return numbers.reshape(array.shape)


def shape_of(values: Any) -> tuple[int, ...]:
    """Return the shape of what can be an array; of anything else the empty one."""
    try:
        shape = np.shape(values)
    except (TypeError, ValueError, OverflowError):
        return ()
    # A class has a shape that is none.
    return shape if isinstance(shape, tuple) else ()


def as_labels(values: Any, name: str = "labels") -> NDArray[Any]:
    """Return labels as an array of one dimension that keeps tuples, mixed types and missing ones whole."""
    values = unless_tensors(values, name)
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values, object)
    if hasattr(values, "__array__"):
        array = np.asarray(values)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise ValueError(
                f"{name} has the wrong shape: got {array.shape}, expected one dimension, a label for each row. Pass "
                "one column."
            )
        return array
    # A set has no order, and a text is one label.
    if isinstance(values, str | bytes | set | frozenset | Mapping) or not isinstance(values, Iterable):
        raise ValueError(
            f"{name} holds no sequence of labels: got {type(values).__name__}, expected one for each row. Pass a list "
            "or an array."
        )
    listed = list(values)
    if listed and all(type(label) is list and len(label) == 1 for label in listed):
        listed = [label[0] for label in listed]
    # NumPy would take apart what holds several values.
    if len({type(label) for label in listed}) == 1 and (
        isinstance(listed[0], str) or not hasattr(listed[0], "__len__")
    ):
        return np.asarray(listed)
    array = np.empty(len(listed), dtype=object)
    for i, label in enumerate(listed):
        array[i] = label
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
    # Types are few where labels are many.
    if not any(_may_be_missing(kind) for kind in set(map(type, labels.tolist()))):
        return np.zeros(len(labels), dtype=bool)
    return np.array([is_missing(label) for label in labels], dtype=bool)


def _may_be_missing(kind: type) -> bool:
    """Whether some value of a type stands for none."""
    return kind.__name__ in (*_MISSING_TYPES, "NoneType") or issubclass(
        kind, float | np.floating | np.datetime64 | np.timedelta64
    )
