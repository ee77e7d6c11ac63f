"""What went wrong in a command: whose fault it is, the exit status, and one message for people and machines."""

from __future__ import annotations

import dis
import os
import signal
import traceback
from dataclasses import dataclass
from enum import IntEnum

from identirep.cli.words import error_in_words
from identirep.divergence import DivergenceError
from identirep.wording import readable

__all__ = ["DEBUG_VARIABLE", "CutOffError", "Fault", "Status", "cut_off", "fault_of", "is_about_input", "signal_of"]

# Set to anything but 0, a failure of ours shows where it happened.
DEBUG_VARIABLE = "IDENTIREP_DEBUG"

# What has happened, by the exit status.
SIGNALS = {128 + signal.SIGINT: "Interrupted", 128 + signal.SIGTERM: "Terminated"}

_RAISE = dis.opmap["RAISE_VARARGS"]
# What this package raises on purpose; anything else that it raises is a check of its own that failed.
_ON_PURPOSE = (ValueError, TypeError, ImportError, RuntimeError)


class Status(IntEnum):
    """Exit statuses of all commands."""

    DONE = 0
    OUR_FAILURE = 1
    USER_INPUT = 2
    CHECK_FAILED = 3


@dataclass(frozen=True)
class Fault:
    """An error as it is reported; `kind` is "usage", "input", "memory", "failure", "interrupted" or "terminated"."""

    kind: str
    message: str
    status: int
    trace: str = ""
    # The command that goes on with work that is kept.
    next: str = ""


class CutOffError(Exception):
    """A command that a signal has ended, with what is to be said of it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault_of(error: BaseException) -> Fault:
    """Tell faults of the input from failures of ours."""
    if isinstance(error, CutOffError):
        return error.fault
    if (status := signal_of(error)) is not None:
        return cut_off(status, "nothing was kept, and files are as they were.")
    if _is_about_memory(error):
        return Fault("memory", "the table is too large: memory is exhausted. Choose fewer columns.", Status.USER_INPUT)
    if is_about_input(error):
        return Fault("input", _text_of(error), Status.USER_INPUT)
    what = " ".join(readable(str(error)).split())
    message = (
        f"{type(error).__name__} inside identirep, which is not your fault{f' ({what})' if what else ''}. Run it again "
        f"with {DEBUG_VARIABLE}=1 for the traceback, and report that."
    )
    asked = os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
    trace = readable("".join(traceback.format_exception(error))) if asked else ""
    return Fault("failure", message, Status.OUR_FAILURE, trace)


def cut_off(status: int, what: str, command: str = "") -> Fault:
    """Return the fault of a command that Ctrl-C or SIGTERM has ended, which another command may go on with."""
    return Fault(SIGNALS[status].lower(), f"{SIGNALS[status]}: {what}", status, next=command)


def signal_of(error: BaseException) -> int | None:
    """Return the exit status of what Ctrl-C or SIGTERM has raised; None for anything else."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    status = 128 + signal.SIGTERM
    return status if isinstance(error, SystemExit) and error.code == status else None


def is_about_input(error: BaseException) -> bool:
    """Tell what this package raises on purpose, and files that are not as they should be, from failures."""
    if isinstance(error, (OSError, DivergenceError)):
        return True
    if not isinstance(error, _ON_PURPOSE):
        return False
    if error.__traceback__ is None:
        # Of another process, where only a missing extra can be told by its type.
        return isinstance(error, ImportError)
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    frame = last.tb_frame
    is_ours = str(frame.f_globals.get("__name__", "")).split(".")[0] == "identirep"
    # C functions have no frame of their own: what they raise shows as an instruction of ours that is no raise.
    return is_ours and frame.f_code.co_code[last.tb_lasti] == _RAISE


def _is_about_memory(error: BaseException) -> bool:
    """Whether memory ran out, which torch says with errors of other types."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error))
    )


def _text_of(error: BaseException) -> str:
    """Return the message in words of the command line; of errors of the operating system, the part for people."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: '{error.filename}'." if error.filename else f"{error.strerror}."
    return error_in_words(readable(str(error)))
