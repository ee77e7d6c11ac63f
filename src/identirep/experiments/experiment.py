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

__all__ = ["Cell", "Column", "Experiment", "Measured", "Row", "Table", "cell_key"]

Cell = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """Outcome of one cell.

    Parameters
    ----------
    rows : list of dict
        Measured values by name, one dict for each method or setting; the values that name the cell are added.
    arrays : dict of arrays
        What later comparisons between cells need, such as latents on held-out rows.
    """

    rows: list[Row]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A measured value in a table.

    Parameters
    ----------
    name : str
        Its name in the rows.
    label : str
        Heading.
    digits : int
        Digits after the point.
    worst : {"min", "max"} or None
        Which end over the seeds is the bad one; None shows the mean alone.
    """

    name: str
    label: str
    digits: int = 4
    worst: str | None = "min"

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
    """Rows gathered by the values that name them, and summarised over seeds.

    Parameters
    ----------
    title : str
        Heading.
    keys : tuple of str
        Values that name a line.
    columns : tuple of Column
        Values to show.
    across : str or None
        Spread the first column over the values of this one, instead of all columns side by side.
    where : dict
        Only rows with these values; a tuple means one of them.
    """

    title: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    across: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run cell by cell, in any order, and resumed.

    Parameters
    ----------
    name, title : str
        For the command line, and for people.
    description : str
        What is compared, on which data, with which metric; a paragraph for the head of the results.
    cells : callable
        ``cells(quick, n_seeds)`` returns all cells; ``n_seeds`` None means the default number.
    measure : callable
        Runs one cell, which is a dict of numbers, strings and booleans.
    tables : tuple of Table
        How the results are shown.
    combine : callable or None
        Makes more rows from ``(cell, outcome)`` of all finished cells, for comparisons between them.
    figures : dict of callables
        Draw a Matplotlib figure from all rows; names become file names.
    """

    name: str
    title: str
    description: str
    cells: Callable[[bool, int | None], list[Cell]]
    measure: Callable[[Cell], Measured]
    tables: tuple[Table, ...]
    combine: Callable[[list[tuple[Cell, Measured]]], list[Row]] | None = None
    figures: Mapping[str, Callable[[list[Row]], Figure]] = field(default_factory=dict)


def cell_key(cell: Cell) -> str:
    """Return the name of a cell's file: equal for equal cells, whatever the order of their values."""
    text = json.dumps(cell, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
