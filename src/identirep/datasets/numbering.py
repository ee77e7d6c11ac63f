"""Columns that number the rows: they are no inputs, since they predict whatever the table is sorted by."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from identirep._typing import Array

__all__ = ["index_columns", "row_numbers"]

# What writers of indices call a column that has no name of its own: pandas, R's tibbles, nothing at all.
_UNNAMED = re.compile(r"|unnamed(: *\d+.*)?|__index_level_\d+__|__index__|\.\.\.\d+", re.IGNORECASE)
# Names of row numbers and of ids in any case; not enough alone, since they may name something else.
_NUMBERS = re.compile(
    r"_?(row|obs|record|line|sample|case|entry|df|pandas)?[ _.-]*(index|idx|id|ids|nr|num|number)[ _.-]*\d{0,2}_?"
    r"|row[ _.-]?names?|rn|row|no\.|#|level_\d+",
    re.IGNORECASE,
)
# With fewer rows columns that count up may be anything.
_FEWEST_ROWS = 10


def index_columns(names: Sequence[str], declared: Sequence[str] = ()) -> dict[str, str]:
    """Return the columns that are an index by their names, or as their file declares, and why; whatever they hold."""
    found = {
        # An index of pandas, or what is behind a separator at the end of each row.
        name: "an index column" if name.strip() else "a column without a name"
        for name in names
        if _UNNAMED.fullmatch(name.strip())
    }
    return found | {name: "the index of the table" for name in declared if name in names}


def row_numbers(names: Sequence[str], columns: Array) -> dict[str, str]:
    """Return the columns that number the rows, and why: distinct whole numbers, in order, without gaps, or by name."""
    found: dict[str, str] = {}
    n_rows = len(columns)
    if n_rows < _FEWEST_ROWS:
        return found
    for name, values in zip(names, columns.T, strict=True):
        # A look at the first rows leaves out most columns.
        if not _are_whole(values[:_FEWEST_ROWS]) or not _are_whole(values):
            continue
        steps = np.diff(values)
        if _is_count(steps) or _is_count(-steps) or _is_permutation(values):
            found[name] = "numbers the rows"
        elif _NUMBERS.fullmatch(name.strip()):
            if _are_distinct(values):
                found[name] = "a number of its own for each row"
            elif bool(((steps == 1) | (steps < 0)).all()):
                found[name] = "numbers the rows of each part"
    return found


def _are_whole(values: Array) -> bool:
    return bool(np.isfinite(values).all() and (values == np.round(values)).all())


def _is_count(steps: Array) -> bool:
    """Tell whether rows are counted, some of them perhaps taken out since."""
    return bool((steps > 0).all() and np.mean(steps == 1) >= 0.5)


def _is_permutation(values: Array) -> bool:
    """Tell whether whole numbers are those from 0 or 1 on, each once, as after a shuffle."""
    return bool(values.min() in (0, 1) and np.ptp(values) == len(values) - 1 and _are_distinct(values))


def _are_distinct(values: Array) -> bool:
    return len(np.unique(values)) == len(values)
