"""Which rows a model was trained on: 64 bits of each, so that other runs can be compared on rows that none has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import BoolArray
from identirep.shapes import Damage
from identirep.splits import row_hashes

__all__ = ["TrainedRows"]


@dataclass(frozen=True)
class TrainedRows:
    """Sorted hashes of the inputs of all rows of a fit, and whether those had the digits of float32 only."""

    hashes: NDArray[np.uint64]
    short: bool

    @classmethod
    def of(cls, X: NDArray[Any]) -> TrainedRows:
        """Remember checked inputs."""
        return cls(np.unique(row_hashes(X)), X.dtype == np.float32)

    def saw(self, X: NDArray[Any]) -> BoolArray | None:
        """Tell which rows of checked inputs are among those; None where digits are missing to tell."""
        if not self.short and X.dtype == np.float32:
            return None
        return np.isin(row_hashes(X.astype(np.float32) if self.short else X), self.hashes)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays for a run directory."""
        return {"hashes": self.hashes, "short": np.array(self.short)}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> TrainedRows:
        """Take back what `to_arrays` has returned."""
        hashes, short = arrays["hashes"], arrays["short"]
        if hashes.ndim != 1 or hashes.dtype != np.uint64 or short.shape != () or short.dtype != bool:
            raise Damage("hashes of rows that are none")
        return cls(hashes, bool(short))
