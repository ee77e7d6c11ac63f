"""What a fit keeps of its work while it lasts, so that it can be cut off at any moment and go on, bit for bit.

A fit that goes on runs again from its start with the same seeds, but for what takes long: trainings of networks and
predictions of folds, which are numbered in the order in which they come. Each is taken from the checkpoint if it was
kept, whole or up to an epoch, and if it starts from the numbers that it started from then. Whether data, settings,
versions and machine are the same is looked at first, and a checkpoint of something else is refused.

Keeping costs less than a fiftieth of the time: the longer it takes, the less often it is done.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array
from identirep.checkpoint_files import CheckpointFiles, Entry
from identirep.mapped_rows import MappedRows
from identirep.processes import by_first, common_generator, of_first
from identirep.scratch import raising_at_sigterm

__all__ = ["Checkpoint", "FitRecord", "FollowedCheckpoint", "Step", "array_digest", "current_step", "kept_array"]

# Share of the time that keeping may take; seconds between looks at the work, and between writes.
_SHARE = 0.015
_PAUSE, _WRITE_PAUSE = 0.2, 5.0
_LIBRARIES = ("identirep", "numpy", "scipy", "scikit-learn", "torch")
_MOST_NAMED = 5

Take = Callable[[], Entry]


class Checkpoint:
    """The work of one fit, or of several with the same aim.

    It is kept in the directory `place`, made when there is something to keep, unless one of the directories `found` is
    of the same fit, which then goes on. `target` is the name of what is fitted, `command` what it was called with.
    """

    def __init__(
        self, place: Path, target: str, found: Sequence[Path] = (), command: Mapping[str, Any] | None = None
    ) -> None:
        self.place, self.target, self.found, self.command = place, target, list(found), dict(command or {})
        # When the work was kept that is gone on from.
        self.resumed: float | None = None
        self._files: CheckpointFiles | None = None
        self._pending: dict[str, Entry] = {}
        self._models: dict[str, Any] = {}
        self._next = time.monotonic()
        self._next_write = self._next + _WRITE_PAUSE

    def record(self, number: int, *, keeps_model: bool = False) -> FitRecord:
        """Return the record of one of its fits."""
        return FitRecord(self, number, keeps_model=keeps_model)

    def choose(self, name: str, header: dict[str, Any]) -> Entry | None:
        """Go on with the first of the directories found whose fit is the same; refuse if there are others only."""
        refused, in_use = None, None
        for path in self.found:
            if (files := CheckpointFiles.opened(path)) is None:
                in_use = path
                continue
            try:
                entry, written = files.read(name), path.stat().st_mtime
                if entry is None or not (differs := _differences(entry.content, header)):
                    for other in files.names():
                        files.read(other)
                    self._files, self.resumed = files, None if entry is None else written
                    return entry
                refused = refused or (path, differs)
            finally:
                if self._files is not files:
                    files.close()
        if refused is not None:
            raise other_fit(*refused)
        if in_use is not None:
            raise ValueError(
                f"'{in_use}' is in use: got a checkpoint that another process writes to, expected one whose fit was "
                "cut off. Wait for that process, or end it."
            )
        return None

    def keep(self, name: str, take: Take, *, always: bool = False) -> None:
        """Keep a piece of work if it is time for it, or in any case; it is written when that is due."""
        start = time.monotonic()
        if start < self._next and not always:
            return
        self._pending[name] = take()
        writes = start >= self._next_write
        if writes:
            self.flush()
        end = time.monotonic()
        self._next = end + max(_PAUSE, (end - start) / _SHARE)
        if writes:
            self._next_write = end + max(_WRITE_PAUSE, (end - start) / _SHARE)

    def keep_model(self, name: str, model: Any) -> None:
        """Keep a finished model."""
        self._models[name] = model
        if time.monotonic() >= self._next_write:
            self.flush()

    def read(self, name: str) -> Entry | None:
        """Return what was kept under a name."""
        return None if self._files is None else self._files.read(name)

    def model_of(self, name: str) -> Path | None:
        """Return the run directory of a model that was kept."""
        path = None if self._files is None else self._files.path / name
        return path if path is not None and path.is_dir() else None

    def flush(self) -> Path | None:
        """Write all that is kept; return where, None if there is nothing."""
        if self._files is None and any(not name.endswith("-fit") for name in (*self._pending, *self._models)):
            self._files = CheckpointFiles.made(self.place, self.target)
        if self._files is None:
            return None
        for name, entry in list(self._pending.items()):
            self._files.write(name, entry)
            del self._pending[name]
        for name, model in list(self._models.items()):
            # Regressors of the user that cannot be stored are fitted again.
            with suppress(TypeError), self._files.folder(name) as folder:
                model.save(folder)
            del self._models[name]
        return self._files.path

    def close(self) -> None:
        """Let go of the directory, which stays."""
        if self._files is not None:
            self._files.close()

    def remove(self) -> None:
        """Remove all that is kept, what others of the same target have left included."""
        self._pending.clear()
        self._models.clear()
        if self._files is not None:
            self._files.remove()
        for path in self.found:
            with suppress(ValueError, OSError):
                if (self._files is None or path != self._files.path) and (files := CheckpointFiles.opened(path)):
                    files.remove()
        self._files, self.found = None, []

    def drop(self) -> None:
        """Remove what this fit has kept, unless it went on from something that was there before."""
        self._pending.clear()
        self._models.clear()
        if self._files is not None and self.resumed is None:
            self._files.remove()
            self._files = None
        self.close()


class FollowedCheckpoint(Checkpoint):
    """The checkpoint of a process that is not the first: that one keeps all work, and says what it has read."""

    def __init__(self) -> None:
        super().__init__(Path(), "")

    def choose(self, name: str, header: dict[str, Any]) -> Entry | None:
        """Leave it to the first process."""
        return None

    def keep(self, name: str, take: Take, *, always: bool = False) -> None:
        """Leave it to the first process."""

    def keep_model(self, name: str, model: Any) -> None:
        """Leave it to the first process."""


class FitRecord:
    """What is kept of one of the fits of a checkpoint; with `keeps_model` its result as well."""

    def __init__(self, checkpoint: Checkpoint, number: int = 1, *, keeps_model: bool = False) -> None:
        self.checkpoint, self.number, self.keeps_model = checkpoint, number, keeps_model
        self._steps = 0

    def begin(self, header: dict[str, Any], rng: np.random.Generator, *, drawn: bool) -> None:
        """Compare what is fitted with what is kept; a generator that was `drawn` gets the state that it had then."""
        by_first(lambda: self._begin(header, rng, drawn=drawn))
        common_generator(rng)

    def _begin(self, header: dict[str, Any], rng: np.random.Generator, *, drawn: bool) -> None:
        name = f"{self.number}-fit"
        header = _plain({**header, "command": self.checkpoint.command, "versions": _versions(), "machine": _machine()})
        if self.number == 1:
            entry = self.checkpoint.choose(name, header)
        else:
            entry = self.checkpoint.read(name)
        if entry is not None and (differs := _differences(entry.content, header)):
            raise other_fit(self.checkpoint.place, differs)
        if entry is None:
            state = _plain(rng.bit_generator.state) if drawn else None
            self.checkpoint.keep(name, lambda: Entry({**header, "generator": state}), always=True)
        elif drawn:
            rng.bit_generator.state = entry.content["generator"]

    @property
    def model(self) -> Path | None:
        """Run directory of the result, if it is there."""
        return by_first(lambda: self.checkpoint.model_of(f"{self.number}-run"))

    def finish(self, model: Any) -> None:
        """Keep the result, if it is to be kept."""
        if self.keeps_model:
            self.checkpoint.keep_model(f"{self.number}-run", model)

    def step(self, what: str, about: Mapping[str, Any]) -> Step:
        """Return the next piece of work; `about` tells what it starts from."""
        self._steps += 1
        return Step(self.checkpoint, f"{self.number}-{self._steps:04d}", {"what": what, **about})

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Let the work of a block be kept, and written when the block is cut off."""
        token = _RECORD.set(self)
        try:
            with raising_at_sigterm():
                yield
        except Exception:
            raise
        except BaseException:
            self.checkpoint.flush()
            raise
        finally:
            _RECORD.reset(token)


