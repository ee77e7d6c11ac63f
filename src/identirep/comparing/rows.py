"""Which rows a model was trained on: 64 bits of each, so that other runs can be compared on rows that none has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import BoolArray, IntArray
from identirep.shapes import Damage
from identirep.splits import row_hashes

__all__ = ["TrainedRows"]


@dataclass(frozen=True)
class TrainedRows:
    """Sorted hashes of the inputs of all rows of a fit, and whether those had the digits of float32 only.

    `counts` says how many rows with such inputs count: of a group only one does.
    """

    hashes: NDArray[np.uint64]
    short: bool
    counts: IntArray

    @classmethod
    def of(cls, X: NDArray[Any], groups: IntArray | None = None) -> TrainedRows:
        """Remember checked inputs; of the rows of a group the first counts."""
        hashes, index = np.unique(row_hashes(X), return_inverse=True)
        first = np.arange(len(X)) if groups is None else np.unique(groups, return_index=True)[1]
        counts = np.bincount(index.reshape(-1)[first], minlength=len(hashes))
        return cls(hashes, X.dtype == np.float32, counts.astype(np.int64))

    def saw(self, X: NDArray[Any]) -> BoolArray | None:
        """Tell which rows of checked inputs are among those; None where digits are missing to tell."""
        if not self.short and X.dtype == np.float32:
            return None
        return np.isin(self.hashed(X), self.hashes)

    def hashed(self, X: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the hashes of checked inputs, of which digits that the fit had not are dropped."""
        return row_hashes(X.astype(np.float32 if self.short else np.float64))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays for a run directory."""
        return {"hashes": self.hashes, "short": np.array(self.short), "counts": self.counts}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> TrainedRows:
        """Take back what `to_arrays` has returned."""
        hashes, short = arrays["hashes"], arrays["short"]
        if hashes.ndim != 1 or hashes.dtype != np.uint64 or short.shape != () or short.dtype != bool:
            raise Damage("hashes of rows that are none")
        # Runs from before rows were counted have one for each hash.
        counts = arrays.get("counts", np.ones(len(hashes), dtype=np.int64))
        if counts.shape != hashes.shape or counts.dtype != np.int64 or (counts < 0).any():
            raise Damage("counts of rows that are none")
        return cls(hashes, bool(short), counts)
