"""Run directories: a fitted model as plain parts, written all or nothing, without pickle.

The estimators hand over a `Run` of arrays and of what JSON can hold, and get one back. This module knows none of them,
and names in a file are compared, never imported or run. Estimators of scikit-learn go through skops, which builds
objects of types that it trusts only; runs with other types are neither written nor read.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZIP_DEFLATED

import numpy as np
from numpy.typing import NDArray

from identirep.directories import MODEL_FILE, current, replaced_directory

__all__ = ["Part", "Run", "opened_run", "prefixed", "restored", "taken", "write_run"]

FORMAT_VERSION = 1
ARRAYS_FILE, HISTORY_FILE, ESTIMATOR_FILE = "model.safetensors", "history.parquet", "estimator.skops"

Arrays = dict[str, NDArray[Any]]
_Estimator = TypeVar("_Estimator")
_LIBRARIES = ("identirep", "numpy", "scipy", "scikit-learn", "torch", "safetensors", "skops")
# Where a fit ran and what it printed says nothing about who reads the model.
_NOT_STORED = frozenset({"device", "verbose"})
# Stands for the encoder that only the user has: a module is code, and code is not stored.
_USERS_OWN = {"users_own": True}
# Numbers alone, which skops does not trust by itself because they come from compiled code.
_TRUSTED = ("sklearn.tree._tree.Tree",)
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
        """Take an estimator apart that has ``_to_arrays() -> (arrays, meta)``."""
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


def write_run(directory: str | Path, run: Run) -> None:
    """Write a run to a directory, new or of another run, all files or none; other files there are kept."""
    arrays: Arrays = {}
    document = {
        "format_version": FORMAT_VERSION,
        "kind": run.kind,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "feature_names": None if run.feature_names is None else [str(name) for name in run.feature_names],
        "has_history": run.history is not None,
        "estimator_sha256": None,
        "parts": {
            name: part and {"parameters": part.parameters, "meta": part.meta} for name, part in run.parts.items()
        },
    }
    for name, part in run.parts.items():
        arrays |= {} if part is None else prefixed(name, part.arrays)
    with replaced_directory(directory) as staging:
        if run.estimators is None:
            (staging / ESTIMATOR_FILE).unlink(missing_ok=True)
        else:
            _write_estimators(staging / ESTIMATOR_FILE, run.estimators)
            document["estimator_sha256"] = _sha256(staging / ESTIMATOR_FILE)
        _write(staging, arrays, document)
        if run.history is None:
            (staging / HISTORY_FILE).unlink(missing_ok=True)
        else:
            _write_history(staging / HISTORY_FILE, run.history)


@contextmanager
def opened_run(directory: str | Path, kind: str) -> Iterator[Run]:
    """Yield the run of a directory, which is not touched; an entry that is then found missing counts as damage."""
    path = current(Path(directory))
    document = _read_document(path)
    try:
        if document["kind"] != kind:
            raise ValueError(
                f"'{directory}' holds another kind of model: got {document['kind']!r}, expected {kind!r}. Load it with "
                "the class that has written it."
            )
        arrays, names = _read_arrays(path, document["sha256"]), document["feature_names"]
        yield Run(
            kind,
            {
                name: part and Part(part["parameters"], part["meta"], taken(name, arrays))
                for name, part in document["parts"].items()
            },
            None if names is None else np.array(names, dtype=object),
            _read_history(path / HISTORY_FILE) if document["has_history"] else None,
            # Runs from before there were such files have no entry.
            _read_estimators(path / ESTIMATOR_FILE, digest) if (digest := document.get("estimator_sha256")) else None,
        )
    except KeyError as error:
        raise _damaged(path / MODEL_FILE, f"no entry {error}") from None


def restored(
    make: type[_Estimator],
    part: Part | None,
    *,
    encoder: Any = None,
    foreign: Any = None,
    nested: Mapping[str, Callable[..., Any]] | None = None,
) -> _Estimator:
    """Make an estimator of a part; `nested` are the classes of parameters that are estimators."""
    assert part is not None
    own = {"encoder": encoder, "foreign": foreign}
    return _made(make, part.parameters, own, nested or {})._from_arrays(part.arrays, part.meta)


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Put a prefix and a dot before the names of arrays."""
    return {f"{prefix}.{name}": value for name, value in arrays.items()}


