"""Repeated timing and the threads that it is done with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def set_threads(n: int) -> None:
    """Set the threads of the linear algebra, for libraries loaded already and for those loaded later."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)
    from threadpoolctl import threadpool_limits

    threadpool_limits(n)


def median_seconds(call: Callable[[], Any], repeats: int = 5) -> float:
    """Median wall-clock time of the call, after one call to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
