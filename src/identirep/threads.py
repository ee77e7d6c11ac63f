"""Blocks of tasks on several threads: NumPy lets go of the interpreter's lock in all that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_info

__all__ = ["in_threads", "n_threads"]

_Block = TypeVar("_Block")
_Result = TypeVar("_Result")


def n_threads() -> int:
    """Threads that the linear algebra may use: what the machine has, or who calls has set (``OMP_NUM_THREADS``)."""
    return max((int(library["num_threads"]) for library in threadpool_info()), default=1)


def in_threads(call: Callable[[_Block], _Result], blocks: Iterable[_Block]) -> list[_Result]:
    """Call for each block, on threads if there are several of both; results in the order of the blocks."""
    listed = list(blocks)
    n = min(len(listed), n_threads()) if len(listed) > 1 else 1
    if n < 2:
        return [call(block) for block in listed]
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(call, listed))
