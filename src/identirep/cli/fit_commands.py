"""Commands that fit: fit, stability, demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.table import Table as Grid

import identirep.cli.options as given
from identirep.cli.console import OUTPUT, in_words_of_options, quoted, reports_faults, say, working

if TYPE_CHECKING:
    from identirep.cli.tables import Table
    from identirep.evaluation import Evaluation

__all__ = ["demo", "fit", "stability"]


@reports_faults
def fit(
    data: given.Data,
    targets: given.Targets,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Run directory to write or replace.", show_default=False)],
    tasks: given.Tasks = None,
    groups: given.Groups = None,
    order: given.Order = None,
    weights: given.Weights = None,
    features: given.Features = None,
    drop: given.Drop = None,
    missing: given.Missing = None,
    n_components: given.Components = "auto",
    regressor: given.Regressor = "mtrn",
    held_out: given.HeldOut = 0.2,
    replicates: given.Replicates = None,
    epochs: given.Epochs = None,
    checks: given.Checks = 2,
    seed: given.Seed = 0,
) -> None:
    """Fit latents to a table with many targets, and write a run directory with a report.

    A part of the rows is held out, so that the scores are honest. Columns that are neither targets nor named otherwise
    are inputs; they must be numbers without gaps. Targets may have gaps.
    """
    components = given.parse_components(n_components)
    given.check_settings(regressor, replicates, epochs, checks)
    table = _read(data, targets, tasks, groups, order, weights, features, drop, missing, out)
    from identirep.cli.runs import evaluate, fit_model, print_findings, split, write_run
    from identirep.report import Findings

    training, rest = split(table, held_out, seed)
    model = fit_model(training, components, seed, regressor, replicates=replicates, epochs=epochs, n_checks=checks)
    evaluation = evaluate(model, table, training, rest)
    # Printed first: what was found is known even if it cannot be written.
    print_findings(model, evaluation)
    write_run(out, model, evaluation)
    say()
    say(f"Next: open {out / 'report.html'}")
    if Findings.of(model).has_signal:
        say(f"      identirep transform {quoted(str(out))} {quoted(str(data))} --out latents.csv")


@reports_faults
def stability(
    data: given.Data,
    targets: given.Targets,
    fits: Annotated[int, typer.Option(min=2, metavar="R", help="Number of independent fits.")] = 3,
    tasks: given.Tasks = None,
    groups: given.Groups = None,
    order: given.Order = None,
    weights: given.Weights = None,
    features: given.Features = None,
    drop: given.Drop = None,
    missing: given.Missing = None,
    n_components: given.Components = "auto",
    regressor: given.Regressor = "mtrn",
    held_out: given.HeldOut = 0.25,
    replicates: given.Replicates = None,
    epochs: given.Epochs = None,
    checks: given.Checks = 2,
    seed: given.Seed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the first fit and a report there.")
    ] = None,
) -> None:
    """Fit several times to the same rows with different seeds, and measure how far the latents agree.

    Only the seed changes between fits; agreement is measured on rows held out. With 'auto' the first fit chooses the
    number of latents, or the regressor, for all. What other rows would give is checked by the first fit, as 'fit' does.
    """
    components = given.parse_components(n_components)
    given.check_settings(regressor, replicates, epochs, checks)
    table = _read(data, targets, tasks, groups, order, weights, features, drop, missing, out)
    settings = {"regressor": regressor, "replicates": replicates, "epochs": epochs, "n_checks": checks}
    _compare_fits(table, components, fits, held_out, seed, out, settings)
    if out is not None:
        say(f"Next: open {out / 'report.html'}")


@reports_faults
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Run directory to write or replace.")] = Path("runs/demo"),
) -> None:
    """Fit superconductors with 81 targets twice, with different seeds, and compare the fits. Needs no data of yours.

    Of 21,263 superconductors a quarter, by compositions, is held out. Takes one to two minutes.
    """
    import numpy as np

    from identirep.cli.tables import Table, named
    from identirep.datasets import load_superconductivity
    from identirep.directories import check_target

    check_target(out)
    with working("Computing the descriptors of 21,263 superconductors"):
        source = load_superconductivity(fractions=True)
    X = named(source.X, source.feature_names)
    table = Table("Superconductivity", X, source.Y, source.target_names, False, None, source.groups, "composition")
    # The published table is sorted by families, which says nothing of other rows.
    table = table.rows(np.random.default_rng(0).permutation(len(source.Y)))
    _announce(table)
    _compare_fits(table, 10, 2, 0.25, 0, out, {})
    say()
    say(f"Next: open {out / 'report.html'}")
    say("      identirep fit YOUR_TABLE.csv --targets 'YOUR_*' --out runs/first")


def _read(
    data: Path,
    targets: list[str],
    tasks: str | None,
    groups: str | None,
    order: str | None,
    weights: str | None,
    features: list[str] | None,
    drop: list[str] | None,
    missing: list[str] | None,
    out: Path | None,
) -> Table:
    """Read the table of a fit and say what is in it, once it is sure that the result can be written."""
    from identirep.cli.tables import read_table
    from identirep.directories import check_target

    if out is not None:
        check_target(out)
    with working(f"Reading {data.name}"):
        columns = {"tasks": tasks, "groups": groups, "order": order, "weights": weights}
        table = read_table(data, targets, **columns, features=features, drop=drop, missing=missing)
    _announce(table)
    return table


def _announce(table: Table) -> None:
    from identirep.cli.remarks import remarks_of_values, repeated_rows
    from identirep.report import count

    layout = count(len(set(table.tasks.tolist())), "task") if table.is_long else count(len(table.tasks), "target")
    together = "" if table.grouped_by is None else f", grouped by {table.grouped_by}"
    ordered = "" if table.ordered_by is None else f", ordered by {table.ordered_by}"
    inputs = count(table.X.num_columns, "input")
    weighted = "" if table.weighted_by is None else f", weighted by {table.weighted_by}"
    say(f"{table.name}: {len(table.targets):,} rows, {inputs}, {layout}{together}{ordered}{weighted}.")
    if table.n_without_weight:
        say(f"{count(table.n_without_weight, 'row')} of weight 0 left out.")
    for remark in remarks_of_values(table):
        say(in_words_of_options(remark))
    n_repeated = repeated_rows(table)
    if n_repeated:
        say(f"{count(n_repeated, 'row')} with the inputs of others: equal rows stay together in every split.")


def _compare_fits(
    table: Table,
    components: int | Literal["auto"],
    n_fits: int,
    share: float,
    seed: int,
    out: Path | None,
    settings: dict[str, Any],
) -> None:
    """Fit several times on the same rows, print how far the fits agree, and write the first one."""
    import numpy as np

    from identirep.cli.runs import compare, evaluate, fit_model, print_findings, split, write_run
    from identirep.report import Findings

    training, rest = split(table, share, seed)
    say(f"Fit 1 of {n_fits}")
    models = [fit_model(training, components, seed, **settings)]
    if (choice := models[0].regressor_choice_) is not None:
        settings = {**settings, "regressor": choice.name}
    evaluation = evaluate(models[0], table, training, rest)
    has_signal = Findings.of(models[0]).has_signal
    if has_signal:
        for r in range(1, n_fits):
            say(f"Fit {r + 1} of {n_fits}")
            # The first fit alone is checked: of the others only their axes are compared.
            models.append(fit_model(training, models[0].n_components_, seed + r, **{**settings, "n_checks": 0}))
        agreement, weak = compare(models, training, rest if len(rest.targets) else training)
        upper = np.triu_indices(n_fits, 1)
        evaluation = replace(evaluation, stability=agreement, weak_mcc=float(weak[upper].mean()))
    print_findings(models[0], evaluation)
    if has_signal:
        _print_pairs(agreement.matrix, weak, evaluation, range(seed, seed + n_fits))
    else:
        say("Agreement of fits would mean nothing without signal, so it was not measured.")
    if out is not None:
        write_run(out, models[0], evaluation)


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
