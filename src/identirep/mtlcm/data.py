"""Checked rows as moments: of all of them, and of a random half, by which a fit checks itself."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep._typing import BoolArray, IntArray
from identirep.moment_arguments import rows_of_known_tasks
from identirep.moments import TaskMoments
from identirep.parameters import Fault
from identirep.robust_weights import Robust
from identirep.splits import split_rows
from identirep.target_kinds import TargetType, kinds_sentence
from identirep.validation import TaskData

__all__ = ["Examined", "batch_faults", "halves_of", "moments_of", "types_found", "warn_of_tasks"]

# Labelled rows of a task of which halves can be made.
_LEAST_IN_HALVES = 6
_MOST_NAMED = 5


class Examined(NamedTuple):
    """What is known of the rows and tasks of a fit beside their moments.

    `halves` are moments of one half of the rows, or of both. `rows` says whether errors among them were looked for.
    Tasks that are `foreign` or `repeated`, (n_tasks,), do not count for the axes; None if none was looked for.
    """

    halves: tuple[TaskMoments, ...] = ()
    rows: bool = False
    foreign: BoolArray | None = None
    repeated: BoolArray | None = None

    @property
    def counted(self) -> IntArray | None:
        """Tasks that count, None if all do."""
        if self.foreign is None or self.repeated is None or not (self.foreign | self.repeated).any():
            return None
        return np.flatnonzero(~(self.foreign | self.repeated))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is to be stored, without halves of the rows."""
        if self.foreign is None or self.repeated is None or self.counted is None:
            return {}
        return {"foreign": self.foreign, "repeated": self.repeated}


def moments_of(
    data: TaskData, rows: BoolArray | None = None, robust: Robust = None, target_type: TargetType = None
) -> TaskMoments:
    """Moments of checked rows, or of some of them, in either layout."""
    data = data if rows is None else data.rows(rows)
    names = data.task_names
    if data.task_index is None:
        kinds: dict[str, Any] = {"robust": robust, "target_type": target_type}
        return TaskMoments.from_arrays(data.X, data.targets, task_names=names, sample_weight=data.weights, **kinds)
    known = rows_of_known_tasks(data.X, data.targets, data.task_index, names, data.weights)
    return TaskMoments._of_rows(known, robust, target_type)


def halves_of(data: TaskData, robust: Robust = None, target_type: TargetType = None) -> tuple[TaskMoments, ...]:
    """Moments of a random half of checked rows, of each task in the long layout; none if some task has too few.

    Robust ones, and those of targets of levels or of curved effects, are made so on each half by itself, as other rows
    would be, and come with those of the other half: they are not what the half leaves of the whole.
    """
    rng = np.random.default_rng(0)
    if data.task_index is None:
        seen, half = np.ones(len(data.X), dtype=bool), split_rows(len(data.X), 0.5, rng)
    else:
        seen = ~np.isnan(data.targets)
        if np.bincount(data.task_index[seen], minlength=data.n_tasks).min() < _LEAST_IN_HALVES:
            return ()
        half = seen.copy()
        half[half] = split_rows(int(np.sum(seen)), 0.5, rng, tasks=data.task_index[seen])
    sides = (half,) if robust is None and target_type is None else (half, seen & ~half)
    return tuple(moments_of(data, side, robust, target_type) for side in sides)


def types_found(moments: TaskMoments) -> TargetType:
    """Return the kinds of the targets of moments, as halves of their rows take them; None if they change nothing."""
    kinds = moments.target_kinds_
    if kinds is None or (moments.effect_degree_ == 1 and set(kinds) <= {"continuous"}):
        return None
    return dict(zip(moments.task_names, kinds, strict=True))


def batch_faults(before: TaskMoments) -> list[Fault]:
    """Say that no batch can be added to moments that are not those of the numbers as they are."""
    if types_found(before) is None:
        return []
    return [
        Fault(
            f"batches do not add to targets of levels or curved effects: got a fit to {_of(before)}, which needs all "
            "rows at once, expected lines and continuous targets. Fit to all rows, or fit with target_type=None first."
        )
    ]


def _of(moments: TaskMoments) -> str:
    curved = f", effects of degree {moments.effect_degree_}" if moments.effect_degree_ > 1 else ""
    return f"{kinds_sentence(moments.target_kinds_ or ())} targets{curved}"


def warn_of_tasks(names: Sequence[Hashable], foreign: BoolArray, repeated: BoolArray) -> None:
    """Warn whoever fits of the tasks that axes do not follow from, by name."""
    parts = []
    if foreign.any():
        parts.append(f"mix the latents otherwise than most tasks do: {_named(names, foreign)}")
    if repeated.any():
        parts.append(f"have the rows of an earlier task: {_named(names, repeated)}")
    if parts:
        remark = f"The axes do not follow from tasks that {', or '.join(parts)}. Check their features, or drop them."
        warnings.warn(remark, UserWarning, stacklevel=4)


def _named(names: Sequence[Hashable], which: BoolArray) -> str:
    chosen = [repr(name) for name, is_one in zip(names, which, strict=True) if is_one]
    rest = len(chosen) - _MOST_NAMED
    return ", ".join(chosen[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
