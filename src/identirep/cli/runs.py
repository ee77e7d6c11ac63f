"""Fits of the command line: split, fit, check on held-out rows, compare, write the run directory."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from identirep._typing import Array
from identirep.cli.answers import wrote
from identirep.cli.console import OUTPUT, cell, say, working
from identirep.cli.reporting import EVALUATION_FILE, KEPT_FILE, REPORT_FILE, described
from identirep.cli.tables import Table
from identirep.directories import replaced_directory
from identirep.evaluation import Evaluation, score_binary, score_tasks
from identirep.label_sides import Labels
from identirep.metrics import StabilityResult, stability, weak_mcc_score
from identirep.processes import place
from identirep.report import (
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    Description,
    Findings,
    Made,
    causal_statement,
    comes_back_sentence,
    count,
    headline,
    last_rows,
    read_kept,
    reproducibility_statement,
    score_summary,
    verdict_meanings,
    write_kept,
    write_report,
)
from identirep.splits import number_groups, row_groups, two_sides
from identirep.target_kinds import kinds_sentence
from identirep.wording import short

if TYPE_CHECKING:
    from identirep.checkpoints import FitRecord
    from identirep.regressor import IdentifiableRegressor

__all__ = ["compare", "evaluate", "fit_model", "print_findings", "split", "write_run"]

Components = int | Literal["auto"]

# Longer names of latents are cut on the command line.
_LONGEST_LATENT, _FEWEST_OF_TARGETS = 24, 12

# Labels that a task needs to be fitted, and to be scored.
_LEAST_LABELS = (3, 2)


def split(table: Table, share: float, seed: int) -> tuple[Table, Table]:
    """Choose training and held-out rows of a table."""
    rng = np.random.default_rng(seed)
    tasks = table.tasks if table.is_long else None
    groups = row_groups(table.inputs(), table.groups)
    index = number_groups(table.tasks) if table.is_long else None
    labels = Labels(table.targets, index, _LEAST_LABELS, weights=table.weights)
    sides = two_sides(len(table.targets), share, rng, groups=groups, tasks=tasks, order=table.order, labels=labels)
    training, held_out = (table.rows(np.flatnonzero(side)) for side in sides)
    groups = training.groups
    if table.groups is not None and groups is not None and len(held_out.targets) and len(np.unique(groups)) < 2:
        n_groups = len(np.unique(table.groups))
        raise ValueError(
            f"--groups {table.grouped_by!r} has too few groups to hold one out and to learn from others: got "
            f"{n_groups}, expected at least 3. Name a column that tells more rows apart, or pass "
            "--held-out 0."
        )
    return training, held_out


def fit_model(
    table: Table,
    n_components: Components,
    seed: int,
    regressor: str = "mtrn",
    *,
    replicates: int | None = None,
    epochs: int | None = None,
    n_checks: int = 2,
    record: FitRecord | None = None,
    like: IdentifiableRegressor | None = None,
    target_type: Any = "auto",
) -> IdentifiableRegressor:
    """Fit both stages to all rows of a table, and say which regressor was chosen if it was to be."""
    from identirep.mtrn import MTRN
    from identirep.regressor import IdentifiableRegressor

    given: dict[str, Any] = {"n_replicates": replicates, "max_epochs": epochs}
    stage: Any = regressor
    if regressor == "mtrn":
        stage = MTRN(n_components, verbose=OUTPUT.is_terminal)
        stage.set_params(**{name: value for name, value in given.items() if value is not None})
    model = IdentifiableRegressor(
        n_components,
        regressor=stage,
        n_checks=n_checks,
        table_encoder=table.encoder,
        target_type=target_type,
        verbose=OUTPUT.is_terminal,
        random_state=seed,
    )
    rows = {"groups": table.groups, "order": table.order, "sample_weight": table.weights}
    model.fit(table.X, table.targets, table.tasks, **rows, checkpoint=record, like=like)
    model.target_words_ = dict(table.target_words)
    if target_type != "auto":
        say(f"Targets, as told: {kinds_sentence(model.target_kinds_)}.")
    if (choice := model.regressor_choice_) is not None:
        say(f"Regressor: {choice.name}. {choice.reason}.")
    return model


def evaluate(model: IdentifiableRegressor, table: Table, training: Table, held_out: Table) -> Evaluation:
    """Score a model on held-out rows."""
    r2, binary = np.full(len(model.task_names_), np.nan), None
    if len(held_out.targets):
        tasks, X = held_out.tasks if held_out.is_long else None, model._inputs(held_out.X)
        rows: dict[str, Any] = {"sample_weight": held_out.weights}
        r2 = score_tasks(model.regressor_, X, held_out.targets, tasks, **rows)
        binary = score_binary(model.regressor_, X, held_out.targets, tasks, **rows)
    sizes = len(training.targets), len(held_out.targets)
    columns: dict[str, Any] = {"ordered_by": table.ordered_by, "weighted_by": table.weighted_by}
    columns |= {"kinds": model.target_kinds_}
    columns |= {} if binary is None else {"auc": binary[0], "deviance_explained": binary[1]}
    return Evaluation(table.name, *sizes, table.grouped_by, r2, **columns)


def compare(models: list[IdentifiableRegressor], training: Table, held_out: Table) -> tuple[StabilityResult, Array]:
    """Compare fits pair by pair: strong agreement, and the matrix of weak MCC."""
    weights: dict[str, Any] = {"sample_weight": training.weights, "held_out_weight": held_out.weights}
    on_training = [model.transform(training.X) for model in models]
    on_held_out = [model.transform(held_out.X) for model in models]
    weak = np.eye(len(models))
    for r in range(len(models)):
        for s in range(r):
            pair = (on_held_out[r], on_held_out[s])
            weak[r, s] = weak[s, r] = weak_mcc_score(on_training[r], on_training[s], held_out=pair, **weights)
    return stability(on_training, held_out=on_held_out, **weights), weak


def write_run(
    directory: Path,
    model: Any,
    evaluation: Evaluation,
    made: Made,
    tables: Sequence[Table] = (),
) -> None:
    """Write model, scores and report, all or nothing; if that fails, beside, so that the fit is not lost.

    The report describes the axes by the rows of the `tables`, if there are any.
    """
    if place()[0]:
        # Of several processes the first one writes.
        return
    description = None
    try:
        with working("Describing the axes"):
            description = described(model, tables)
        with working(f"Writing {directory}"), replaced_directory(directory) as staging:
            model.save(staging)
            _write_rest(staging, model, evaluation, made, description)
    except Exception:
        if (kept := _kept(directory, model, evaluation, made, description)) is not None:
            wrote(kept)
            say(f"Writing {directory} failed. The finished run is kept in {kept}: move it, or read it from there.")
        raise
    wrote(directory)


def _write_rest(
    staging: Path,
    model: Any,
    evaluation: Evaluation,
    made: Made,
    description: Description | None,
) -> None:
    """Write what is in a run besides the model."""
    evaluation.save(staging / EVALUATION_FILE)
    write_kept(staging / KEPT_FILE, made, description)
    # As it was rounded, so that the report command writes the same page.
    made, description = read_kept(staging / KEPT_FILE, model.n_components_)
    page: dict[str, Any] = {"title": evaluation.data, "description": description, "made": made}
    write_report(model, staging / REPORT_FILE, evaluation=evaluation, **page)


def _kept(
    directory: Path,
    model: Any,
    evaluation: Evaluation,
    made: Made,
    description: Description | None,
) -> Path | None:
    """Write a run where it can be written, and what can be written of it; return where, None if nowhere."""
    name = f"{directory.resolve().name[:100]}-kept-{secrets.token_hex(4)}"
    for kept in (directory.resolve().with_name(name), Path(tempfile.gettempdir()) / name):
        with suppress(Exception):
            model.save(kept)
            with suppress(Exception):
                _write_rest(kept, model, evaluation, made, description)
            return kept
    return None


def print_findings(model: Any, evaluation: Evaluation) -> None:
    """Print what was found: verdicts and how many axes come back, each latent, the two statements, held-out scores."""
    findings = Findings.of(model)
    say()
    say(headline(findings), style="bold")
    if findings.has_signal:
        say(comes_back_sentence(findings, evaluation), style="bold")
        _print_latents(findings, evaluation)
        for verdict, (meaning, action) in verdict_meanings(findings).items():
            style = f"bold {VERDICT_COLOURS[verdict]}"
            OUTPUT.print(Text.assemble((f"{verdict}: ", style), f"{meaning}. {action[0].upper()}{action[1:]}."))
        for question, (answer, reason) in (
            ("Comes back on other rows", reproducibility_statement(findings, evaluation)),
            ("Causal roles", causal_statement(findings)),
        ):
            OUTPUT.print(Text.assemble((f"{question}: {answer}. ", "bold"), reason))
    _print_scores(findings, evaluation)


def _print_latents(findings: Findings, evaluation: Evaluation) -> None:
    certificate = findings.certificate
    # What was not measured has no column.
    columns = {
        "again": [_known(value) for value in findings.trained_again(evaluation)],
        "other rows": [
            f"{value:.3f} ({low:.3f}-{high:.3f})" if value == value else ""
            for value, (low, high) in zip(
                certificate.comes_back.other_rows, certificate.comes_back.other_rows_interval, strict=True
            )
        ],
        f"{findings.kind}*": [_known(value) for value in findings.other_targets],
    }
    columns = {heading: cells for heading, cells in columns.items() if any(cells)}
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("latent", "verdict", *columns):
        is_text = heading == "verdict" or (heading == "latent" and findings.given_names)
        grid.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    grid.add_column("correlates with", no_wrap=True)
    # Rich would take the room for long names from the other columns; each of these has a space on both sides.
    widths = [max(len(f"● {verdict}") for verdict in certificate.verdict)]
    widths += [max(len(heading), *map(len, cells)) for heading, cells in columns.items()]
    room = OUTPUT.width - sum(width + 2 for width in widths) - 5
    labels = [cell(label) for label in findings.latent_labels]
    for label in labels:
        label.truncate(max(min(_LONGEST_LATENT, room - _FEWEST_OF_TARGETS), len("latent")), overflow="ellipsis")
    room -= max(len("latent"), *(label.cell_len for label in labels))
    for i, verdict in enumerate(certificate.verdict):
        targets = cell(", ".join(f"{correlation:+.2f} {name}" for name, correlation in findings.strongest(i, 2)))
        targets.truncate(max(room, _FEWEST_OF_TARGETS), overflow="ellipsis")
        judged = Text(f"{VERDICT_SYMBOLS[verdict]} {verdict}", style=VERDICT_COLOURS[verdict])
        grid.add_row(labels[i], judged, *(cells[i] for cells in columns.values()), targets)
    OUTPUT.print(grid)
    if columns:
        how = "Correlation of each axis with its partner in another fit"
        how += "; of other rows with the range of 90% of fits" if "other rows" in columns else ""
        say(how + (f"; * with other {findings.kind}, an estimate." if f"{findings.kind}*" in columns else "."))


def _known(value: float) -> str:
    return f"{value:.3f}" if value == value else ""


def _print_binary(findings: Findings, evaluation: Evaluation) -> None:
    """Print how well binary targets are ranked, if there are any."""
    auc, deviance = evaluation.auc, evaluation.deviance_explained
    if auc is None or deviance is None or np.isnan(auc).all():
        return
    known = np.flatnonzero(~np.isnan(auc))
    lowest = known[np.argsort(auc[known], kind="stable")[:3]]
    listed = ", ".join(f"{short(findings.task_names[t])} {auc[t]:.2f}" for t in lowest)
    OUTPUT.print(
        Text.assemble(
            ("Held-out AUC: ", "bold"),
            f"median {np.median(auc[known]):.3f} over {len(known)} binary {findings.kind}, deviance explained "
            f"{np.median(deviance[known]):.3f}; lowest: {listed}.",
        )
    )


def _print_scores(findings: Findings, evaluation: Evaluation) -> None:
    _print_binary(findings, evaluation)
    scores = score_summary(findings, evaluation)
    if scores is None:
        say(f"Held-out R²: not known, {'too few labels' if evaluation.n_held_out_rows else 'no rows'} were held out.")
        return
    lowest = ", ".join(f"{short(name)} {r2:.2f}" for name, r2 in scores["worst"])
    weighted = "" if evaluation.weighted_by is None else f", weighted by {cell(evaluation.weighted_by)}"
    unknown, kind = scores["unknown"], findings.kind[:-1]
    rest = f" Not scored: {count(unknown, kind)} without two held-out labels that differ." if unknown else ""
    OUTPUT.print(
        Text.assemble(
            ("Held-out R²: ", "bold"),
            f"median {scores['median']:.3f} over {count(scores['known'], kind)}, "
            f"{count(evaluation.n_held_out_rows, 'row')}{last_rows(evaluation).rstrip(',')}{weighted}; "
            f"lowest: {lowest}.{rest}",
        )
    )
