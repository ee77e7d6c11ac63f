"""The command that looks at a table before anything is fitted: inspect."""

from __future__ import annotations

import glob
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table as Grid

import identirep.cli.options as given
from identirep.cli.answers import answer, suggested
from identirep.cli.console import OUTPUT, cell, remark, reports_faults, say, working
from identirep.cli.words import quoted, quoted_path

if TYPE_CHECKING:
    from identirep._typing import Array
    from identirep.encoding import Column

__all__ = ["inspect"]

# Columns listed one by one; of wider tables those that need attention come first.
_MOST_LISTED = 60
_SHOWN_OF = 100
# Widths of columns on the terminal.
_WIDEST_NAME, _WIDEST_REMARK, _NARROWEST = 30, 45, 8
_LABELS = "--groups, --tasks or drop"
_FEWEST_IN_FAMILY = 3
_ROWS_AT_ONCE = 4096
# What inputs become that are no numbers, and what else they may be.
_USES = {
    "category": "one-hot, or --groups",
    "date or time": "its parts, or --order",
    "time of day": "its parts, or --order",
    "list": "its numbers",
}


@dataclass(frozen=True)
class Shown:
    """A column as it was judged, and what else is shown of it."""

    column: Column
    n_distinct: int
    values: str

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.column.name

    @property
    def is_number(self) -> bool:
        """Whether the column can be a target."""
        from identirep.encoding import NUMBERS

        return self.column.kind in NUMBERS

    @property
    def remark(self) -> str:
        """What the column may be good for, or what stands against it."""
        column = self.column
        if column.is_input:
            uses = [_USES[column.kind]] if column.kind in _USES else []
            gaps = column.n_missing and column.kind != "category"
            return "; ".join(uses + (["gaps: target or filled" if self.is_number else "gaps: filled"] if gaps else []))
        if column.why_not.startswith("text"):
            return _LABELS
        why = "label of a row" if column.why_not.startswith("a text") else column.why_not
        return f"{why}: drop"


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
    categorical: given.Categorical = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    sheet: given.Sheet = None,
) -> None:
    """Show what is in a table: columns, types, gaps, constants, what could be targets, and which rows are alike.

    With the options of 'fit' it also says what the order of the rows costs on later ones.
    """
    from identirep.cli.remarks import remarks_of_columns, remarks_of_table
    from identirep.cli.tables import read_table

    of_targets = {"--tasks": tasks, "--groups": groups, "--order": order, "--features": features, "--drop": drop}
    if not targets and (given_alone := [option for option, value in of_targets.items() if value]):
        raise ValueError(
            f"{given_alone[0]} says how a table with targets is looked at: got no --targets, expected some. Name them, "
            f"or leave {' and '.join(given_alone)} out."
        )
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    with working(f"Reading {data.name}"):
        columns, numbers, read_as = _read_columns(data, reading, categorical)
        if targets:
            table = read_table(
                data,
                targets,
                tasks=tasks,
                groups=groups,
                order=order,
                features=features,
                drop=drop,
                categorical=categorical,
                **reading,
            )
            remarks = remarks_of_table(table)
        else:
            remarks = read_as + remarks_of_columns(*numbers)
    n_rows = columns[0].column.n_rows
    say(f"{data.name}: {n_rows:,} rows, {len(columns):,} columns", style="bold")
    listed = sorted(columns, key=lambda column: not column.remark) if len(columns) > _MOST_LISTED else columns
    OUTPUT.print(_grid(listed[:_MOST_LISTED]))
    if len(columns) > _MOST_LISTED:
        say(f"And {len(columns) - _MOST_LISTED:,} more columns without remarks or like these.")
    answer(data=data, n_rows=n_rows, n_columns=len(columns), columns=[_entry(column) for column in columns])
    for text in remarks:
        remark(text)
    if not targets:
        options = given.options_of_files(**reading)
        _suggest(data, columns, options + "".join(f" --categorical {quoted(names)}" for names in categorical or []))


def _grid(columns: list[Shown]) -> Grid:
    """Return the table of columns; values get the room that the others leave."""
    headings = ("column", "type", "missing", "distinct", "values", "remark")
    lines = []
    for shown in columns:
        found = shown.column
        n_missing = f"{found.n_missing:,}" if found.n_missing else ""
        lines.append((found.name, found.kind, n_missing, f"{shown.n_distinct:,}", shown.values, shown.remark))
    widths = [max(map(len, texts)) for texts in zip(headings, *lines, strict=True)]
    widths[0], widths[5] = min(widths[0], _WIDEST_NAME), min(widths[5], _WIDEST_REMARK)
    # Each column has a space on both sides, and so has the table.
    room = OUTPUT.width - sum(widths) + widths[4] - 2 * len(headings) - 2
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column(headings[0], overflow="fold", min_width=min(widths[0], _NARROWEST))
    grid.add_column(headings[1], no_wrap=True)
    for heading in headings[2:4]:
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column(headings[4], no_wrap=True, overflow="ellipsis", max_width=max(room, _NARROWEST))
    grid.add_column(headings[5], min_width=min(widths[5], _NARROWEST))
    for line in lines:
        grid.add_row(*map(cell, line))
    return grid


