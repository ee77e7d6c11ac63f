"""What an experiment is: cells to run, what is measured in each, and the tables and figures that show it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Cell", "Column", "Experiment", "Finished", "Measured", "Row", "Table", "cell_key", "rows_of"]

Cell = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """Outcome of one cell."""

    rows: list[Row]  # one for each method or setting; the values that name the cell are added
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # what comparisons between cells need


Finished = list[tuple[Cell, Measured]]


def rows_of(finished: Finished) -> list[Row]:
    """Return the rows of all cells."""
    return [row for _, measured in finished for row in measured.rows]


@dataclass(frozen=True)
class Column:
    """A measured value in a table."""

    name: str
    label: str
    digits: int = 4
    worst: str | None = "min"  # which end over the seeds is the bad one; None shows the mean alone

    def text(self, values: Sequence[float | None]) -> str:
        """Return mean, standard deviation and worst of the values, as far as there are several."""
        known = np.array([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)
        if not len(known):
            return "–"
        mean = f"{known.mean():.{self.digits}f}"
        if self.worst is None or len(known) == 1:
            return mean
        end = known.min() if self.worst == "min" else known.max()
        return f"{mean} ± {known.std(ddof=1):.{self.digits}f} ({end:.{self.digits}f})"


@dataclass(frozen=True)
class Table:
    """Rows gathered by the values that name them, and summarised over seeds."""

    title: str
    keys: tuple[str, ...]  # values that name a line
    columns: tuple[Column, ...]
    across: str | None = None  # spread the first column over the values of this one, instead of all columns
    where: Mapping[str, Any] = field(default_factory=dict)  # only rows with these values; a tuple means one of them


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run cell by cell, in any order, and resumed."""

    title: str
    description: str  # what is compared, on which data, with which metric
    cells: Callable[[bool, int | None], list[Cell]]  # of (quick, n_seeds), None for the default number
    measure: Callable[[Cell], Measured]
    tables: tuple[Table, ...]
    combine: Callable[[Finished], list[Row]] | None = None  # more rows, for comparisons between cells
    figures: Mapping[str, Callable[[list[Row]], Figure]] = field(default_factory=dict)  # names become file names


def cell_key(cell: Cell) -> str:
    """Return the name of a cell's file: equal for equal cells, whatever the order of their values."""
    text = json.dumps(cell, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
