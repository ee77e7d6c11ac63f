"""The command stability, and the comparison of fits that demo shares with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from rich import box
from rich.table import Table as Grid

import identirep.cli.options as given
from identirep.cli.answers import answer
from identirep.cli.console import OUTPUT, remark, reports_faults, say
from identirep.cli.fit_commands import deciding, end, go_on, read
from identirep.cli.interrupts import kept_work

if TYPE_CHECKING:
    from identirep.cli.tables import Table
    from identirep.evaluation import Evaluation
    from identirep.regressor import IdentifiableRegressor
    from identirep.report import Findings

__all__ = ["Fits", "compare_fits", "stability"]


class Fits(NamedTuple):
    """Fits to the same rows: what was found of the first, all models, scores of the first."""

    findings: Findings
    models: list[IdentifiableRegressor]
    evaluation: Evaluation


@reports_faults
def stability(
    data: given.Data,
    targets: given.Targets,
    fits: Annotated[int, typer.Option(min=2, metavar="R", help="Number of independent fits.")] = 3,
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
    regressor: given.Regressor = "mtrn",
    held_out: given.HeldOut = 0.25,
    replicates: given.Replicates = None,
    epochs: given.Epochs = None,
    checks: given.Checks = 2,
    seed: given.Seed = 0,
    resume: given.Resume = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the first fit and a report there.")
    ] = None,
) -> None:
    """Fit several times to the same rows with different seeds, and measure how far the latents agree.

    Only the seed changes between fits; agreement is measured on rows held out. With 'auto' the first fit chooses the
    number of latents, or the regressor, for all. What other rows would give is checked by the first fit, as 'fit' does.
    """
    command = deciding(locals())
    components = given.parse_components(n_components)
    given.check_settings(regressor, replicates, epochs, checks)
    encoding = given.encoding_of(impute, categorical, no_encode)
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    columns: dict[str, Any] = {"tasks": tasks, "groups": groups, "order": order, "weights": weights, "labels": labels}
    columns |= {"features": features, "drop": drop}
    table = read(data, targets, out, columns | reading | encoding)
    settings = {"regressor": regressor, "replicates": replicates, "epochs": epochs, "n_checks": checks}
    settings["target_type"] = given.parse_target_type(target_type, table.names_of_tasks)
    # Without a run directory the work is kept where the command was called.
    target = Path(f"stability of {data.name[:100]}") if out is None else out
    from identirep.cli.runs import split

    with kept_work(target, resume, command) as work:
        findings = compare_fits(table, split(table, held_out, seed), components, fits, seed, out, settings, work, data)[
            0
        ]
    if out is not None:
        go_on(out)
    end(findings)


def compare_fits(
    table: Table,
    sides: tuple[Table, Table],
    components: int | Literal["auto"],
    n_fits: int,
    seed: int,
    out: Path | None,
    settings: dict[str, Any],
    work: Any = None,
    data: Path | None = None,
) -> Fits:
    """Fit several times on the first of two sides of a table, compare on the other, write the first fit."""
    import numpy as np

    from identirep.cli.found import agreement_of, found_in
    from identirep.cli.reporting import made_now
    from identirep.cli.runs import compare, evaluate, fit_model, print_findings, write_run
    from identirep.report import Findings

    training, rest = sides

    def record(number: int) -> Any:
        return work and work.record(number, keeps_model=True)

    say(f"Fit 1 of {n_fits}")
    models = [fit_model(training, components, seed, **settings, record=record(1))]
    if (choice := models[0].regressor_choice_) is not None:
        settings = {**settings, "regressor": choice.name}
    evaluation = evaluate(models[0], table, training, rest)
    findings = Findings.of(models[0])
    if findings.has_signal:
        for r in range(1, n_fits):
            say(f"Fit {r + 1} of {n_fits}")
            # The first fit alone is checked: of the others only their axes are compared.
            own = {**settings, "n_checks": 0, "record": record(r + 1)}
            models.append(fit_model(training, models[0].n_components_, seed + r, **own))
        agreement, weak = compare(models, training, rest if len(rest.targets) else training)
        upper = np.triu_indices(n_fits, 1)
        evaluation = replace(evaluation, stability=agreement, weak_mcc=float(weak[upper].mean()))
    print_findings(models[0], evaluation)
    seeds = range(seed, seed + n_fits)
    if findings.has_signal:
        _print_pairs(agreement.matrix, weak, evaluation, seeds)
    else:
        remark("Agreement of fits would mean nothing without signal, so it was not measured.")
    between = agreement_of(agreement, weak, seeds) if findings.has_signal else None
    answer(run=out, **found_in(models[0], evaluation), agreement=between)
    if out is not None:
        write_run(out, models[0], evaluation, made_now(out, training, data), (training, rest))
    return Fits(findings, models, evaluation)


def _print_pairs(strong: Any, weak: Any, evaluation: Evaluation, seeds: range) -> None:
    from identirep.report import count, matching_sentence

    say()
    named = f"{', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"
    rows = f"{count(evaluation.n_held_out_rows, 'held-out row')}" if evaluation.n_held_out_rows else "these rows"
    say(
        f"Between fits only the seed changed ({named}), on the same {evaluation.n_training_rows:,} rows; compared on "
        f"{rows}:"
    )
    grid = Grid(box=box.SIMPLE_HEAD)
    for heading in ("fits", "strong MCC", "weak MCC"):
        grid.add_column(heading, justify="left" if heading == "fits" else "right")
    for r in range(len(strong)):
        for s in range(r + 1, len(strong)):
            grid.add_row(f"{r + 1} and {s + 1}", f"{strong[r, s]:.4f}", f"{weak[r, s]:.4f}")
    OUTPUT.print(grid)
    say(matching_sentence(strong, weak))
