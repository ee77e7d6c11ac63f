"""Whether what a fit says of its axes comes back: against fits to other rows, and the truth where it is known."""

from identirep.experiments.trust.page import EXPERIMENT

__all__ = ["EXPERIMENT"]
