"""The two functions that every engine uses: moments of a block of rows, and of two blocks together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep.missing import as_numbers
from identirep.moments import TaskMoments

__all__ = ["BlockError", "Encoder", "Part", "as_one_error", "block_part", "merged", "merged_parts", "shown", "whole"]

Encoder = Callable[[Any], Any] | Any


class BlockError(ValueError):
    """A block that cannot be used; the message says which, and why."""


@dataclass(frozen=True)
class Part:
    """Moments of some blocks, None as long as they have no rows, and what all of these blocks have in common."""

    moments: TaskMoments | None
    where: str  # the first block that has rows
    features: tuple[str, ...] | None = None  # names before the encoder, if there are any
    targets: tuple[Hashable, ...] | None = None  # wide layout: names of the tasks


def block_part(
    where: str,
    H: Any,
    y: Any,
    tasks: Any = None,
    sample_weight: Any = None,
    *,
    encoder: Encoder = None,
    task_names: Sequence[Hashable] | None = None,
) -> Part:
    """Moments of a block in the wide layout, or with `tasks` in the long one; features of it by an encoder, if any.

    A block is of arrays or of data frames; one without rows that count has no moments, which is no error.
    """
    for name, other in (("y", y), ("tasks", tasks), ("sample_weight", sample_weight)):
        if other is not None:
            _check_rows(where, H, other, name)
    if not len(H):
        return Part(None, where)
    weight = None if sample_weight is None else np.asarray(_numbers(where, sample_weight, "sample_weight"))
    if weight is not None and not np.any(weight):
        return Part(None, where)
    is_wide = tasks is None
    names = _names(y) if task_names is None else tuple(task_names)
    features = _names(H)
    inputs = _encoded(where, H, encoder) if encoder is not None else _numbers(where, H, "H")
    targets = _numbers(where, y, "y")
    try:
        if is_wide:
            moments = TaskMoments.from_arrays(inputs, targets, task_names=names, sample_weight=weight)
        else:
            moments = TaskMoments.from_long(inputs, targets, tasks, sample_weight=weight)
    except ValueError as error:
        raise BlockError(f"{where}: {error}") from None
    return Part(moments, where, features, moments.task_names if is_wide else None)


def merged_parts(a: Part, b: Part) -> Part:
    """Moments of the rows of both; tasks may differ in the long layout, columns may not."""
    if b.moments is None:
        return a
    if a.moments is None:
        return b
    if a.features != b.features or a.moments.n_features != b.moments.n_features:
        got, expected = (_listed(part.features, part.moments) for part in (b, a))
        raise BlockError(
            f"{b.where} has other features than {a.where}: got {got}, expected {expected}. Give all blocks the same "
            "columns, in one order."
        )
    if a.targets != b.targets:
        raise BlockError(
            f"{b.where} has other targets than {a.where}: got {shown(b.targets)}, expected {shown(a.targets)}. Give "
            "all blocks the same columns, with NaN where a label is missing."
        )
    kinds = [{_kind(name) for name in part.moments.task_names} for part in (a, b) if part.moments is not None]
    if all(kinds) and not kinds[0] & kinds[1]:
        raise BlockError(
            f"{b.where} has labels of tasks of another type than {a.where}: got {shown(b.moments.task_names)}, "
            f"expected some like {shown(a.moments.task_names)}. Convert the labels to one type."
        )
    return Part(a.moments.merge(b.moments), a.where, a.features, a.targets)


def merged(parts: Sequence[Part]) -> Part:
    """Moments of the rows of several parts, in their order."""
    return reduce(merged_parts, parts)


def whole(part: Part) -> TaskMoments:
    """Return the moments of all blocks; ValueError if none has rows."""
    if part.moments is None:
        raise ValueError(
            "the blocks are empty: got no row that counts, expected at least one. Check the source of the blocks."
        )
    return part.moments


@contextmanager
def as_one_error() -> Iterator[None]:
    """Raise what is wrong with a block as an error of ours, wherever the block was."""
    try:
        yield
    except BlockError as error:
        raise ValueError(str(error)) from None


def _check_rows(where: str, H: Any, other: Any, name: str) -> None:
    """Raise if something else has other rows than the features."""
    if not hasattr(other, "__len__") or len(other) != len(H):
        got = len(other) if hasattr(other, "__len__") else type(other).__name__
        raise BlockError(
            f"{where}: rows of {name} are not those of H: got {got} and {len(H)}, expected as many. Split both alike."
        )
    if (
        hasattr(H, "columns")
        and hasattr(other, "index")
        and not callable(other.index)
        and not H.index.equals(other.index)
    ):
        raise BlockError(
            f"{where}: rows of {name} are not those of H: got another index, expected the same one. Take both from one "
            "data frame, or reset the index of both."
        )


def _numbers(where: str, values: Any, name: str) -> NDArray[Any]:
    """Return what is in a block as an array of numbers; texts are none, though they may look so."""
    if hasattr(values, "columns"):
        found = [(column, _text_in(values[column])) for column in values.columns]
        bad = [(column, text) for column, text in found if text is not None]
        if bad:
            raise BlockError(
                f"{where}: column {bad[0][0]!r} is not numeric: got {bad[0][1]!r}, expected numbers. Convert or leave "
                "out the column."
            )
        try:
            return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
        except (TypeError, ValueError) as error:
            raise BlockError(f"{where}: {name} is not numeric: got {error}, expected numbers. Convert it.") from None
    if (text := _text_in(values)) is not None:
        raise BlockError(f"{where}: {name} is not numeric: got {text!r}, expected numbers. Convert it.")
    return as_numbers(values)


def _text_in(values: Any) -> str | bytes | None:
    """Return a text among values, None if there is none."""
    if getattr(getattr(values, "dtype", None), "kind", "O") not in "OSUT":
        return None
    array = np.asarray(values, dtype=object).reshape(-1)
    return next((value for value in array if isinstance(value, str | bytes)), None)


def _encoded(where: str, inputs: Any, encoder: Encoder) -> NDArray[Any]:
    """Return the features that an encoder gives of the inputs of a block."""
    encode = encoder.transform if hasattr(encoder, "transform") else encoder
    try:
        features = encode(inputs)
        features = as_numbers(features.detach().cpu().numpy() if hasattr(features, "detach") else features)
    except Exception as error:
        raise BlockError(
            f"{where}: the encoder fails: got {type(error).__name__} ({error}), expected features. Try it on such rows."
        ) from None
    if features.ndim != 2 or len(features) != len(inputs):
        raise BlockError(
            f"{where}: the encoder does not give features: got shape {features.shape} of {len(inputs)} rows, expected "
            f"({len(inputs)}, n_features). Return one row of features for each row."
        )
    return features


def _names(values: Any) -> tuple[Any, ...] | None:
    return tuple(values.columns) if hasattr(values, "columns") else None


def _kind(label: Hashable) -> str:
    """Tell labels that cannot be one another: numbers and texts; whatever else is, by its type."""
    if isinstance(label, bool | int | float | np.number):
        return "number"
    return type(label).__name__


def _listed(names: tuple[str, ...] | None, moments: TaskMoments | None) -> str:
    return str(0 if moments is None else moments.n_features) if names is None else shown(names)


def shown(names: Sequence[Hashable] | None) -> str:
    """List names, leaving some out if there are many."""
    if names is None:
        return "tasks in a column of labels"
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown}, ... ({len(names)})"
