"""What can be said of a table before anything is fitted: fewer tasks than any axes need."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array

__all__ = ["too_few"]

# Tasks with which nine of ten studies of three latents reach an MCC of 0.99, by the rows of a task up to which they
# do, in the best of cases (1 or 2 causes, effects with a deviation of 0.1); from `identirep bench diversity`.
_LEAST_TASKS = ((35.0, 8), (np.inf, 5))


def too_few(n_samples: Array) -> str | None:
    """Say that tasks with so many labelled rows are fewer than three latents need; None if they are not."""
    n_tasks, usual = len(n_samples), float(np.median(n_samples))
    least = next(tasks for rows, tasks in _LEAST_TASKS if usual <= rows)
    if n_tasks >= least:
        return None
    return (
        f"Too few tasks to tell latents apart: got {n_tasks} of {usual:.0f} rows, expected at least {least}, which "
        "three latents need in the best of cases (identirep bench diversity). Add tasks; identirep plan says how many."
    )
