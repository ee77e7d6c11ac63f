"""The report of a run directory: what it needs besides model and scores, and the command that writes it again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from identirep.cli.answers import answer, command_line, remarks_so_far, wrote
from identirep.cli.console import remark, reports_faults, say, working
from identirep.cli.options import Decimal, Labels, Missing, Run, Separator, Sheet

if TYPE_CHECKING:
    from identirep.cli.tables import Table
    from identirep.evaluation import Evaluation
    from identirep.regressor import IdentifiableRegressor
    from identirep.report import Description, Made

__all__ = ["EVALUATION_FILE", "KEPT_FILE", "REPORT_FILE", "described", "made_now", "made_of", "report"]
__all__ += ["write_report_of"]

EVALUATION_FILE, KEPT_FILE, REPORT_FILE = "evaluation.json", "report.json", "report.html"
# Fewer rows do not tell what moves an axis.
_FEWEST_ROWS = 10


@reports_faults
def report(
    run: Run,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Table: what moves each axis, rows at its ends, axes against targets."),
    ] = None,
    labels: Labels = None,
    missing: Missing = None,
    separator: Separator = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
) -> None:
    """Write report.html of a run directory again, from the files in it.

    With a table its axes are described by the rows of it, and not by those of the fit; the run keeps that.
    """
    from identirep.cli.found import found_in
    from identirep.cli.using import load_run
    from identirep.directories import recover
    from identirep.files import replaced_file
    from identirep.report import write_kept

    if labels is not None and data is None:
        raise ValueError("--labels names a column of no table: got no DATA, expected one. Add the table.")
    model = load_run(run, features=data is None)
    recover(run)
    made, description = _kept(model, run)
    if data is not None:
        reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
        description = _described_by(model, run, data, labels, reading, made)
        with replaced_file(run / KEPT_FILE) as staging:
            write_kept(staging, made, description)
        # As it was rounded, so that the page is the same when it is written again.
        made, description = _kept(model, run)
    evaluation = _write(model, run, run / REPORT_FILE, made, description)
    answer(run=run, **found_in(model, evaluation))
    say(f"Wrote {wrote(run / REPORT_FILE)}")


def write_report_of(model: IdentifiableRegressor, run: Path, path: Path) -> None:
    """Write the report of a run, of which the model was read."""
    _write(model, run, path, *_kept(model, run))


def made_now(run: Path, table: Table, data: Path | None) -> Made:
    """Say how a run is made: by the running command, of a file if there is one."""
    columns = {"inputs": list(table.X.column_names), "left_out": dict(table.left_out)}
    return made_of(run, data, **columns, target=table.target, tasks=table.task_column)


def made_of(run: Path, data: Path | None, **columns: Any) -> Made:
    """Say how a run is made of columns that are known by name."""
    from identirep.report import Made
    from identirep.run_files import sha256

    # What is no file, such as a pipe, has been read once and for all.
    digest = sha256(data) if data is not None and data.is_file() else None
    return Made.now(command=command_line(), run=str(run), data_sha256=digest, remarks=remarks_so_far(), **columns)


def described(model: IdentifiableRegressor, tables: Sequence[Table]) -> Description | None:
    """Describe the axes of a fit by its rows and those held out; None if there are no axes, or too few rows."""
    import numpy as np
    import pyarrow as pa

    from identirep.report import describe

    tables = [table for table in tables if len(table.targets)]
    if not model.n_components_ or sum(len(table.targets) for table in tables) < _FEWEST_ROWS:
        return None
    number = np.concatenate([_numbers(table) for table in tables])
    # In the order of the file, as the commands that read it have them.
    order = np.argsort(number, kind="stable")
    X = pa.concat_tables([table.X for table in tables]).take(order)
    y = np.concatenate([table.targets for table in tables])[order]
    first = tables[0]
    tasks = np.concatenate([table.tasks for table in tables])[order] if first.is_long else first.tasks
    labels = None
    if first.labels is not None:
        labels = np.concatenate([np.asarray(table.labels) for table in tables])[order].tolist()
    with warnings.catch_warnings():
        # What is to be said of these rows was said when they were scored.
        warnings.simplefilter("ignore")
        return describe(model, X, y, tasks, numbers=number[order], labels=labels, data=first.name)


def _numbers(table: Table) -> Any:
    import numpy as np

    return np.arange(len(table.targets)) if table.numbers is None else table.numbers


def _kept(model: IdentifiableRegressor, run: Path) -> tuple[Made, Description | None]:
    """Read what a run keeps for its report; one that was written before that has nothing."""
    from identirep.report import Made, read_kept

    path = run / KEPT_FILE
    if not path.is_file():
        return Made(run=str(run)), None
    made, description = read_kept(path, int(model.n_components_))
    # The run may have been moved.
    return replace(made, run=str(run)), description


def _write(
    model: IdentifiableRegressor, run: Path, path: Path, made: Made, description: Description | None
) -> Evaluation | None:
    """Write the report of a run; return its scores, None if there are none."""
    from identirep.evaluation import Evaluation
    from identirep.report import write_report

    scores = run / EVALUATION_FILE
    evaluation = Evaluation.load(scores) if scores.is_file() else None
    if evaluation is not None and len(evaluation.r2) != len(model.task_names_):
        raise ValueError(
            f"'{scores}' is not of this model: got scores of {len(evaluation.r2)} tasks, expected "
            f"{len(model.task_names_)}. Delete it, or fit again."
        )
    title = run.resolve().name if evaluation is None else evaluation.data
    write_report(model, path, evaluation=evaluation, title=title, description=description, made=made)
    return evaluation


def _described_by(
    model: IdentifiableRegressor, run: Path, data: Path, labels: str | None, reading: dict[str, Any], made: Made
) -> Description | None:
    """Describe the axes of a run by a table."""
    from identirep.cli.drifting import column_labels, read_targets
    from identirep.cli.tables import read_inputs, reading_of
    from identirep.cli.using import input_names
    from identirep.datasets import open_table
    from identirep.report import describe

    input_names(run, model)
    names = None if labels is None else column_labels(data, "--labels", labels, reading)
    with working(f"Reading {data.name}"):
        X, remarks = read_inputs(data, model, reading)
        columns = {made.target, made.tasks}
        has_them = made.tasks is not None and columns <= set(open_table(data, **reading_of(model, reading)).columns)
        names_of_labels = (made.target, made.tasks) if has_them else (None, None)
        y, tasks = read_targets(model, data, reading, *names_of_labels) or (None, None)
    for text in remarks:
        remark(text)
    if not model.n_components_:
        return None
    with working("Describing the axes"):
        return describe(model, X, y, tasks, labels=names, data=data.name)
