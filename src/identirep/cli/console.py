"""What all commands share: where text goes, progress, and exit statuses."""

from __future__ import annotations

import functools
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Any, ParamSpec

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

__all__ = [
    "CHECK_FAILED",
    "OUTPUT",
    "cell",
    "in_words_of_options",
    "printable",
    "progress",
    "quoted",
    "reports_faults",
    "say",
    "working",
]

_USER_INPUT, _OUR_FAILURE = 2, 1
# Exit status of a check that found something: an axis with a name is lost, axes have moved.
CHECK_FAILED = 3

# What a terminal would obey: control characters, marks that turn the direction of text, halves of characters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text in which what a terminal would obey is written out, such as \\x1b."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


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

P = ParamSpec("P")

# Messages of the library name its arguments; on the command line these are called otherwise.
_ARGUMENT = re.compile(r"^(\s*\d+\. |- |)(targets|tasks|features|drop|missing|n_components)\b", re.MULTILINE)
_PATH = re.compile(r"^path\b", re.MULTILINE)
_KEYWORDS = {"n_components": "--n-components", "n_checks": "--checks"}
_KEYWORDS |= {name: f"--{name}" for name in ("tasks", "drop", "missing", "order", "regressor")}
_REPLICATES = re.compile(r"MTRN\(n_replicates=(\d+)\)")
_KEYWORD = re.compile(rf"\b({'|'.join(_KEYWORDS)})=")


def reports_faults(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command end with one line and status 2 on faults of the input, and with status 1 on our own."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                command(*args, **kwargs)
        except typer.Exit:
            raise
        except (ValueError, OSError) as error:
            if not _is_about_input(error):
                _report_our_failure(error)
            _MESSAGES.print(Text.assemble(("Error: ", "bold red"), _text_of(error)), soft_wrap=True)
            raise typer.Exit(_USER_INPUT) from None
        except MemoryError:
            _MESSAGES.print("Error: the table is too large: memory is exhausted. Choose fewer columns.")
            raise typer.Exit(_USER_INPUT) from None
        except Exception as error:
            _report_our_failure(error)

    return run


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


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning of the library for people: without the line of code that it comes from."""
    text = in_words_of_options(str(message))
    _MESSAGES.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)


def _is_about_input(error: Exception) -> bool:
    """Tell our checks, which raise in this package, from numerical failures further down."""
    if isinstance(error, OSError):
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__", "")).startswith("identirep")


def _text_of(error: Exception) -> str:
    """Return the message in words of the command line; of errors of the operating system, the part for people."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: '{error.filename}'." if error.filename else f"{error.strerror}."
    text = _ARGUMENT.sub(lambda found: f"{found[1]}--{found[2].replace('_', '-')}", str(error))
    return in_words_of_options(_PATH.sub("DATA", text))


def in_words_of_options(text: str) -> str:
    """Return what the library says of its keywords with the options of the command line in their place."""
    text = _REPLICATES.sub(r"--replicates \1", text)
    return re.sub(r" +([;,.)]|$)", r"\1", _KEYWORD.sub(lambda found: f"{_KEYWORDS[found[1]]} ", text))


def _report_our_failure(error: Exception) -> None:
    sys.stderr.write(printable("".join(traceback.format_exception(error))))
    _MESSAGES.print(
        Text.assemble(
            ("Failure: ", "bold red"),
            f"{type(error).__name__} inside identirep, which is not your fault. Report it with the lines above.",
        ),
        soft_wrap=True,
    )
    raise typer.Exit(_OUR_FAILURE) from None


def quoted(text: str) -> str:
    """Return a name as a shell takes it; what a terminal would obey is written out, as the shell reads it back."""
    if printable(text) != text or "\n" in text:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"$'{printable(escaped).replace(chr(10), chr(92) + 'n')}'"
    return text if text.replace("_", "").replace(",", "").isalnum() else quote(text)
