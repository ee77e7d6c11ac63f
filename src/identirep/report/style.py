"""Colours of all figures: blue against orange, never red against green, so that any colour vision tells them apart."""

from __future__ import annotations

from identirep.mtlcm import SYMBOLS

__all__ = ["DIVERGING", "INK", "MARK", "MUTED", "SEQUENTIAL", "THRESHOLD", "VERDICT_COLOURS", "VERDICT_SYMBOLS"]

INK, MUTED = "#1d2733", "#6b7785"
MARK, THRESHOLD = "#0b5fa5", "#d55e00"

VERDICT_COLOURS = {"identified": "#0b5fa5", "reproducible": "#16747f", "unstable": "#a8480b", "not checked": "#5f6b78"}
# The same by form, for prints without colours.
VERDICT_SYMBOLS = SYMBOLS

SEQUENTIAL = ["#f7fafc", "#d5e5f2", "#9cc4e0", "#4f97c9", "#1b69aa", "#0a3c70"]
DIVERGING = ["#9a4b00", "#d8801f", "#f3c48c", "#f8f8f6", "#9cc4e0", "#2f7fbd", "#0a3c70"]
