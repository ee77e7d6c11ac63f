"""Which domains there are, and which of them cannot be had here."""

from __future__ import annotations

from identirep.experiments.domains.domain import Domain
from identirep.experiments.domains.molecules import MOLECULES, WITH_GROSS_ERRORS
from identirep.experiments.domains.names import NAMES
from identirep.experiments.domains.packages import lacking
from identirep.experiments.domains.sensors import SENSORS
from identirep.experiments.domains.sprites import SPRITES
from identirep.experiments.domains.topics import TOPICS
from identirep.experiments.domains.weather import OTHER_SEASON, WEATHER

__all__ = ["DOMAINS", "why_missing"]

DOMAINS: dict[str, Domain] = {
    "sprites": SPRITES,
    "sensors": SENSORS,
    "topics": TOPICS,
    "weather": WEATHER,
    "weather, summer to winter": OTHER_SEASON,
    "molecules": MOLECULES,
    "molecules, gross errors kept": WITH_GROSS_ERRORS,
    "names of molecules": NAMES,
}


def why_missing(name: str) -> str | None:
    """Say which packages a domain lacks here; None if it has all."""
    missing = lacking(DOMAINS[name].needs)
    return f"needs {' and '.join(missing)} of the extra domains" if missing else None
