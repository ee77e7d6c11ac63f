"""Directories of checkpoints: ours by their signature, in use while they are locked, each file whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identirep.run_files import damaged
from identirep.scratch import KEPT, lock, places, signed

__all__ = ["CheckpointFiles", "Entry", "checkpoints_of", "target_of"]

FORMAT_VERSION = 1
_SIGNATURE = b"Checkpoint of identirep, to go on from; it may be deleted once no process writes to: "
# Names of what is written here: whatever else lies in such a directory is not ours.
_OURS = re.compile(r"\d+-(fit|run|\d{4,})(-[0-9a-f]{8})?(\.json|\.safetensors)?(\.tmp)?")


@dataclass(frozen=True)
class Entry:
    """One piece of work: what JSON can hold, and the bytes of a safetensors file."""

    content: dict[str, Any]
    payload: bytes = b""


def target_of(path: Path) -> str | None:
    """Return the name of what a checkpoint is for; None if the directory is none of ours."""
    owner = path / KEPT
    try:
        text = owner.read_bytes() if owner.is_file() and not path.is_symlink() else b""
    except OSError:
        return None
    return os.fsdecode(text[len(_SIGNATURE) :]) if text.startswith(_SIGNATURE) else None


def checkpoints_of(target: Path) -> list[Path]:
    """List the checkpoints beside a run directory that are for it, the newest first."""
    found = [path for path in places(target.parent) if target_of(path) == target.name]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


class CheckpointFiles:
    """The files of one checkpoint, which nobody else may write to while it is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def made(cls, path: Path, target: str) -> CheckpointFiles:
        """Make a checkpoint for a target, in a new or empty directory."""
        try:
            return cls(path, signed(path, KEPT, _SIGNATURE + os.fsencode(target)))
        except FileExistsError:
            raise ValueError(
                f"'{path}' is in use: got a checkpoint that another fit has begun meanwhile, expected a directory for "
                "this one alone. Choose another name."
            ) from None

    @classmethod
    def opened(cls, path: Path) -> CheckpointFiles | None:
        """Open a checkpoint; None if another process has it open."""
        if target_of(path) is None:
            raise ValueError(
                f"'{path}' is no checkpoint: got other files, expected a new directory or one that a fit has kept its "
                "work in. Choose another name."
            )
        descriptor = os.open(path / KEPT, os.O_RDWR)
        if lock(descriptor) is False:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def names(self) -> list[str]:
        """List the entries."""
        return sorted(path.stem for path in self.path.glob("*.json"))

    def read(self, name: str) -> Entry | None:
        """Return an entry as it was written; None if there is none."""
        path = self.path / f"{name}.json"
        if not path.is_file():
            return None
        try:
            document = json.loads(path.read_bytes())
            entry, digest = document["entry"], document["sha256"]
            content, payload, file, version = entry["content"], b"", entry["payload"], int(entry["format_version"])
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            raise damaged(path, f"no valid JSON of a checkpoint ({error})") from None
        if digest != _digest(entry):
            raise damaged(path, "another SHA-256 than it says")
        if version > FORMAT_VERSION:
            raise ValueError(
                f"'{path}' has a newer format: got version {version}, expected at most {FORMAT_VERSION}. Upgrade "
                "identirep."
            )
        if file is not None:
            held = self.path / file["name"]
            payload = held.read_bytes() if held.is_file() else b""
            if hashlib.sha256(payload).hexdigest() != file["sha256"]:
                raise damaged(held, "another SHA-256" if payload else "no file")
        return Entry(content, payload)

    def write(self, name: str, entry: Entry) -> None:
        """Write an entry; whenever this is cut off, there is the one before or the new one."""
        file = None
        if entry.payload:
            file = {
                "name": f"{name}-{secrets.token_hex(4)}.safetensors",
                "sha256": hashlib.sha256(entry.payload).hexdigest(),
            }
            _written(self.path / file["name"], entry.payload)
        document = {"format_version": FORMAT_VERSION, "content": entry.content, "payload": file}
        text = json.dumps({"entry": document, "sha256": _digest(document)}, indent=1)
        _written(self.path / f"{name}.json", text.encode())
        for path in self.path.glob(f"{name}-*.safetensors"):
            if file is None or path.name != file["name"]:
                path.unlink()

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Yield a new directory, which becomes the entry of that name if nothing goes wrong."""
        place, target = self.path / f"{name}-{secrets.token_hex(4)}", self.path / name
        place.mkdir()
        try:
            yield place
            if not target.exists():
                place.rename(target)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Remove all of it, the signature last, so that what is left by a kill is known to be ours."""
        for path in self.path.iterdir() if self.path.is_dir() else ():
            if not _OURS.fullmatch(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if sys.platform == "win32":
            self.close()
        if [path.name for path in self.path.iterdir()] == [KEPT]:
            shutil.rmtree(self.path, ignore_errors=True)
        self.close()


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _written(path: Path, data: bytes) -> None:
    """Put a file in its place once it is on the disk."""
    staging = path.with_name(f"{path.name}.tmp")
    with staging.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)
