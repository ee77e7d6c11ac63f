"""The single files of a run directory, each with its SHA-256: arrays, history, estimators of scikit-learn."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.typing import NDArray

from identirep.directories import MODEL_FILE
from identirep.files import opened_by_arrow
from identirep.shapes import Damage

__all__ = ["damaged", "read_arrays", "read_estimators", "read_history", "sha256", "write_arrays", "write_estimators"]
__all__ += ["write_history"]

_Content = TypeVar("_Content")
# Numbers, and the type of numbers, which skops does not trust by itself because they come from compiled code.
_TRUSTED = ("sklearn.tree._tree.Tree", "numpy.dtype")
# Deflate makes nothing smaller than a thousandth.
_MOST_INFLATION = 1100
# What an entry of a training has, and what tells it from others.
_OF_TRAINING = ("replicate", "epoch", "validation_loss")
_PLACES = (("replicate",), ("epoch",), ("replicate", "epoch"))


def damaged(path: Path, found: str) -> ValueError:
    """Return the error that says what is wrong with a file of ours, or with a run as a whole."""
    return ValueError(
        f"'{path}' is damaged: got {found}, expected the file as it was written. Restore it or fit again."
    )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write arrays to a file; return its SHA-256."""
    from safetensors.numpy import save

    # Not save_file, which makes a file that nobody but its owner may read.
    path.write_bytes(save({name: np.asarray(value, order="C") for name, value in arrays.items()}))
    return sha256(path)


def read_arrays(path: Path, expected: Any) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` has written."""
    from safetensors.numpy import load_file

    return _read(path, expected, load_file, "no safetensors file")


def write_history(path: Path, history: list[dict[str, float]]) -> str:
    """Write the curve of a training to a file; return its SHA-256."""
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("wb") as file:
        parquet.write_table(pa.Table.from_pylist(history), file)
    return sha256(path)


def read_history(path: Path, expected: Any) -> list[dict[str, float]]:
    """Read what `write_history` has written."""
    return _read(path, expected, _parquet_rows, "no Parquet file of a training")


def write_estimators(path: Path, estimators: Mapping[str, Any]) -> str:
    """Write estimators of scikit-learn to a file; return its SHA-256."""
    from skops.io import dumps, get_untrusted_types

    data = dumps(dict(estimators), compression=ZIP_DEFLATED)
    if unknown := set(get_untrusted_types(data=data)) - set(_TRUSTED):
        raise TypeError(
            f"regressor cannot be saved without pickle: got types {', '.join(sorted(unknown))}, expected those of "
            "scikit-learn that skops trusts. Fit with another regressor, such as 'ridge' or 'extra-trees', to save the "
            "model."
        )
    path.write_bytes(data)
    return sha256(path)


def read_estimators(path: Path, expected: Any) -> Mapping[str, Any]:
    """Read what `write_estimators` has written; types that are not known are not built."""
    from skops.io import get_untrusted_types

    unknown = sorted(set(_read(path, expected, _checked_skops(get_untrusted_types), "no skops file")) - set(_TRUSTED))
    if unknown:
        raise ValueError(
            f"'{path}' has types that are not trusted: got {', '.join(unknown)}, expected those of "
            "scikit-learn. Do not load it."
        )
    return _read(path, expected, _checked_skops(_built), "no skops file")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path, expected: Any, read: Callable[[Path], _Content], otherwise: str) -> _Content:
    """Read a file whose SHA-256 is known, None for runs from before it was kept."""
    if not path.is_file():
        raise damaged(path, "no file")
    found = sha256(path)
    if expected is not None and found != expected:
        raise damaged(path, f"SHA-256 {found[:12]}..., while {MODEL_FILE} says {str(expected)[:12]}...")
    try:
        return read(path)
    except Exception as error:
        # What others raise at a file that is not theirs can be anything.
        raise damaged(path, str(error) if isinstance(error, Damage) else f"{otherwise} ({error})") from None


def _parquet_rows(path: Path) -> list[dict[str, float]]:
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(opened_by_arrow(path)) as file:
        # Losses differ from row to row, so each takes several bytes.
        if file.metadata.num_rows > path.stat().st_size:
            raise Damage(f"{file.metadata.num_rows:,} rows in {path.stat().st_size:,} bytes")
        table = file.read()
    if other := [name for name in table.column_names if not _is_number(table.schema.field(name).type, pa)]:
        raise Damage(f"a column '{other[0]}' that has no numbers")
    if lacking := [name for name in _OF_TRAINING if name not in table.column_names or table[name].null_count]:
        raise Damage(f"no '{lacking[0]}' of each epoch")
    rows = table.to_pylist()
    networks, epochs, places = ({tuple(row[name] for name in of) for row in rows} for of in _PLACES)
    if not len(networks) * len(epochs) == len(places) == len(rows):
        raise Damage(f"{len(rows):,} rows for {len(epochs):,} epochs of {len(networks):,} networks")
    return rows


def _is_number(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _checked_skops(read: Callable[[bytes], _Content]) -> Callable[[Path], _Content]:
    """Let a function read the bytes of a file, once it is sure that its parts are no larger than they can be."""

    def checked(path: Path) -> _Content:
        with ZipFile(path) as file:
            for part in file.infolist():
                if part.file_size > _MOST_INFLATION * max(part.compress_size, 1):
                    raise Damage(f"{part.file_size:,} bytes from {part.compress_size:,}")
                if part.filename.endswith(".npy"):
                    with file.open(part) as array:
                        _check_array(array, part.file_size)
        return read(data=path.read_bytes())  # type: ignore[call-arg]

    return checked


def _check_array(file: IO[bytes], size: int) -> None:
    """Raise if a NumPy file says that it has more values than it has bytes."""
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, _, dtype = read[np.lib.format.read_magic(file)[0]](file)
    if math.prod(shape) * max(dtype.itemsize, 1) > size:
        raise Damage(f"an array of shape {shape} in {size:,} bytes")


def _built(data: bytes) -> Mapping[str, Any]:
    from skops.io import get_untrusted_types, loads

    found = loads(data, trusted=[name for name in get_untrusted_types(data=data) if name in _TRUSTED])
    if not isinstance(found, dict):
        raise Damage(f"{type(found).__name__} in the place of estimators")
    return found
