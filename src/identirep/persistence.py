"""Run directories: a fitted model as plain parts, written all or nothing, without pickle.

The estimators hand over a `Run` of arrays and of what JSON can hold, and get one back. This module knows none of them,
and names in a file are compared, never imported or run. Estimators of scikit-learn go through skops, which builds
objects of types that it trusts only; runs with other types are neither written nor read.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from identirep.directories import (
    ARRAYS_FILE,
    ESTIMATOR_FILE,
    HISTORY_FILE,
    MODEL_FILE,
    current,
    replaced_directory,
    state,
)
from identirep.moments_file import names_of_json, names_to_json
from identirep.parameters import parameter_faults, raise_faults
from identirep.run_files import (
    damaged,
    read_arrays,
    read_estimators,
    read_history,
    write_arrays,
    write_estimators,
    write_history,
)
from identirep.shapes import Damage

__all__ = ["Part", "Run", "kind_of_run", "opened_run", "prefixed", "restored", "taken", "write_run"]

# The newest that is read; runs without an encoder of tables are written in the first, which all readers know.
FORMAT_VERSION = 2

Arrays = dict[str, NDArray[Any]]
_Estimator = TypeVar("_Estimator")
_LIBRARIES = ("identirep", "numpy", "scipy", "scikit-learn", "torch", "safetensors", "skops")
# Where a fit ran and what it printed says nothing about who reads the model.
_NOT_STORED = frozenset({"device", "verbose"})
# Stands for the encoder that only the user has: a module is code, and code is not stored.
_USERS_OWN = {"users_own": True}
# Stands for an estimator of scikit-learn, which has a file of its own.
_FOREIGN = {"foreign": True}


@dataclass(frozen=True)
class Part:
    """A fitted estimator: parameters of its constructor and `meta`, which JSON can hold, and arrays."""

    parameters: dict[str, Any]
    meta: dict[str, Any]
    arrays: Arrays

    @classmethod
    def of(cls, estimator: Any) -> Part:
        """Take an estimator apart that has ``_to_arrays() -> (arrays, meta)``, and parameters that it takes."""
        raise_faults(parameter_faults(estimator))
        arrays, meta = estimator._to_arrays()
        return cls(_parameters(estimator), meta, arrays)


@dataclass(frozen=True)
class Run:
    """A model of some kind: its parts, of which one is "model", names of its inputs, and the curve of its training."""

    kind: str
    parts: Mapping[str, Part | None]
    feature_names: NDArray[Any] | None = None
    history: list[dict[str, float]] | None = None
    # Estimators of scikit-learn, fitted or not, by what they are to the model.
    estimators: Mapping[str, Any] | None = None

    def names_of(self, n_features: int) -> NDArray[Any]:
        """Return the names of the inputs, which have to be so many."""
        if self.feature_names is None or len(self.feature_names) != n_features:
            raise Damage(f"names that do not go with {n_features} inputs")
        return self.feature_names


def write_run(directory: str | Path, run: Run) -> None:
    """Write a run to a directory, new or of another run, all files or none; other files there are kept."""
    arrays: Arrays = {}
    document = {
        "format_version": 1 if run.parts.get("table_encoder") is None else FORMAT_VERSION,
        "kind": run.kind,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "feature_names": None if run.feature_names is None else [str(name) for name in run.feature_names],
        "has_history": run.history is not None,
        "estimator_sha256": None,
        "history_sha256": None,
        "parts": {
            name: part and {"parameters": part.parameters, "meta": part.meta} for name, part in run.parts.items()
        },
    }
    for name, part in run.parts.items():
        arrays |= {} if part is None else prefixed(name, part.arrays)
    with replaced_directory(directory) as staging:
        if run.estimators is not None:
            document["estimator_sha256"] = write_estimators(staging / ESTIMATOR_FILE, run.estimators)
        if run.history is not None:
            document["history_sha256"] = write_history(staging / HISTORY_FILE, run.history)
        document["sha256"] = write_arrays(staging / ARRAYS_FILE, arrays)
        text = json.dumps(document, indent=2, ensure_ascii=False, default=lambda number: number.item())
        # Names of columns may have come from files that are not in UTF-8.
        (staging / MODEL_FILE).write_bytes(f"{text}\n".encode("utf-8", "surrogatepass"))


# Looks at a directory in which there is no run, and seconds between them: swaps take less.
_MOST_ABSENT, _PAUSE = 10, 0.01


@contextmanager
def opened_run(directory: str | Path, kind: str) -> Iterator[Run]:
    """Yield the run of a directory, which is not touched; what is then found wrong with it counts as damage."""
    try:
        yield _read_whole(Path(directory), kind)
    except Damage as error:
        raise damaged(Path(directory), str(error)) from None
    except KeyError as error:
        raise damaged(Path(directory) / MODEL_FILE, f"no entry {error}") from None
    except (AttributeError, IndexError, TypeError) as error:
        raise damaged(Path(directory) / MODEL_FILE, f"other entries ({error})") from None


def kind_of_run(directory: str | Path) -> str | None:
    """Return the kind of model that a directory holds; None if that cannot be told, which reading it explains."""
    try:
        return str(_read_document(current(Path(directory)))["kind"])
    except (OSError, ValueError, KeyError):
        return None


def _read_whole(directory: Path, kind: str) -> Run:
    """Read all files of one and the same run, however often others replace it meanwhile."""
    absent, failed = 0, None
    while True:
        path = current(directory)
        before = state(path)
        try:
            run = _read_run(path, directory, kind)
        except Exception:
            # One that was moved away meanwhile has the same state, under another name.
            if state(path) == before:
                # Nothing there, twice: no run, or two swaps of which each was under way. And a writer that fails puts
                # the run back that it had moved away.
                absent += before is None
                if absent > _MOST_ABSENT or (before is not None and failed == before):
                    raise
                failed = before
                time.sleep(_PAUSE)
        else:
            if state(path) == before:
                return run


def restored(
    make: type[_Estimator],
    part: Part | None,
    *,
    encoder: Any = None,
    foreign: Any = None,
    nested: Mapping[str, Callable[..., Any]] | None = None,
) -> _Estimator:
    """Make an estimator of a part; `nested` are the classes of parameters that are estimators."""
    if part is None:
        raise Damage(f"no part of {make.__name__}")
    own = {"encoder": encoder, "foreign": foreign}
    estimator = _made(make, part.parameters, own, nested or {})
    if faults := parameter_faults(estimator):
        raise Damage(f"parameters of {make.__name__} that it does not take ({faults[0].message})")
    try:
        return estimator._from_arrays(part.arrays, part.meta)
    except Damage:
        raise
    except Exception as error:
        if encoder is not None and isinstance(error, ValueError):
            # It need not be the file: another encoder is not ours.
            raise
        raise Damage(f"a state that {make.__name__} cannot be in ({type(error).__name__}: {error})") from error


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Put a prefix and a dot before the names of arrays."""
    return {f"{prefix}.{name}": value for name, value in arrays.items()}


