"""Which experiments there are; each is a module that is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

from identirep.experiments.experiment import Experiment

__all__ = ["NAMES", "load_experiment"]

NAMES = (
    "linear",
    "nonlinear",
    "superconductivity",
    "qm9",
    "ivae",
    "failures",
    "recovery",
    "robustness",
    "diversity",
    "structure",
    "certificate",
    "trust",
    "adaptation",
    "retraining",
    "domains",
    "mixing",
)


def load_experiment(name: str) -> Experiment:
    """Return the experiment of that name."""
    if name not in NAMES:
        raise ValueError(f"NAME is unknown: got {name!r}, expected one of {', '.join(NAMES)}. Choose one.")
    experiment = import_module(f"identirep.experiments.{name}").EXPERIMENT
    assert isinstance(experiment, Experiment)
    return experiment
