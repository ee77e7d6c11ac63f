"""Commands that are cut off: Ctrl-C and SIGTERM say in one line what was kept, and end with status 130 and 143."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from identirep.cli.console import say
from identirep.cli.faults import CutOffError, cut_off, signal_of
from identirep.cli.words import printable, quoted
from identirep.processes import is_shared, place
from identirep.scratch import new_place

__all__ = ["command_line", "kept_work"]


@contextmanager
def kept_work(target: Path, resume: bool, command: dict[str, Any]) -> Iterator[Any]:
    """Yield the checkpoint of a command for a target, which is removed at the end of the block.

    If the block is cut off, all is written, and the command that goes on is printed. None where nothing can be kept.
    """
    from identirep.checkpoint_files import checkpoints_of
    from identirep.checkpoints import Checkpoint, FollowedCheckpoint

    if place()[0]:
        # The first process keeps all work.
        yield FollowedCheckpoint()
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
        if (status := signal_of(error)) is None:
            raise
        try:
            kept = checkpoint.flush()
        except OSError as fault:
            kept, why = None, f" ({fault.strerror or fault})"
        else:
            why = ""
        if kept is None:
            raise CutOffError(cut_off(status, f"nothing was kept{why}, and files are as they were.")) from None
        goes_on = command_line("--resume")
        raise CutOffError(cut_off(status, f"the work is kept. Go on with: {goes_on}", goes_on)) from None
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
    launch = ["torchrun", "--nproc_per_node", str(place()[1]), "--no-python"] if is_shared() else []
    words = [*launch, "identirep", *sys.argv[1:]]
    return " ".join(map(quoted, [*words, *(word for word in more if word not in words)]))


def _tell(text: str) -> None:
    typer.echo(printable(text), err=True)
