"""What a fit has found: a page for people and figures for notebooks."""

from identirep.evaluation import Evaluation
from identirep.report.content import Findings, score_summary
from identirep.report.html import write_report
from identirep.report.plots import plot_certificate, plot_roles, plot_spectrum, plot_stability
from identirep.report.style import INK, MARK, MUTED, VERDICT_COLOURS, VERDICT_SYMBOLS
from identirep.report.words import causal_statement, count, headline, reproducibility_statement

__all__ = ["Evaluation", "plot_certificate", "plot_roles", "plot_spectrum", "plot_stability", "write_report"]
# For the command line and the experiments.
__all__ += ["INK", "MARK", "MUTED", "VERDICT_COLOURS", "VERDICT_SYMBOLS"]
__all__ += ["Findings", "causal_statement", "count", "headline", "reproducibility_statement", "score_summary"]
