"""What a plan says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from identirep._typing import Array
from identirep.planning.searching import SIZES

__all__ = ["Plan", "RowsNeeded", "TasksNeeded", "size"]


@dataclass(frozen=True)
class TasksNeeded:
    """Tasks with so many rows each that reach the target.

    Parameters
    ----------
    n_samples : int
        Rows of each task.
    n_tasks : float
        Tasks with which half of the imagined studies reach the target; inf if that is more than 1024.
    n_tasks_safe : float
        Tasks with which nine of ten do.
    """

    n_samples: int
    n_tasks: float
    n_tasks_safe: float


@dataclass(frozen=True)
class RowsNeeded:
    """Rows of each of so many tasks that reach the target.

    Parameters
    ----------
    n_tasks : int
        Number of tasks.
    n_samples : float
        Rows of each task with which half of the imagined studies reach the target; inf if that is more than were tried.
    n_samples_safe : float
        Rows with which nine of ten do.
    """

    n_tasks: int
    n_samples: float
    n_samples_safe: float


@dataclass(frozen=True)
class Plan:
    """Sizes of a study that are needed for axes at a target.

    Parameters
    ----------
    target : float
        Correlation of the axes with the latents of the causal model, on average over the axes.
    subject : str
        What was planned for.
    tasks : tuple of TasksNeeded
        Tasks needed, for each number of rows; empty where targets share their rows.
    rows : tuple of RowsNeeded
        Rows needed, for each number of tasks.
    highest : float
        Correlation that observation noise leaves however many rows there are.
    is_lower_bound : bool
        Whether the pilot is too small to be extrapolated from, so that at least so much is needed.
    n_rows : int or None
        Distinct rows of the pilot.
    rows_to_come_back : array, shape (D,), or None
        Distinct rows from which each axis agrees with its partner in a fit to as many others by the target, since the
        loss falls as one over the rows: those of the pilot if they are enough, inf for an axis that did not come back
        at all. None if that was not measured.
    remarks : tuple of str
        What is to be known about these numbers.
    """

    target: float
    subject: str
    tasks: tuple[TasksNeeded, ...]
    rows: tuple[RowsNeeded, ...]
    highest: float
    is_lower_bound: bool
    n_rows: int | None
    rows_to_come_back: Array | None
    remarks: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [f"Plan for axes at {self.target:g}: {self.subject}"]
        tables = (
            (("rows per task", "tasks", "to be safe"), [(t.n_samples, t.n_tasks, t.n_tasks_safe) for t in self.tasks]),
            (("tasks", "rows per task", "to be safe"), [(r.n_tasks, r.n_samples, r.n_samples_safe) for r in self.rows]),
        )
        for heads, rows in tables:
            if rows:
                lines += ["", "".join(f"{head:>15}" for head in heads)]
                lines += ["".join(f"{size(value):>15}" for value in row) for row in rows]
        if (text := self.rows_in_words) is not None:
            lines += ["", text]
        return "\n".join([*lines, *self.remarks])

    @property
    def rows_in_words(self) -> str | None:
        """What rows are needed for the axes to come back, in a sentence; None if that is not known."""
        if self.rows_to_come_back is None or self.n_rows is None:
            return None
        most, half = float(self.rows_to_come_back.max()), float(np.median(self.rows_to_come_back))
        again = f"a fit to as many others has the same axis by {self.target:g}"
        if most <= self.n_rows:
            return f"The {self.n_rows:,} rows of the pilot are enough: {again}, for all axes."
        return (
            f"Rows from which {again}: {_rounded(half)} for half of the axes, {_rounded(most)} for all of them "
            f"({self.n_rows:,} in the pilot)."
        )


def size(value: float) -> str:
    """Return a size that was searched for, which may be beyond what was tried."""
    return f"{value:,.0f}" if np.isfinite(value) else f"> {SIZES[-1]:,}"


def _rounded(rows: float) -> str:
    """Return a number of rows with two digits, which is all that is known of it."""
    return f"{float(f'{rows:.2g}'):,.0f}" if np.isfinite(rows) else "no number"
