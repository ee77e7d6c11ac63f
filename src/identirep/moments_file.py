"""Moments in files: safetensors, with the names of the tasks as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from identirep.accumulation import Sums
from identirep.files import replaced_file
from identirep.shapes import FINITE, SIZE, Damage, check_shapes, check_values

__all__ = ["StoredMoments"]

_MICROSECOND = timedelta(microseconds=1)
# Tasks, groups of rows, features.
_SHAPES = {"group": "T", "counts": "G", "mean_h": "GK", "scatter_h": "GKK", "mean_y": "T"}
_SHAPES |= {"scatter_hy": "TK", "scatter_y": "T"}
# What only rows with weights have.
_WEIGHTS = {"weight_sums": "G", "row_counts": "G"}
_SIZES = ("counts", *_WEIGHTS)
# How far below zero rounding takes eigenvalues of correlations, and what a correlation exceeds one by.
_ROUNDING = 1e-5
# Variance over squared mean under which a column may be one number and its rounding.
_LEVEL = 1e-12
# Numbers of matrices that are looked at together.
_MOST_NUMBERS = 1 << 22
# Labels for which JSON has no word: their type, to text and back. Moments in time are dates as well.
_LABELS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "duration": (timedelta, lambda span: str(span // _MICROSECOND), lambda text: int(text) * _MICROSECOND),
    "decimal": (Decimal, str, Decimal),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}
_FORMAT = "identirep.TaskMoments/1"
# Read as the other, counts would be taken for numbers of rows.
_WEIGHTED_FORMAT = "identirep.TaskMoments/2"

Moments = TypeVar("Moments", bound="StoredMoments")


class StoredMoments:
    """What `TaskMoments` has to do with files."""

    task_names: tuple[Hashable, ...]
    n_rows: int

    @property
    def _sums(self) -> Sums:
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write the moments to a safetensors file.

        Parameters
        ----------
        path : str or Path
            File to write. Task names are texts, numbers, None, dates, times, Decimals, bytes, or tuples of these.
        """
        from safetensors.numpy import save_file

        arrays, meta = self.to_arrays()
        form = _WEIGHTED_FORMAT if _WEIGHTS.keys() <= arrays.keys() else _FORMAT
        with replaced_file(Path(path)) as staging:
            save_file(arrays, staging, metadata={"format": form, "meta": json.dumps(meta)})

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the parts as arrays, and as what JSON can hold, to be stored inside another file.

        Returns
        -------
        arrays : dict of array
            The statistics.
        meta : dict
            Task names and the number of rows.

        Raises
        ------
        ValueError
            If a task name is none of: text, number, bool, None, date, time, Decimal, bytes, or a tuple of these.
        """
        names = names_to_json(self.task_names)
        arrays = {name: np.ascontiguousarray(part) for name, part in self._sums._asdict().items() if part is not None}
        return arrays, {"task_names": names, "n_rows": self.n_rows}

    @classmethod
    def from_parts(cls: type[Moments], arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Moments:
        """Build moments from what `to_arrays` returned.

        Parameters
        ----------
        arrays : dict of array
            The statistics.
        meta : dict
            Task names and the number of rows.

        Returns
        -------
        TaskMoments
            Equal, bit for bit, to what `to_arrays` was called on.
        """
        names = names_of_json(meta["task_names"])
        has_weights = any(name in arrays for name in _WEIGHTS)
        sizes = check_shapes(arrays, _SHAPES | (_WEIGHTS if has_weights else {}), T=len(names))
        parts = {name: arrays[name] for name in Sums._fields if name in arrays}
        group = parts["group"]
        if len(set(names)) < len(names) or not np.isin(group, np.arange(sizes["G"])).all():
            raise Damage("tasks that are not told apart, or in no group of rows")
        check_values(parts, {name: _ends_of(name) for name in parts})
        if group.dtype.kind != "i" or int(meta["n_rows"]) < 0 or not _can_be(parts):
            raise Damage("moments that no rows have")
        return cls(task_names=names, **parts, n_rows=int(meta["n_rows"]))  # type: ignore[call-arg]

    @classmethod
    def load(cls: type[Moments], path: str | Path) -> Moments:
        """Read moments written by `save`.

        Parameters
        ----------
        path : str or Path
            File to read.

        Returns
        -------
        TaskMoments
            Equal, bit for bit, to what was saved.
        """
        from safetensors import SafetensorError, safe_open

        found: Any = None
        try:
            with safe_open(str(path), framework="np") as file:
                metadata = file.metadata() or {}
                found = metadata.get("format")
                if found in (_FORMAT, _WEIGHTED_FORMAT):
                    stored = set(file.keys())
                    arrays = {name: file.get_tensor(name) for name in Sums._fields if name in stored}
                    return cls.from_parts(arrays, json.loads(metadata["meta"]))
        except (SafetensorError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(
                f"'{path}' is damaged: got no task moments ({error}), expected the file as it was written. Restore it, "
                "or compute them again."
            ) from None
        raise ValueError(
            f"{path} does not hold task moments: got format {found!r}, expected {_FORMAT!r}. Pass a file written by "
            "TaskMoments.save."
        )


def names_to_json(names: Iterable[Hashable]) -> list[Any]:
    """Return names of tasks as JSON can hold them; ValueError for other types than those of `TaskMoments.save`."""
    return [_as_json(name) for name in names]


def names_of_json(stored: Iterable[Any]) -> tuple[Hashable, ...]:
    """Undo `names_to_json`."""
    return tuple(_of_json(name) for name in stored)


def _as_json(name: Any) -> Any:
    """Return the name of a task as JSON can hold it; what it has no word for, as the text and its kind."""
    if isinstance(name, np.generic):
        name = name.item()
    if name is None or type(name) in (str, bool, int) or (type(name) is float and name == name):
        return name
    if isinstance(name, tuple):
        return {"tuple": [_as_json(part) for part in name]}
    for kind, (of_type, as_text, _) in _LABELS.items():
        if isinstance(name, of_type):
            return {kind: as_text(name)}
    raise ValueError(
        f"task_names cannot be stored: got {name!r} of type {type(name).__name__}, expected texts, numbers, dates, "
        "times, bytes, or tuples of these. Rename the tasks."
    )


def _of_json(stored: Any) -> Any:
    """Undo `_as_json`."""
    if not isinstance(stored, dict):
        return stored
    ((kind, content),) = stored.items()
    return tuple(map(_of_json, content)) if kind == "tuple" else _LABELS[kind][2](content)


def _ends_of(name: str) -> tuple[float, float]:
    """Return the ends of the values of a part: squares of means, and products of scatters, are still numbers."""
    if name in _SIZES:
        return SIZE
    most = 1e100 if name.startswith("mean") else 1e200
    return (-most, most) if name != "group" else FINITE


def _can_be(parts: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether scatters are those of rows: symmetric, without negative eigenvalues, no correlation above one."""
    S, counts, group = parts["scatter_h"], parts["counts"], parts["group"]
    variances, variances_y = np.einsum("gii->gi", S), parts["scatter_y"]
    # What a level that all rows share leaves by rounding, of any sign and correlated with anything.
    rest = _LEVEL * counts[:, None] * parts["mean_h"] ** 2
    rest_y = _LEVEL * counts[group] * parts["mean_y"] ** 2
    least = -rest - _ROUNDING * variances.max(axis=1, keepdims=True, initial=0.0)
    if np.any(variances < least) or np.any(variances_y < -rest_y):
        return False
    varies, varies_y = variances > rest, variances_y > rest_y
    scale = np.sqrt(np.where(varies, variances, np.inf))
    r = parts["scatter_hy"] / scale[group] / np.sqrt(np.where(varies_y, variances_y, np.inf))[:, None]
    if np.any(np.abs(r) > 1.0 + _ROUNDING):
        return False
    # Some groups at a time: there may be as many as tasks.
    at_once = max(1, _MOST_NUMBERS // max(S.shape[1] ** 2, 1))
    blocks = [slice(start, start + at_once) for start in range(0, len(S), at_once)]
    return all(_is_covariance(S[block], scale[block]) for block in blocks)


def _is_covariance(S: NDArray[Any], scale: NDArray[Any]) -> bool:
    """Tell whether matrices, in units of `scale` (infinite for what does not vary), are symmetric and not negative."""
    R = S / scale[:, :, None] / scale[:, None, :]
    if np.any(np.abs(R - R.transpose(0, 2, 1)) > _ROUNDING):
        return False
    try:
        np.linalg.cholesky(R + np.where(np.isfinite(scale), _ROUNDING, 1.0)[:, :, None] * np.eye(R.shape[1]))
    except np.linalg.LinAlgError:
        return False
    return True
