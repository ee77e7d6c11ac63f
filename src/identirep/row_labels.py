"""Labels of rows of data frames: arrays go together by position, which is wrong where labels say otherwise."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["warn_of_other_order"]


def warn_of_other_order(first: str, rows: Any, **others: Any) -> None:
    """Warn where another argument has the row labels of the first, which tell rows apart, in another order.

    Rows go together by position, as everywhere in scikit-learn, so that this is nearly always a mistake: a table that
    was sorted or shuffled alone.
    """
    labels = _labels(rows)
    if labels is None:
        return
    wrong = [name for name, other in others.items() if _are_in_other_order(labels, _labels(other))]
    if wrong:
        listed = " and ".join(wrong)
        warnings.warn(
            f"Rows of {first} and {listed} have the same labels in another order: rows go together by position, not by "
            f"label. If that is not meant, pass {wrong[0]}.loc[{first}.index].",
            UserWarning,
            stacklevel=4,
        )


def _labels(rows: Any) -> Any:
    """Return the index of a data frame or series of pandas, None of anything else."""
    index = getattr(rows, "index", None)
    return index if hasattr(index, "equals") and hasattr(index, "is_unique") else None


def _are_in_other_order(labels: Any, other: Any) -> bool:
    """Tell whether two indices have the same labels, each once, in different places."""
    if other is None or len(other) != len(labels) or labels.equals(other):
        return False
    return bool(labels.is_unique and other.is_unique and labels.isin(other).all())
