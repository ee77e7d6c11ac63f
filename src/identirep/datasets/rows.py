"""Rows of delimited text: cells of a line, rows over several lines, and rows without anything in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["SPACES", "Stream", "cells", "is_open", "lines", "rows", "whole_lines", "with_tabs", "without_blank_rows"]

# Any run of blanks separates; such rows are read with tabs in their place.
SPACES = " "
_WORD = re.compile(r'"(?:[^"]|"")*"|\S+')


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks that end where lines do, but for the last."""
    parts: list[bytes] = []
    for block in blocks:
        stop = block.rfind(b"\n") + 1
        if not stop:
            parts.append(block)
            continue
        yield b"".join([*parts, block[:stop]])
        parts = [block[stop:]]
    if rest := b"".join(parts):
        yield rest


def lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines with their ends, blank ones included."""
    for block in whole_lines(blocks):
        *whole, rest = block.split(b"\n")
        yield from (line + b"\n" for line in whole)
        if rest:
            yield rest


def rows(each_line: Iterable[bytes], separator: str) -> Iterator[tuple[bytes, bool]]:
    """Yield rows as bytes, which go over several lines where a quoted cell does, and whether they are whole."""
    mark = separator.encode()
    parts: list[bytes] = []
    inside = False
    for line in each_line:
        parts.append(line)
        if inside or b'"' in line:
            inside = is_open(line, mark, inside)
        if not inside:
            yield b"".join(parts), True
            parts = []
    if parts:
        yield b"".join(parts), False


def is_open(line: bytes, separator: bytes, inside: bool) -> bool:
    """Tell whether a quoted cell goes on after a line; a quote opens a cell only where the cell begins."""
    place = 0
    while True:
        if not inside and line[place : place + 1] == b'"':
            inside, place = True, place + 1
        while inside:
            place = line.find(b'"', place) + 1
            if not place:
                return True
            if line[place : place + 1] == b'"':
                place += 1
            else:
                inside = False
        place = line.find(separator, place) + 1
        if not place:
            return False


def cells(row: bytes, separator: str) -> list[str]:
    """Split a row into its cells, quotes taken off; any run of blanks separates if the separator is one."""
    text = row.decode().rstrip("\r\n")
    if separator == SPACES:
        found = _WORD.findall(text)
        return [word[1:-1].replace('""', '"') if word[:1] == '"' and word[1:] else word for word in found]
    if '"' not in text:
        return text.split(separator)
    found, place = [], 0
    while True:
        parts: list[str] = []
        if text.startswith('"', place):
            parts, place = _quoted(text, place + 1)
        stop = text.find(separator, place)
        found.append("".join(parts) + text[place : stop if stop >= 0 else len(text)])
        if stop < 0:
            return found
        place = stop + 1


def _quoted(text: str, place: int) -> tuple[list[str], int]:
    """Return the parts of a quoted cell, and where it ends."""
    parts: list[str] = []
    while True:
        stop = text.find('"', place)
        if stop < 0:
            return [*parts, text[place:]], len(text)
        parts.append(text[place:stop])
        if not text.startswith('"', stop + 1):
            return parts, stop + 1
        parts.append('"')
        place = stop + 2


def is_blank_row(row: bytes, separator: str) -> bool:
    """Tell whether a row has no cell with anything in it."""
    if row.strip(b' \t"\r\n' + separator.encode()):
        return False
    return not any(cell.strip() for cell in cells(row, separator))


def without_blank_rows(blocks: Iterable[bytes], separator: str, count: list[int]) -> Iterator[bytes]:
    """Leave out rows of separators alone, and count them; lines without anything are left to the parser."""
    for row, _ in rows(lines(blocks), separator):
        if is_blank_row(row, separator):
            count[0] += separator.encode() in row
        else:
            yield row


def with_tabs(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Put one tab in the place of each run of blanks."""
    for line in lines(blocks):
        if b'"' in line:
            yield "\t".join(_WORD.findall(line.decode())).encode() + b"\n"
        else:
            yield b"\t".join(line.split()) + b"\n"


class Stream:
    """Bytes that come in blocks, as a file to read from."""

    def __init__(self, blocks: Iterator[bytes], n_skipped: int = 0) -> None:
        self.closed = False
        self._blocks = blocks
        self._rest = b""
        while n_skipped > 0:
            skipped = self.read(min(n_skipped, 1 << 20))
            if not skipped:
                break
            n_skipped -= len(skipped)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that are left if it is negative, none at the end."""
        parts, length = [self._rest], len(self._rest)
        while size < 0 or length < size:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            length += len(block)
        whole = b"".join(parts)
        size = length if size < 0 else size
        self._rest = whole[size:]
        return whole[:size]

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is left, in blocks."""
        while block := self.read(1 << 20):
            yield block

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._blocks = iter(())
