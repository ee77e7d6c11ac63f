"""Which domains there are, and which of them cannot be had here."""

from __future__ import annotations

from importlib.util import find_spec

from identirep.experiments.domains.domain import Domain
from identirep.experiments.domains.sensors import SENSORS
from identirep.experiments.domains.sprites import SPRITES
from identirep.experiments.domains.topics import TOPICS

__all__ = ["DOMAINS", "why_missing"]

DOMAINS: dict[str, Domain] = {"sprites": SPRITES, "sensors": SENSORS, "topics": TOPICS}


def why_missing(name: str) -> str | None:
    """Say which packages a domain lacks here; None if it has all."""
    missing = [package for package in DOMAINS[name].needs if find_spec(package) is None]
    return f"needs {' and '.join(missing)} of the extra domains" if missing else None
