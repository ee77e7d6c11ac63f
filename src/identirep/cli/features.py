"""Fits to features that are given: stage two alone, on the moments of tables of any size, read in blocks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from identirep.cli.answers import answer
from identirep.cli.console import progress, remark, say, working
from identirep.cli.found import found_in
from identirep.cli.reporting import made_of
from identirep.cli.runs import print_findings, write_run
from identirep.datasets import open_table
from identirep.directories import check_target
from identirep.engines import (
    Sides,
    TableBlocks,
    as_one_error,
    check_dask,
    connected,
    files_of,
    relabelled,
    sides_added,
    sides_of_file,
    tree_reduced,
)
from identirep.evaluation import Evaluation
from identirep.moments import TaskMoments
from identirep.mtlcm import LEAST_LABELS, MTLCM, Examined
from identirep.report import Findings, count
from identirep.validation import CONSTANT, left_out_remark

__all__ = ["Source", "fit_to_features", "start_columns", "where_of"]


# Seconds to wait for a scheduler, and for its first worker.
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Source:
    """Tables of features, and what computes their moments: this process, or Dask, at an address or on this machine."""

    data: Path
    columns: TableBlocks
    engine: Literal["stream", "dask"]
    scheduler: str | None


def fit_to_features(
    data: Path,
    targets: list[str],
    out: Path,
    options: dict[str, Any],
    engine: tuple[Literal["stream", "dask"], str | None],
    settings: tuple[int | Literal["auto"], float, int],
) -> Findings:
    """Fit the axes of features, say what was found, write the run, and return the findings."""
    check_target(out)
    reading = {name: options.pop(name) for name in ("separator", "decimal", "sheet")}
    source = Source(data, TableBlocks(targets, **options, reading=reading), *engine)
    model, evaluation = _fit(source, *settings)
    print_findings(model, evaluation)
    answer(run=out, **found_in(model, evaluation), like=None)
    columns = source.columns
    target = None if columns.tasks is None else columns.target_names[0]
    about = {"inputs": list(columns.feature_names), "left_out": dict(columns.left_out)}
    write_run(out, model, evaluation, made_of(out, data, **about, target=target, tasks=columns.tasks))
    return Findings.of(model)


def _fit(source: Source, n_components: int | Literal["auto"], share: float, seed: int) -> tuple[MTLCM, Evaluation]:
    """Fit stage two to the moments of all rows but those held out, and score it on these."""
    files = files_of(source.data)
    with as_one_error():
        start_columns(source, files)
        sides = _sides(source, files, share, seed)
        moments, half = sides.to_fit()
        held_out = sides.held_out.moments
    if source.columns.tasks is not None:
        moments, half = relabelled(moments), half and relabelled(half)
        held_out = held_out and relabelled(held_out)
    _announce(source, len(files), moments.n_rows + (0 if held_out is None else held_out.n_rows))
    for text in [] if sides.looks is None else sides.looks.remarks(_columns_of(source)):
        remark(text)
    given_tasks, left_out = moments.task_names, _tasks_left_out(moments)
    if left_out:
        remark(left_out_remark(left_out, LEAST_LABELS))
        kept = [t for t, name in enumerate(given_tasks) if name not in left_out]
        moments, half = moments.select_tasks(kept), half and half.select_tasks(kept)
    model = MTLCM(None if n_components == "auto" else n_components, random_state=seed)
    # Known before, so that errors say them.
    model.feature_names_in_ = np.array(source.columns.feature_names, dtype=object)
    with working("Fitting"):
        model._fit(moments, "Standardise the features, or take fewer.", Examined(() if half is None else (half,)))
        model.left_out_tasks_, model._given_tasks = left_out, given_tasks
        r2 = np.full(moments.n_tasks, np.nan) if held_out is None else model._r2_of_moments(held_out)
    n_held_out = 0 if held_out is None else held_out.n_rows
    weighted_by = source.columns.weights
    name = source.data.name if len(files) == 1 else str(source.data)
    return model, Evaluation(name, moments.n_rows, n_held_out, None, r2, weighted_by=weighted_by)


def start_columns(source: Source, files: Sequence[Path]) -> None:
    """Choose the columns by those of the first file, and say what they are not."""
    columns = source.columns
    table = open_table(files[0], columns.missing, **columns.reading)
    columns.start(table.columns, where_of(files[0], files), table.index_columns)
    for text in table.remarks:
        remark(text)
    answer(left_out=[{"column": name, "reason": why} for name, why in columns.left_out.items()])
    if columns.left_out:
        listed = ", ".join(f"{name!r} ({why})" for name, why in columns.left_out.items())
        remark(f"No features: {listed}.")


def _columns_of(source: Source) -> list[str]:
    """Return the names of all columns of numbers, features and targets."""
    return [*source.columns.feature_names, *source.columns.target_names]


def where_of(file: Path, files: Sequence[Path]) -> str:
    """Name a file in messages: with its folder where there are several."""
    return file.name if len(files) == 1 else str(file)


def _sides(source: Source, files: Sequence[Path], share: float, seed: int) -> Sides:
    """Compute the moments of both halves of training and of what is held out."""
    if source.engine == "stream":
        with progress(len(files)) as done:
            found: Sides | None = None
            for file in files:
                part = sides_of_file(source.columns, file, where_of(file, files), share, seed)
                found = part if found is None else sides_added([found, part])
                done(file.name)
        assert found is not None
        return found
    check_dask("--engine dask")
    from dask.delayed import delayed

    # Workers may have another working directory.
    task = delayed(sides_of_file, pure=False)
    parts = [task(source.columns, file.resolve(), where_of(file, files), share, seed) for file in files]
    with _cluster(source.scheduler) as address, connected(address, _TIMEOUT) as client, working("Computing moments"):
        return tree_reduced(parts, sides_added, client)


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[Any]:
    """Yield the address of a scheduler: that which is given, or that of processes on this machine while they last."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is not None:
        yield scheduler
        return
    from distributed import LocalCluster

    n_workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def _announce(source: Source, n_files: int, n_rows: int) -> None:
    columns = source.columns
    what = "target" if columns.tasks is None else "target column"
    targets = count(len(columns.target_names), what)
    say(
        f"{source.data}: {count(n_files, 'file')}, {n_rows:,} rows, {count(len(columns.feature_names), 'feature')}, "
        f"{targets}{'' if columns.weights is None else f', weighted by {columns.weights}'}."
    )
    say("Features are taken as they are: nothing is trained but the axes.")


def _tasks_left_out(moments: TaskMoments) -> dict[Any, str]:
    """Return the tasks that have too few labels to be fitted, or targets that do not vary, and which of the two."""
    n = moments.n_samples
    constant = moments.var_y <= np.finfo(np.float64).eps ** 2 * np.maximum(moments.mean_y**2, 1e-300)
    why = [f"{count:.3g} labels" if count < LEAST_LABELS else CONSTANT for count in n]
    bad = np.flatnonzero((n < LEAST_LABELS) | constant)
    return {moments.task_names[t]: why[t] for t in bad}