def taken(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Undo `prefixed`: the arrays with that prefix, by the names they had."""
    return {name[len(prefix) + 1 :]: value for name, value in arrays.items() if name.startswith(prefix + ".")}


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
        document = json.loads(path.read_text(encoding="utf-8"))
        found_version = int(document["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"no valid JSON ({error})") from None
    if found_version > FORMAT_VERSION:
        writer = document.get("versions", {}).get("identirep", "unknown")
        raise ValueError(
            f"'{path}' has a newer format: got version {found_version} (written by identirep {writer}), expected at "
            f"most {FORMAT_VERSION}. Upgrade identirep."
        )
    return document


def _write(staging: Path, arrays: Arrays, document: dict[str, Any]) -> None:
    from safetensors.numpy import save

    # Not save_file, which makes a file that nobody but its owner may read.
    (staging / ARRAYS_FILE).write_bytes(save({name: np.asarray(value, order="C") for name, value in arrays.items()}))
    document = {**document, "sha256": _sha256(staging / ARRAYS_FILE)}
    text = json.dumps(document, indent=2, ensure_ascii=False, default=lambda number: number.item())
    (staging / MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(history), path)


def _read_history(path: Path) -> list[dict[str, float]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(path).to_pylist()
    except FileNotFoundError:
        raise _damaged(path, "no file") from None
    except pa.ArrowInvalid as error:
        raise _damaged(path, f"no Parquet file ({error})") from None


def _write_estimators(path: Path, estimators: Mapping[str, Any]) -> None:
    from skops.io import dumps, get_untrusted_types

    data = dumps(dict(estimators), compression=ZIP_DEFLATED)
    if unknown := set(get_untrusted_types(data=data)) - set(_TRUSTED):
        raise TypeError(
            f"regressor cannot be saved without pickle: got types {', '.join(sorted(unknown))}, expected those of "
            "scikit-learn that skops trusts. Fit with another regressor, such as 'ridge' or 'extra-trees', to save the "
            "model."
        )
    path.write_bytes(data)


def _read_estimators(path: Path, expected: str) -> Mapping[str, Any]:
    from skops.io import get_untrusted_types, loads

    if not path.is_file():
        raise _damaged(path, "no file")
    found = _sha256(path)
    if found != expected:
        raise _damaged(path, f"SHA-256 {found[:12]}..., while {MODEL_FILE} says {expected[:12]}...")
    data = path.read_bytes()
    trusted = [name for name in get_untrusted_types(data=data) if name in _TRUSTED]
    if unknown := set(get_untrusted_types(data=data)) - set(trusted):
        raise ValueError(
            f"'{path}' has types that are not trusted: got {', '.join(sorted(unknown))}, expected those of "
            "scikit-learn. Do not load it."
        )
    return loads(data, trusted=trusted)


def _read_arrays(directory: Path, expected: str) -> Arrays:
    from safetensors.numpy import load_file

    path = directory / ARRAYS_FILE
    if not path.is_file():
        raise _damaged(path, "no file")
    found = _sha256(path)
    if found != expected:
        raise _damaged(path, f"SHA-256 {found[:12]}..., while {MODEL_FILE} says {expected[:12]}...")
    return load_file(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _damaged(path: Path, found: str) -> ValueError:
    return ValueError(
        f"'{path}' is damaged: got {found}, expected the file as it was written. Restore it or fit again."
    )


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
        elif isinstance(value, dict):
            # Subclasses are not known by name; runs from before there were names have none.
            value = _made(nested.get(value.get("class", name), nested[name]), value["parameters"], own, {})
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return make(**values)
