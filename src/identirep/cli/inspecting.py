"""The command that looks at a table before anything is fitted: inspect."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table as Grid
from rich.text import Text

import identirep.cli.options as given
from identirep.cli.console import OUTPUT, in_words_of_options, reports_faults, say, working

if TYPE_CHECKING:
    from identirep._typing import Array

__all__ = ["inspect"]

# Columns listed one by one; of wider tables those that need attention come first.
_MOST_LISTED = 60
_LABELS = "--groups, --tasks or drop"
_FEWEST_IN_FAMILY = 3


@dataclass(frozen=True)
class Column:
    """What a table has in one column."""

    name: str
    kind: str
    n_missing: int
    n_distinct: int
    values: str
    n_rows: int

    @property
    def is_number(self) -> bool:
        """Whether the column can be an input or a target."""
        return self.kind in ("number", "whole number", "yes or no")

    @property
    def remark(self) -> str:
        """What the column may be good for, or what stands against it."""
        if self.n_missing == self.n_rows:
            return "empty: drop"
        if self.n_distinct == 1:
            return "constant: drop"
        if self.kind == "date or time":
            return "--order or drop"
        if not self.is_number:
            if self.n_distinct == self.n_rows - self.n_missing:
                return "label of a row: drop"
            return _LABELS
        if self.n_missing:
            return "gaps: target or drop"
        if self.kind == "whole number" and self.n_distinct == self.n_rows:
            return "number of a row? drop"
        return ""


@reports_faults
def inspect(
    data: given.Data,
    targets: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Target columns, as for 'fit': look at them and inputs too."),
    ] = None,
    tasks: given.Tasks = None,
    groups: given.Groups = None,
    order: given.Order = None,
    features: given.Features = None,
    drop: given.Drop = None,
) -> None:
    """Show what is in a table: columns, types, gaps, constants, what could be targets, and which rows are alike.

    With the options of 'fit' it also says what the order of the rows costs on later ones.
    """
    from identirep.cli.remarks import remarks_of_columns, remarks_of_table
    from identirep.cli.tables import read_table

    with working(f"Reading {data.name}"):
        columns, numbers = _read_columns(data)
        if targets:
            table = read_table(data, targets, tasks=tasks, groups=groups, order=order, features=features, drop=drop)
            remarks = remarks_of_table(table)
        else:
            remarks = remarks_of_columns(*numbers)
    n_rows = columns[0].n_rows
    say(f"{data.name}: {n_rows:,} rows, {len(columns):,} columns", style="bold")
    listed = sorted(columns, key=lambda column: not column.remark) if len(columns) > _MOST_LISTED else columns
    grid = Grid(box=box.SIMPLE_HEAD)
    grid.add_column("column", overflow="fold")
    grid.add_column("type", no_wrap=True)
    grid.add_column("missing", justify="right")
    grid.add_column("distinct", justify="right")
    grid.add_column("values", no_wrap=True, overflow="ellipsis")
    grid.add_column("remark")
    for column in listed[:_MOST_LISTED]:
        missing = f"{column.n_missing:,}" if column.n_missing else ""
        cells = (column.name, column.kind, missing, f"{column.n_distinct:,}", column.values, column.remark)
        grid.add_row(*(Text(cell) for cell in cells))
    OUTPUT.print(grid)
    if len(columns) > _MOST_LISTED:
        say(f"And {len(columns) - _MOST_LISTED:,} more columns without remarks or like these.")
    for remark in remarks:
        say(in_words_of_options(remark))
    if not targets:
        _suggest(data, columns)


def _suggest(path: Path, columns: list[Column]) -> None:
    """Print a command to start from, if the names tell what the targets are."""
    families = _families([column.name for column in columns if column.is_number and column.n_distinct > 1])
    gaps = [column.name for column in columns if column.is_number and 0 < column.n_missing < column.n_rows]
    labels = [column.name for column in columns if column.remark == _LABELS]
    drop = [column.name for column in columns if column.remark.endswith("drop") and column.name not in labels + gaps]
    drop += labels[1:]
    if families:
        say("Names that belong together: " + ", ".join(f"{pattern} ({n} columns)" for pattern, n in families) + ".")
        role, targets = "--groups", families[0][0]
    elif gaps:
        role, targets = "--groups", ",".join(gaps)
    else:
        role, targets = "--tasks", "YOUR_TARGET" if labels else "YOUR_TARGETS"
    options = [f"--targets {_quoted(targets)}", *(f"{role} {_quoted(name)}" for name in labels[:1])]
    if drop:
        options.append(f"--drop {_quoted(','.join(drop))}")
    start = f"identirep fit {path} {' '.join(options)} --out runs/first"
    say(f"To start, with the targets that you want explained: {start}")


def _families(names: list[str]) -> list[tuple[str, int]]:
    """Find prefixes that several names share, the largest family first."""
    prefixes = Counter(name.split("_")[0] for name in names if "_" in name)
    return [(f"{prefix}_*", n) for prefix, n in prefixes.most_common(5) if n >= _FEWEST_IN_FAMILY and n < len(names)]


def _quoted(text: str) -> str:
    return text if text.replace("_", "").replace(",", "").isalnum() else f"'{text}'"


def _read_columns(path: Path) -> tuple[list[Column], tuple[list[str], Array]]:
    """Return what is in each column, and the names and values of the columns of numbers, NaN for gaps."""
    import numpy as np
    import pyarrow as pa

    from identirep.datasets import read_whole

    table = read_whole(path)
    columns = []
    numbers = []
    for name in table.column_names:
        values = table.column(name)
        kind = _kind(values.type)
        present = values.drop_null()
        try:
            n_distinct = len(present.unique())
        except pa.ArrowNotImplementedError:
            n_distinct = len(present)
        columns.append(Column(name, kind, values.null_count, n_distinct, _show(present, kind), len(values)))
        if columns[-1].is_number:
            numbers.append(values.cast(pa.float64()).to_numpy())
    names = [column.name for column in columns if column.is_number]
    return columns, (names, np.column_stack(numbers) if numbers else np.empty((len(table), 0)))


def _kind(value_type: Any) -> str:
    from pyarrow import types

    tests = (
        (types.is_boolean, "yes or no"),
        (types.is_integer, "whole number"),
        (lambda value: types.is_floating(value) or types.is_decimal(value), "number"),
        (types.is_null, "empty"),
        (types.is_temporal, "date or time"),
    )
    return next((kind for test, kind in tests if test(value_type)), "text")


def _show(values: Any, kind: str) -> str:
    """Range of numbers, examples of texts."""
    from pyarrow import compute

    if not len(values):
        return ""
    if kind in ("number", "whole number"):
        extremes = compute.min_max(values).as_py()
        return f"{float(extremes['min']):.4g} to {float(extremes['max']):.4g}"
    return ", ".join(str(value)[:20] for value in values.unique()[:3].to_pylist())
