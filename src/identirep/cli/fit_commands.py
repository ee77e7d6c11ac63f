"""The command fit, and what stability and demo share with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import identirep.cli.options as given
from identirep.cli.answers import answer, suggested
from identirep.cli.console import remark, reports_faults, say, working
from identirep.cli.faults import Status
from identirep.cli.interrupts import kept_work
from identirep.cli.words import quoted_path

if TYPE_CHECKING:
    from identirep.cli.tables import Table
    from identirep.regressor import IdentifiableRegressor
    from identirep.report import Findings

__all__ = ["announce", "deciding", "end", "fit", "go_on", "read"]


@reports_faults
def fit(
    data: given.DataOfFit,
    targets: given.Targets,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Run directory to write or replace.", show_default=False)],
    tasks: given.Tasks = None,
    groups: given.Groups = None,
    order: given.Order = None,
    weights: given.Weights = None,
    labels: given.Labels = None,
    features: given.Features = None,
    drop: given.Drop = None,
    missing: given.Missing = None,
    impute: given.Impute = "auto",
    categorical: given.Categorical = None,
    no_encode: given.NoEncode = False,
    separator: given.Separator = None,
    decimal: given.Decimal = None,
    sheet: given.Sheet = None,
    target_type: given.TargetType = None,
    n_components: given.Components = "auto",
    regressor: given.RegressorOrNone = "mtrn",
    held_out: given.HeldOut = 0.2,
    replicates: given.Replicates = None,
    epochs: given.Epochs = None,
    checks: given.Checks = 2,
    seed: given.Seed = 0,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Earlier run: keep its axes, order, signs, scales, names, where they come back."
        ),
    ] = None,
    resume: given.Resume = False,
    engine: given.Engine = None,
    scheduler: given.Scheduler = None,
    scratch: given.Scratch = None,
) -> None:
    """Fit latents to a table with many targets, and write a run directory with a report.

    A part of the rows is held out, so that the scores are honest. Columns that are neither targets nor named otherwise
    are inputs: numbers, texts with few values, dates, lists of numbers, with or without gaps. Targets may have gaps.
    """
    command = deciding(locals())
    components = given.parse_components(n_components)
    trained: dict[str, Any] = {"--groups": groups, "--order": order, "--categorical": categorical, "--like": like}
    trained["--labels"], trained["--target-type"] = labels, target_type
    trained |= {
        "--resume": resume,
        "--replicates": replicates,
        "--epochs": epochs,
        "--impute": impute != "auto",
        "--checks": checks != 2,
    }
    in_memory = ["--groups", "--order", "--categorical", "--like", "--labels", "--impute"]
    of_table, of_network = ([name for name in names if trained[name]] for names in (in_memory, trained))
    given.check_engine(regressor, engine, scheduler, of_network, of_table)
    on_disk = regressor == "mtrn" and engine == "stream"
    if scratch is not None and not on_disk:
        raise ValueError(
            f"--scratch is where networks find their rows: got '{scratch}' without --engine stream and --regressor "
            "mtrn, expected both. Add them, or leave --scratch out."
        )
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    if regressor == "none":
        from identirep.cli.features import fit_to_features

        chosen = {"tasks": tasks, "features": features, "drop": drop, "weights": weights}
        settings = (components, held_out, seed)
        of_features = fit_to_features(data, targets, out, chosen | reading, (engine or "stream", scheduler), settings)
        go_on(out)
        end(of_features)
        return
    given.check_settings(regressor, replicates, epochs, checks)
    encoding = given.encoding_of(impute, categorical, no_encode)
    columns: dict[str, Any] = {"tasks": tasks, "groups": groups, "order": order, "weights": weights, "labels": labels}
    columns |= {"features": features, "drop": drop}
    trains: dict[str, Any] = {"replicates": replicates, "epochs": epochs, "n_checks": checks}
    if on_disk:
        from identirep.cli.from_disk import table_on_disk

        options = {name: columns[name] for name in ("tasks", "weights", "features", "drop")}
        with table_on_disk(data, targets, out, options | reading, scratch) as rows:
            found = _fit_to_disk(rows, data, out, (components, held_out, seed), target_type, trains, resume, command)
        go_on(out)
        end(found)
        return
    earlier = None if like is None else _earlier(like)
    table = read(data, targets, out, columns | reading | encoding)
    from identirep.cli.found import found_in
    from identirep.cli.reporting import made_now
    from identirep.cli.runs import evaluate, fit_model, print_findings, split, write_run
    from identirep.report import Findings

    kinds = given.parse_target_type(target_type, table.names_of_tasks)
    training, rest = split(table, held_out, seed)
    with kept_work(out, resume, command) as work:
        model = fit_model(
            training,
            components,
            seed,
            regressor,
            **trains,
            record=work and work.record(1),
            like=earlier,
            target_type=kinds,
        )
        evaluation = evaluate(model, table, training, rest)
        if like is not None:
            _print_carried(like, model)
        # Printed first: what was found is known even if it cannot be written.
        print_findings(model, evaluation)
        answer(run=out, **found_in(model, evaluation), like=None if like is None else _carried(like, model))
        write_run(out, model, evaluation, made_now(out, training, data), (training, rest))
    findings = Findings.of(model)
    go_on(out, *([_transform(out, data, reading)] if findings.has_signal else []))
    end(findings)


def _fit_to_disk(
    table: Table,
    data: Path,
    out: Path,
    choices: tuple[int | Literal["auto"], float, int],
    target_type: list[str] | None,
    trains: dict[str, Any],
    resume: bool,
    command: dict[str, Any],
) -> Findings:
    """Fit to a table on disk, say what was found and write the run; some of its rows describe the axes."""
    from identirep.cli.found import found_in
    from identirep.cli.from_disk import in_memory
    from identirep.cli.reporting import made_of
    from identirep.cli.runs import evaluate, fit_model, print_findings, split, write_run
    from identirep.report import Findings

    components, held_out, seed = choices
    kinds = given.parse_target_type(target_type, table.names_of_tasks)
    training, rest = split(table, held_out, seed)
    with kept_work(out, resume, command) as work:
        model = fit_model(training, components, seed, **trains, record=work and work.record(1), target_type=kinds)
        evaluation = evaluate(model, table, training, rest)
        print_findings(model, evaluation)
        answer(run=out, **found_in(model, evaluation), like=None)
        about = {"inputs": list(table.X.names), "left_out": dict(table.left_out)}
        made = made_of(out, data, **about, target=table.target, tasks=table.task_column)
        write_run(out, model, evaluation, made, [in_memory(side) for side in (training, rest) if len(side.targets)])
    return Findings.of(model)


def _earlier(like: Path) -> IdentifiableRegressor:
    """Read the run whose axes are to be kept."""
    from identirep.cli.using import input_names, load_run

    model = load_run(like)
    input_names(like, model)
    if not model.n_components_:
        raise ValueError(f"'{like}' has no latents: got targets without signal, expected some. Leave out --like.")
    return model


def _print_carried(like: Path, model: IdentifiableRegressor) -> None:
    """Say which axes of an earlier run come back."""
    found = model.comparison_
    if found is None:
        return
    kept = [
        f"{name} {r:.3f}"
        for name, r, is_kept in zip(found.old_names, found.correlation, found.kept, strict=True)
        if is_kept
    ]
    say(f"{len(kept)} of {len(found.kept)} axes of {like} come back{': ' + ', '.join(kept) if kept else ''}.")
    say(f"Correlations on {found.n_rows:,} {found.rows}.")


def _carried(like: Path, model: IdentifiableRegressor) -> dict[str, Any]:
    """Return what has become of the axes of an earlier run, none if there are no latents."""
    from identirep.cli.comparing import axis_entries

    found = model.comparison_
    return {"run": like, "axes": [] if found is None else axis_entries(found)[0]}


def deciding(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that decide the result of a fit, by their names on the command line."""
    others = {"data", "out", "fits", "resume", "engine", "scheduler", "scratch"}
    return {
        f"--{name.replace('_', '-')}": str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if name not in others
    }


