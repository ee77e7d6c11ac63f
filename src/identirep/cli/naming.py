"""Commands about single axes: name, describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from identirep.cli.answers import answer, suggested, wrote
from identirep.cli.console import OUTPUT, remark, reports_faults, say, working
from identirep.cli.drifting import column_labels
from identirep.cli.options import Decimal, Missing, Run, Separator, Sheet
from identirep.cli.words import quoted, quoted_path

if TYPE_CHECKING:
    from identirep.regressor import IdentifiableRegressor

__all__ = ["describe", "name"]

# Targets, inputs and rows at each end that are listed of an axis.
_SHOWN = 3


@reports_faults
def name(
    run: Run,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LATENT=NAME]...",
            help="Number of a latent and its name, such as 2=fusion_heat; 2= takes a name away. None: show the names.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Name latents of a run. Names are kept in it and used by transform, reports and tables; all or none are taken.

    Scores and other files of the run stay as they are; its report is written again with the names.
    """
    from identirep.cli.reporting import REPORT_FILE, write_report_of
    from identirep.cli.using import load_run
    from identirep.directories import replaced_directory

    changes = _parsed(names or [])
    model = load_run(run, features=True)
    if changes:
        model.name_latents(changes)
        with working(f"Writing {run}"), replaced_directory(run) as staging:
            model.save(staging)
            if (run / REPORT_FILE).is_file():
                write_report_of(model, run, staging / REPORT_FILE)
        wrote(run)
    found = _names(model)
    answer(run=run, **found)
    _print_names(found)


@reports_faults
def describe(
    run: Run,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Table with the inputs: what moves each axis, and rows at its ends."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of DATA by which rows are shown, beside their numbers.")
    ] = None,
    missing: Missing = None,
    separator: Separator = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
) -> None:
    """Suggest what each axis is: targets that go with it and, with a table, inputs that move it and extreme rows."""
    from identirep.cli.tables import read_inputs
    from identirep.cli.using import input_names, load_run

    if labels is not None and data is None:
        raise ValueError("--labels names a column of no table: got no DATA, expected one. Add the table.")
    model = load_run(run)
    X, of_rows = None, None
    if data is not None:
        input_names(run, model)
        reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
        if labels is not None:
            of_rows = column_labels(data, "--labels", labels, reading)
        with working(f"Reading {data.name}"):
            X, remarks = read_inputs(data, model, reading)
        for text in remarks:
            remark(text)
    with working("Shuffling inputs"):
        found = _described(model, X, of_rows)
    answer(run=run, data=data, **found)
    _print_description(found)
    _suggest(run, found)


def _parsed(arguments: list[str]) -> dict[int, str | None]:
    """Return numbers of latents and their names, None to take one away."""
    changes: dict[int, str | None] = {}
    for argument in arguments:
        number, equals, text = argument.partition("=")
        if not equals or not (number.isascii() and number.isdigit()):
            raise ValueError(
                f"LATENT=NAME is not valid: got {argument!r}, expected the number of a latent, '=' and a name. Pass "
                "for example 2=fusion_heat."
            )
        if int(number) in changes:
            raise ValueError(f"LATENT=NAME is not valid: got latent {int(number)} twice, expected once. Leave one out.")
        changes[int(number)] = text or None
    return changes


def _names(model: IdentifiableRegressor) -> dict[str, Any]:
    """Return the names that a run has, for people and machines."""
    verdicts = model.certificate_.verdict
    return {
        "latents": [
            {"latent": i, "name": name, "verdict": verdict}
            for i, (name, verdict) in enumerate(zip(model.latent_names_, verdicts, strict=True))
        ]
    }


def _print_names(found: dict[str, Any]) -> None:
    for latent in found["latents"]:
        say(f"{latent['latent']}  {latent['name']}  ({latent['verdict']})")
    if not found["latents"]:
        say("This run has no latents.")


def _described(model: IdentifiableRegressor, X: Any, labels: list[Any] | None) -> dict[str, Any]:
    """Return what is known of each axis, for people and machines."""
    from identirep.describing import describe_axes

    def rows(of: list[tuple[int, float]]) -> list[dict[str, Any]]:
        def label(row: int) -> dict[str, Any]:
            return {} if labels is None else {"label": None if labels[row] is None else str(labels[row])}

        return [{"row": row + 1, "value": value, **label(row)} for row, value in of]

    verdicts = model.certificate_.verdict
    return {
        "latents": [
            {
                "latent": axis.number,
                "name": axis.name,
                "is_named": axis.number in model._names_of_latents(),
                "verdict": verdicts[axis.number],
                "targets": [{"target": target, "correlation": value} for target, value in axis.targets],
                "inputs": [
                    {
                        "input": found.name,
                        "share": found.share,
                        "interval": list(found.interval),
                        "correlation": None if found.correlation != found.correlation else found.correlation,
                    }
                    for found in axis.inputs
                ],
                "lowest": rows(axis.lowest),
                "highest": rows(axis.highest),
            }
            for axis in describe_axes(model, X, n_shown=_SHOWN)
        ]
    }


def _print_description(found: dict[str, Any]) -> None:
    for latent in found["latents"]:
        title = f"{latent['latent']} {latent['name']}" if latent["is_named"] else f"latent {latent['latent']}"
        OUTPUT.print(Text.assemble((title, "bold"), f"  {latent['verdict']}"), soft_wrap=True)
        targets = [f"{entry['target']} {entry['correlation']:+.2f}" for entry in latent["targets"]]
        say(f"  targets: {', '.join(targets)}")
        if latent["inputs"]:
            say(f"  inputs:  {', '.join(map(_input_in_words, latent['inputs']))}")
        for end in ("lowest", "highest"):
            if latent[end]:
                say(f"  {end + ':':8} {', '.join(map(_row_in_words, latent[end]))}")
    if any(latent["inputs"] for latent in found["latents"]):
        say("Inputs: share of the axis that changes when the input alone is shuffled (range of 90%), and correlation.")
    if not found["latents"]:
        say("This run has no latents: its targets carry no signal.")


def _input_in_words(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    correlation = "" if entry["correlation"] is None else f", {entry['correlation']:+.2f}"
    return f"{entry['input']} {100 * entry['share']:.0f}% ({100 * low:.0f}-{100 * high:.0f}{correlation})"


def _row_in_words(entry: dict[str, Any]) -> str:
    label = "" if entry.get("label") is None else f" {entry['label']}"
    return f"row {entry['row']}{label} ({entry['value']:+.2f})"


def _suggest(run: Path, found: dict[str, Any]) -> None:
    """Print a command that names the axes that come back after the target that goes with each best."""
    from identirep.naming import changed_names

    names = {latent["latent"]: latent["name"] for latent in found["latents"] if latent["is_named"]}
    names_of: dict[int, str] = {}
    for latent in found["latents"]:
        if latent["is_named"] or latent["verdict"] not in ("identified", "reproducible"):
            continue
        try:
            names = changed_names(names, {latent["latent"]: latent["targets"][0]["target"]}, len(found["latents"]))
        except ValueError:
            # Two axes go with one target best, or it has a name that is too long.
            continue
        names_of[latent["latent"]] = latent["targets"][0]["target"]
    if names_of:
        given = " ".join(quoted(f"{i}={target}") for i, target in names_of.items())
        command = suggested(f"identirep name {quoted_path(run)} {given}")
        say(f"To name those that come back after their targets: {command}")
