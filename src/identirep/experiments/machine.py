"""What machine the results come from, in terms that mean something elsewhere."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["describe_machine"]

_LIBRARIES = ("identirep", "numpy", "scipy", "scikit-learn", "torch")


def describe_machine() -> dict[str, str]:
    """Return processor, cores, memory, system and versions; no host or user names."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = {
        "processor": _processor(),
        "cores": str(cores),
        "memory": f"{_memory() / 2**30:.0f} GiB",
        "system": platform.system(),
        "Python": platform.python_version(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("nan")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
