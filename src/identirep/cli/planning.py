"""The command that says how many tasks and rows are needed: plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table as Grid

import identirep.cli.options as given
from identirep.cli.answers import answer, suggested
from identirep.cli.console import OUTPUT, remark, reports_faults, say, working
from identirep.cli.words import quoted_path

if TYPE_CHECKING:
    from identirep.planning import Plan

__all__ = ["plan"]


@reports_faults
def plan(
    pilot: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PILOT]",
            help="A run directory, or a table of features with --targets and --tasks. Default: none, plan from "
            "--n-components.",
            show_default=False,
        ),
    ] = None,
    targets: Annotated[str | None, typer.Option(metavar="COLUMN", help="Target column of a table.")] = None,
    tasks: given.Tasks = None,
    features: given.Features = None,
    drop: given.Drop = None,
    n_components: Annotated[
        int | None,
        typer.Option(
            "--n-components", "-d", min=2, metavar="D", help="Number of latents. Default for a table: of its features."
        ),
    ] = None,
    causes: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Causes of each target. Default: 1 to D - 1, as is not known."),
    ] = None,
    spurious_std: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="Q", help="Deviation of effects given the target.", show_default="0.1"),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="O", help="Observation noise in a latent of deviation 1.", show_default="0"),
    ] = None,
    target: Annotated[
        float, typer.Option(metavar="R", help="Correlation of axes with latents that is wanted, on average.")
    ] = 0.99,
    rows: Annotated[
        str, typer.Option(metavar="N,N,...", help="Rows of a task for which the number of tasks is wanted.")
    ] = "20,50,100",
    n_tasks: Annotated[
        str | None,
        typer.Option(
            metavar="T,T,...",
            help="Numbers of tasks for which the number of rows is wanted. With a pilot: always that of the pilot.",
        ),
    ] = None,
    missing: given.Missing = None,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    sheet: given.Sheet = None,
    seed: given.Seed = 0,
) -> None:
    """Say how many tasks, and rows of each, are needed for axes that can be relied upon.

    From a pilot, in which tasks have rows of their own, or from the number of latents: studies are imagined and fitted
    at several sizes. Of a run whose targets share their rows it says how many rows the axes need to come back.
    """
    wanted: dict[str, Any] = {"target": target, "n_samples": _sizes("--rows", rows, 3), "random_state": seed}
    design = {"causes": causes, "spurious-std": spurious_std, "noise": noise, "n-tasks": n_tasks}
    table = {"targets": targets, "tasks": tasks, "features": features, "drop": drop}
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    is_run = pilot is not None and pilot.is_dir()
    if pilot is None:
        _refuse("--{} is of a table", table | reading, "no PILOT", "Add the table, or leave it out")
        if n_components is None:
            raise ValueError(
                "nothing is known to plan from: got neither PILOT nor --n-components, expected one of them. Pass -d D."
            )
        if causes is not None and causes > n_components:
            raise ValueError(
                f"--causes is too large: got {causes}, expected at most --n-components {n_components}. Lower it."
            )
    else:
        _refuse("--{} is for plans without a pilot", design, f"'{pilot}'", "Leave one of them out")
    if is_run:
        own = table | reading | {"n-components": n_components}
        _refuse("--{} is not for a run", own, f"'{pilot}', which has its own", "Leave it out")
    found = _plan(pilot, is_run, n_components, design, table, reading, wanted)
    _print(found)
    answer(pilot=pilot, **_found_in(found))
    for text in found.remarks:
        remark(text)


def _plan(
    pilot: Path | None,
    is_run: bool,
    n_components: int | None,
    design: dict[str, Any],
    table: dict[str, Any],
    reading: dict[str, Any],
    wanted: dict[str, Any],
) -> Plan:
    from identirep.planning import plan as planned

    if pilot is None:
        settings = {"n_causal": design["causes"], "spurious_std": design["spurious-std"], "noise_std": design["noise"]}
        of_rows = design["n-tasks"]
        settings["n_tasks"] = None if of_rows is None else _sizes("--n-tasks", of_rows, 2)
        with working("Imagining studies"):
            return planned(n_components=n_components, **settings, **wanted)
    if is_run:
        from identirep.cli.using import load_run

        model = load_run(pilot, features=True)
    else:
        model = _fit(pilot, n_components, table, reading)
    with working("Imagining studies"):
        return planned(model, **wanted)


def _fit(pilot: Path, n_components: int | None, table: dict[str, Any], reading: dict[str, Any]) -> Any:
    """Fit the axes of a table of features in the long layout."""
    from identirep.cli.tables import read_table
    from identirep.mtlcm import MTLCM

    fit_first = f"For other tables: identirep fit {quoted_path(pilot)} ..., then identirep plan DIR."
    if table["targets"] is None or table["tasks"] is None:
        raise ValueError(
            "a pilot that is a table has one target column and tasks with rows of their own: got no --targets or no "
            f"--tasks, expected both. Name the columns. {fit_first}"
        )
    columns = {"tasks": table["tasks"], "features": table["features"], "drop": table["drop"]}
    with working(f"Reading {pilot.name}"):
        read = read_table(pilot, [table["targets"]], **columns, **reading, encode=False)
    say(f"{pilot.name}: {len(read.targets):,} rows, {len(read.X.column_names):,} features, taken as they are.")
    with working("Fitting the pilot"):
        return MTLCM(n_components, random_state=0).fit(read.inputs(), read.targets, read.tasks)


def _print(found: Plan) -> None:
    """Print what is needed as tables."""
    from identirep.planning import size

    say(f"For axes at {found.target:g}: {found.subject}.", style="bold")
    tables = (
        ("rows per task", "tasks", [(need.n_samples, need.n_tasks, need.n_tasks_safe) for need in found.tasks]),
        ("tasks", "rows per task", [(need.n_tasks, need.n_samples, need.n_samples_safe) for need in found.rows]),
    )
    for name, needed, lines in tables:
        if lines:
            grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
            for heading in (name, f"{needed}, at least", "to be safe"):
                grid.add_column(heading, justify="right", no_wrap=True)
            for line in lines:
                grid.add_row(*map(size, line))
            OUTPUT.print(grid)
    if found.tasks or found.rows:
        say("At least: half of the imagined studies reach it; to be safe: nine of ten.")
    if found.rows_in_words is not None:
        say(found.rows_in_words)
    if found.n_rows is None:
        say(f"Next: {suggested('identirep plan PILOT --targets COLUMN --tasks COLUMN')}")


def _found_in(found: Plan) -> dict[str, Any]:
    """Return a plan as entries of the document of --json; null for sizes beyond those that were tried."""
    return {
        "target": found.target,
        "subject": found.subject,
        "tasks_needed": [
            {"rows_per_task": need.n_samples, "tasks": need.n_tasks, "tasks_safe": need.n_tasks_safe}
            for need in found.tasks
        ],
        "rows_needed": [
            {"tasks": need.n_tasks, "rows_per_task": need.n_samples, "rows_per_task_safe": need.n_samples_safe}
            for need in found.rows
        ],
        "highest": found.highest,
        "is_lower_bound": found.is_lower_bound,
        "pilot_rows": found.n_rows,
        "rows_to_come_back": found.rows_to_come_back,
    }


def _refuse(what: str, options: dict[str, Any], got: str, action: str) -> None:
    """Raise if an option is given where nothing would be made of it."""
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{what.format(option)}: got it with {got}, expected one without the other. {action}.")


def _sizes(option: str, text: str, least: int) -> list[int]:
    """Return numbers that are separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 6 and int(part) >= least for part in parts):
        raise ValueError(
            f"{option} is not valid: got {text!r}, expected whole numbers from {least} to 99999 and commas. Write "
            f"{option} 20,50."
        )
    return [int(part) for part in parts]