def taken(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Undo `prefixed`: the arrays with that prefix, by the names they had."""
    return {name[len(prefix) + 1 :]: value for name, value in arrays.items() if name.startswith(prefix + ".")}


def _read_run(path: Path, directory: str | Path, kind: str) -> Run:
    document = _read_document(path)
    if document["kind"] != kind:
        raise ValueError(
            f"'{directory}' holds another kind of model: got {document['kind']!r}, expected {kind!r}. Load it with "
            "the class that has written it."
        )
    arrays, names = read_arrays(path / ARRAYS_FILE, document["sha256"]), document["feature_names"]
    has_estimators, has_history = document.get("estimator_sha256"), document["has_history"]
    return Run(
        kind,
        {
            name: part and Part(part["parameters"], part["meta"], taken(name, arrays))
            for name, part in document["parts"].items()
        },
        None if names is None else np.array([str(name) for name in names], dtype=object),
        # Runs from before these were kept have no SHA-256 of the history, and no entry for estimators.
        read_history(path / HISTORY_FILE, document.get("history_sha256")) if has_history else None,
        read_estimators(path / ESTIMATOR_FILE, has_estimators) if has_estimators else None,
    )


def _read_document(directory: Path) -> dict[str, Any]:
    """Read ``model.json``, and check its format."""
    path = directory / MODEL_FILE
    if not path.is_file():
        found = f"a directory without {MODEL_FILE}" if directory.is_dir() else "no directory"
        raise FileNotFoundError(
            f"'{directory}' is not a run directory: got {found}, expected one that save or 'identirep fit' has "
            "written. Check the path."
        )
    try:
        document = json.loads(path.read_bytes())
        found_version, writers = int(document["format_version"]), dict(document["versions"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise damaged(path, f"no valid JSON of a run ({error})") from None
    if found_version > FORMAT_VERSION:
        raise ValueError(
            f"'{path}' has a newer format: got version {found_version} (written by identirep "
            f"{writers.get('identirep', 'unknown')}), expected at most {FORMAT_VERSION}. Upgrade identirep."
        )
    return document


def _parameters(estimator: Any) -> dict[str, Any]:
    """Constructor parameters as JSON can hold them."""
    parameters = estimator.get_params(deep=False)
    return {name: _as_json(name, value) for name, value in parameters.items() if name not in _NOT_STORED}


def _as_json(name: str, value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_as_json(name, entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if name == "random_state":
        # The state of a generator has served its purpose once the model is fitted.
        return None
    if name == "encoder":
        return _USERS_OWN
    if isinstance(value, Mapping):
        return {"kinds": [names_to_json(value), list(value.values())]}
    if hasattr(value, "_to_arrays"):
        return {"parameters": _parameters(value), "class": type(value).__name__}
    if hasattr(value, "get_params"):
        return _FOREIGN
    raise TypeError(
        f"{name} cannot be saved without pickle: got {type(value).__name__}, expected numbers, texts or an estimator "
        "with such parameters. Change it or keep the data of the fit."
    )


def _made(
    make: Any, parameters: dict[str, Any], own: Mapping[str, Any], nested: Mapping[str, Callable[..., Any]]
) -> Any:
    """Undo `_parameters`, with the user's encoder and the estimator of scikit-learn in their places."""
    unknown = sorted(set(parameters) - set(make._get_param_names()))
    if unknown:
        raise ValueError(
            f"{make.__name__} has no parameter {', '.join(unknown)}: got a model of another class, expected one of "
            f"{make.__name__}. Load it with the class that has written it."
        )
    values: dict[str, Any] = {}
    for name, value in parameters.items():
        if value == _USERS_OWN:
            if own["encoder"] is None:
                raise ValueError(
                    f"{name} is missing: got None, expected the module that the model was fitted with, because code is "
                    f"not stored. Pass {name}=..."
                )
            value = own["encoder"]
        elif value == _FOREIGN:
            value = own["foreign"]
        elif isinstance(value, dict) and "kinds" in value:
            names, kinds = value["kinds"]
            value = dict(zip(names_of_json(names), kinds, strict=True))
        elif isinstance(value, dict):
            # Subclasses are not known by name; runs from before there were names have none.
            value = _made(nested.get(value.get("class", name), nested[name]), value["parameters"], own, {})
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return make(**values)
