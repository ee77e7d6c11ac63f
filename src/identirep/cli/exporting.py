"""The command that writes a run for servers: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from identirep.cli.answers import answer, wrote
from identirep.cli.console import remark, reports_faults, say, working
from identirep.cli.options import Run

__all__ = ["export"]


@reports_faults
def export(
    run: Run,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="File: .onnx, or .pt2 for torch.export.", show_default=False)
    ],
) -> None:
    """Write a run as one graph from inputs to latents and predictions, which runs without identirep.

    The graph takes float64 numbers in the units of the fit. Names of inputs, latents and targets, and
    verdicts, are in the file.
    """
    from identirep.cli.found import latent_entries
    from identirep.cli.tables import check_place
    from identirep.cli.using import load_run
    from identirep.serving import check_suffix

    check_suffix(out, "--out")
    check_place(out, run)
    model = load_run(run, features=True)
    with working(f"Writing {out.name}"):
        model.export(out)
    about = model._about_graph()
    answer(run=run, format=out.suffix.lower()[1:], latents=latent_entries(model))
    answer(**{key: about[key] for key in ("inputs", "encoded_table", "targets")})
    if about["encoded_table"]:
        remark(
            "The graph takes the columns that the run makes of its table, and does not make them itself: "
            "table_encoder_.transform does."
        )
    say(f"Wrote {wrote(out)}: {len(about['latents']):,} latents and {len(about['targets']):,} targets of rows.")
