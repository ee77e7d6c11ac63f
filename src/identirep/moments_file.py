"""Moments in files: safetensors, with the names of the tasks as JSON."""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from identirep.accumulation import Sums
from identirep.shapes import Damage, check_shapes

__all__ = ["StoredMoments"]

# Tasks, groups of rows, features.
_SHAPES = {"group": "T", "counts": "G", "mean_h": "GK", "scatter_h": "GKK", "mean_y": "T"}
_SHAPES |= {"scatter_hy": "TK", "scatter_y": "T"}
_FORMAT = "identirep.TaskMoments/1"

Moments = TypeVar("Moments", bound="StoredMoments")


class StoredMoments:
    """What `TaskMoments` has to do with files."""

    task_names: tuple[Hashable, ...]
    n_rows: int

    def save(self, path: str | Path) -> None:
        """Write the moments to a safetensors file.

        Parameters
        ----------
        path : str or Path
            File to write. Task names must be strings or numbers.
        """
        from safetensors.numpy import save_file

        arrays, meta = self.to_arrays()
        save_file(arrays, str(path), metadata={"format": _FORMAT, "meta": json.dumps(meta)})

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
            If a task name is neither a string nor a number.
        """
        names = list(self.task_names)
        if json.loads(json.dumps(names, default=repr)) != names:
            raise ValueError(
                "task_names cannot be stored: got names that are neither strings nor numbers, expected names that "
                "survive JSON. Rename the tasks."
            )
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in Sums._fields}
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
        names = meta["task_names"]
        sizes = check_shapes(arrays, _SHAPES, T=len(names))
        parts = {name: arrays[name] for name in Sums._fields}
        group = parts["group"]
        if len(set(names)) < len(names) or not np.isin(group, np.arange(sizes["G"])).all():
            raise Damage("tasks that are not told apart, or in no group of rows")
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

        try:
            with safe_open(str(path), framework="np") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise ValueError(
                        f"{path} does not hold task moments: got format {metadata.get('format')!r}, expected "
                        f"{_FORMAT!r}. Pass a file written by TaskMoments.save."
                    )
                arrays = {name: file.get_tensor(name) for name in Sums._fields}
            return cls.from_parts(arrays, json.loads(metadata["meta"]))
        except (SafetensorError, Damage, LookupError, TypeError, RecursionError) as error:
            raise ValueError(
                f"'{path}' is damaged: got no task moments ({error}), expected the file as it was written. Restore it, "
                "or compute them again."
            ) from None
