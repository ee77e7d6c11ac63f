"""Stray quotes in delimited text: one opens a cell that swallows whole rows up to the next."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 1 << 20
# A line is tried with each of its first quotes taken out; more of them are no stray ones.
_MOST_QUOTES = 20


def check_quotes(path: Path, delimiter: str, n_columns: int) -> None:
    """Raise if a quote is never closed, or closed only after lines that are whole rows by themselves."""
    if not _has_quotes(path):
        return
    separator = delimiter.encode()
    start, opening, are_rows = 0, b"", True
    for number, line in enumerate(_lines(path), start=1):
        n_quotes = line.count(b'"')
        # Outside of cells lines with pairs of quotes are left as they are, which is what nearly all are.
        is_open = bool(start) if not n_quotes or (n_quotes % 2 == 0 and not start) else _is_open(line, separator, start)
        if start:
            are_rows = are_rows and _is_row(line, delimiter, n_columns)
        if is_open and not start:
            start, opening, are_rows = number, line, True
        elif start and not is_open:
            if n_columns > 1 and are_rows and _is_row(opening, delimiter, n_columns):
                raise ValueError(
                    f"{path.name} has a stray quote: got one in line {start} that is closed in line {number} only, and "
                    "each of these lines is a row, expected quotes around whole cells. Take it out, or double it."
                )
            start = 0
    if start:
        raise ValueError(
            f"{path.name} has a stray quote: got one in line {start} that is never closed, expected quotes around "
            "whole cells. Take it out, or double it."
        )


def _is_open(line: bytes, separator: bytes, inside: int) -> bool:
    """Tell whether a quoted cell goes on after a line; a quote opens a cell only where the cell begins."""
    place = 0
    while True:
        if not inside and line[place : place + 1] == b'"':
            inside, place = 1, place + 1
        while inside:
            place = line.find(b'"', place) + 1
            if not place:
                return True
            if line[place : place + 1] == b'"':
                place += 1
            else:
                inside = 0
        place = line.find(separator, place) + 1
        if not place:
            return False


def _has_quotes(path: Path) -> bool:
    """Look for any quote, which most tables of numbers do not have."""
    with _open(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            if b'"' in block:
                return True
    return False


def _lines(path: Path) -> Iterator[bytes]:
    """Yield lines, blank ones included."""
    with _open(path) as stream:
        rest = b""
        while block := stream.read(_BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            yield from lines
        if rest:
            yield rest


def _open(path: Path):  # type: ignore[no-untyped-def]
    """Open the bytes of a file, decompressed by the ending of its name."""
    import pyarrow as pa

    return pa.input_stream(str(path))


def _is_row(line: bytes, delimiter: str, n_columns: int) -> bool:
    """Tell whether a line is a row by itself, with one of its quotes taken out if their number is odd."""
    text = line.decode("latin-1").rstrip("\r")
    places = [i for i, character in enumerate(text) if character == '"']
    forms = [text[:i] + text[i + 1 :] for i in places[:_MOST_QUOTES]] if len(places) % 2 else [text]
    return any(len(next(csv.reader([form], delimiter=delimiter), [])) == n_columns for form in forms)
