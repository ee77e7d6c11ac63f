"""Kinds of targets, told from their values: one table of rules, and what users say instead.

A target of two whole numbers is *binary*, one of few whole numbers *ordinal*, one of whole numbers from 0 on, skewed
and about as dispersed as a Poisson law or more, a *count*, and anything else is *continuous*. Few labels may have few
values by chance: tasks with less than ten take the kind of the column that all tasks of a long table share.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from identirep._typing import Array, IntArray
from identirep.mapped_rows import MappedRows
from identirep.parameters import Choice, Either, Fault, Made, Rule
from identirep.shapes import Damage
from identirep.wording import short

__all__ = [
    "KINDS",
    "TARGET_TYPE",
    "TOLD_TYPE",
    "TargetType",
    "has_binary_targets",
    "kind_of",
    "kinds_of",
    "kinds_of_columns",
    "kinds_of_tasks",
    "kinds_sentence",
    "needs_labels_fault",
    "stored_kinds",
]

KINDS = ("binary", "ordinal", "count", "continuous")
TargetType: TypeAlias = Literal["auto", "binary", "ordinal", "count", "continuous"] | Mapping[Hashable, str] | None
TOLD_TYPE: Rule = Either(Choice("auto", *KINDS), Made("a dict from tasks to kinds", ("items", "keys")))
TARGET_TYPE: Rule = Either(Choice(None), TOLD_TYPE)

# Labels from which values tell a kind; 0 and 1 do at once.
_LEAST_LABELS = 10
# An ordinal target has at most so many levels, within so many steps, on so many rows each.
_MOST_LEVELS, _ROWS_PER_LEVEL = 10, 5
# A count has at least this share of the variance of a Poisson law; beyond so large numbers doubles have no fractions.
_LEAST_DISPERSION, _LARGEST_COUNT = 0.5, 1e12


def kind_of(values: Array) -> str:
    """Tell the kind of a target from its labels, none of them missing."""
    distinct = np.unique(values)
    if not len(distinct) or not np.array_equal(distinct, np.round(distinct)):
        return "continuous"
    if len(distinct) == 2 and (len(values) >= _LEAST_LABELS or np.array_equal(distinct, [0.0, 1.0])):
        return "binary"
    if len(distinct) < 3 or len(values) < _LEAST_LABELS:
        return "continuous"
    is_short = distinct[-1] - distinct[0] < _MOST_LEVELS
    if is_short and len(values) >= _ROWS_PER_LEVEL * len(distinct):
        return "ordinal"
    # All doubles are whole numbers from some size on, and powers of the largest are none.
    if not 0.0 <= distinct[0] <= distinct[-1] < _LARGEST_COUNT:
        return "continuous"
    mean, variance = float(values.mean()), float(values.var())
    is_skewed = float(((values - mean) ** 3).mean()) > 0.0
    return "count" if is_skewed and variance >= _LEAST_DISPERSION * mean else "continuous"


def kinds_of_columns(Y: Array, names: Sequence[Hashable], given: TargetType) -> tuple[str, ...]:
    """Return the kind of each column of the wide layout, NaN left out; ValueError for kinds that values do not have."""
    if isinstance(Y, MappedRows):
        if isinstance(given, Mapping):
            _check_names(given, names)
        own = [{name: given[name]} if name in given else "auto" for name in names] if isinstance(given, Mapping) else []
        parts = zip(Y.T, names, own or [given] * len(names), strict=True)
        return tuple(kinds_of_columns(column[:, None], [name], told)[0] for column, name, told in parts)
    labels = [column[~np.isnan(column)] for column in Y.T]
    return _chosen(labels, [kind_of(own) for own in labels], names, given)


def kinds_of_tasks(y: Array, index: IntArray, names: Sequence[Hashable], given: TargetType) -> tuple[str, ...]:
    """Return the kind of each task of the long layout."""
    order = np.argsort(index, kind="stable")
    labels = np.split(y[order], np.cumsum(np.bincount(index, minlength=len(names)))[:-1])
    # Most tasks have some label that is no whole number, which is looked at for all of them at once.
    broken = np.bincount(index, y != np.round(y), minlength=len(names)) > 0
    found = ["continuous" if is_broken else kind_of(own) for is_broken, own in zip(broken, labels, strict=True)]
    if any(len(own) < _LEAST_LABELS for own in labels) and "continuous" in found:
        all_alike = kind_of(y)
        few = [len(own) < _LEAST_LABELS and kind == "continuous" for own, kind in zip(labels, found, strict=True)]
        found = [all_alike if is_few else kind for is_few, kind in zip(few, found, strict=True)]
    return _chosen(labels, found, names, given)


def kinds_of(
    targets: Array,
    index: IntArray | None,
    names: Sequence[Hashable],
    given: TargetType,
    known: Sequence[Hashable] = (),
) -> tuple[str, ...]:
    """Return the kind of each task in either layout; kinds may be given of tasks that are `known` and left out, too."""
    if isinstance(given, Mapping):
        left_out = set(known) - set(names)
        given = {name: kind for name, kind in given.items() if name not in left_out}
    if index is None:
        return kinds_of_columns(targets, names, given)
    return kinds_of_tasks(targets, index, names, given)


def stored_kinds(kinds: Sequence[str] | None, n_tasks: int) -> tuple[str, ...] | None:
    """Return kinds of so many targets from what was stored; None if nothing was."""
    if kinds is None:
        return None
    if len(kinds) != n_tasks or not set(kinds) <= set(KINDS):
        raise Damage("kinds of targets that are none")
    return tuple(kinds)


def _chosen(
    labels: Sequence[Array], found: Sequence[str], names: Sequence[Hashable], given: TargetType
) -> tuple[str, ...]:
    """Let what is given override what was found."""
    if given == "auto":
        return tuple(found)
    if given is None or isinstance(given, str):
        kinds: list[str] = [given or "continuous"] * len(found)
    else:
        kinds = [given.get(name, kind) for name, kind in zip(names, found, strict=True)]
        _check_names(given, names)
    for name, kind, own in zip(names, kinds, labels, strict=True):
        if (wrong := _wrong(kind, own)) is not None:
            raise ValueError(
                f"target_type does not go with task {name!r}: got {short(repr(kind))} for {wrong}. "
                "Correct target_type, or leave it at 'auto'."
            )
    return tuple(kinds)


def _check_names(given: Mapping[Hashable, str], names: Sequence[Hashable]) -> None:
    unknown = [name for name in given if name not in set(names)]
    if unknown:
        raise ValueError(
            f"target_type names no task: got {short(repr(unknown[0]))}, expected names among the {len(names)} tasks. "
            "Correct it."
        )


def _wrong(kind: str, values: Array) -> str | None:
    """Say why values are not of a kind; None if they are."""
    if kind not in KINDS:
        return f"a kind, expected one of {', '.join(KINDS)}"
    if kind == "continuous":
        return None
    distinct = np.unique(values)
    if kind == "binary" and len(distinct) > 2:
        return f"{len(distinct)} distinct values, expected at most two"
    if kind == "count" and len(distinct) and (distinct[0] < 0 or not np.array_equal(distinct, np.round(distinct))):
        return f"values such as {distinct[distinct != np.round(distinct)][:1] or distinct[:1]}, expected 0, 1, 2, ..."
    return None


def needs_labels_fault(target_type: Any) -> list[Fault]:
    """Say that moments know no single labels any more, where kinds are asked for."""
    if target_type in ("auto", "continuous", None):
        return []
    return [
        Fault(
            f"target_type needs all labels: got {short(repr(target_type))} and moments or batches, expected 'auto'. "
            "Tell the moments, TaskMoments.from_long(..., target_type=...), and fit to these."
        )
    ]


def kinds_sentence(kinds: Sequence[str]) -> str:
    """Say how many targets there are of each kind, as "12 binary, 3 continuous"."""
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in KINDS if kind in kinds)


def has_binary_targets(model: Any) -> bool:
    """Whether a model, which is fitted, has probabilities to predict."""
    stage = model if hasattr(model, "target_kinds_") else getattr(model, "regressor_", None)
    return "binary" in getattr(stage, "target_kinds_", ())
