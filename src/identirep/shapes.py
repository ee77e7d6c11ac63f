"""What is read from files is compared with what it has to be, before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

__all__ = ["Damage", "check_shapes"]


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
