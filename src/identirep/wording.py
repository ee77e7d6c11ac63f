"""Messages that can be read: long cells, names and lines are cut."""

from __future__ import annotations

import re

__all__ = ["place_of", "readable", "short"]

# Characters of a value, a name or a cell that a message shows, and of one line of a message.
_MOST_SHOWN, _LONGEST = 80, 2000
# What stands in quotes and is longer than any name.
_LONG_QUOTE = re.compile(r"(?<![^\s=(\[])(['\"])((?:(?!\1)[^\n]){160,})\1")


def short(text: str, most: int = _MOST_SHOWN) -> str:
    """Return what a message shows of a value: all of it, or its beginning and how long it is."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def place_of(position: int, of_table: bool = False) -> str:
    """Name a place among rows: rows of tables are counted from 1, without the header; an index of an array from 0."""
    return f"row {position + 1}" if of_table else f"index {position}"


def readable(text: str) -> str:
    """Return a message in which long cells and names are cut, and lines that are long all the same."""
    cut = _LONG_QUOTE.sub(lambda found: short(f"{found[1]}{found[2]}", _MOST_SHOWN + 1), text)
    return "\n".join(short(line, _LONGEST) for line in cut.split("\n"))
