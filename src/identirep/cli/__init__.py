"""The command line: ``identirep``.

What takes time to import is imported by the commands that need it, so that help comes at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from identirep.cli.bench import bench
from identirep.cli.comparing import compare
from identirep.cli.console import say
from identirep.cli.demo import demo
from identirep.cli.exporting import export
from identirep.cli.fit_commands import fit
from identirep.cli.inspecting import inspect
from identirep.cli.naming import describe, name
from identirep.cli.planning import plan
from identirep.cli.program import Program
from identirep.cli.reporting import report
from identirep.cli.stability import stability
from identirep.cli.using import predict, transform

__all__ = ["app"]

app = typer.Typer(
    name="identirep",
    cls=Program,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: identirep demo",
)

_EXAMPLES = (
    (inspect, "Example: identirep inspect alloys.csv"),
    (plan, "Example: identirep plan --n-components 6 --causes 2"),
    (fit, "Example: identirep fit alloys.csv --targets 'hardness_*,density' --groups alloy --out runs/alloys"),
    (stability, "Example: identirep stability alloys.csv --targets 'hardness_*' --fits 4 --n-components 5"),
    (transform, "Example: identirep transform runs/alloys new.csv --out latents.csv"),
    (predict, "Example: identirep predict runs/alloys new.csv --out predictions.parquet"),
    (export, "Example: identirep export runs/alloys --out alloys.onnx"),
    (describe, "Example: identirep describe runs/alloys alloys.csv --labels alloy"),
    (name, "Example: identirep name runs/alloys 0=density 2='thermal conductivity'"),
    (compare, "Example: identirep compare runs/march runs/april new.csv --out april.html"),
    (report, "Example: identirep report runs/alloys"),
    (demo, "Example: identirep demo --out runs/demo"),
    (bench, "Example: identirep bench linear --quick"),
)
_STATUSES = (
    "Exit status: 0 done; 1 identirep failed; 2 data, files or options are wrong; 3 the check failed: no signal (fit, "
    "stability, demo), axes that have moved (compare, transform --check), an axis with a name that is lost (compare)."
)
for _command, _example in _EXAMPLES:
    app.command(epilog=f"{_example}\n\n{_STATUSES}", no_args_is_help=_command is not demo)(_command)


def main() -> None:
    """Run the command line."""
    app()


def _show_version(asked: bool) -> None:
    from importlib.metadata import version

    if asked:
        say(f"identirep {version('identirep')}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Identifiable representations from many tasks: latents that come out the same on every run, and a certificate."""
