"""Which separator and decimal mark a text file has, as its first rows tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from identirep.datasets.headers import after_comments, has_units, units_remark
from identirep.datasets.numerals import FALSE, TRUE, evidence, is_number
from identirep.datasets.rows import SPACES, cells, is_blank_row, rows

__all__ = ["NAMES", "Dialect", "check_decimal", "check_separator", "decimal_in", "detect"]

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", SPACES: "blanks"}
_WORDS = {
    **{name: mark for mark, name in NAMES.items()},
    **{"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": SPACES},
}
_NAMED_BY_FILE = re.compile(r"sep=(.)", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a text file separates cells, and what its first row is."""

    separator: str
    decimal: str | None  # None: no number in the first rows has any
    header: tuple[str, ...]  # names of all columns, blanks around them taken off
    n_header: int  # bytes before the first row of data
    sample: tuple[tuple[str, ...], ...]  # trimmed cells of the first rows
    remarks: tuple[str, ...] = ()


def check_separator(given: str | None) -> str | None:
    """Return the separator that a word or character names."""
    if given is None:
        return None
    separator = _WORDS.get(given.lower() if len(given) > 1 else given, given)
    if len(separator) != 1 or separator in '"\r\n.+-' or separator.isalnum() or not separator.isascii():
        raise ValueError(
            f"separator is not valid: got {given!r}, expected one character, or comma, semicolon, tab, bar or space. "
            "Pass one of these."
        )
    return separator


def check_decimal(given: str | None) -> None:
    """Raise if a decimal mark is none; it may separate cells too, where numbers stand in quotes."""
    if given is not None and given not in (".", ","):
        raise ValueError(f"decimal is not valid: got {given!r}, expected '.' or ','. Pass one of these.")


def detect(
    lines: Sequence[bytes],
    order: Sequence[str],
    separator: str | None,
    decimal: str | None,
    missing: frozenset[str],
) -> Dialect:
    """Tell the dialect from the first lines: every row has as many cells as the header, and most cells are numbers.

    Of separators that do equally well the first of `order` is taken. Blanks come last; where they are not in it, they
    separate only what is nothing but numbers.
    """
    start, named = _first_line(lines)
    if separator is None:
        separator = named
    if separator is not None:
        best = _Reading.of(lines[start:], separator, missing)
    else:
        readings = [_Reading.of(lines[start:], mark, missing) for mark in dict.fromkeys([*order, SPACES])]
        # The first of the best: the separator that the name of the file tells comes first.
        fitting = _fitting(readings, order) or [_likeliest(readings, order)]
        best = fitting[0] if len(fitting) == 1 else max(fitting, key=lambda reading: reading.share)
    if decimal is None:
        decimal = best.decimal()
    n_header = sum(map(len, lines[:start])) + best.n_header
    return Dialect(best.separator, decimal, best.header, n_header, tuple(map(tuple, best.body)), best.remarks)


def decimal_in(texts: Iterable[str]) -> str:
    """Return the decimal mark of texts that are numbers."""
    surely = [evidence([text], ",") - evidence([text], ".") for text in texts]
    return "," if any(each > 0 for each in surely) and not any(each < 0 for each in surely) else "."


def _first_line(lines: Sequence[bytes]) -> tuple[int, str | None]:
    """Return the place of the first line that counts, and the separator if one before it names that, as Excel's do."""
    for i, line in enumerate(lines):
        text = line.decode().strip('\r\n "')
        found = _NAMED_BY_FILE.fullmatch(text)
        if found:
            return i + 1, found[1]
        if text.strip(',;|\t "'):
            return i, None
    return 0, None


