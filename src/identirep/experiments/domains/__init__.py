"""Both stages in other domains: images, sensors, text, weather and molecules."""

from identirep.experiments.domains.page import EXPERIMENT

__all__ = ["EXPERIMENT"]
