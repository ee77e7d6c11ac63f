"""The command that runs the experiments: ``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from identirep.cli.answers import answer, suggested, wrote
from identirep.cli.console import progress, reports_faults, say
from identirep.cli.faults import Status, fault_of, is_about_input
from identirep.cli.words import quoted_path

if TYPE_CHECKING:
    from identirep.experiments import Cell, Experiment, Finished, Row, Store

__all__ = ["bench"]

# Longer tables are left to the file.
_LONGEST_TABLE = 60


@reports_faults
def bench(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="linear, nonlinear, superconductivity, qm9, ivae, failures, recovery, robustness, diversity, "
            "structure, certificate, trust, adaptation, retraining, domains or mixing.",
        ),
    ],
    quick: Annotated[bool, typer.Option("--quick", help="A small version that takes less than a minute.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Seeds of each setting. Default: the experiment's own number."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only cells with this value, such as D=10 or method=iVAE; repeatable."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="J", help="Cells run at once, each in a process of its own.")] = 1,
    threads: Annotated[int, typer.Option(min=1, metavar="T", help="Threads of linear algebra for each cell.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run everything again instead of resuming.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where results go, new or to resume. Default: runs/bench/NAME, -quick appended."
        ),
    ] = None,
) -> None:
    """Run an experiment of the paper with its baselines: results.parquet, results.md and plots.

    Each finished cell (setting, method, seed) is kept: after a kill the same command goes on where it stopped.
    """
    from identirep.experiments import Store, load_experiment, run_cells

    experiment = load_experiment(name)
    directory = out or Path("runs/bench") / (f"{name}-quick" if quick else name)
    every = experiment.cells(quick, seeds)
    chosen = _chosen(every, only or [])
    store = Store(directory)
    store.claim(name)
    if fresh:
        for cell in chosen:
            store.discard(cell)
    left = [cell for cell in chosen if not store.has(cell)]
    say(f"{experiment.title}: {len(chosen)} cells, {len(chosen) - len(left)} finished before.")
    failed = []
    with progress(len(left)) as advance:
        for cell, error in run_cells(name, left, directory, n_jobs=jobs, n_threads=threads):
            advance(_words(cell))
            if error is not None:
                failed.append((cell, error))
    for cell, error in failed:
        say(f"Failed: {_words(cell)}: {type(error).__name__}: {error}", style="bold red")
    finished = [(cell, store.load(cell)) for cell in every if store.has(cell)]
    answer(
        experiment=name,
        title=experiment.title,
        directory=directory,
        n_cells=len(chosen),
        n_finished_before=len(chosen) - len(left),
        n_missing=len(every) - len(finished),
        failed=[
            {"cell": _words(cell), "kind": fault_of(error).kind, "message": f"{type(error).__name__}: {error}"}
            for cell, error in failed
        ],
    )
    if finished:
        command = _command(name, quick, seeds, jobs, threads)
        rows = _write(experiment, store, finished, len(every) - len(finished), command)
        page = wrote(directory / "results.md")
        wrote(directory / "results.parquet")
        for figure in experiment.figures:
            wrote(directory / f"{figure}.png")
        _print(experiment, rows)
        say(f"Next: {suggested(f'open {quoted_path(page)}')}")
    if failed:
        # A missing extra is the user's to install.
        ours = not all(is_about_input(error) for _, error in failed)
        raise typer.Exit(int(Status.OUR_FAILURE if ours else Status.USER_INPUT))


def _chosen(cells: list[Cell], only: list[str]) -> list[Cell]:
    """Return the cells with the given values."""
    for condition in only:
        key, equals, value = condition.partition("=")
        known = sorted({str(cell[key]) for cell in cells if key in cell})
        if not equals or not known:
            keys = ", ".join(dict.fromkeys(key for cell in cells for key in cell))
            raise ValueError(
                f"--only is not valid: got {condition!r}, expected KEY=VALUE with KEY one of {keys}. Change it."
            )
        matching = [cell for cell in cells if str(cell.get(key)) == value]
        if not matching:
            raise ValueError(
                f"--only selects nothing: got {condition!r}, expected one of {', '.join(known)}. Choose one."
            )
        cells = matching
    return cells


def _write(experiment: Experiment, store: Store, finished: Finished, n_missing: int, command: str) -> list[Row]:
    """Write the table, the page and the plots; return all rows."""
    from identirep.experiments import describe_machine, markdown_page

    rows = [row for _, measured in finished for row in measured.rows]
    if experiment.combine is not None:
        rows += experiment.combine(finished)
    store.write_table(rows)
    page = markdown_page(experiment, rows, command=command, machine=describe_machine(), missing=n_missing)
    with store.replaced("results.md") as staging:
        staging.write_text(page, encoding="utf-8")
    for figure_name, draw in experiment.figures.items():
        with store.replaced(f"{figure_name}.png") as staging:
            draw(rows).savefig(staging, dpi=150)
    return rows


def _print(experiment: Experiment, rows: list[Row]) -> None:
    from identirep.experiments import markdown_table

    for table in experiment.tables:
        text = markdown_table(table, rows)
        if text:
            n_lines = text.count("\n") - 1
            say()
            say(table.title, style="bold")
            say(text if n_lines <= _LONGEST_TABLE else f"{n_lines} lines, in results.md.")


def _words(cell: Cell) -> str:
    return ", ".join(f"{key} {value}" for key, value in cell.items())


def _command(name: str, quick: bool, seeds: int | None, jobs: int, threads: int) -> str:
    parts = ["identirep bench", name, "--quick" if quick else ""]
    parts += [f"--seeds {seeds}" if seeds is not None else "", f"--jobs {jobs}" if jobs != 1 else ""]
    return " ".join(filter(None, [*parts, f"--threads {threads}" if threads != 1 else ""]))
