"""Tables of any kind as tables of Arrow: of pandas, polars, Arrow, whatever streams, and matrices."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from identirep.missing import as_numbers

__all__ = ["as_table", "is_frame"]


def is_frame(X: Any) -> bool:
    """Tell whether columns have names, so that they may be of several types."""
    return (
        hasattr(X, "column_names") or hasattr(X, "__arrow_c_stream__") or _is_pandas(X) or hasattr(X, "collect_schema")
    )


def as_table(X: Any) -> Any:
    """Return a ``pyarrow.Table``; the columns of a matrix are named x0, x1, ..."""
    import pyarrow as pa

    if isinstance(X, pa.RecordBatch):
        X = pa.Table.from_batches([X])
    elif _is_pandas(X):
        X = _named({str(name): X.iloc[:, j] for j, name in enumerate(X.columns)}, [str(name) for name in X.columns])
    elif not isinstance(X, pa.Table):
        if hasattr(X, "collect"):
            X = X.collect()
        X = _of_stream(X) if hasattr(X, "__arrow_c_stream__") else _of_matrix(X)
    if repeated := [name for name, count in Counter(X.column_names).items() if count > 1]:
        raise ValueError(
            f"X has repeated column names: got {repeated[0]!r} twice, expected distinct names. Rename them."
        )
    return X


def _is_pandas(X: Any) -> bool:
    return hasattr(X, "iloc") and hasattr(X, "columns")


def _of_stream(X: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.table(X)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"X cannot be read: got {str(error).splitlines()[0][:120]}, expected columns of types that Arrow has. "
            "Convert them, such as numbers of 128 bits to float64."
        ) from None


def _of_matrix(X: Any) -> Any:
    """Return the columns of an array, or of lists of rows."""
    if hasattr(X, "toarray"):
        raise TypeError("X is a sparse matrix: got sparse data, expected a table or a dense array. Call X.toarray().")
    array = as_numbers(X)
    if array.ndim != 2:
        raise ValueError(
            f"X has the wrong shape: got {array.shape}, expected (n_samples, n_features): a 2D array or a table with "
            "named columns. Reshape your data either using array.reshape(-1, 1) or array.reshape(1, -1)."
        )
    names = [f"x{j}" for j in range(array.shape[1])]
    return _named(dict(zip(names, array.T, strict=True)), names)


def _named(columns: dict[str, Any], names: list[str]) -> Any:
    """Return columns of pandas or NumPy as a table; `names` may have one twice."""
    import pyarrow as pa

    if len(columns) < len(names):
        repeated = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"X has repeated column names: got {repeated!r} twice, expected distinct names. Rename them.")
    return pa.table([_of_column(name, values) for name, values in columns.items()], names=names)


def _of_column(name: str, values: Any) -> Any:
    import pyarrow as pa

    if hasattr(values, "sparse") and hasattr(values.dtype, "fill_value"):
        values = values.sparse.to_dense()
    if getattr(values.dtype, "kind", "") == "c":
        raise ValueError(
            f"column {name!r} is complex: got complex numbers, expected real ones. Complex data not supported."
        )
    if isinstance(values, np.ndarray):
        values = np.ascontiguousarray(values)
    elif values.dtype == object and any(getattr(value, "ndim", 0) > 1 for value in values):
        values = [value.tolist() if hasattr(value, "tolist") else value for value in values]
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        what = str(error).splitlines()[0][:120]
        raise ValueError(
            f"column {name!r} holds values of several kinds: got {what}, expected numbers, texts, dates or lists. "
            "Convert it to one kind, or drop it."
        ) from None
