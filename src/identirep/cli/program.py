"""The program around the commands: faults in how it was called, and readers of its output that have gone."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from identirep.cli.answers import called_with, error_document, send
from identirep.cli.console import report_fault
from identirep.cli.faults import Fault, Status, fault_of

__all__ = ["Program"]

_JSON = "--json"


class Program(TyperGroup):
    """The group of all commands."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command to its end, whether or not anybody reads what it says."""
        with _lasting_streams() as streams:
            try:
                return super().main(*args, **kwargs)
            except SystemExit as ended:
                # A disk that is full shows when what was printed is written, at the end.
                if (errors := [error for stream in streams if (error := stream.finished())]) and not ended.code:
                    report_fault(fault_of(errors[0]))
                    raise SystemExit(int(Status.USER_INPUT)) from None
                raise

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the options before a command."""
        wanted = _JSON in args[: args.index("--") if "--" in args else None]
        called_with(args)
        with _usage_as_document(wanted):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_JSON] = wanted
        return context

    def invoke(self, ctx: Any) -> Any:
        """Parse the options of a command, and run it."""
        with _usage_as_document(ctx.meta[_JSON]):
            return super().invoke(ctx)


@contextmanager
def _usage_as_document(wanted: bool) -> Iterator[None]:
    """Answer with a document where options are wrong and no command has come to run; typer prints the rest."""
    try:
        yield
    except Exception as error:
        # Typer has these of click, or, from some version on, of its own.
        if wanted and not isinstance(error, typer.Exit) and hasattr(error, "format_message"):
            context = getattr(error, "ctx", None)
            command = context.info_name if context is not None and context.parent is not None else None
            fault = Fault("usage", " ".join(error.format_message().split()), int(Status.USER_INPUT))
            send(error_document(command, fault), sys.stdout)
        raise


class _LastingStream:
    """A stream that goes on, to nowhere, when what it writes to has gone: a fit is not lost because of ``head``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or nothing once that has failed."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is still held."""
        self._try(self._stream.flush)

    def finished(self) -> OSError | None:
        """Return what has gone wrong, but for readers that had read enough."""
        self.flush()
        return None if self._error is None or self._error.errno == errno.EPIPE else self._error

    def _try(self, do: Any) -> None:
        if self._error is not None:
            return
        try:
            do()
        except OSError as error:
            self._error = error
            # What is held would be written at the end of the process, and fail again.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def _lasting_streams() -> Iterator[list[_LastingStream]]:
    """Replace the standard streams by such that last."""
    kept = sys.stdout, sys.stderr
    streams = [None if stream is None else _LastingStream(stream) for stream in kept]
    sys.stdout, sys.stderr = streams  # type: ignore[assignment]
    try:
        yield [stream for stream in streams if stream is not None]
    finally:
        sys.stdout, sys.stderr = kept