def read(data: Path, targets: list[str], out: Path | None, options: dict[str, Any]) -> Table:
    """Read the table of a fit and say what is in it, once it is sure that the result can be written."""
    from identirep.cli.tables import read_table
    from identirep.directories import check_target

    if out is not None:
        check_target(out)
    with working(f"Reading {data.name}"):
        table = read_table(data, targets, **options)
    announce(table)
    return table


def announce(table: Table) -> None:
    """Say what is in a table: rows, inputs, targets, and what was left out or repeats."""
    from identirep.cli.remarks import remarks_of_values, repeated_rows
    from identirep.report import count

    layout = count(len(set(table.tasks.tolist())), "task") if table.is_long else count(len(table.tasks), "target")
    together = "" if table.grouped_by is None else f", grouped by {table.grouped_by}"
    ordered = "" if table.ordered_by is None else f", ordered by {table.ordered_by}"
    inputs = count(table.X.num_columns, "input")
    weighted = "" if table.weighted_by is None else f", weighted by {table.weighted_by}"
    say(f"{table.name}: {len(table.targets):,} rows, {inputs}, {layout}{together}{ordered}{weighted}.")
    answer(left_out=[{"column": name, "reason": why} for name, why in table.left_out.items()])
    if table.n_without_weight:
        remark(f"{count(table.n_without_weight, 'row')} of weight 0 left out.")
    for text in remarks_of_values(table):
        remark(text)
    n_repeated = repeated_rows(table)
    if n_repeated:
        remark(f"{count(n_repeated, 'row')} with the inputs of others: equal rows stay together in every split.")


def go_on(out: Path, *commands: str) -> None:
    """Say what can be done with a run that was written."""
    from identirep.cli.reporting import REPORT_FILE

    say()
    say(f"Next: {suggested(f'open {quoted_path(out / REPORT_FILE)}')}")
    for command in commands:
        say(f"      {suggested(command)}")


def _transform(run: Path, data: Path, reading: dict[str, Any]) -> str:
    """Return the command that gives the latents of the table of the fit, read as it was."""
    out = "latents.csv" if data.name != "latents.csv" else "latents_of_latents.csv"
    options = given.options_of_files(**reading)
    return f"identirep transform {quoted_path(run)} {quoted_path(data)}{options} --out {out}"


def end(findings: Findings) -> None:
    """End with the status of a failed check where the fit has no signal, whoever else finds some."""
    from identirep.cli.found import signal_in

    if signal_in(findings) in ("none", "found by others"):
        raise typer.Exit(int(Status.CHECK_FAILED))
