"""A fit of both stages that is recorded in a checkpoint: what it is a fit of, and where it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from numbers import Integral
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from identirep._typing import IntArray
from identirep.checkpoint_files import CheckpointFiles, target_of
from identirep.checkpoints import Checkpoint, FitRecord, FollowedCheckpoint, array_digest
from identirep.parameters import parameter_faults, raise_faults
from identirep.processes import by_first, place
from identirep.validation import TaskData

__all__ = ["recorded", "removed_checkpoint"]

# What a fit prints changes nothing of its result.
_NOT_COMPARED = frozenset({"verbose"})


@contextmanager
def recorded(
    model: Any, given: Any, checkpoint: Any, rng: np.random.Generator, more: Mapping[str, str] | None = None
) -> Iterator[Path | None]:
    """Record the fit of a block; yields the run directory of its result if that was kept.

    `checkpoint` is a directory, or a `FitRecord` whose checkpoint somebody else opens and closes, or None; `more` is
    what the result depends on besides settings and data.
    """
    if checkpoint is None:
        yield None
        return
    if not isinstance(checkpoint, (str, Path, FitRecord)):
        raise TypeError(
            f"checkpoint has the wrong type: got {type(checkpoint).__name__}, expected a str or Path. Pass the name of "
            "a directory, or leave checkpoint out."
        )
    if isinstance(checkpoint, FitRecord):
        record = checkpoint
    else:
        path = Path(checkpoint).absolute()
        # What is wrong with the directory is wrong for all processes.
        by_first(lambda: _check_place(path))
        record = _record_at(path)
    try:
        header = _header(model, given, more or {})
        record.begin(header, rng, drawn=not isinstance(model.random_state, Integral))
        with record.recording():
            done = record.model
            yield done
        if done is None:
            record.finish(model)
        if record is not checkpoint:
            record.checkpoint.flush()
    except (ValueError, TypeError, RuntimeError):
        # The same would happen again.
        record.checkpoint.drop()
        raise
    finally:
        if record is not checkpoint:
            record.checkpoint.close()


def removed_checkpoint(path: Path) -> None:
    """Remove a checkpoint whose result is written, if it is there and nobody uses it."""
    with suppress(ValueError, OSError):
        if files := CheckpointFiles.opened(path):
            files.remove()


def _record_at(path: Path) -> FitRecord:
    """Return the record of a fit in a directory; of several processes the first one keeps it."""
    if place()[0]:
        return FitRecord(FollowedCheckpoint())
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return FitRecord(Checkpoint(path, path.name))
    return FitRecord(Checkpoint(path, path.name, [path]))


def _check_place(path: Path) -> None:
    """Raise if a directory holds something else than the work of a fit."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())) and target_of(path) is None:
        raise ValueError(
            f"checkpoint is no directory of ours: got '{path}', which holds other files, expected a new directory or "
            "one that a fit has kept its work in. Choose another name."
        )


def _header(model: Any, given: Any, more: Mapping[str, str]) -> dict[str, Any]:
    """Return what the result of a fit depends on: settings, and digests of the checked data."""
    stage = model._stage_one(0)
    raise_faults(model._faults(stage, given.y, given.tasks))
    faults = [*parameter_faults(stage), *stage._faults(given.groups, given.order)]
    faults += [] if given.sample_weight is None else stage._weight_faults()
    data, group_index = given.checked(stage, faults)
    names = [str(name) for name in getattr(stage, "feature_names_in_", ())]
    settings = dict(_flat(type(model).__name__, _described(model)))
    seed = f"{type(model).__name__}.random_state"
    if not isinstance(model.random_state, Integral):
        # Its state is kept.
        settings[seed] = type(model.random_state).__name__
    return {"settings": {**settings, **more}, "data": _data(data, group_index, names)}


def _data(data: TaskData, groups: IntArray | None, names: list[str]) -> dict[str, str]:
    parts = {"X": data.inputs, "y": data.targets, "tasks": data.task_index, "groups": groups, "order": data.order}
    parts["sample_weight"] = data.weights
    found = {
        name: f"of shape {part.shape} with digest {array_digest(part)}"
        for name, part in parts.items()
        if part is not None
    }
    of_names = array_digest(np.frombuffer(repr((names, data.task_names)).encode("utf-8", "replace"), dtype=np.uint8))
    return {**found, "names of inputs and tasks": f"with digest {of_names}"}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the settings of an estimator and of those inside it by dotted names."""
    if not isinstance(value, dict):
        yield prefix, value
        return
    for name, part in value.items():
        yield from _flat(f"{prefix}.{name}", part)


def _described(value: Any) -> Any:
    """Return what decides a result of a parameter, as JSON can hold it."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float, np.number)):
        # NaN is not equal to itself.
        return int(value) if isinstance(value, Integral) else repr(float(value))
    if isinstance(value, (list, tuple)):
        return [_described(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return array_digest(value) if value.dtype.kind in "biufc" else repr(value.tolist())
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state(legacy=False))
    if isinstance(value, (bytes, range)):
        return repr(value)
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_described(entry), sort_keys=True) for entry in value)
    kind = getattr(value, "__qualname__", type(value).__qualname__)
    module = getattr(value, "__module__", type(value).__module__)
    found: dict[str, Any] = {"class": f"{module}.{kind}"}
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = _described(value.__defaults__), _described(value.__kwdefaults__)
        return found | {"code": _code(value.__code__), "holds": [*map(_described, cells)], "defaults": defaults}
    if isinstance(value, partial):
        return found | {name: _described(getattr(value, name)) for name in ("func", "args", "keywords")}
    if isinstance(value, Mapping):
        found |= {str(name): _described(entry) for name, entry in value.items()}
    elif hasattr(value, "get_params") and not isinstance(value, type):
        parameters = value.get_params(deep=False)
        found |= {name: _described(parameters[name]) for name in sorted(parameters) if name not in _NOT_COMPARED}
    elif not isinstance(value, type) and not hasattr(value, "state_dict"):
        # Splitters, distributions and the like. Of modules the training compares the weights.
        parts = sorted(getattr(value, "__dict__", {}).items())
        found |= {name: _described(part) for name, part in parts if _plain(part)}
    return found


def _plain(value: Any) -> bool:
    """Tell whether a value is of numbers, texts and lists of these, which are what they say."""
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, np.number, np.ndarray))


def _code(code: CodeType) -> str:
    """Return a digest of what a function does, wherever it stands in its file."""
    parts = [_code(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return hashlib.sha256(repr((code.co_code, code.co_names, parts)).encode()).hexdigest()[:16]
