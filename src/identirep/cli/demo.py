"""The command that shows what the tool is for, on data of the package: demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from identirep.cli.answers import answer, suggested, wrote
from identirep.cli.console import reports_faults, say, working
from identirep.cli.fit_commands import announce, end, go_on
from identirep.cli.stability import compare_fits
from identirep.cli.words import quoted_path

if TYPE_CHECKING:
    from identirep.cli.tables import Table

__all__ = ["demo"]

_PICTURE = "story.png"
# No fit sees it: later it is the new target.
_NEW_TARGET = "critical_temp"
# Share of all rows that come later, and of the others that are held out.
_LATER, _HELD_OUT = 0.375, 0.4
# Of rows with this element it is asked whether axes have moved.
_ELEMENT = "Cu"


@reports_faults
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Run directory to write or replace.")] = Path("runs/demo"),
) -> None:
    """Show what latents are good for: train twice, name an axis, carry it over to new rows, use it, watch it.

    On 21,263 superconductors with 80 targets; needs no data of yours. The model of the new rows is written to
    DIR-retrained, a picture to DIR/story.png. Takes one to two minutes.
    """
    from identirep.cli.reporting import made_now
    from identirep.cli.runs import split, write_run
    from identirep.cli.story import tell, title
    from identirep.directories import check_target

    retrained = out.with_name(f"{out.name}-retrained")
    check_target(out)
    check_target(retrained)
    table, new_target = _superconductors()
    now, later = split(table, _LATER, 1)
    training, held_out = split(now, _HELD_OUT, 0)
    y = held_out.targets[:, new_target]
    now, later, training, held_out = (_without(rows, new_target) for rows in (now, later, training, held_out))
    announce(now)
    title("1. Train twice: on the same rows, from other random numbers")
    say("A latent is an axis of what a model has learnt: one number for each row. Do two trainings find the same ones?")
    fits = compare_fits(now, (training, held_out), "auto", 2, 0, None, {})
    first = fits.models[0]
    if not fits.findings.has_signal:
        write_run(out, first, fits.evaluation, made_now(out, training, None), (training, held_out))
        end(fits.findings)
        return
    story = tell(fits.models, held_out, later, _NEW_TARGET, y, _ELEMENT)
    answer(run=out, story=story.for_machines(retrained))
    say()
    write_run(out, first, fits.evaluation, made_now(out, training, None), (training, held_out))
    write_run(retrained, story.retrained, story.evaluation, made_now(retrained, later, None), (later,))
    with working(f"Drawing {_PICTURE}"):
        from identirep.cli.story_picture import draw

        draw(story).savefig(out / _PICTURE, dpi=120)
    say(f"Written: {out}, {retrained}, and a picture of this story, {wrote(out / _PICTURE)}")
    go_on(out, f"identirep describe {quoted_path(out)}")
    say(
        f"This took {fits.evaluation.n_training_rows:,} rows and {len(training.tasks)} targets. With fewer, fewer axes "
        "come back, and 'identirep fit' says which."
    )
    say(f"With a table of yours: {suggested('identirep inspect YOUR_TABLE.csv')}")


def _superconductors() -> tuple[Table, int]:
    """Return the table with all targets, and the number of the one that no fit is to see."""
    import numpy as np

    from identirep.cli.tables import Table, named
    from identirep.datasets import load_superconductivity

    with working("Computing the descriptors of 21,263 superconductors"):
        data = load_superconductivity(fractions=True)
    X, names = named(data.X, data.feature_names), list(data.target_names)
    table = Table("Superconductivity", X, data.Y, names, False, None, data.groups, "composition")
    table = replace(table, labels=np.array(data.materials, dtype=object))
    # The published table is sorted by families, which says nothing of other rows.
    return table.rows(np.random.default_rng(0).permutation(len(data.Y))), names.index(_NEW_TARGET)


def _without(rows: Table, t: int) -> Table:
    """Return rows without one of the targets."""
    import numpy as np

    names = [name for k, name in enumerate(rows.tasks) if k != t]
    return replace(rows, targets=np.delete(rows.targets, t, axis=1), tasks=names)
