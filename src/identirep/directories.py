"""Run directories that are replaced as a whole: a crash leaves the old one or the new one, never a mixture."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from identirep.scratch import OLD, restorable, scratch, swept, taking_turns

__all__ = ["ARRAYS_FILE", "ESTIMATOR_FILE", "HISTORY_FILE", "MODEL_FILE"]
__all__ += ["check_room", "check_target", "current", "recover", "replaced_directory", "state"]

MODEL_FILE, ARRAYS_FILE, HISTORY_FILE = "model.json", "model.safetensors", "history.parquet"
ESTIMATOR_FILE = "estimator.skops"

# A run takes a few hundred kilobytes, its report up to 1.5 MB.
_ROOM = 10_000_000
_MOUNTS = Path("/proc/self/mountinfo")


def check_target(directory: str | Path) -> None:
    """Raise if a run directory cannot be written there, so that nobody waits for a fit in vain."""
    directory = _checked_in_turn(directory)
    # What is replaced is renamed by its parent.
    check_room(directory.parent, directory.name)


def check_room(directory: Path, name: str = "run") -> None:
    """Raise if nothing of that name can be put into a directory, which may have to be made."""
    holder = _existing(directory)
    if (free := shutil.disk_usage(holder).free) < _ROOM:
        raise OSError(
            f"'{holder}' has no room: got {free / 1e6:.1f} MB free, expected at least {_ROOM / 1e6:.0f} MB. Make room, "
            "or choose another directory."
        )
    # File systems that are read-only, quotas, and names that are too long show when it is tried.
    with scratch(holder / "run") as place:
        (place / name).mkdir()


def _existing(directory: Path) -> Path:
    """Return the directory, or the nearest above that exists, if it may be written to."""
    existing = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise NotADirectoryError(
            f"'{existing}' is a file: got a file, expected a directory to write to. Choose another name."
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(
            f"'{existing}' is not writable: got no permission, expected to write there. Choose another."
        )
    return existing


@contextmanager
def replaced_directory(directory: str | Path) -> Iterator[Path]:
    """Yield an empty directory to write a run to, which takes the place of another at the end, or never on an error.

    Files there that are not of the run stay; they are linked, not copied.
    """
    directory = _checked_in_turn(directory)
    _existing(directory.parent)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with scratch(directory) as place:
        new = place / "new"
        new.mkdir()
        yield new
        with taking_turns(directory.parent):
            swept(directory.parent)
            _swap(new, _checked(directory), place / OLD)


def current(directory: Path) -> Path:
    """Return where a run directory is read: between the two renames of a swap it has another name."""
    resolved = directory.resolve()
    return directory if resolved.exists() else restorable(resolved) or directory


def state(directory: Path) -> tuple[int, ...] | None:
    """Return what changes when a run is replaced; None if there is none."""
    try:
        holder, found = directory.stat(), (directory / MODEL_FILE).stat()
    except OSError:
        return None
    return holder.st_dev, holder.st_ino, found.st_ino, found.st_mtime_ns, found.st_size


def recover(directory: Path) -> None:
    """Undo what a crash between the two renames of a swap has left; for those who write."""
    parent = directory.resolve().parent
    with taking_turns(parent):
        swept(parent)


def _checked_in_turn(directory: str | Path) -> Path:
    """Check a directory while nobody replaces it."""
    with taking_turns(Path(os.path.realpath(directory)).parent):
        return _checked(directory)


def _checked(directory: str | Path) -> Path:
    """Return where a run directory is, links followed, if what is there may be replaced."""
    given, directory = directory, Path(os.path.realpath(directory))
    if directory.is_symlink():
        raise ValueError(
            f"'{given}' is a circle of links: got links that lead nowhere, expected a directory. Choose another name."
        )
    if not directory.is_dir():
        if os.path.lexists(directory):
            raise NotADirectoryError(
                f"'{directory}' is a file: got a file, expected a directory to write to. Choose another name."
            )
        return directory
    if any(directory.iterdir()) and _document(directory) is None:
        raise ValueError(
            f"'{directory}' holds other files: got a directory that is neither empty nor a run (a {MODEL_FILE} with "
            "the format_version of identirep), expected a new name or a run to replace. Choose another directory."
        )
    if Path.cwd().is_relative_to(directory):
        raise ValueError(
            f"'{directory}' is the working directory: got a directory in use, expected one that can be replaced as "
            "a whole. Choose a directory below it."
        )
    if mounted := [path for path in _mount_points(directory) if path.is_relative_to(directory)]:
        raise ValueError(
            f"'{mounted[0]}' is a mount point: got a file system of its own, expected a directory that can be replaced "
            f"as a whole. Choose {'a directory below it' if mounted[0] == directory else 'another directory'}."
        )
    return directory


def _mount_points(directory: Path) -> list[Path]:
    """List what is mounted where, the directory itself if it is on another device than its parent."""
    found = [directory] if os.path.ismount(directory) else []
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        # Only Linux tells.
        return found
    return found + [Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4])) for line in lines]


def _document(directory: Path) -> dict[str, Any] | None:
    """Return ``model.json`` of a run; None if there is none, or one that is not ours."""
    path = directory / MODEL_FILE
    try:
        document = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("versions"), dict):
        return None
    is_ours = type(document.get("format_version")) is int and "identirep" in document["versions"]
    return document if is_ours else None


def _swap(new: Path, directory: Path, old: Path) -> None:
    if not directory.exists():
        new.rename(directory)
        return
    swept(directory)
    _keep_others(directory, new)
    # If the second one fails, or a signal comes in between, leaving the scratch directory undoes the first.
    directory.rename(old)
    new.rename(directory)
    # What has come in between.
    _keep_others(old, directory)


def _keep_others(old: Path, new: Path) -> None:
    """Link into `new` what lies in `old` and is neither of its run nor of the new one."""
    document = _document(old) or {}
    ours = {MODEL_FILE, ARRAYS_FILE} if document else set()
    ours |= {HISTORY_FILE} if document.get("has_history") else set()
    ours |= {ESTIMATOR_FILE} if document.get("estimator_sha256") else set()
    taken = ours | {path.name for path in new.iterdir()}

    def left_out(folder: str, names: list[str]) -> set[str]:
        return taken & set(names) if Path(folder) == old else set()

    shutil.copytree(old, new, symlinks=True, ignore=left_out, copy_function=_linked, dirs_exist_ok=True)
    # It is new, even if it has the permissions of the old one.
    os.utime(new)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        # Some file systems have no links, and some files of others may not be linked to.
        shutil.copy2(source, target, follow_symlinks=False)
