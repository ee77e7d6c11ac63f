"""What is read from files is compared with what it has to be, before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CORRELATION", "FINITE", "POSITIVE", "SIZE", "Damage", "check_shapes", "check_values"]

_MOST = float(np.finfo(np.float64).max)
# Ends between which values lie; a correlation may exceed its own by rounding.
FINITE, SIZE, POSITIVE, CORRELATION = (-_MOST, _MOST), (0.0, _MOST), (5e-324, _MOST), (-1.0 - 1e-6, 1.0 + 1e-6)


class Damage(ValueError):
    """What was found in a file in the place of what was written, in words that go after "got"."""


def check_shapes(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, str], **sizes: int) -> dict[str, int]:
    """Raise unless arrays have shapes such as "TD2", equal letters for equal sizes; return the size of each letter."""
    found = {"1": 1, "2": 2, **sizes}
    for name, letters in shapes.items():
        if name not in arrays:
            raise Damage(f"no array '{name}'")
        shape = arrays[name].shape
        if len(shape) != len(letters) or any(found.setdefault(i, n) != n for i, n in zip(letters, shape, strict=True)):
            expected = ", ".join(str(found.get(letter, letter)) for letter in letters)
            raise Damage(f"an array '{name}' of shape {shape} in the place of one of ({expected})")
        if arrays[name].dtype.kind not in "fiub":
            raise Damage(f"an array '{name}' of {arrays[name].dtype} in the place of numbers")
    return found


def check_values(
    arrays: Mapping[str, NDArray[Any]], ends: Mapping[str, tuple[float, float]], *, gaps: bool = False
) -> None:
    """Raise unless the numbers of arrays lie between two ends, such as `FINITE`, or, with `gaps`, are none (NaN)."""
    for name, (low, high) in ends.items():
        values = np.asarray(arrays[name], dtype=np.float64)
        # NaN is neither.
        wrong = ~((values >= low) & (values <= high))
        if gaps:
            wrong &= ~np.isnan(values)
        if wrong.any():
            raise Damage(f"{values[wrong][0]} in an array '{name}', in the place of numbers from {low:g} to {high:g}")
