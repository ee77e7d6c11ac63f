"""Run directories: a fitted model as arrays and JSON, written all or nothing, without pickle."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from identirep.directories import MODEL_FILE, recover, replaced_directory
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN

if TYPE_CHECKING:
    from identirep.regressor import IdentifiableRegressor

__all__ = ["load_regressor", "read_document", "save_regressor"]

FORMAT_VERSION = 1
ARRAYS_FILE, HISTORY_FILE = "model.safetensors", "history.parquet"

_LIBRARIES = ("identirep", "numpy", "scipy", "scikit-learn", "torch", "safetensors")
# Stands for a parameter that only the user has: a module is code, and code is not stored.
_USERS_OWN = {"users_own": True}


def save_regressor(model: IdentifiableRegressor, directory: str | Path) -> None:
    """Write a fitted model to a run directory, all files or none.

    Parameters
    ----------
    model : IdentifiableRegressor
        Fitted, with a stage one that consists of arrays (an `MTRN`).
    directory : str or Path
        Directory to create, or a run directory whose model is replaced; its other files are kept.

    Raises
    ------
    TypeError
        If stage one has no array form.
    ValueError
        If the directory holds something else than a run.
    """
    stage = model.features_
    if not isinstance(stage, MTRN):
        wrapped = getattr(stage, "regressor", stage)
        raise TypeError(
            f"regressor cannot be saved without pickle: got {type(wrapped).__name__}, expected an MTRN, which consists "
            "of arrays. Fit with regressor='mtrn' to save the model."
        )
    arrays, features_meta = stage._to_arrays()
    parts = {f"features.{name}": value for name, value in arrays.items()}
    latents: dict[str, Any] | None = None
    if model.latents_ is not None:
        arrays, latents_meta = model.latents_._to_arrays()
        parts |= {f"latents.{name}": value for name, value in arrays.items()}
        latents = {"parameters": _parameters(model.latents_), "meta": latents_meta}
    names = getattr(stage, "feature_names_in_", None)
    document = {
        "format_version": FORMAT_VERSION,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "parameters": _parameters(model),
        "feature_names": None if names is None else [str(name) for name in names],
        "task_names": list(model.task_names_),
        "features": {"parameters": _parameters(stage), "meta": features_meta},
        "latents": latents,
    }
    with replaced_directory(directory) as staging:
        _write(staging, parts, document)
        _write_history(staging / HISTORY_FILE, stage.history_)


def load_regressor(directory: str | Path, *, encoder: Any = None) -> IdentifiableRegressor:
    """Read the model of a run directory, on any device.

    Parameters
    ----------
    directory : str or Path
        Run directory.
    encoder : torch.nn.Module or callable, optional
        The user's own encoder, if the model was fitted with one: the same architecture; its weights are replaced.

    Returns
    -------
    IdentifiableRegressor
        Gives the same latents and predictions, bit for bit on the same machine.

    Raises
    ------
    FileNotFoundError
        If there is no model in the directory.
    ValueError
        If the files are damaged or of a newer format, or the encoder is missing.
    """
    directory = Path(directory)
    document = read_document(directory)
    arrays = _read_arrays(directory, document.get("sha256"))
    try:
        return _restore_model(document, arrays, _read_history(directory / HISTORY_FILE), encoder)
    except KeyError as error:
        raise _damaged(directory / MODEL_FILE, f"no entry {error}") from None


def read_document(directory: str | Path) -> dict[str, Any]:
    """Read ``model.json`` of a run directory and check its format.

    Parameters
    ----------
    directory : str or Path
        Run directory.

    Returns
    -------
    dict
        Format and library versions, parameters, names, and the SHA-256 of the arrays.

    Raises
    ------
    FileNotFoundError
        If there is no model in the directory.
    ValueError
        If the file is damaged or of a newer format.
    """
    directory = Path(directory)
    recover(directory.resolve())
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


def _restore_model(
    document: dict[str, Any], arrays: dict[str, NDArray[Any]], history: list[dict[str, float]], encoder: Any
) -> IdentifiableRegressor:
    """Put both stages together from the contents of a run directory."""
    from identirep.regressor import IdentifiableRegressor

    stage = MTRN(**_restore(document["features"]["parameters"], encoder))
    stage._from_arrays(_part(arrays, "features"), document["features"]["meta"])
    if document["feature_names"] is not None:
        stage.feature_names_in_ = np.array(document["feature_names"], dtype=object)
    stage.history_ = history
    model = IdentifiableRegressor(**_restore(document["parameters"], encoder))
    model.features_ = stage
    model.latents_ = None
    if document["latents"] is not None:
        latents = MTLCM(**_restore(document["latents"]["parameters"], None))
        model.latents_ = latents._from_arrays(_part(arrays, "latents"), document["latents"]["meta"])
    return model


def _write(staging: Path, arrays: dict[str, NDArray[Any]], document: dict[str, Any]) -> None:
    from safetensors.numpy import save

    # Not save_file, which makes a file that nobody but its owner may read.
    (staging / ARRAYS_FILE).write_bytes(save({name: np.asarray(value, order="C") for name, value in arrays.items()}))
    document = {**document, "sha256": _sha256(staging / ARRAYS_FILE)}
    text = json.dumps(document, indent=2, ensure_ascii=False)
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


def _read_arrays(directory: Path, expected: str | None) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    path = directory / ARRAYS_FILE
    if not path.is_file():
        raise _damaged(path, "no file")
    found = _sha256(path)
    if found != expected:
        raise _damaged(path, f"SHA-256 {found[:12]}..., while {MODEL_FILE} says {str(expected)[:12]}...")
    return load_file(path)


def _part(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name[len(prefix) + 1 :]: value for name, value in arrays.items() if name.startswith(prefix + ".")}


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
    return {name: _as_json(name, value) for name, value in estimator.get_params(deep=False).items()}


def _as_json(name: str, value: Any) -> Any:
    if isinstance(value, MTRN):
        return {"MTRN": _parameters(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_as_json(name, entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    # The state of a generator has served its purpose once the model is fitted.
    return None if name == "random_state" else _USERS_OWN


def _restore(parameters: dict[str, Any], encoder: Any) -> dict[str, Any]:
    """Undo `_parameters`, with the user's encoder in its place."""
    restored: dict[str, Any] = {}
    for name, value in parameters.items():
        if value == _USERS_OWN:
            if encoder is None:
                raise ValueError(
                    f"{name} is missing: got None, expected the module that the model was fitted with, because code is "
                    f"not stored. Pass {name}=..."
                )
            value = encoder
        elif isinstance(value, dict):
            value = MTRN(**_restore(value["MTRN"], encoder))
        elif isinstance(value, list):
            value = tuple(value)
        restored[name] = value
    return restored
