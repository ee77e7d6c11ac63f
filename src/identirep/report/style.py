"""Colours of pages and figures, light and dark: blue against orange, never red against green, for any colour vision."""

from __future__ import annotations

from identirep.mtlcm import SYMBOLS

__all__ = [
    "COMPARISON_COLOURS",
    "COMPARISON_SYMBOLS",
    "DARK",
    "DIVERGING",
    "INK",
    "LIGHT",
    "MARK",
    "MUTED",
    "SEQUENTIAL",
    "THRESHOLD",
    "VERDICT_COLOURS",
    "VERDICT_SYMBOLS",
]

# Variables of the style sheet. Words have a contrast of 4.5 or more on what they stand on, marks of 3.
LIGHT = {
    "ground": "#f3f5f7",
    "paper": "#ffffff",
    "raised": "#eef2f5",
    "ink": "#1d2733",
    "muted": "#55616e",
    "line": "#d9e0e6",
    "mark": "#0b5fa5",
    "against": "#b04a00",
    "rest": "#8796a5",
    "identified": "#0b5fa5",
    "reproducible": "#0f6b75",
    "unstable": "#a8480b",
    "not-checked": "#55616e",
    "kept": "#0b5fa5",
    "mixed": "#0f6b75",
    "lost": "#a8480b",
    "new": "#6a3fa0",
}
DARK = {
    "ground": "#11161b",
    "paper": "#1a2027",
    "raised": "#232b33",
    "ink": "#e6ebf0",
    "muted": "#a9b4bf",
    "line": "#36414c",
    "mark": "#6cb4f5",
    "against": "#f0a06a",
    "rest": "#7c8b99",
    "identified": "#6cb4f5",
    "reproducible": "#5cc7cf",
    "unstable": "#f0a06a",
    "not-checked": "#a9b4bf",
    "kept": "#6cb4f5",
    "mixed": "#5cc7cf",
    "lost": "#f0a06a",
    "new": "#c3a6f0",
}

INK, MUTED = LIGHT["ink"], LIGHT["muted"]
MARK, THRESHOLD = LIGHT["mark"], LIGHT["against"]

VERDICT_COLOURS = {name: LIGHT[name.replace(" ", "-")] for name in SYMBOLS}
# The same by form, for prints without colours.
VERDICT_SYMBOLS = SYMBOLS

# What has become of an axis, by name of the colour, and by form.
_BECAME = {"kept": "kept", "turned": "mixed", "split": "mixed", "merged": "mixed", "lost": "lost", "new": "new"}
COMPARISON_COLOURS = {word: LIGHT[colour] for word, colour in _BECAME.items()}
COMPARISON_SYMBOLS = {"kept": "●", "turned": "◐", "split": "◐", "merged": "◐", "lost": "○", "new": "□"}

SEQUENTIAL = ["#f7fafc", "#d5e5f2", "#9cc4e0", "#4f97c9", "#1b69aa", "#0a3c70"]
DIVERGING = ["#9a4b00", "#d8801f", "#f3c48c", "#f8f8f6", "#9cc4e0", "#2f7fbd", "#0a3c70"]