_RECORD: ContextVar[FitRecord | None] = ContextVar("identirep_record", default=None)


class Step:
    """A piece of work, and what was kept of it if it started from the same."""

    def __init__(self, checkpoint: Checkpoint, name: str, about: dict[str, Any]) -> None:
        self._checkpoint, self._name, self._about = checkpoint, name, _plain(about)
        entry = checkpoint.read(name)
        self.saved = of_first(entry if entry is not None and entry.content.get("about") == self._about else None)

    def keep(self, take: Take, *, finished: bool = False) -> None:
        """Keep how far this work has come, if it is time for it, or since it is finished."""

        def taken() -> Entry:
            entry = take()
            return Entry({**entry.content, "about": self._about, "finished": finished}, entry.payload)

        self._checkpoint.keep(self._name, taken, always=finished)


def current_step(what: str, about: Callable[[], Mapping[str, Any]]) -> Step | None:
    """Return the next piece of work of the fit in progress; None if nothing of it is kept."""
    record = _RECORD.get()
    return None if record is None else record.step(what, about())


def kept_array(
    what: str, about: Callable[[], Mapping[str, Any]], compute: Callable[[], Array], shape: tuple[int, ...]
) -> Array:
    """Return an array that takes long to compute, from the checkpoint of the fit in progress if it is there."""
    from safetensors.numpy import load, save

    step = current_step(what, about)
    if step is None:
        return compute()
    if step.saved is not None:
        with suppress(Exception):
            values = load(step.saved.payload)["values"]
            # Anything else than what was written is computed again.
            if values.shape == shape and values.dtype == np.float64:
                return np.asarray(values)
    values = compute()
    step.keep(lambda: Entry({}, save({"values": np.ascontiguousarray(values)})), finished=True)
    return values


