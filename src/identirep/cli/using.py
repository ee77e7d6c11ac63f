"""Commands that use a run directory: transform, predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from identirep.cli.answers import answer, wrote
from identirep.cli.console import remark, reports_faults, say, working
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
from identirep.cli.options import Data, Decimal, Keep, Missing, Run, Separator, Sheet

if TYPE_CHECKING:
    from identirep.regressor import IdentifiableRegressor

__all__ = ["input_names", "load_run", "predict", "transform"]

Out = Annotated[Path, typer.Option(metavar="FILE", help="Table: .csv, .parquet or .feather.", show_default=False)]


@reports_faults
def transform(
    run: Run,
    data: Data,
    out: Out,
    keep: Keep = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say which axes have moved since the fit, and which rows lie outside.")
    ] = False,
    level: Level = None,
    targets: TargetColumn = None,
    tasks: TaskColumn = None,
    groups: GroupColumn = None,
    missing: Missing = None,
    separator: Separator = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
) -> None:
    """Write the latents of the rows of a table.

    The table needs the inputs of the fit, as they were, by name and in any order; others are ignored unless
    kept. Rows keep their order.

    With --check it is said which axes have moved since the fit, and which targets as far as the table has them: by
    their names, or where each row has a task of its own by --targets and --tasks, as in the fit. The exit status is 3
    if axes have moved; the latents are written all the same.
    """
    for option, value in (("--level", level), ("--targets", targets), ("--tasks", tasks), ("--groups", groups)):
        if value is not None and not check:
            raise ValueError(f"{option} is for a check: got no --check, expected one. Add --check.")
    check_target_columns(targets, tasks)
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    asked = CheckAsked(level, targets, tasks, groups) if check else None
    _apply(run, data, out, reading, keep, "latents", asked)


@reports_faults
def predict(
    run: Run,
    data: Data,
    out: Out,
    keep: Keep = None,
    missing: Missing = None,
    separator: Separator = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
) -> None:
    """Write predictions of all targets for the rows of a table.

    The table needs the inputs of the fit, as they were, by name and in any order; others are ignored unless
    kept. Rows keep their order.
    """
    reading: dict[str, Any] = {"missing": missing, "separator": separator, "decimal": decimal, "sheet": sheet}
    _apply(run, data, out, reading, keep, "predictions")


def load_run(run: Path, *, features: bool = False) -> Any:
    """Read the model of a run directory; one of features as they are, an MTLCM, only where that will do."""
    from identirep.persistence import kind_of_run

    with working(f"Reading {run}"):
        if kind_of_run(run) == "MTLCM":
            if not features:
                raise ValueError(
                    f"'{run}' has no stage one: got a run of features as they are, expected one of inputs. Only "
                    "transform, predict, name, plan and report take such a run."
                )
            from identirep.mtlcm import MTLCM

            return MTLCM.load(run)
        from identirep.regressor import IdentifiableRegressor

        return IdentifiableRegressor.load(run)


def input_names(run: Path, model: IdentifiableRegressor) -> list[str]:
    """Return the names of the inputs of a run; raise if it has none."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise ValueError(
            f"'{run}' has no names of its inputs: got a model fitted to a matrix, expected one fitted to a table. Use "
            "it from Python, or fit it with 'identirep fit'."
        )
    return list(names)


def _apply(
    run: Path,
    data: Path,
    out: Path,
    reading: dict[str, Any],
    keep: list[str] | None,
    content: str,
    check: CheckAsked | None = None,
) -> None:
    """Write latents or predictions, and what is kept, to a table."""
    from identirep.cli.found import latent_entries
    from identirep.cli.keeping import kept_columns, output_schema
    from identirep.cli.streaming import apply_to_blocks
    from identirep.cli.tables import check_output
    from identirep.cli.text_targets import in_words
    from identirep.report import count

    model = load_run(run, features=check is None)
    input_names(run, model)
    check_output(out, data)
    to_latents = content == "latents"
    columns = [str(name) for name in (model.get_feature_names_out() if to_latents else model.task_names_)]
    if to_latents and not model.n_components_:
        raise ValueError(f"'{run}' has no latents: got targets without signal, expected some. Fit other data.")
    found = None
    if check is not None:
        # Before anything is written: whether it can be checked.
        found, _ = drift_in(data, model, reading, check)
    with working(f"Reading {data.name}"):
        kept = kept_columns(data, keep, columns, out, reading)
        schema = output_schema(kept, columns, model, run, content)
        compute = model.transform if to_latents else model.predict
        n_rows, remarks = apply_to_blocks(data, model, reading, compute, kept, out, schema)
    words = {} if to_latents else dict(getattr(model, "target_words_", {}))
    for name, pair in words.items():
        remark(f"Predictions of {name!r}: {in_words(pair)}.")
    for text in remarks:
        remark(text)
    answer(
        run=run,
        n_rows=n_rows,
        content=content,
        columns=columns,
        kept=kept.names,
        latents=latent_entries(model),
        **({"drift": found} if to_latents else {}),
    )
    also = f", {len(kept.names):,} kept" if kept.names else ""
    what = count(len(columns), "latent" if to_latents else "target")
    say(f"Wrote {wrote(out)}: {count(n_rows, 'row')}, {what}{also}.")
    if found is not None:
        print_drift(found)
        if found["moved"]:
            raise typer.Exit(int(Status.CHECK_FAILED))
