"""Tasks that a fit has left out: remembered with the model, and taken out of data that still have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from identirep.inputs import column_names
from identirep.moments_file import names_of_json, names_to_json
from identirep.parameters import Fault
from identirep.shapes import Damage
from identirep.validation import TaskData, check_task_data

__all__ = ["known_task_data", "left_out_meta", "remember_left_out", "restore_left_out"]


def remember_left_out(model: Any, data: TaskData) -> None:
    """Give a model ``left_out_tasks_``, and all tasks of its fit in their order."""
    model.left_out_tasks_, model._given_tasks = dict(data.left_out), data.given_tasks


def known_task_data(
    model: Any,
    X: Any,
    y: Any,
    tasks: Any,
    estimator: Any = None,
    *,
    gaps: bool = False,
    sample_weight: Any = None,
    found: Sequence[Fault | str] = (),
) -> TaskData:
    """Check data with tasks of a fitted model, with or without those left out in its fit, which are taken out."""
    estimator = model if estimator is None else estimator
    fitted, given = model.task_names_, getattr(estimator, "_given_tasks", model.task_names_)
    if tasks is None and np.ndim(y) == 2 and np.shape(y)[1] == len(fitted) and column_names(y) is None:
        given = fitted
    rest: dict[str, Any] = {"known_tasks": given, "gaps": gaps, "sample_weight": sample_weight, "found": found}
    data = check_task_data(X, y, tasks, estimator=estimator, reset=False, min_labels=0, **rest)
    if len(given) == len(fitted):
        return data
    kept = set(fitted)
    return data.tasks([t for t, name in enumerate(given) if name in kept])


def left_out_meta(model: Any) -> dict[str, Any]:
    """Return what JSON can hold of the tasks that were left out."""
    if not model.left_out_tasks_:
        return {}
    return {"given_tasks": names_to_json(model._given_tasks), "left_out": list(model.left_out_tasks_.values())}


def restore_left_out(model: Any, meta: dict[str, Any]) -> None:
    """Undo `left_out_meta` for a model that has its tasks."""
    given, why = names_of_json(meta.get("given_tasks", [])) or model.task_names_, meta.get("left_out", [])
    left_out = [name for name in given if name not in set(model.task_names_)]
    if len(left_out) != len(why) or len(given) != len(model.task_names_) + len(why):
        raise Damage("tasks that were left out and are not known")
    model.left_out_tasks_, model._given_tasks = dict(zip(left_out, map(str, why), strict=True)), given
