"""Commands that are cut off: Ctrl-C and SIGTERM say in one line what was kept, and end with status 130 and 143."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import typer

from identirep.cli.console import printable, quoted, say
from identirep.scratch import new_place, raising_at_sigterm

__all__ = ["command_line", "ends_when_cut_off", "kept_work"]

P = ParamSpec("P")


def ends_when_cut_off(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command that keeps nothing of unfinished work say so when it is cut off."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with raising_at_sigterm():
            try:
                command(*args, **kwargs)
            except (KeyboardInterrupt, SystemExit) as error:
                if (status := _status(error)) is None:
                    raise
                _tell(f"{_WORDS[status]}: nothing was kept, and files are as they were.")
                raise typer.Exit(status) from None

    return run


@contextmanager
def kept_work(target: Path, resume: bool, command: dict[str, Any]) -> Iterator[Any]:
    """Yield the checkpoint of a command for a target, which is removed at the end of the block.

    If the block is cut off, all is written, and the command that goes on is printed. None where nothing can be kept.
    """
    from identirep.checkpoint_files import checkpoints_of
    from identirep.checkpoints import Checkpoint
    from identirep.recording import is_shared

    if is_shared():
        if resume:
            raise ValueError(
                "--resume is for one process: got several that torchrun has started, expected one. Leave it out."
            )
        yield None
        return
    target = target.resolve()
    found = checkpoints_of(target)
    if resume and not found:
        say("No checkpoint is there: the fit starts from the beginning.")
    if found and not resume:
        say("Work of a fit that was cut off is kept: --resume goes on from it. Without it, this one starts anew.")
    checkpoint = Checkpoint(new_place(target.parent), target.name, found if resume else (), command)
    try:
        yield checkpoint
    except (KeyboardInterrupt, SystemExit) as error:
        if (status := _status(error)) is None:
            raise
        try:
            kept = checkpoint.flush()
        except OSError as fault:
            kept, why = None, f" ({fault.strerror or fault})"
        else:
            why = ""
        if kept is None:
            _tell(f"{_WORDS[status]}: nothing was kept{why}, and files are as they were.")
        else:
            _tell(f"{_WORDS[status]}: the work is kept. Go on with: {command_line('--resume')}")
        raise typer.Exit(status) from None
    except (OSError, MemoryError):
        if checkpoint.flush() is not None:
            _tell(f"The work is kept. Go on with: {command_line('--resume')}")
        raise
    else:
        checkpoint.found = checkpoints_of(target)
        checkpoint.remove()
    finally:
        checkpoint.close()


def command_line(*more: str) -> str:
    """Return the command that was called, as a shell takes it, with more options."""
    words = ["identirep", *sys.argv[1:]]
    return " ".join(map(quoted, [*words, *(word for word in more if word not in words)]))


_WORDS = {128 + signal.SIGINT: "Interrupted", 128 + signal.SIGTERM: "Terminated"}


def _status(error: BaseException) -> int | None:
    """Return the exit status of what a signal has raised; None for anything else."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    status = 128 + signal.SIGTERM
    return status if isinstance(error, SystemExit) and error.code == status else None


def _tell(text: str) -> None:
    typer.echo(printable(text), err=True)
