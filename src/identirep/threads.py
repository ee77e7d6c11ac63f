"""Blocks of tasks on several threads: NumPy lets go of the interpreter's lock in all that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["cached_parts", "in_threads", "n_threads"]

# Numbers of each array of a part: few enough that a cache holds several of them (float64, 1 MB).
_NUMBERS = 2**17

_Block = TypeVar("_Block")
_Result = TypeVar("_Result")


def n_threads() -> int:
    """Threads that the linear algebra may use: what the machine has, or who calls has set (``OMP_NUM_THREADS``)."""
    return max((int(library.num_threads or 1) for library in _libraries().lib_controllers), default=1)


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """Libraries that are loaded; to look for them takes milliseconds, which small matrices do not."""
    return ThreadpoolController()


def cached_parts(n_tasks: int, numbers: int) -> list[slice]:
    """Return parts of the tasks, so many numbers a task, that are worked on in a cache: large arrays cost more."""
    size = max(1, _NUMBERS // max(numbers, 1))
    return [slice(first, min(first + size, n_tasks)) for first in range(0, n_tasks, size)]


def in_threads(call: Callable[[_Block], _Result], blocks: Iterable[_Block]) -> list[_Result]:
    """Call for each block, on threads if there are several of both; results in the order of the blocks."""
    listed = list(blocks)
    n = min(len(listed), n_threads()) if len(listed) > 1 else 1
    if n < 2:
        return [call(block) for block in listed]
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(call, listed))
