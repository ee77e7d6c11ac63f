"""Directories beside what is replaced, in which it is written first; those of killed writers go with the next write.

One is ours if it holds our signature, and its writer lives as long as it holds the lock on that file, which the
operating system gives back however a process ends. Anything else is left alone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "KEPT",
    "OLD",
    "lock",
    "new_place",
    "places",
    "raising_at_sigterm",
    "restorable",
    "scratch",
    "signed",
    "swept",
]
__all__ += ["taking_turns"]

# In a scratch directory: what a writer has moved out of the way.
OLD = "old"

_PREFIX, _OWNER = ".identirep-", "owner"
_SIGNATURE = b"Work of identirep that is not finished; it may be deleted once no process writes to: "
# Replacing takes milliseconds; who waits longer waits for a stranger's lock.
_LONGEST_TURN = 30.0
# In a directory of another kind: what signs a checkpoint.
KEPT = "checkpoint"


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Yield a new directory beside `target`, gone after the block, be it by an error, SIGTERM or Ctrl-C."""
    place = new_place(target.parent)
    with raising_at_sigterm():
        owner = None
        try:
            owner = signed(place, _OWNER, _SIGNATURE + os.fsencode(target.name))
            yield place
        finally:
            if owner is not None and sys.platform == "win32":
                os.close(owner)
            _give_up(place, target)
            if owner is not None and sys.platform != "win32":
                os.close(owner)


def signed(place: Path, owner: str, signature: bytes) -> int:
    """Make a directory with a signed file in it, as nobody else does at that moment; return the file, open and locked.

    What has no signature yet may be swept away meanwhile; then it is made once more.
    """
    while True:
        place.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(place / owner, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        except FileNotFoundError:
            continue
        try:
            while lock(descriptor) is False:
                time.sleep(0.001)
            os.write(descriptor, signature)
            if sys.platform == "win32" or os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def new_place(directory: Path) -> Path:
    """Return a name for a directory of ours that nothing has yet."""
    return directory / f"{_PREFIX}{secrets.token_hex(8)}"


@contextmanager
def taking_turns(directory: Path) -> Iterator[None]:
    """Let one process or thread at a time replace entries of a directory, where the operating system has locks."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        # Windows opens no directories, and some that may be written to may not be read.
        yield
        return
    try:
        end = time.monotonic() + _LONGEST_TURN
        while lock(descriptor) is False and time.monotonic() < end:
            time.sleep(0.002)
        yield
    finally:
        os.close(descriptor)


def restorable(target: Path) -> Path | None:
    """Return what a writer, alive or killed, has moved away to replace it, if it is not yet replaced."""
    for place in places(target.parent):
        if _target(place) == target.name and (place / OLD).is_dir() and not os.path.lexists(target):
            return place / OLD
    return None


def swept(directory: Path) -> None:
    """Remove what killed writers have left in a directory, and put back what they had moved away; in one's turn."""
    for place in places(directory):
        try:
            # Nothing in it: one that was about to be signed, or of which all but itself is removed.
            place.rmdir()
        except OSError:
            for owner in (_OWNER, KEPT):
                _sweep(place, owner)


def _sweep(place: Path, owner: str) -> None:
    try:
        descriptor = os.open(place / owner, os.O_RDONLY)
    except OSError:
        return
    try:
        if not lock(descriptor):
            return
        if os.fstat(descriptor).st_size == 0 and not place.is_symlink() and list(place.iterdir()) == [place / owner]:
            # Its writer was about to sign.
            _remove(place)
        elif owner == _OWNER and (name := _target(place)) is not None:
            _give_up(place, place.parent / name)
    except OSError:
        return
    finally:
        os.close(descriptor)


def places(directory: Path) -> list[Path]:
    """List what has a name like ours, which proves nothing."""
    try:
        with os.scandir(directory) as entries:
            return [Path(entry) for entry in entries if entry.name.startswith(_PREFIX)]
    except OSError:
        return []


def _target(place: Path) -> str | None:
    """Return the name of what a scratch directory is for, None if it is not ours."""
    owner = place / _OWNER
    try:
        text = owner.read_bytes() if owner.is_file() and not place.is_symlink() else b""
    except OSError:
        return None
    name = os.fsdecode(text[len(_SIGNATURE) :])
    return name if text.startswith(_SIGNATURE) and os.path.basename(name) == name else None


def lock(descriptor: int) -> bool | None:
    """Try to lock an open file until it is closed; False if another has it locked, None where there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _give_up(place: Path, target: Path) -> None:
    """Remove a directory of ours, what was moved away to replace it put back if nothing has."""
    if (place / OLD).is_dir() and not os.path.lexists(target):
        try:
            (place / OLD).rename(target)
        except OSError:
            # It is read from there, and the next writer tries again.
            return
    _remove(place)


def _remove(place: Path) -> None:
    """Remove a directory of ours, the signature last; folders that may not be written to are no obstacle."""
    for path in list(place.iterdir()) if place.is_dir() else []:
        if path.name == _OWNER:
            continue
        for folder, _, _ in os.walk(path):
            os.chmod(folder, 0o700)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)


@contextmanager
def raising_at_sigterm() -> Iterator[None]:
    """Let SIGTERM end a block as an exception does, unless the program has its own way to handle it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    ends: list[SystemExit] = []

    def stop(number: int, _: Any) -> None:
        ends.append(SystemExit(128 + number))
        raise ends[-1]

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except Exception:
        # Where classes are made, as in imports, Python puts an error of its own in the place of it.
        if ends:
            raise ends[-1] from None
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
