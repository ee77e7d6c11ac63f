"""The command that compares runs axis by axis: compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from identirep.cli.answers import answer, wrote
from identirep.cli.console import OUTPUT, cell, remark, reports_faults, say, working
from identirep.cli.drifting import (
    CheckAsked,
    GroupColumn,
    Level,
    TargetColumn,
    TaskColumn,
    check_target_columns,
    drift_in,
    print_drift,
)
from identirep.cli.faults import Status
from identirep.cli.options import Decimal, Missing, Separator, Sheet

if TYPE_CHECKING:
    from identirep.comparing import Comparison

__all__ = ["axis_entries", "compare"]

_PAGES = (".html", ".htm")
_LONGEST_NAME = 28
_LEAST_PATHS = 2


@reports_faults
def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="OLD [NEW]... DATA",
            help="Run directories, the old one first, and a table with the inputs of all of them.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page, .html.", show_default=False)
    ] = None,
    missing: Missing = None,
    separator: Separator = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
    level: Level = None,
    targets: TargetColumn = None,
    tasks: TaskColumn = None,
    groups: GroupColumn = None,
) -> None:
    """Say what has become of each axis of a run in others: kept, turned into a mixture, split, merged, lost, or new.

    Measured on the rows of the table that no run was trained on. The exit status is 3 if an axis that has a name in the
    old run is not kept in every other one.

    One run and a table: which of its axes, and of its targets as far as the table has them, have moved since the fit,
    and which rows lie outside of what was fitted to. Targets are found by their names, or where each row has a task of
    its own by --targets and --tasks, as in the fit. The exit status is 3 if axes have moved.
    """
    if len(paths) < _LEAST_PATHS:
        raise ValueError(
            f"OLD NEW DATA is not complete: got {len(paths)} of them, expected a run and a table at least. Add them."
        )
    *runs, data = paths
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    check_target_columns(targets, tasks)
    if len(runs) == 1:
        _check_run(runs[0], data, out, reading, CheckAsked(level, targets, tasks, groups))
        return
    for option, value in (("--level", level), ("--tasks", tasks), ("--groups", groups)):
        if value is not None:
            raise ValueError(
                f"{option} is for a check of one run: got {len(runs)}, expected one run and a table. Leave it out."
            )
    _check_page(out, data)
    found, comparisons = _compared(runs, data, reading)
    answer(**found, drift=None)
    for run in found["runs"]:
        _print_comparison(run)
    if out is not None:
        from identirep.report import write_comparison

        write_comparison(out, comparisons, old=str(runs[0]), data=data.name)
        say(f"Wrote {wrote(out)}")
    if found["lost_names"]:
        say(f"Named axes that are not kept: {', '.join(found['lost_names'])}.", style="bold red")
        raise typer.Exit(int(Status.CHECK_FAILED))


def _check_run(run: Path, data: Path, out: Path | None, reading: dict[str, Any], asked: CheckAsked) -> None:
    """Say what has moved since the fit of a run."""
    from identirep.cli.using import input_names, load_run

    if out is not None:
        raise ValueError("--out is the page of a comparison: got one run, expected two at least. Leave it out.")
    model = load_run(run)
    input_names(run, model)
    found, remarks = drift_in(data, model, reading, asked)
    for text in remarks:
        remark(text)
    answer(old=run, data=data, runs=[], lost_names=[], drift=found)
    print_drift(found)
    if found["moved"]:
        raise typer.Exit(int(Status.CHECK_FAILED))


def _compared(runs: list[Path], data: Path, reading: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Comparison]]:
    """Compare the first run with each of the others: for machines, and by the name of the run."""
    from identirep.cli.tables import read_inputs
    from identirep.cli.using import input_names, load_run
    from identirep.comparing import check_common_inputs, compared, measure

    models = [load_run(run) for run in runs]
    for run, model in zip(runs, models, strict=True):
        if not model.n_components_:
            raise ValueError(f"'{run}' has no latents: got targets without signal, expected some. Fit other data.")
        input_names(run, model)
    for model in models[1:]:
        check_common_inputs(models[0], model)
    # Each run reads the table as it was fitted: a column may be a number in one and a category in another.
    with working(f"Reading {data.name}"):
        inputs, remarks = zip(*(read_inputs(data, model, reading) for model in models), strict=True)
    for text in dict.fromkeys(text for of_run in remarks for text in of_run):
        remark(text)
    comparisons = {}
    for run, model, X in zip(runs[1:], models[1:], inputs[1:], strict=True):
        with working(f"Comparing with {run}"):
            comparisons[str(run)] = compared(models[0], model, measure(models[0], model, inputs[0], X))
    named = models[0]._names_of_latents()
    lost = {i for found in comparisons.values() for i in named if not found.kept[i]}
    result = {
        "old": str(runs[0]),
        "data": str(data),
        "runs": [{"new": name, **_for_machines(found)} for name, found in comparisons.items()],
        "lost_names": [named[i] for i in sorted(lost)],
    }
    return result, comparisons


def _for_machines(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON can hold it."""
    from identirep.report import comparison_headline

    axes, new_axes = axis_entries(found)
    return {
        "headline": comparison_headline(found),
        "axes": axes,
        "new_axes": new_axes,
        "n_rows": found.n_rows,
        "rows": found.rows,
        "unseen": found.unseen,
        "common_targets": list(found.common_targets),
        "old_targets": list(found.old_targets),
        "new_targets": list(found.new_targets),
    }


