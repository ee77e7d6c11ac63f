"""The experiments of the paper and its open questions, each a module; ``identirep bench NAME`` runs them."""

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
    "structure",
    "certificate",
    "adaptation",
)


def load_experiment(name: str) -> Experiment:
    """Return the experiment of that name.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    Experiment
        What to run and how to show it.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from identirep.experiments import load_experiment
    >>> load_experiment("failures").title
    'Failure signatures'
    """
    if name not in NAMES:
        raise ValueError(f"NAME is unknown: got {name!r}, expected one of {', '.join(NAMES)}. Choose one.")
    experiment = import_module(f"identirep.experiments.{name}").EXPERIMENT
    assert isinstance(experiment, Experiment)
    return experiment
