"""What a command answers a machine: one JSON document, described key by key in ``docs/json.md``.

Commands add what they found with `answer`, files with `wrote`, sentences with `noted`, and commands to go on with
`suggested`. `reports_faults` makes a document of it, whether or not anybody asked for one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from identirep.cli.faults import Fault
from identirep.cli.words import quoted

__all__ = ["FORMAT_VERSION", "Answer", "answer", "answering", "as_document", "called_with", "command_line"]
__all__ += ["error_document", "noted", "remarks_so_far", "send", "suggested", "wrote"]

# Raised when a key changes its meaning or goes; new keys may come at any time.
FORMAT_VERSION = 1


@dataclass
class Answer:
    """What a command has answered so far."""

    command: str
    found: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    next: list[str] = field(default_factory=list)

    def document(self, status: int) -> dict[str, Any]:
        """Return the document of a command that has come to its end."""
        rest = {"remarks": self.remarks, "written": self.written, "next": self.next}
        return _head(self.command, status) | self.found | rest


_CURRENT: ContextVar[Answer | None] = ContextVar("answer", default=None)
_ARGUMENTS: ContextVar[tuple[str, ...]] = ContextVar("arguments", default=())


@contextmanager
def answering(command: str) -> Iterator[Answer]:
    """Collect what is answered while a command runs."""
    current = Answer(command)
    token = _CURRENT.set(current)
    try:
        yield current
    finally:
        _CURRENT.reset(token)


def answer(**found: Any) -> None:
    """Add entries to the document of the running command: arrays, paths, NaN and the like may be in them."""
    if (current := _CURRENT.get()) is not None:
        current.found |= found


def remarks_so_far() -> list[str]:
    """Return what the running command has remarked upon."""
    current = _CURRENT.get()
    return [] if current is None else list(current.remarks)


def called_with(arguments: Sequence[str]) -> None:
    """Remember what the command line was called with."""
    _ARGUMENTS.set(tuple(arguments))


def command_line() -> str:
    """Return the running command as a shell takes it."""
    return " ".join(["identirep", *map(quoted, _ARGUMENTS.get())])


def noted(remark: str) -> bool:
    """Add a sentence to the remarks of the document; tell whether it is a new one, which people have not read yet."""
    if (current := _CURRENT.get()) is None:
        return True
    if is_new := remark not in current.remarks:
        current.remarks.append(remark)
    return is_new


def suggested(command: str) -> str:
    """Add a command, quoted as a shell takes it, to the next ones of the document, and return it for people."""
    if (current := _CURRENT.get()) is not None:
        current.next.append(command)
    return command


def wrote(path: Path) -> Path:
    """Add a file or a directory to what the document lists as written, and return it."""
    if (current := _CURRENT.get()) is not None:
        current.written.append(str(path))
    return path


def error_document(command: str | None, fault: Fault, done: Answer | None = None) -> dict[str, Any]:
    """Return the document of a command that has failed, with what it wrote before."""
    error = {"kind": fault.kind, "message": fault.message}
    remarks, written = ([], []) if done is None else (done.remarks, done.written)
    document = _head(command, fault.status) | {"error": error, "remarks": remarks, "written": written}
    return document | ({"next": [fault.next]} if fault.next else {})


def as_document(document: Mapping[str, Any]) -> str:
    """Write a document: in ASCII, so that neither a terminal nor an encoding changes a name; null for what is NaN."""
    return json.dumps(_plain(document), indent=2, ensure_ascii=True, allow_nan=False)


def send(document: Mapping[str, Any], out: TextIO | None) -> None:
    """Write a document to standard output, if that is open."""
    if out is not None:
        out.write(as_document(document) + "\n")
        out.flush()


def _head(command: str | None, status: int) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "format_version": FORMAT_VERSION,
        "identirep": version("identirep"),
        "command": command,
        "exit_status": int(status),
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: lists for arrays, null for numbers that are not finite, texts for all else."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value)