def array_digest(*arrays: NDArray[Any] | MappedRows | None) -> str:
    """Return a digest of shapes, types and values."""
    digest = hashlib.sha256()
    for array in arrays:
        kind = None if array is None else (array.shape, array.dtype.str)
        digest.update(repr(kind).encode())
        if isinstance(array, MappedRows):
            for block in array.blocks():
                digest.update(np.ascontiguousarray(block).data)
        elif array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def other_fit(path: Path, differs: Sequence[str]) -> ValueError:
    """Return the error that says what differs between a checkpoint and a fit."""
    more = f" and {len(differs) - _MOST_NAMED} more" if len(differs) > _MOST_NAMED else ""
    return ValueError(
        f"'{path}' is a checkpoint of another fit: got {'; '.join(differs[:_MOST_NAMED])}{more}, expected the data, "
        "settings and versions that it was made with, without which the result would be another. Pass these, or start "
        "anew, without the checkpoint."
    )


def _differences(kept: Mapping[str, Any], header: Mapping[str, Any]) -> list[str]:
    """List in words what differs; with other options of a command the data that follow from them need no mention."""
    for parts in (("command",), ("settings", "data", "versions", "machine")):
        found = []
        for part in parts:
            old, new = kept.get(part), header[part]
            old = old if isinstance(old, dict) else {}
            found += [
                f"{name} {_words(new.get(name))} (in the checkpoint {_words(old.get(name))})"
                for name in dict.fromkeys([*old, *new])
                if old.get(name) != new.get(name)
            ]
        if found:
            return found
    return []


def _words(value: Any) -> str:
    return "not given" if value is None else str(value)


def _versions() -> dict[str, str]:
    return {"Python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def _machine() -> dict[str, Any]:
    """Return what decides how sums are rounded: the kernels of the linear algebra, and their threads."""
    from threadpoolctl import threadpool_info

    blas = [info for info in threadpool_info() if info.get("user_api") == "blas"]
    return {
        "processor": platform.machine(),
        "kernels": ", ".join(sorted({str(info.get("architecture")) for info in blas})),
        "threads": max([int(info["num_threads"]) for info in blas], default=1),
    }


def _plain(value: Any) -> Any:
    """Return what JSON gives back for a value."""
    return json.loads(json.dumps(value, default=lambda array: array.tolist()))
