"""First rows that are no names: comments before them, units below them, and files that have no header at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from identirep.datasets.numerals import is_number
from identirep.datasets.rows import cells

__all__ = ["after_comments", "check_header", "first_row_remedy", "has_units", "is_unit", "units_remark"]

# How a comment begins, but for semicolons, which separate as well: behind one no other may follow.
_COMMENT = re.compile(rb"#|%|//|;+[^;]*$")
# The sign of a comment with a blank behind it, which is no part of a name, as NumPy's savetxt writes it.
_SIGN = re.compile(rb"(?:#+|%+|//+|;+) +")
# Units: K, eV, g/cm^3, kJ mol-1, [MPa], (1/s), %, -.
_LETTERS = r"[^\W\d_]|[%°Å€$£¥℃℉]"
_UNIT = re.compile(
    rf"[\[(]?(?:1 ?/ ?)?(?:{_LETTERS}){{1,6}}(?:[\^*·/ .-]*(?:(?:{_LETTERS}){{1,6}}|[+-]?[\d²³⁻¹]))*[])]?"
)
_LONGEST_UNIT = 20
# What stands for the unit of a number that has none.
_NO_UNIT = ("-", "–", "—", "1", "[-]", "[]")
# Words that stand for a value that is missing or wrong, and are no units.
_NO_UNITS = {
    "missing",
    "unknown",
    "unk",
    "nd",
    "n.d.",
    "n/d",
    "void",
    "bad",
    "error",
    "empty",
    "fail",
    "failed",
    "none",
}
# Rows without which nothing is said of a header, and the share of its numbers that lie among those of their columns.
_FEWEST_ROWS, _INSIDE = 5, 0.9
# Rows of numbers that a row of units has to have below it.
_FEWEST_UNDER_UNITS = 2


def after_comments(lines: Sequence[bytes], separator: str) -> tuple[list[bytes], int, int]:
    """Return lines from the header on, bytes of what was taken off before, and how many comments that was.

    Lines at the head that begin with #, %, // or a semicolon that does not separate are comments. The last of them is
    the header if it has as many cells as the next line, unless that has names over columns of numbers.
    """
    n = 0
    while n < len(lines) and (_is_comment(lines[n], separator) or (n and not lines[n].strip())):
        n += 1
    comments = [line for line in lines[:n] if line.strip()]
    if not comments:
        return list(lines), 0, 0
    rest = [line for line in lines[n:] if line.strip()]
    below = [cells(line, separator) for line in rest[:_FEWEST_ROWS]]
    # The sign is no part of the first name, unless it is all of it.
    for header in dict.fromkeys((_without_sign(comments[-1], separator), comments[-1])):
        width = len(cells(header, separator))
        if not below or (width > 1 and width == len(below[0]) and not _names_columns(below)):
            return [header, *lines[n:]], sum(map(len, lines[:n])) - len(header), len(comments) - 1
    return list(lines[n:]), sum(map(len, lines[:n])), len(comments)


def _is_comment(line: bytes, separator: str) -> bool:
    """Tell whether a line at the head begins as a comment does."""
    return bool(_COMMENT.match(line.rstrip(b"\r\n"))) and not line.startswith(separator.encode())


def _without_sign(line: bytes, separator: str) -> bytes:
    """Return a comment without its sign, which is part of the first name where others have it too: % Fe, % Ni."""
    sign = line[:1].decode()
    is_of_name = any(name.startswith(sign) for name in cells(line, separator)[1:])
    return line if is_of_name else re.sub(rb"^" + _SIGN.pattern, b"", line, count=1)


def has_units(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first of trimmed rows has units: two or more, nothing else, over numbers, below names."""
    if len(rows) <= _FEWEST_UNDER_UNITS or len(header) != len(rows[0]):
        return False
    first, *others = rows
    # These are the names, below a title.
    if any(text and not name.strip() for name, text in zip(header, first, strict=True)):
        return False
    units = []
    for j, text in enumerate(first):
        known = [row[j] for row in others if j < len(row) and row[j]]
        if text and known and all(map(_is_any_number, known)):
            units.append(text)
    return all(text in _NO_UNIT or is_unit(text) for text in units) and sum(map(is_unit, units)) >= 2


def is_unit(text: str) -> bool:
    """Tell whether a text is written as units are."""
    is_short = len(text) <= _LONGEST_UNIT and text.lower() not in _NO_UNITS
    return is_short and text not in _NO_UNIT and _UNIT.fullmatch(text) is not None


def first_row_remedy(row: int, text: str) -> str:
    """Return what to do about a text over a column of numbers, in a row counted from 1, that may be no value at all."""
    if row > 1 or not is_unit(text.strip()):
        return ""
    return "If row 1 holds units, take it out of the file; if it holds the names, take out what is above it."


def units_remark(row: Sequence[str]) -> str:
    """Say that a row of units is not read."""
    shown = [text for text in row if text]
    listed = ", ".join(map(repr, shown[:3])) + (", ..." if len(shown) > 3 else "")
    return f"Read without the row of units below the names: {listed}."


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
