"""Directories that are replaced as a whole: a crash leaves the old one or the new one, never a mixture."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MODEL_FILE", "check_target", "current", "recover", "replaced_directory"]

# What makes a directory a run directory.
MODEL_FILE = "model.json"


def check_target(directory: str | Path) -> None:
    """Raise if a run directory cannot be written there, so that nobody waits for a fit in vain."""
    directory = Path(directory).absolute()
    if directory.is_dir():
        if any(directory.iterdir()) and not (directory / MODEL_FILE).is_file():
            raise ValueError(
                f"'{directory}' holds other files: got a directory that is neither empty nor a run, expected a new "
                "name or a run to replace. Choose another directory."
            )
        if Path.cwd().is_relative_to(directory.resolve()):
            raise ValueError(
                f"'{directory}' is the working directory: got a directory in use, expected one that can be replaced as "
                "a whole. Choose a directory below it."
            )
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(
            f"'{existing}' is a file: got a file, expected a directory to write to. Choose another name."
        )
    # What is replaced is renamed by its parent.
    holder = directory.resolve().parent if existing == directory else existing
    if not os.access(holder, os.W_OK | os.X_OK):
        raise PermissionError(
            f"'{holder}' is not writable: got no permission, expected to write there. Choose another."
        )


@contextmanager
def replaced_directory(directory: str | Path) -> Iterator[Path]:
    """Yield a copy of a run directory to write to, which takes its place at the end, or never on an error."""
    check_target(directory)
    directory = Path(directory).resolve()
    recover(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    try:
        if directory.exists():
            shutil.copytree(directory, staging)
        else:
            staging.mkdir()
        yield staging
        _swap(staging, directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _previous(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.previous")


def _swap(staging: Path, directory: Path) -> None:
    previous = _previous(directory)
    if directory.exists():
        directory.rename(previous)
    try:
        staging.rename(directory)
    except OSError:
        recover(directory)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def current(directory: Path) -> Path:
    """Return where a run directory is read: a crash between the two renames of a swap leaves it under another name."""
    if not directory.exists() and (previous := _previous(directory.resolve())).exists():
        return previous
    return directory


def recover(directory: Path) -> None:
    """Undo what a crash between the two renames of a swap has left; for those who write."""
    previous = _previous(directory.resolve())
    if not previous.exists():
        return
    if directory.exists():
        shutil.rmtree(previous, ignore_errors=True)
    else:
        previous.rename(directory)