def _entry(shown: Shown) -> dict[str, Any]:
    """Return a column as an entry of the document of --json."""
    return {
        "name": shown.name,
        "type": shown.column.kind,
        "n_missing": shown.column.n_missing,
        "n_distinct": shown.n_distinct,
        "values": shown.values,
        "remark": shown.remark,
    }


def _suggest(path: Path, columns: list[Shown], reading: str) -> None:
    """Print a command to start from, if the names tell what the targets are."""
    families = _families(columns)
    labels = [column.name for column in columns if column.remark == _LABELS]
    drop = [column.name for column in columns if column.remark.endswith("drop") and column.name not in labels]
    drop += labels[1:]
    if families:
        say("Names that belong together: " + ", ".join(f"{pattern} ({n} columns)" for pattern, n in families) + ".")
        role, targets = "--groups", families[0][0]
    else:
        labels = labels or [shown.name for shown in columns if shown.column.kind == "category"]
        role, targets = "--tasks", "YOUR_TARGET" if labels else "YOUR_TARGETS"
    options = [f"--targets {quoted(targets)}", *(f"{role} {quoted(name)}" for name in labels[:1])]
    # Names without a letter would be lost in a list.
    lists = [names for names in [",".join(filter(None, drop))] if names] + ([""] if "" in drop else [])
    options += [f"--drop {quoted(names)}" for names in lists]
    start = f"identirep fit {quoted_path(path)} {' '.join(options)}{reading} --out runs/first"
    say(f"To start, with the targets that you want explained: {suggested(start)}")


def _families(columns: list[Shown]) -> list[tuple[str, int]]:
    """Find patterns that the names of several numbers, and no others, have in common, the largest family first."""
    names = [column.name for column in columns if column.is_number and column.n_distinct > 1]
    others = [column.name for column in columns if not column.is_number]
    # A list of names is split at commas.
    prefixes = Counter(name.split("_")[0] for name in names if "_" in name and "," not in name.split("_")[0])
    found = [
        (f"{glob.escape(prefix)}_*", n)
        for prefix, n in prefixes.most_common(5)
        if n >= _FEWEST_IN_FAMILY and n < len(names)
    ]
    return [(pattern, n) for pattern, n in found if not any(fnmatchcase(name, pattern) for name in others)]


def _read_columns(
    path: Path, reading: dict[str, Any], categorical: list[str] | None
) -> tuple[list[Shown], tuple[list[str], Array], list[str]]:
    """Return what is in each column, names and values of the columns of numbers, NaN for gaps, and how it was read."""
    import numpy as np

    from identirep.cli.raw import raw_columns
    from identirep.datasets import match_columns, open_table
    from identirep.encoding import NUMBERS, as_numbers, judge_columns, plain

    file = open_table(path, **reading)
    chosen = match_columns("categorical", categorical, file.columns)
    table = raw_columns(file, file.columns, chosen)
    judged = judge_columns(table, markers=file.markers, categorical=chosen, index=file.index_columns)
    columns, numbers = [], {}
    for column, chunks in zip(judged, table.columns, strict=True):
        values = plain(chunks)
        if column.kind in NUMBERS:
            numbers[column.name] = as_numbers(values, file.markers)
            present = numbers[column.name][~np.isnan(numbers[column.name])]
            n_distinct = len(np.unique(present))
            shown = f"{present.min():.4g} to {present.max():.4g}" if len(present) and column.kind != "yes or no" else ""
        else:
            some = values.drop_null()[:_SHOWN_OF].to_pylist()
            shown = ", ".join(dict.fromkeys(str(value)[:20] for value in some))[:200]
            n_distinct = _n_distinct(values) if column.n_distinct is None else column.n_distinct
        columns.append(Shown(column, n_distinct, shown))
    matrix = np.column_stack(list(numbers.values())) if numbers else np.empty((len(table), 0))
    return columns, (list(numbers), matrix), list(file.remarks)


def _n_distinct(values: Any) -> int:
    """Count different values of any type, lists and parts among them, some rows at a time: a row may be long."""
    seen: set[bytes] = set()
    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = values.slice(start, _ROWS_AT_ONCE).drop_null().to_pylist()
        seen.update(sha256(repr(value).encode("utf-8", "surrogatepass")).digest() for value in part)
    return len(seen)
