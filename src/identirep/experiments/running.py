"""Run the cells of an experiment, in this process or in several, and keep what is finished."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from identirep.experiments.experiment import Cell
from identirep.experiments.registry import load_experiment
from identirep.experiments.store import Store

__all__ = ["run_cells"]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Outcomes = Iterator[tuple[Cell, "Exception | None"]]


def run_cells(name: str, cells: Sequence[Cell], directory: Path, *, n_jobs: int, n_threads: int) -> Outcomes:
    """Run cells, in several processes if asked for; yield each as it ends and is stored, with what went wrong."""
    if n_jobs > 1:
        yield from _in_processes(name, cells, directory, n_jobs, n_threads)
        return
    for cell in cells:
        try:
            _run_cell(name, cell, directory, n_threads)
        except Exception as error:
            yield cell, error
        else:
            yield cell, None


def _in_processes(name: str, cells: Sequence[Cell], directory: Path, n_jobs: int, n_threads: int) -> Outcomes:
    # Fresh interpreters: forked ones inherit the locks of thread pools. They read these variables when they start.
    with _environment(dict.fromkeys(_THREAD_VARIABLES, str(n_threads))):
        pool = ProcessPoolExecutor(n_jobs, mp_context=multiprocessing.get_context("spawn"))
        try:
            running = {pool.submit(_run_cell, name, cell, directory, n_threads): cell for cell in cells}
            for future in as_completed(running):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield running[future], error
        finally:
            pool.shutdown(cancel_futures=True)


def _run_cell(name: str, cell: Cell, directory: Path, n_threads: int) -> None:
    """Run one cell and store its outcome with the time it took."""
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    # What a fit warns of (no convergence) is measured where it matters; a thousand warnings tell nobody anything.
    with threadpool_limits(n_threads), _torch_threads(n_threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measured = load_experiment(name).measure(cell)
    seconds = time.perf_counter() - start
    rows = [{**cell, **row, "cell_seconds": seconds} for row in measured.rows]
    Store(directory).save(cell, replace(measured, rows=rows))


@contextmanager
def _torch_threads(n_threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
