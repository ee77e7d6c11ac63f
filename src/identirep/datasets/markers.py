"""What stands for a missing value in a column of numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["USUAL", "Markers", "as_given", "numbers_in"]

_WORDS = ("NA", "N/A", "NaN", "NULL", "None", "NaT")
# What spreadsheets, databases, R, pandas and C write; in a column of numbers none of these can be anything else.
USUAL = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "<NA>", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "-NaN", "-nan"]
    + [form for word in _WORDS for form in (word, word.upper(), word.lower(), word.capitalize())]
)


@dataclass(frozen=True)
class Markers:
    """Texts that stand for a missing value, the usual ones included, and numbers that do."""

    texts: frozenset[str] = USUAL
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, given: str | Sequence[str] | None) -> Markers:
        """Take texts, several separated by commas; those that are numbers stand for their value however written.

        One with a comma in it stands in double quotes.
        """
        if not isinstance(given, str | Iterable | None):
            raise TypeError(
                f"missing has the wrong type: got {given!r}, expected a text or several. Pass missing={str(given)!r}."
            )
        listed = [given] if isinstance(given, str) else list(given or [])
        texts = [part.strip() for text in listed for part in _parts(str(text))]
        numbers = []
        for text in texts:
            try:
                numbers.append(float(text))
            except ValueError:
                continue
        return cls(USUAL | set(texts), tuple(numbers))


def as_given(text: str) -> str:
    """Return a text as `Markers.of` takes it for a single one."""
    return '"{}"'.format(text.replace('"', '""')) if _parts(text) != [text] else text


def _parts(text: str) -> list[str]:
    """Split at commas, but for those in double quotes, as CSV has them; a quote that nothing closes is one itself."""
    if text.count('"') % 2 or "\n" in text or "\r" in text:
        return text.split(",")
    try:
        return next(csv.reader([text], skipinitialspace=True), [""])
    except csv.Error:
        # Longer than the module takes, and than any marker.
        return text.split(",")


def numbers_in(kind: Any, numbers: Sequence[float]) -> list[float]:
    """Return numbers as a column of an Arrow type holds them: in single precision -99.9 is another number."""
    largest = float(np.finfo(np.float32).max)
    is_short = str(kind) == "float"
    return [float(np.float32(number)) if is_short and abs(number) <= largest else number for number in numbers]
