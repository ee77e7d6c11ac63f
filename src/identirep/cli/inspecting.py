"""The command that looks at a table before anything is fitted: inspect."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table as Grid

import identirep.cli.options as given
from identirep.cli.console import OUTPUT, cell, in_words_of_options, quoted, reports_faults, say, working

if TYPE_CHECKING:
    from identirep._typing import Array

__all__ = ["inspect"]

# Columns listed one by one; of wider tables those that need attention come first.
_MOST_LISTED = 60
_LABELS = "--groups, --tasks or drop"
_NUMBERS = ("number", "whole number", "yes or no")
_NUMBERING = "number of a row"
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
    numbering: str = ""

    @property
    def is_number(self) -> bool:
        """Whether the column can be an input or a target."""
        return self.kind in _NUMBERS

    @property
    def remark(self) -> str:
        """What the column may be good for, or what stands against it."""
        if self.n_missing == self.n_rows:
            return "empty: drop"
        if self.numbering:
            return f"{_NUMBERING}: drop"
        if self.n_distinct == 1:
            return "constant: drop"
        if self.kind == "list":
            return "list: drop"
        if self.kind == "date or time":
            return "--order or drop"
        if not self.is_number:
            if self.n_distinct == self.n_rows - self.n_missing:
                return "label of a row: drop"
            return _LABELS
        if self.n_missing:
            return "gaps: target or drop"
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
    missing: given.Missing = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    sheet: given.Sheet = None,
) -> None:
    """Show what is in a table: columns, types, gaps, constants, what could be targets, and which rows are alike.

    With the options of 'fit' it also says what the order of the rows costs on later ones.
    """
    from identirep.cli.remarks import remarks_of_columns, remarks_of_table
    from identirep.cli.tables import read_table

    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    with working(f"Reading {data.name}"):
        columns, numbers, read_as = _read_columns(data, reading)
        if targets:
            table = read_table(
                data, targets, tasks=tasks, groups=groups, order=order, features=features, drop=drop, **reading
            )
            remarks = remarks_of_table(table)
        else:
            remarks = read_as + remarks_of_columns(*numbers)
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
        n_missing = f"{column.n_missing:,}" if column.n_missing else ""
        cells = (column.name, column.kind, n_missing, f"{column.n_distinct:,}", column.values, column.remark)
        grid.add_row(*map(cell, cells))
    OUTPUT.print(grid)
    if len(columns) > _MOST_LISTED:
        say(f"And {len(columns) - _MOST_LISTED:,} more columns without remarks or like these.")
    for remark in remarks:
        say(in_words_of_options(remark))
    if not targets:
        _suggest(data, columns, given.options_of_files(**reading))


def _suggest(path: Path, columns: list[Column], reading: str) -> None:
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
    options = [f"--targets {quoted(targets)}", *(f"{role} {quoted(name)}" for name in labels[:1])]
    # Names without a letter would be lost in a list.
    lists = [",".join(filter(None, drop)), *("" for name in drop if not name)]
    options += [f"--drop {quoted(names)}" for names in lists if names or "" in drop]
    start = f"identirep fit {quoted(str(path))} {' '.join(options)}{reading} --out runs/first"
    say(f"To start, with the targets that you want explained: {start}")


def _families(names: list[str]) -> list[tuple[str, int]]:
    """Find prefixes that several names share, the largest family first."""
    prefixes = Counter(name.split("_")[0] for name in names if "_" in name)
    return [(f"{prefix}_*", n) for prefix, n in prefixes.most_common(5) if n >= _FEWEST_IN_FAMILY and n < len(names)]


def _read_columns(path: Path, reading: dict[str, Any]) -> tuple[list[Column], tuple[list[str], Array], list[str]]:
    """Return what is in each column, names and values of the columns of numbers, NaN for gaps, and how it was read."""
    import numpy as np

    from identirep.datasets import as_matrix, empty_message, index_columns, open_table, row_numbers

    file = open_table(path, **reading)
    table = file.read_whole()
    if not table.num_rows:
        raise ValueError(empty_message(path))
    numbering = index_columns(file.columns, file.index_columns)
    columns = []
    numbers = []
    for name, values in zip(table.column_names, table.columns, strict=True):
        kind = _kind(values.type)
        if kind in _NUMBERS:
            numbers.append(as_matrix([values.combine_chunks()], len(values), file.markers.numbers)[:, 0])
            numbering |= row_numbers([name], numbers[-1][:, None])
            present = numbers[-1][~np.isnan(numbers[-1])]
            if kind == "number" and len(present) and (present == np.round(present)).all():
                kind = "whole number"
            n_missing, n_distinct = len(values) - len(present), len(np.unique(present))
            shown = f"{present.min():.4g} to {present.max():.4g}" if len(present) and kind != "yes or no" else ""
        else:
            present = values.drop_null()
            n_missing, n_distinct = values.null_count, _count_distinct(present)
            shown = ", ".join(str(value)[:20] for value in dict.fromkeys(map(str, present[:100].to_pylist())))[:200]
        columns.append(Column(name, kind, n_missing, n_distinct, shown, len(values), numbering.get(name, "")))
    names = [column.name for column in columns if column.is_number]
    return columns, (names, np.column_stack(numbers) if numbers else np.empty((len(table), 0))), list(file.remarks)


def _count_distinct(values: Any) -> int:
    """Count distinct values; lists, which Arrow does not compare, count as distinct."""
    import pyarrow as pa

    try:
        return len(values.unique())
    except pa.ArrowNotImplementedError:
        return len(values)


def _kind(value_type: Any) -> str:
    from pyarrow import types

    if types.is_dictionary(value_type):
        return _kind(value_type.value_type)
    tests = (
        (types.is_boolean, "yes or no"),
        (types.is_integer, "whole number"),
        (lambda value: types.is_floating(value) or types.is_decimal(value), "number"),
        (types.is_null, "empty"),
        (types.is_temporal, "date or time"),
        (types.is_nested, "list"),
    )
    return next((kind for test, kind in tests if test(value_type)), "text")