class _Reading:
    """The first rows, read with one separator."""

    def __init__(self, separator: str, header: list[str], body: list[list[str]], n_header: int) -> None:
        self.separator = separator
        self.n_header = n_header
        self.header = tuple(name.strip() for name in header)
        self.remarks: tuple[str, ...] = ()
        self.n_named = len(header)
        widths = {len(row) for row in body}
        if widths == {len(header) + 1} and len(header) > 1:
            # Rows end in a separator, or begin with a name that the header leaves out, as R writes them.
            if all(not row[-1] for row in body):
                self.header = (*self.header, "")
            else:
                self.header = ("", *self.header)
                self.remarks = ("Rows have one cell more than the header: the first is taken for the name of the row.",)
        self.body = body

    @classmethod
    def of(cls, lines: Sequence[bytes], separator: str, missing: frozenset[str]) -> _Reading:
        """Split lines into rows and cells; the last row may be cut, and rows without anything do not count."""
        kept, n_before, n_comments = after_comments(lines, separator)
        listed = list(rows(kept, separator))
        if not listed:
            return cls(separator, [], [], 0)
        below = [row for row, is_whole in listed[1:] if is_whole and not is_blank_row(row, separator)]
        body = [[cell.strip() for cell in cells(row, separator)] for row in below]
        trimmed = [["" if cell in missing else cell for cell in row] for row in body]
        header, n_header, remarks = cells(listed[0][0], separator), n_before + len(listed[0][0]), []
        if has_units(header, trimmed):
            # Rows without anything may lie between names and units.
            n_header += sum(len(row) for row, _ in listed[1 : [row for row, _ in listed].index(below[0], 1) + 1])
            remarks.append(units_remark(body[0]))
            trimmed = trimmed[1:]
        found = cls(separator, header, trimmed, n_header)
        found.remarks += tuple(remarks)
        if n_comments:
            what = "1 line of comments" if n_comments == 1 else f"{n_comments} lines of comments"
            found.remarks = (f"Read without {what} at the head.", *found.remarks)
        return found

    @property
    def fits(self) -> bool:
        """Whether rows are of equal length, of more than one cell."""
        return len(self.header) > 1 and all(len(row) == len(self.header) for row in self.body)

    @property
    def is_exact(self) -> bool:
        """Whether each column has its own cell in the header."""
        return self.n_named == len(self.header)

    @property
    def share(self) -> float:
        """Share of the cells that are numbers or booleans, of those that are not missing."""
        known = [cell for row in self.body for cell in row if cell]
        words = {*TRUE, *FALSE}
        shares = [sum(cell in words or is_number(cell, mark) for cell in known) / max(len(known), 1) for mark in ".,"]
        return max(shares)

    def decimal(self) -> str | None:
        """Return the decimal mark that the columns of numbers have; None if none of them has any."""
        columns = [[cell for cell in column if cell] for column in zip(*self.body, strict=False)]
        points, commas = ([evidence(column, mark) for column in columns] for mark in ".,")
        if not any(points) and not any(commas):
            return None
        if self.separator == ";":
            # Where these separate, a comma is the decimal mark: 1,234 is no thousand.
            return "," if sum(map(bool, commas)) >= sum(map(bool, points)) else "."
        n_points, n_commas = sum(map(bool, points)), sum(each == 2 for each in commas)
        return "," if n_commas > n_points else "."


def _fitting(readings: Sequence[_Reading], order: Sequence[str]) -> list[_Reading]:
    """Return the readings in which rows are as long as the header, else one cell longer, else separated by blanks."""
    usual = [each for each in readings if each.fits and each.separator in order]
    if usual:
        return [each for each in usual if each.is_exact] or usual
    return [each for each in readings if each.fits and each.is_exact and each.body and each.share == 1]


def _likeliest(readings: Sequence[_Reading], order: Sequence[str]) -> _Reading:
    """Return the reading whose separator the header has, where rows are not of equal length."""
    with_many = [each for each in readings if each.n_named > 1 and each.separator in order]
    agreeing = [sum(len(row) == len(each.header) for row in each.body) for each in with_many]
    return with_many[agreeing.index(max(agreeing))] if with_many else readings[0]
