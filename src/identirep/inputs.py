"""Inputs as arrays: matrices, tables, tensors, and samples with several axes for encoders that take them."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags
from sklearn.utils.validation import check_array, validate_data

from identirep.accumulation import floats_of
from identirep.mapped_rows import MappedRows
from identirep.parameters import Fault
from identirep.tensors import unless_tensors
from identirep.units import spread_of, unit_faults
from identirep.wording import short

__all__ = ["as_array", "collect_inputs", "column_names"]

# Names shown in a message.
_MAX_NAMED = 5
# Packages whose objects hand out samples.
_STREAMING = ("datasets", "tensorflow", "webdataset")


def column_names(frame: Any) -> tuple[Hashable, ...] | None:
    """Return the column names of a data frame or Arrow table, or None for anything else."""
    names = getattr(frame, "column_names", None)
    if names is None and hasattr(frame, "dtypes"):
        names = getattr(frame, "columns", None)
    return None if names is None else tuple(names)


def as_array(values: Any, name: str) -> Any:
    """Return a tensor of torch as an array, anything else as it is; TypeError for what hands out one sample a time."""
    data = getattr(getattr(sys.modules.get("torch"), "utils", None), "data", None)
    if data is not None and isinstance(values, (data.Dataset, data.DataLoader)):
        raise TypeError(_streamed(values, name))
    if isinstance(values, Iterator) or type(values).__module__.split(".")[0] in _STREAMING:
        raise TypeError(_streamed(values, name))
    return unless_tensors(values, name)


def _streamed(values: Any, name: str) -> str:
    """Say what to do with a data set, a loader or an iterator."""
    return (
        f"{name} has the wrong type: got {type(values).__name__}, which hands out samples or batches, expected an "
        "array or tensor with one entry for each sample, (n_samples, ...). Stack the samples: "
        "X = numpy.stack([x for x, y in dataset]), y = numpy.stack([y for x, y in dataset]); of a loader "
        "numpy.concatenate does it for batches."
    )


def collect_inputs(
    X: Any, estimator: Any, reset: bool, name: str, faults: list[Fault | str], gaps: bool = False
) -> NDArray[Any] | None:
    """Return `X` as a matrix; None and an entry in `faults` if it is not one.

    Samples with several axes are laid out as rows, for an estimator with ``_takes_axes``, which gets their shape as
    ``_input_shape``.
    """
    options: dict[str, Any] = {
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": False,
        "ensure_min_samples": 2 if reset else 1,
    }
    if X is None:
        faults.append(f"{name} is missing: got None, expected an array of numbers. Pass {name}.")
        return None
    if estimator is not None and not reset:
        X = _columns_of_fit(X, estimator, name, faults)
        if X is None:
            return None
    if isinstance(X, MappedRows):
        return _mapped_inputs(X, estimator, reset, name, faults)
    X = as_array(X, name)
    try:
        X = _without_masks(X) if column_names(X) is not None else floats_of(X, name)
    except (TypeError, ValueError) as error:
        faults.append(Fault(str(error), of_type=isinstance(error, TypeError)))
        return None
    shape = X.shape[1:] if isinstance(X, np.ndarray) and X.ndim > 2 else ()
    if (fault := _shape_fault(shape, estimator, reset, name, X)) is not None:
        faults.append(fault)
        return None
    if reset and hasattr(estimator, "_input_shape"):
        # Of a matrix, too: an earlier fit may have been to samples with axes.
        estimator._input_shape = shape
    if shape or getattr(estimator, "_input_shape", ()):
        X = np.asarray(X).reshape(len(X), -1)
    try:
        if estimator is None:
            array = check_array(X, input_name=name, **options)
        else:
            array = validate_data(estimator, X, reset=reset, **options)
    except (TypeError, ValueError) as error:
        faults.append(_table_fault(X, name, error))
        return None
    # The sum is finite unless an entry is not (or it overflows): one cheap pass before the exact look.
    if not np.isfinite(np.sum(array, dtype=np.float64)):
        takes_nan = gaps or (estimator is not None and get_tags(estimator).input_tags.allow_nan)
        bad = np.isinf(array) if takes_nan else ~np.isfinite(array)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            names = column_names(X)
            label = "" if names is None else f" ({short(repr(names[column]))})"
            faults.append(
                f"{name} contains {int(bad.sum())} non-finite values (NaN or inf): got {array[row, column]} first at "
                f"index {row}, column {column}{label}, expected finite numbers. Impute or drop those rows."
            )
            return np.asarray(array)
    if estimator is None or reset:
        labels = column_names(X) or range(array.shape[1])
        faults += unit_faults(spread_of(array), name, labels, "column", small=reset, digits=reset)
    return np.asarray(array)


def _mapped_inputs(X: MappedRows, estimator: Any, reset: bool, name: str, faults: list[Fault | str]) -> Any:
    """Return inputs on disk, whose values were looked at when they were written."""
    if reset and len(X) < 2:
        faults.append(f"{name} has too few rows: got {len(X)}, expected at least 2. Pass more rows.")
        return None
    if estimator is None:
        return X.named(None)
    if reset:
        estimator.n_features_in_, estimator._input_shape = X.shape[1], ()
        if X.names is not None:
            estimator.feature_names_in_ = np.array(X.names, dtype=object)
        elif hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif X.shape[1] != estimator.n_features_in_:
        faults.append(
            f"{name} has the wrong number of columns: got {X.shape[1]}, expected the {estimator.n_features_in_} of the "
            "fit. Write the same columns to disk."
        )
        return None
    return X.named(None)


def _columns_of_fit(X: Any, estimator: Any, name: str, faults: list[Fault | str]) -> Any:
    """Return the columns of a table that have the names of the fit, in its order; None and a fault if some lack."""
    known, names = getattr(estimator, "feature_names_in_", None), column_names(X)
    if known is None or names is None or names == tuple(known):
        return X
    missing = [column for column in known if column not in set(names)]
    if missing:
        faults.append(
            f"{name} lacks {len(missing)} of the {len(known)} inputs of the model: got no column {_listed(missing)}, "
            "expected each by its name. Add or rename columns."
        )
        return None
    if repeated := [column for column in known if names.count(column) > 1]:
        faults.append(
            f"{name} has repeated column names: got {_listed(repeated)} several times, expected each feature of the "
            "fit once. Rename or drop columns."
        )
        return None
    return X.select(list(known)) if hasattr(X, "column_names") else X[list(known)]


def _listed(names: list[Hashable]) -> str:
    rest = len(names) - _MAX_NAMED
    return ", ".join(short(repr(name)) for name in names[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _shape_fault(shape: tuple[int, ...], estimator: Any, reset: bool, name: str, X: Any) -> str | None:
    """Say what is wrong with the axes of samples, those after the second one first of all."""
    own, got = getattr(estimator, "_input_shape", ()), np.shape(X)
    if reset and shape and not getattr(estimator, "_takes_axes", False):
        return (
            f"{name} has the wrong shape: got {got}, expected (n_samples, n_features); more axes are for an "
            "encoder of your own. Pass MTRN(encoder=...) with a module that takes them, or "
            f"{name}.reshape(len({name}), -1)."
        )
    if not reset and shape != own and (shape or len(got) != 2 or got[1] != np.prod(own)):
        expected = ", ".join(map(str, own)) or "n_features"
        return f"{name} has the wrong shape: got {got}, expected (n_samples, {expected}) as in fit. Reshape your data."
    if len(got) < 2:
        return (
            f"{name} has the wrong shape: got {got}, expected (n_samples, n_features). Reshape your data: "
            f"{name}.reshape(-1, 1) if there is one feature, {name}.reshape(1, -1) if there is one sample."
        )
    known = None if reset or own else getattr(estimator, "n_features_in_", None)
    if known is not None and got[0] and 0 < got[1] != known:
        return (
            f"{name} has {got[1]} features, but {type(estimator).__name__} is expecting {known} features as input: got "
            f"shape {got}, expected (n_samples, {known}). Pass the columns of the fit, in its order."
        )
    return None


def _table_fault(X: Any, name: str, error: Exception) -> Fault | str:
    """Return what scikit-learn says of a table or an array, for a table with the column that it is about."""
    said, names = str(error), column_names(X)
    if names is None or "a minimum of" in said:
        return said
    for column in names:
        try:
            floats_of(X[column], f"column {short(repr(column))} of {name}")
        except (TypeError, ValueError) as found:
            return Fault(str(found), of_type=isinstance(found, TypeError))
    return f"{name} is not numeric: got a table ({said}), expected columns of numbers. Convert {name}."


def _without_masks(X: Any) -> Any:
    """Return a table with NaN where pandas' NA says missing, which scikit-learn cannot convert."""
    if hasattr(X, "notna"):
        return X.where(X.notna(), np.nan) if "O" in {getattr(dtype, "kind", "") for dtype in X.dtypes} else X
    return X
