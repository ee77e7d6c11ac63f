"""First rows that are no names: comments before them, and files that have no header at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from identirep.datasets.numerals import is_number
from identirep.datasets.rows import cells

__all__ = ["after_comments", "check_header"]

# The sign of a comment with a blank behind it, which is no part of a name, as NumPy's savetxt writes it.
_SIGN = re.compile(rb"#+ +")
# Rows without which nothing is said of a header, and the share of its numbers that lie among those of their columns.
_FEWEST_ROWS, _INSIDE = 5, 0.9


def after_comments(lines: Sequence[bytes], separator: str) -> tuple[list[bytes], int, int]:
    """Return lines from the header on, bytes of what was taken off before, and how many comments that was.

    Lines at the head that begin with # are comments. The last of them is the header if it has as many cells as the
    next line, unless that has names over columns of numbers.
    """
    n = 0
    while n < len(lines) and (lines[n].startswith(b"#") or (n and not lines[n].strip())):
        n += 1
    comments = [line for line in lines[:n] if line.strip()]
    if not comments:
        return list(lines), 0, 0
    rest = [line for line in lines[n:] if line.strip()]
    below = [cells(line, separator) for line in rest[:_FEWEST_ROWS]]
    # The sign is no part of the first name, unless it is all of it.
    for header in dict.fromkeys((_SIGN.sub(b"", comments[-1], count=1), comments[-1])):
        width = len(cells(header, separator))
        if not below or (width > 1 and width == len(below[0]) and not _names_columns(below)):
            return [header, *lines[n:]], sum(map(len, lines[:n])) - len(header), len(comments) - 1
    return list(lines[n:]), sum(map(len, lines[:n])), len(comments)


def check_header(path: Path, header: Sequence[str], body: Sequence[Sequence[str]], decimal: str) -> None:
    """Raise if the first row of a file is one of data: numbers like those below it. Columns that are counted may be."""
    numbers = [j for j, name in enumerate(header) if is_number(name, decimal)]
    values = [_value(header[j], decimal) for j in numbers]
    n_named = sum(map(bool, header))
    if len(numbers) < 2 or 4 * len(numbers) < n_named or len(body) < _FEWEST_ROWS:
        return
    if values in ([float(i) for i in range(len(values))], [i + 1.0 for i in range(len(values))]):
        return
    inside = []
    for j, value in zip(numbers, values, strict=True):
        column = [_value(row[j], decimal) for row in body if j < len(row) and is_number(row[j], decimal)]
        if len(column) >= _FEWEST_ROWS:
            inside.append(min(column) <= value <= max(column))
    if len(inside) >= 2 and sum(inside) >= _INSIDE * len(inside):
        shown = ", ".join(repr(header[j]) for j in numbers[:3])
        raise ValueError(
            f"{path.name} has no header: got {shown} in the first row, numbers like those below, expected names of the "
            "columns. Add a first row with names."
        )


def _names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row has texts over numbers."""
    first, *others = rows
    for j, name in enumerate(first):
        known = [row[j].strip() for row in others if j < len(row) and row[j].strip()]
        if name.strip() and not _is_any_number(name.strip()) and known and all(map(_is_any_number, known)):
            return True
    return False


def _is_any_number(text: str) -> bool:
    return is_number(text, ".") or is_number(text, ",")


def _value(text: str, decimal: str) -> float:
    return float(text.replace(decimal, "."))
