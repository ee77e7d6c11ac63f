"""The experiments of the paper and its open questions, each a module; ``identirep bench NAME`` runs them."""

from identirep.experiments.experiment import Cell, Experiment, Finished, Row
from identirep.experiments.machine import describe_machine
from identirep.experiments.registry import NAMES, load_experiment
from identirep.experiments.running import run_cells
from identirep.experiments.store import Store
from identirep.experiments.summary import markdown_page, markdown_table

__all__ = ["NAMES", "Cell", "Experiment", "Finished", "Row", "Store", "describe_machine", "load_experiment"]
__all__ += ["markdown_page", "markdown_table", "run_cells"]
