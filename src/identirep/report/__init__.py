"""What a fit has found: a page for people and figures for notebooks."""

from identirep.evaluation import Evaluation
from identirep.report.comparison import COMPARISON_MEANINGS as COMPARISON_MEANINGS
from identirep.report.comparison import comparison_headline as comparison_headline
from identirep.report.comparison import write_comparison as write_comparison
from identirep.report.content import Findings as Findings
from identirep.report.content import score_summary as score_summary
from identirep.report.descriptions import Description, Made, describe
from identirep.report.descriptions import read_kept as read_kept
from identirep.report.descriptions import write_kept as write_kept
from identirep.report.html import write_report
from identirep.report.plots import plot_certificate, plot_roles, plot_spectrum, plot_stability
from identirep.report.row_plots import plot_axis, plot_inputs, plot_returns, plot_scores
from identirep.report.style import COMPARISON_COLOURS as COMPARISON_COLOURS
from identirep.report.style import INK as INK
from identirep.report.style import MARK as MARK
from identirep.report.style import MUTED as MUTED
from identirep.report.style import VERDICT_COLOURS as VERDICT_COLOURS
from identirep.report.style import VERDICT_SYMBOLS as VERDICT_SYMBOLS
from identirep.report.words import VERDICT_MEANINGS as VERDICT_MEANINGS
from identirep.report.words import causal_statement as causal_statement
from identirep.report.words import comes_back_sentence as comes_back_sentence
from identirep.report.words import count as count
from identirep.report.words import headline as headline
from identirep.report.words import last_rows as last_rows
from identirep.report.words import matching_sentence as matching_sentence
from identirep.report.words import reproducibility_statement as reproducibility_statement
from identirep.report.words import verdict_meanings as verdict_meanings

# What users get. The other names, imported as themselves, are for the rest of this library.
__all__ = ["Description", "Evaluation", "Made", "describe", "plot_axis", "plot_certificate", "plot_inputs"]
__all__ += ["plot_returns", "plot_roles", "plot_scores", "plot_spectrum", "plot_stability", "write_report"]
