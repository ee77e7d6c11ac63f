"""What a fit has found: a page for people and figures for notebooks."""

from identirep.evaluation import Evaluation
from identirep.report.html import write_report
from identirep.report.plots import plot_certificate, plot_roles, plot_spectrum, plot_stability

__all__ = ["Evaluation", "plot_certificate", "plot_roles", "plot_spectrum", "plot_stability", "write_report"]
