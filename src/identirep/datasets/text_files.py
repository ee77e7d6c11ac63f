"""One text file with rows: its dialect, its encoding, and the stream of its rows as a parser takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from identirep.datasets.batches import blank_rows, empty_message
from identirep.datasets.dialects import NAMES, Dialect, decimal_in, detect
from identirep.datasets.encodings import FALLBACK, open_bytes, survey_of, utf8_blocks
from identirep.datasets.headers import check_header
from identirep.datasets.quotes import check_quotes
from identirep.datasets.rows import SPACES, Stream, cells, is_blank_row, lines, rows, with_tabs, without_blank_rows

# The first rows, from which the dialect is told.
_SAMPLE_ROWS, _SAMPLE_BYTES = 200, 1 << 18
# Most characters of a row in a message.
_MAX_SHOWN = 60


class TextFile:
    """A text file with rows of cells, after its header."""

    def __init__(
        self,
        path: Path,
        separators: Sequence[str],
        separator: str | None,
        decimal: str | None,
        missing: frozenset[str],
    ) -> None:
        self.path = path
        self._survey = survey_of(path)
        self.has_quotes = self._survey.has_quotes
        self.longest_row = self._survey.longest_line
        self._usual = separators[0]
        self._n_blank = [0]
        self._is_checked = False
        first = self._first_lines()
        self.dialect: Dialect = detect(first, separators, separator, decimal, missing)
        if not self.dialect.header or not any(self.dialect.header):
            raise ValueError(empty_message(path))
        if self.dialect.sample and len(self.dialect.sample[0]) != len(self.dialect.header):
            raise self._ragged(1, list(self.dialect.sample[0]))
        self.decimal = self.dialect.decimal or self._decimal_further_down()
        check_header(path, self.dialect.header, self.dialect.sample, self.decimal)
        self._is_separator_told, self._is_decimal_told = separator is not None, decimal is not None

    @property
    def delimiter(self) -> str:
        """What separates the cells of `body`."""
        return "\t" if self.dialect.separator == SPACES else self.dialect.separator

    def body(self) -> Any:
        """Open the rows after the header, in UTF-8, without rows of separators alone."""
        import pyarrow as pa

        is_plain = self._survey.encoding == "utf-8" and not self._survey.has_lone_cr
        # The survey does not know of other separators than the usual ones.
        may_have_blank_rows = self._survey.may_have_blank_rows or self.dialect.separator not in NAMES
        if is_plain and not may_have_blank_rows and self.dialect.separator != SPACES:
            stream = open_bytes(self.path)
            _skip(stream, self._survey.n_mark + self.dialect.n_header)
            return stream
        blocks: Iterator[bytes] = iter(self._after_header())
        if may_have_blank_rows:
            self._n_blank[0] = 0
            blocks = without_blank_rows(blocks, self.dialect.separator, self._n_blank)
        if self.dialect.separator == SPACES:
            blocks = with_tabs(blocks)
        return pa.PythonFile(Stream(blocks), mode="r")

    def check_quotes(self) -> None:
        """Raise if a quote swallows rows, and learn how long rows of several lines are; once."""
        if self.has_quotes and not self._is_checked:
            blocks = utf8_blocks(self.path, self._survey)
            blocks = with_tabs(blocks) if self.dialect.separator == SPACES else blocks
            longest = check_quotes(self.path.name, blocks, self.delimiter, len(self.dialect.header))
            self.longest_row = max(self.longest_row, longest)
            self._is_checked = True

    def ragged(self) -> ValueError | None:
        """Look for a row that is not as long as the header, and return what is said of it; None if there is none."""
        separator, row = self.dialect.separator, 0
        for text, is_whole in rows(lines(self._after_header()), separator):
            if not is_whole or is_blank_row(text, separator):
                continue
            row += 1
            found = cells(text, separator)
            if len(found) != len(self.dialect.header):
                return self._ragged(row, found)
        return None

    def _ragged(self, row: int, found: Sequence[str]) -> ValueError:
        """Say that a row is not as long as the header, and what to do about it."""
        n, names = len(self.dialect.header), self.dialect.header
        separator = NAMES.get(self.dialect.separator, repr(self.dialect.separator))
        if len(found) < n:
            action = "Give the row its other cells, or take it out"
        elif len(found) == 2 * n and self.dialect.separator == ",":
            action = "If commas are decimal marks too, put numbers in double quotes, or write them with points"
        elif row == 1:
            action = (
                "If the names of the columns are further down, take out the lines above them; else name all columns"
            )
        elif self.dialect.separator == SPACES:
            action = "Put double quotes around cells with blanks in them"
        else:
            action = f"Put double quotes around cells with {separator} in them"
        got, expected = (repr(self.dialect.separator.join(each)[:_MAX_SHOWN]) for each in (found, names))
        return ValueError(
            f"{self.path.name} has rows of different length: got {len(found):,} {_cells(found)} in row {row:,} "
            f"({got}), expected {n:,} as in the header ({expected}), separated by {separator}. {action}."
        )

    def remarks(self) -> list[str]:
        """Say how the file is read where that is not what its name tells."""
        found = []
        if self.dialect.separator != self._usual and not self._is_separator_told:
            name = NAMES.get(self.dialect.separator, repr(self.dialect.separator))
            found.append(f"separated by {name}")
        if self.decimal == "," and not self._is_decimal_told:
            found.append("with decimal commas")
        if self._survey.encoding not in ("utf-8", FALLBACK):
            found.append(f"encoded in {self._survey.encoding.upper().rstrip('LBE').rstrip('-')}")
        if self._n_blank[0]:
            found.append(f"{blank_rows(self._n_blank[0])} but separators")
        remarks = [f"Read as text {', '.join(found)}."] if found else []
        remarks += self.dialect.remarks
        if self._survey.encoding == FALLBACK:
            remarks.append(
                "Not UTF-8, and read as Windows-1252 (Latin-1): if names or labels look wrong, save it as UTF-8."
            )
        return remarks

    def _after_header(self) -> Stream:
        return Stream(utf8_blocks(self.path, self._survey), self.dialect.n_header)

    def _first_lines(self) -> list[bytes]:
        """Read whole lines, two with anything in them at least."""
        found, n_bytes, n_filled = [], 0, 0
        for line in lines(utf8_blocks(self.path, self._survey)):
            found.append(line)
            n_bytes += len(line)
            n_filled += bool(line.strip(b',;|\t "\r\n'))
            if n_filled > _SAMPLE_ROWS or (n_bytes > _SAMPLE_BYTES and n_filled > 1):
                break
        return found

    def _decimal_further_down(self) -> str:
        """Look for the decimal mark in all of the file, where the first rows have none."""
        if self.dialect.separator == "," and not self.has_quotes:
            return "."
        mark = r"[ \t]" if self.dialect.separator == SPACES else re.escape(self.dialect.separator)
        number = rf'(?:^|{mark})"?([+-]?\d*[.,]\d+)"?(?={mark}|\r?$)'.encode()
        if self.dialect.separator == ",":
            number = rb'"([+-]?\d*[.,]\d+)"'
        pattern = re.compile(number, re.MULTILINE)
        found: set[str] = set()
        rest = b""
        for block in chain(self._after_header(), [b""]):
            text = rest + block
            stop = text.rfind(b"\n") + 1 if block else len(text)
            found.update(each.decode() for each in pattern.findall(text[:stop]))
            rest = text[stop:]
            if found:
                break
        return decimal_in(found)


def _cells(found: Sequence[str]) -> str:
    return "cell" if len(found) == 1 else "cells"


def _skip(stream: Any, n_bytes: int) -> None:
    while n_bytes > 0:
        skipped = stream.read(min(n_bytes, 1 << 20))
        if not skipped:
            return
        n_bytes -= len(skipped)