def axis_entries(found: Comparison) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what has become of each old axis, and what each new one comes from that is not kept, for machines."""
    n_old = len(found.verdict)
    rows = found.to_table().to_pylist()
    for i, row in enumerate(rows[:n_old]):
        row["carried"] = float(found.carried[i])
    return rows[:n_old], [{name: row[name] for name in ("axis", "verdict", "of")} for row in rows[n_old:]]


def _print_comparison(run: dict[str, Any]) -> None:
    """Print what has become of each axis in one other run."""
    from identirep.report import COMPARISON_COLOURS, COMPARISON_MEANINGS

    OUTPUT.print(Text.assemble((f"In {run['new']}: {run['headline']}", "bold")), soft_wrap=True)
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("axis", "verdict", "partner", "correlation", "of"):
        grid.add_column(heading, justify="right" if heading == "correlation" else "left", no_wrap=True)
    for row in [*run["axes"], *run["new_axes"]]:
        partner, number = "", ""
        if row.get("partner") is not None:
            partner = ("-" if row["sign"] < 0 else "") + row["partner"]
            number = f"{row['correlation']:.3f} ({row['low']:.3f}-{row['high']:.3f})"
        names = [cell(text) for text in (row["axis"], partner, "" if row["verdict"] == "kept" else row["of"])]
        for name in names:
            name.truncate(_LONGEST_NAME, overflow="ellipsis")
        word = Text(row["verdict"], style=COMPARISON_COLOURS[row["verdict"]])
        grid.add_row(names[0], word, names[1], number, names[2])
    OUTPUT.print(grid)
    say(
        f"Measured on {run['n_rows']:,} {run['rows']}. Correlations with the range that holds them with 90% "
        "probability."
    )
    words = dict.fromkeys(row["verdict"] for row in [*run["axes"], *run["new_axes"]])
    for word in words:
        OUTPUT.print(Text.assemble((f"{word}: ", f"bold {COMPARISON_COLOURS[word]}"), f"{COMPARISON_MEANINGS[word]}."))


def _check_page(out: Path | None, data: Path) -> None:
    """Raise if the page cannot be written there, before anything is computed."""
    from identirep.cli.tables import check_place

    if out is None:
        return
    if out.suffix.lower() not in _PAGES:
        raise ValueError(
            f"--out has an unknown format: got '{out.name}', expected a name that ends in .html. Choose such a name."
        )
    check_place(out, data)
