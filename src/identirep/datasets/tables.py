"""Your own tables: inputs and targets from a file, or from a data frame."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from identirep._typing import Array, IntArray
from identirep.datasets.batches import BadCell, NotNumericError, empty_message
from identirep.datasets.markers import as_given
from identirep.datasets.numbering import index_columns, row_numbers
from identirep.datasets.readers import AnyTable, open_table
from identirep.parameters import raise_faults

__all__ = ["load_table"]
Patterns = str | Sequence[str]

# Names shown in a message; a table may have thousands of columns.
# Whole numbers from here on have no type in which all of them are told apart.
_MOST_INT = 2**63
_MAX_NAMED = 5
_MAX_SHOWN = 60


def load_table(
    path: str | os.PathLike[str] | Any,
    targets: Patterns | None = None,
    *,
    tasks: str | None = None,
    features: Patterns | None = None,
    drop: Patterns | None = None,
    missing: Patterns | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> Bunch:
    """Load inputs and targets from a file (text with separators, Parquet, Feather, Arrow, Excel) or a data frame.

    Columns are chosen by exact name or by glob pattern (``*``, ``?``, ``[ab]``; case matters), several as a list or
    separated by commas. An exact name comes first, so names that contain these characters work too.

    Parameters
    ----------
    path : str, path-like or object with ``__arrow_c_stream__``
        The file, whose ending tells the format: ``.csv``, ``.tsv``, ``.txt``, ``.dat`` (all also ``.gz``),
        ``.parquet``, ``.feather``, ``.arrow``, ``.arrows`` or ``.xlsx``; or a table in memory, such as a data frame of
        pandas or polars, a relation of DuckDB, or a table or reader of PyArrow.
    targets : str or sequence of str, optional
        Target columns. Default: none, for data to predict on.
    tasks : str, optional
        Column with the task label of each row, of any type: the long layout, with one column of `targets`.
        Default: the wide layout, where each column of `targets` is a task.
    features : str or sequence of str, optional
        Input columns, in this order. Default: all columns that are not targets, tasks or dropped. Columns that number
        the rows are left out (see `left_out`), unless their exact name is here.
    drop : str or sequence of str, optional
        Columns to leave out of the inputs. Default: none.
    missing : str or sequence of str, optional
        What stands for a missing value in columns of numbers, such as ``"?,-9999"``: texts of CSV and TSV files, and
        numbers of all; one with a comma in it stands in double quotes, ``'"n,a",?'``. Default: only what is usual, such
        as an empty cell, NA, NaN, null, None or #N/A. Of labels only an empty cell is missing.
    separator : str, optional
        What separates cells of a text file: a character, or ``"comma"``, ``"semicolon"``, ``"tab"``, ``"bar"`` or
        ``"space"``, which is any run of blanks. Default: that with which all of the first rows have as many cells as
        the header.
    decimal : {".", ","}, optional
        The decimal mark of a text file. Default: that with which the first columns of numbers are numbers.
    sheet : str, optional
        The sheet of a workbook. Default: the first.

    Returns
    -------
    sklearn.utils.Bunch
        With attributes

        - ``X``, float64, shape (n_rows, n_features), all finite;
        - ``Y``, float64, shape (n_rows, n_targets), NaN where the file has no value; or in the long layout ``y``, shape
          (n_rows,). Neither without `targets`;
        - ``tasks``, shape (n_rows,): labels, in the long layout. Labels of a CSV file that are all whole numbers are
          ints;
        - ``feature_names``, ``target_names``: lists of str;
        - ``left_out``, dict: columns that number the rows or are an index, and why each is no input;
        - ``remarks``, list of str: how the file is read where that is not what its name tells.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `path` is neither a path nor such an object.
    ValueError
        If the file cannot be read, is empty or is something else than its name tells, a name or pattern matches no
        column, a column is not numeric, or an input is missing or infinite. The message names file, column and row,
        counted from 1 without the header.

    Notes
    -----
    The file is read in batches of rows, and columns that are not asked for are not decoded, so memory follows the size
    of the result and not that of the file. Objects are read whole, which of tables in memory is a view. Booleans count
    as 0 and 1. Text is UTF-8, UTF-16 or, if it is no UTF-8, Windows-1252; rows of separators alone are left out.
    Numbers with thousands separators are refused.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from identirep.datasets import load_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "alloys.csv"
    ...     _ = path.write_text("name,Fe,Ni,hardness_1,hardness_2\\na,0.5,0.5,3.1,\\nb,0.9,0.1,2.7,2.5\\n")
    ...     data = load_table(path, "hardness_*", drop="name")
    >>> data.feature_names, data.target_names
    (['Fe', 'Ni'], ['hardness_1', 'hardness_2'])
    >>> data.Y
    array([[3.1, nan],
           [2.7, 2.5]])
    """
    table = open_table(path, missing, separator=separator, decimal=decimal, sheet=sheet)
    path = table.path
    feature_names, target_names, kept = choose_columns(path, table.columns, targets, tasks, features, drop)
    left_out = index_columns([name for name in feature_names if name not in kept], table.index_columns)
    feature_names = [name for name in feature_names if name not in left_out]
    X, Y, labels = _read(table, feature_names, target_names, tasks)
    numbering = {name: why for name, why in row_numbers(feature_names, X).items() if name not in kept}
    if numbering:
        inputs = [j for j, name in enumerate(feature_names) if name not in numbering]
        X, feature_names, left_out = X[:, inputs], [feature_names[j] for j in inputs], left_out | numbering
    if not feature_names:
        raise ValueError(
            f"features is empty: got {_shorten(list(left_out))}, which only number the rows, expected at least one "
            "input. Name it in features if it is one."
        )
    _check_values(path, X, feature_names, Y, target_names)
    data = Bunch(X=X, feature_names=feature_names, target_names=target_names, left_out=left_out)
    data.remarks = list(table.remarks)
    if labels is not None:
        data.tasks = _as_labels(path, str(tasks), *labels)
    if target_names and tasks is not None:
        data.y = Y[:, 0]
    elif target_names:
        data.Y = Y
    return data


def load_targets(
    file: AnyTable, target_names: Sequence[str], tasks: str | None
) -> tuple[Array, NDArray[np.generic] | None]:
    """Return targets of an open file as `load_table` does, with the labels of tasks in the long layout."""
    _, Y, labels = _read(file, [], target_names, tasks)
    _check_values(file.path, np.empty((len(Y), 0)), [], Y, target_names)
    return (Y if labels is None or not target_names else Y[:, 0]), None if labels is None else _as_labels(
        file.path, str(tasks), *labels
    )


def choose_columns(
    path: Path,
    columns: Sequence[str],
    targets: Patterns | None,
    tasks: str | None,
    features: Patterns | None,
    drop: Patterns | None,
) -> tuple[list[str], list[str], set[str]]:
    """Return the names of features, of targets, and of the features that are called by their exact name."""
    feature_names, target_names = _choose_columns(columns, targets, tasks, features, drop)
    kept = set() if features is None else set(_split(features, columns)) & set(feature_names)
    if "" in kept and columns.count("") > 1:
        raise ValueError(f"{path.name} has several columns without a name: got '' in features. Name them in the file.")
    return feature_names, target_names, kept


def match_columns(argument: str, patterns: Patterns | None, columns: Sequence[str]) -> list[str]:
    """Return the columns that patterns name; ValueError for those that name none."""
    faults: list[str] = []
    found = _match(argument, patterns, columns, faults)
    raise_faults(faults)
    return found


def _choose_columns(
    columns: Sequence[str],
    targets: Patterns | None,
    tasks: str | None,
    features: Patterns | None,
    drop: Patterns | None,
) -> tuple[list[str], list[str]]:
    """Resolve the arguments to names of features and of targets; collect all faults."""
    faults: list[str] = []
    target_names = _match("targets", targets, columns, faults)
    set_of_targets = set(target_names)
    dropped = _match("drop", drop, columns, faults)
    if tasks is not None and tasks not in columns:
        faults.append(_no_match("tasks", tasks, columns))
    if tasks in target_names:
        faults.append(f"tasks is a target too: got {tasks!r} for both, expected two columns. Choose one of them.")
    if tasks is not None and targets is not None and len(target_names) > 1:
        faults.append(
            f"targets has several columns: got {_shorten(target_names)} with tasks={tasks!r}, expected the one target "
            "column of the long layout. Name one, or leave tasks out."
        )
    reserved = {*target_names, *dropped, tasks}
    if both := [name for name in ([] if drop is None else _split(drop, columns)) if name in set_of_targets]:
        faults.append(
            f"drop has targets: got {_shorten(both)} as targets and in drop, or as groups, order, weights or labels, "
            "expected disjoint columns. Take them out of one."
        )
    if features is None:
        chosen = list(columns)
    else:
        chosen = _match("features", features, columns, faults)
        exact = _split(features, columns)
        both = [name for name in exact if name in set_of_targets]
        # A pattern may name more than is meant, an exact name does not.
        if out := [name for name in exact if name in reserved - set_of_targets]:
            faults.append(
                f"features has columns that are to be no inputs: got {_shorten(out)} in features and in drop, or as "
                "tasks, groups, order, weights or labels, expected disjoint columns. Take them out of one."
            )
        if both:
            faults.append(
                f"features has targets: got {_shorten(both)} in both, expected disjoint columns. Take them out of one."
            )
    feature_names = [name for name in chosen if name not in reserved]
    if not feature_names and not faults:
        faults.append(
            f"features is empty: got no column besides {_shorten([name for name in columns if name in reserved])}, "
            "expected at least one. Choose fewer targets."
        )
    raise_faults(faults)
    return feature_names, target_names


def _match(argument: str, patterns: Patterns | None, columns: Sequence[str], faults: list[str]) -> list[str]:
    """List the columns that the patterns name, each once; collect patterns without any."""
    found: dict[str, None] = {}
    known = set(columns)
    names = [] if patterns is None else _split(patterns, columns)
    if patterns is not None and len(patterns) and not names:
        faults.append(f"{argument} names no column: got {_cut(patterns)}, expected a name or pattern. Name a column.")
    for pattern in names:
        if pattern in known:
            matches = [pattern]
        else:
            matches = [name for name in columns if fnmatchcase(name, pattern)]
        if not matches:
            faults.append(_no_match(argument, pattern, columns))
        found.update(dict.fromkeys(matches))
    return list(found)


def _split(patterns: Patterns, columns: Sequence[str]) -> list[str]:
    """Split at commas, except in names that contain one."""
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    known, found = set(columns), []
    for text in listed:
        parts = text.split(",")
        start = 0
        while start < len(parts):
            # The longest run of parts that is a name.
            runs = ((stop, ",".join(parts[start:stop])) for stop in range(len(parts), start, -1))
            stop, name = next(
                ((stop, form) for stop, run in runs for form in (run, run.strip()) if form in known),
                (start + 1, parts[start].strip()),
            )
            # An empty text names a column without a name where it stands alone; beside a comma it is a slip.
            if name or name in known or len(parts) == 1:
                found.append(name)
            start = stop
    return found


def _no_match(argument: str, pattern: str, columns: Sequence[str]) -> str:
    """Say that a name or pattern matches nothing, and what is close to it."""
    close = get_close_matches(pattern.strip("*?"), columns, n=1, cutoff=0.5)
    action = f"Did you mean {close[0]!r}?" if close else "Check the spelling."
    return f"{argument} matches no column: got {pattern!r}, expected a name or pattern of {_shorten(columns)}. {action}"


def _shorten(names: Sequence[str]) -> str:
    """List names, leaving some out if there are many."""
    shown = ", ".join(repr(name) for name in names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown}, ... ({len(names)} columns)"


def _read(
    table: AnyTable, feature_names: Sequence[str], target_names: Sequence[str], tasks: str | None
) -> tuple[Array, Array, tuple[list[Hashable], IntArray] | None]:
    """Read inputs, targets, and labels as distinct values with one index for each row."""
    n_features = len(feature_names)
    X, Y = np.empty((0, n_features)), np.empty((0, len(target_names)))
    position: dict[Hashable, int] = {}
    codes = np.empty(0, dtype=np.int64)
    n_rows, bad = 0, []
    try:
        for batch in table.batches([*feature_names, *target_names], tasks):
            stop = n_rows + len(batch.numbers)
            for buffer in (X, Y, codes):
                _reserve(buffer, stop)
            X[n_rows:stop] = batch.numbers[:, :n_features]
            Y[n_rows:stop] = batch.numbers[:, n_features:]
            if batch.labels is not None:
                codes[n_rows:stop] = [position.setdefault(label, len(position)) for label in batch.labels]
            n_rows = stop
    except NotNumericError as error:
        bad = error.cells
    raise_faults(
        [
            f"{table.path.name}: column {cell.column!r} is not numeric: got {_cut(cell.value)} first at row "
            f"{cell.row}{cell.of}, expected numbers. {_remedy(cell, cell.column in target_names)}"
            for cell in bad
        ]
    )
    if n_rows == 0:
        raise ValueError(empty_message(table.path))
    for buffer in (X, Y, codes):
        buffer.resize((n_rows, *buffer.shape[1:]), refcheck=False)
    return X, Y, None if tasks is None else (list(position), codes)


def _remedy(cell: BadCell, is_target: bool) -> str:
    """Say what to do about a cell that is no number."""
    if cell.remedy:
        return cell.remedy
    if cell.is_among_numbers:
        other = "repair the column, or take it out of targets" if is_target else "drop or repair the column"
        return f"If it stands for a missing value, pass missing={as_given(str(cell.value))!r}; else {other}."
    if is_target:
        return f"Take {cell.column!r} out of targets, or write it as numbers."
    return f"Drop it with drop={cell.column!r} or encode it."


def _cut(value: object) -> str:
    """Return a value as it is written, long ones cut."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _reserve(buffer: NDArray[np.generic], n_rows: int) -> None:
    """Make room for more rows, in place."""
    if n_rows > len(buffer):
        # Growing by an eighth wastes little, and the operating system moves large blocks without copying them.
        buffer.resize((max(n_rows, len(buffer) + len(buffer) // 8), *buffer.shape[1:]), refcheck=False)


def _check_values(path: Path, X: Array, feature_names: Sequence[str], Y: Array, target_names: Sequence[str]) -> None:
    """Raise for each input that is missing or infinite and each target that is infinite."""
    faults = []
    for values, names, bad, kind in (
        (X, feature_names, np.isnan, "missing"),
        (X, feature_names, np.isinf, "infinite"),
        (Y, target_names, np.isinf, "infinite"),
    ):
        for j, name in enumerate(names):
            rows = np.flatnonzero(bad(values[:, j]))
            if len(rows):
                faults.append(
                    f"{path.name}: column {name!r} has {kind} values: got {len(rows)}, first at row {rows[0] + 1}, "
                    f"expected finite numbers. Impute them, drop those rows, or leave {name!r} out."
                )
    hidden = len(faults) - _MAX_NAMED
    raise_faults(faults[:_MAX_NAMED] + ([f"And {hidden} more columns."] if hidden > 0 else []))


def _as_labels(path: Path, column: str, distinct: list[Hashable], codes: IntArray) -> NDArray[np.generic]:
    """Turn codes into labels; texts that are all whole numbers become ints."""
    if None in distinct:
        row = int(np.flatnonzero(codes == distinct.index(None))[0]) + 1
        raise ValueError(
            f"{path.name}: column {column!r} has missing task labels: got none first at row {row}, expected a label in "
            "each row. Drop those rows."
        )
    if all(isinstance(label, str) for label in distinct):
        try:
            numbers = [int(str(label)) for label in distinct]
        except ValueError:
            numbers = []
        # "01" and "1" are different labels.
        fit = all(-_MOST_INT <= number < _MOST_INT for number in numbers)
        if fit and [str(number) for number in numbers] == distinct:
            return np.array(numbers, dtype=np.int64)[codes]
    values = np.array(distinct)
    if values.ndim != 1:
        values = np.empty(len(distinct), dtype=object)
        values[:] = distinct
    return values[codes]
