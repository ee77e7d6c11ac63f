"""Whether axes and targets have moved since the fit of a run, for people and machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from identirep.cli.console import OUTPUT, cell, remark, say, working
from identirep.cli.words import quoted_path

if TYPE_CHECKING:
    from identirep._typing import Array
    from identirep.comparing import Drift, Moved
    from identirep.regressor import IdentifiableRegressor

__all__ = ["CheckAsked", "GroupColumn", "Level", "TargetColumn", "TargetValues", "TaskColumn", "check_target_columns"]
__all__ += ["column_labels", "drift_in", "drift_of", "print_drift", "read_targets"]

_DEFAULT_LEVEL = 0.05
Level = Annotated[
    float | None,
    typer.Option(metavar="RATE", help="Rate of false alarms of a check for axes that have moved. Default: 0.05."),
]
TargetColumn = Annotated[
    str | None,
    typer.Option("--targets", metavar="COLUMN", help="To check a run with a task for each row: the target column."),
]
TaskColumn = Annotated[
    str | None,
    typer.Option("--tasks", metavar="COLUMN", help="To check a run with a task for each row: the column of tasks."),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--groups", metavar="COLUMN", help="To check a run: rows with equal values belong together, and count once."
    ),
]
# Rows, and targets, that are named.
_MOST_ROWS, _MOST_MOVED = 5, 20


class TargetValues(NamedTuple):
    """Targets of new rows: a matrix, or one of each row with the label of its task."""

    y: Array
    tasks: Any = None


class CheckAsked(NamedTuple):
    """Options of a check: its rate, and columns of the table."""

    level: float | None = None
    targets: str | None = None
    tasks: str | None = None
    groups: str | None = None


def check_target_columns(targets: str | None, tasks: str | None) -> None:
    """Raise if one of the columns of the long layout is given without the other."""
    if (targets is None) != (tasks is None):
        raise ValueError(
            "--targets and --tasks go together: got one of them, expected the target column and that of tasks. Add the "
            "other, or leave both out where each target has a column."
        )


def drift_in(
    data: Path, model: IdentifiableRegressor, reading: dict[str, Any], asked: CheckAsked
) -> tuple[dict[str, Any], list[str]]:
    """Check the rows of a table against what was fitted to; also what is to be said of the table."""
    from identirep.cli.tables import read_inputs

    with working(f"Reading {data.name}"):
        X, remarks = read_inputs(data, model, reading)
        targets = read_targets(model, data, reading, asked.targets, asked.tasks)
        groups = None if asked.groups is None else column_labels(data, "--groups", asked.groups, reading)
    return drift_of(model, X, targets, asked.level, groups), remarks


def drift_of(
    model: IdentifiableRegressor,
    X: Any,
    targets: TargetValues | None,
    level: float | None,
    groups: list[Any] | None = None,
) -> dict[str, Any]:
    """Check rows against what was fitted to, and return what was found as JSON can hold it."""
    import numpy as np

    from identirep.comparing import check_drift

    y, tasks = targets or (None, None)
    together = None if groups is None else np.array(groups, dtype=object)
    found = check_drift(model, X, y, tasks, groups=together, level=_DEFAULT_LEVEL if level is None else level)
    return {
        "n_rows": found.n_rows,
        "n_tested": found.n_tested,
        "n_independent": found.n_independent,
        "level": found.level,
        "remark": found.remark,
        "latents": _moves(found.latents),
        "targets": _moves(found.targets),
        "moved": bool(found.latents.moved.any()),
        "outside": _outside(found),
    }


def read_targets(
    model: IdentifiableRegressor, data: Path, reading: dict[str, Any], target: str | None, tasks: str | None
) -> TargetValues | None:
    """Read what a table has of the targets of a run, NaN where it has none; None without any."""
    import numpy as np

    from identirep.cli.tables import reading_of
    from identirep.cli.text_targets import read_targets as read_columns
    from identirep.datasets import open_table

    names = [str(name) for name in model.task_names_]
    # A run of features as they are has none.
    words = getattr(model, "target_words_", {})
    file = open_table(data, **reading_of(model, reading))
    if tasks is not None and target is not None:
        for option, column in (("--targets", target), ("--tasks", tasks)):
            _check_column(file, data, option, column)
        read = read_columns(file, [target], tasks, of_run=True, words=words)
        return TargetValues(read.y, read.tasks)
    if model.moments_._has_own_rows:
        # Labels of tasks are no names of columns.
        return None
    columns = set(file.columns) - set(map(str, model.feature_names_in_))
    present = [t for t, name in enumerate(names) if name in columns]
    if not present:
        return None
    found = read_columns(file, [names[t] for t in present], None, of_run=True, words=words).y
    y = np.full((len(found), len(names)), np.nan)
    y[:, present] = found
    return TargetValues(y)


def column_labels(data: Path, option: str, column: str, reading: dict[str, Any]) -> list[Any]:
    """Read the labels in a column of a table."""
    from identirep.cli.raw import labels_of
    from identirep.datasets import open_table

    file = open_table(data, **reading)
    _check_column(file, data, option, column)
    return labels_of(file, column)


def _check_column(file: Any, data: Path, option: str, column: str) -> None:
    """Raise if a table does not have a column."""
    if column not in file.columns:
        raise ValueError(
            f"{option} matches no column: got {column!r}, expected a column of {data.name}. "
            f"To list them: identirep inspect {quoted_path(data)}"
        )


def print_drift(found: dict[str, Any]) -> None:
    """Print which axes and targets have moved, and which rows lie outside."""
    n, tested = found["n_rows"], found["n_tested"]
    known = "" if tested == n else f", of which {tested:,} are tested"
    for which, name in (("latents", "axes"), ("targets", "targets")):
        columns = found[which]
        if not columns:
            continue
        moved = [column for column in columns if column["moved"]]
        text = f"{len(moved)} of {len(columns)} {name} have moved" if moved else f"No {name} have moved"
        say(f"{text}: {n:,} rows{known}; false alarms at a rate of {found['level']:g}.", style="bold")
        if moved:
            _print_moved(moved)
    if found["remark"]:
        remark(found["remark"])
    outside = found["outside"]
    if not outside:
        say("No row lies outside of what was fitted to.")
        return
    rows = ", ".join(f"{row['row']} ({row['reason']})" for row in outside[:_MOST_ROWS])
    more = f" and {len(outside) - _MOST_ROWS:,} more" if len(outside) > _MOST_ROWS else ""
    lie = "row lies" if len(outside) == 1 else "rows lie"
    say(f"{len(outside):,} {lie} outside of what was fitted to: {rows}{more}.")


def _print_moved(moved: list[dict[str, Any]]) -> None:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("moved", "by", "spread", "p"):
        grid.add_column(heading, justify="left" if heading == "moved" else "right", no_wrap=True)
    for column in moved[:_MOST_MOVED]:
        numbers = (f"{column['shift']:+.2f} sd", f"x {column['spread']:.2f}", f"{column['p_value']:.2g}")
        grid.add_row(cell(column["name"]), *(Text(number) for number in numbers))
    OUTPUT.print(grid)
    if len(moved) > _MOST_MOVED:
        say(f"And {len(moved) - _MOST_MOVED:,} more.")


def _moves(found: Moved) -> list[dict[str, Any]]:
    columns = zip(found.names, found.moved, found.p_value, found.shift, found.spread, strict=True)
    return [
        {"name": name, "moved": bool(moved), "p_value": float(p), "shift": float(shift), "spread": float(spread)}
        for name, moved, p, shift, spread in columns
    ]


def _outside(found: Drift) -> list[dict[str, Any]]:
    return [{"row": int(i) + 1, "reason": reason} for i, reason in zip(found.outside, found.reasons, strict=True)]
