"""What all commands share: where text goes, progress, the options --json and --quiet, and how a command ends."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from identirep.cli.answers import answering, error_document, noted, send
from identirep.cli.faults import Fault, Status, fault_of, signal_of
from identirep.cli.words import in_words_of_options, printable, quoted
from identirep.processes import is_shared, place
from identirep.scratch import raising_at_sigterm
from identirep.wording import readable

__all__ = [
    "OUTPUT",
    "cell",
    "in_words_of_options",
    "printable",
    "progress",
    "quoted",
    "remark",
    "report_fault",
    "reports_faults",
    "say",
    "working",
]


def cell(text: str) -> Text:
    """Return a text for one line of a grid."""
    return Text(printable(text.replace("\n", "\\n")))


class _Printable:
    """Anything that a console renders, without what a terminal would obey but for styles of ours."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class _PrintableOnly(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap all that is printed: names of files, columns and labels come from strangers."""
        return [_Printable(renderable) for renderable in renderables]


# Results go to standard output, everything about the way there to standard error. Square brackets are no markup.
OUTPUT = Console(markup=False, emoji=False)
_MESSAGES = Console(stderr=True, markup=False, emoji=False)
for _console in (OUTPUT, _MESSAGES):
    _console.push_render_hook(_PrintableOnly())

_Json = Annotated[
    bool, typer.Option("--json", help="Answer with one JSON document on standard output; text goes to standard error.")
]
_Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors, and what --json asks for.")]
_OPTIONS = {"as_json": _Json, "quiet": _Quiet}


def reports_faults(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --json and --quiet, and let it end as all do.

    Faults of the input end with one line and status 2, those of ours with status 1; ``typer.Exit(status)`` is for all
    else. What was answered until then (see `answers`) is the document of --json.
    """

    @functools.wraps(command)
    def run(*args: Any, as_json: bool = False, quiet: bool = False, **kwargs: Any) -> None:
        status, fault = int(Status.DONE), None
        # Of several processes the first one speaks.
        is_first = place()[0] == 0
        as_json, quiet = as_json and is_first, quiet or not is_first
        out = sys.stdout
        with answering(command.__name__) as current, raising_at_sigterm():
            try:
                with _channels(as_json, quiet), warnings.catch_warnings():
                    warnings.showwarning = _show_warning
                    _check_processes(command.__name__)
                    command(*args, **kwargs)
            except typer.Exit as ended:
                status = ended.exit_code
            except (Exception, KeyboardInterrupt, SystemExit) as error:
                if isinstance(error, SystemExit) and signal_of(error) is None:
                    raise
                fault = fault_of(error)
                status = fault.status
        if fault is not None and (is_first or fault.kind in ("failure", "memory")):
            report_fault(fault)
        if as_json:
            send(current.document(status) if fault is None else error_document(command.__name__, fault, current), out)
        if status:
            raise typer.Exit(status)

    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(name, keyword, default=False, annotation=of) for name, of in _OPTIONS.items()]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return run


def _check_processes(command: str) -> None:
    """Raise if several processes are to do what one does."""
    if is_shared() and command != "fit":
        raise ValueError(
            f"several processes share a fit: got {place()[1]} that torchrun has started for {command!r}, expected one. "
            f"Call identirep {command} without torchrun."
        )


def report_fault(fault: Fault) -> None:
    """Print an error in one line, after the traceback if that was asked for."""
    sys.stderr.write(printable(fault.trace))
    label = {"failure": "Failure: ", "interrupted": "", "terminated": ""}.get(fault.kind, "Error: ")
    _MESSAGES.print(Text.assemble((label, "bold red"), fault.message), soft_wrap=True)


@contextmanager
def _channels(as_json: bool, quiet: bool) -> Iterator[None]:
    """Leave standard output to the document, whoever prints; when quiet, let nothing through but errors."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        kept = OUTPUT.quiet, _MESSAGES.quiet
        OUTPUT.quiet, _MESSAGES.quiet = quiet or kept[0], quiet or kept[1]
        try:
            with redirect_stdout(nowhere if quiet else sys.stderr if as_json else sys.stdout):
                yield
        finally:
            OUTPUT.quiet, _MESSAGES.quiet = kept


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a spinner while something takes its time; nothing where nobody watches."""
    with _MESSAGES.status(cell(f"{what} ...")):
        yield


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar with the time left; yields what to call with a description as each part ends."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=_MESSAGES, disable=total == 0) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, advance=1, description=printable(text))


def say(text: str = "", style: str | None = None) -> None:
    """Print a line of results, names in it as they are."""
    OUTPUT.print(Text(text, style=style or ""), soft_wrap=True)


def remark(text: str) -> None:
    """Print what is to be known about the data or the result, and keep it for the document."""
    if noted(text := in_words_of_options(readable(text))):
        say(text)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning of the library for people: without the line of code that it comes from."""
    if noted(text := in_words_of_options(readable(str(message)))):
        _MESSAGES.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)
