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
    start, opening, whole = 0, b"", []
    for number, line in enumerate(_lines(path), start=1):
        closes = line.count(b'"') % 2 == 1
        if start:
            whole.append(_is_row(line, delimiter, n_columns, odd=closes))
        if closes and not start:
            start, opening, whole = number, line, []
        elif closes:
            if n_columns > 1 and all(whole) and _is_row(opening, delimiter, n_columns, odd=True):
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


def _is_row(line: bytes, delimiter: str, n_columns: int, *, odd: bool) -> bool:
    """Tell whether a line is a row by itself, with one of its quotes taken out if their number is odd."""
    text = line.decode("latin-1").rstrip("\r")
    places = [i for i, character in enumerate(text) if character == '"'][:_MOST_QUOTES] if odd else []
    forms = [text[:i] + text[i + 1 :] for i in places] if odd else [text]
    return any(len(next(csv.reader([form], delimiter=delimiter), [])) == n_columns for form in forms)
