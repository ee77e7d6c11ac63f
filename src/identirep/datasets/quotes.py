"""Stray quotes in delimited text: one opens a cell that swallows whole rows up to the next."""

from __future__ import annotations

from collections.abc import Iterable

from identirep.datasets.rows import cells, is_open, lines, whole_lines

# A line is tried with each of its first quotes taken out; more of them are no stray ones.
_MOST_QUOTES = 20


def check_quotes(name: str, blocks: Iterable[bytes], separator: str, n_columns: int) -> int:
    """Return the length in bytes of the longest row with quotes.

    Raise if a quote is never closed, or closed only after lines that are whole rows by themselves.
    """
    mark = separator.encode()
    start, opening, are_rows = 0, b"", True
    longest = length = number = 0
    for block in whole_lines(blocks):
        if not start and b'"' not in block:
            number += block.count(b"\n")
            continue
        for line in lines([block]):
            number += 1
            length = length + len(line) if start else len(line)
            longest = max(longest, length)
            n_quotes = line.count(b'"')
            # Outside of cells lines with pairs of quotes are left as they are, which is what nearly all are.
            goes_on = bool(start)
            if n_quotes and (n_quotes % 2 or start):
                goes_on = is_open(line, mark, bool(start))
            if start:
                are_rows = are_rows and _is_row(line, separator, n_columns)
            if goes_on and not start:
                start, opening, are_rows = number, line, True
            elif start and not goes_on:
                if n_columns > 1 and are_rows and _is_row(opening, separator, n_columns):
                    raise ValueError(
                        f"{name} has a stray quote: got one in line {start} that is closed in line {number} only, and "
                        "each of these lines is a row, expected quotes around whole cells. Take it out, or double it."
                    )
                start = 0
    if start:
        raise ValueError(
            f"{name} has a stray quote: got one in line {start} that is never closed, expected quotes around "
            "whole cells. Take it out, or double it."
        )
    return longest


def _is_row(line: bytes, separator: str, n_columns: int) -> bool:
    """Tell whether a line is a row by itself, with one of its quotes taken out if their number is odd."""
    places = [i for i, byte in enumerate(line) if byte == ord('"')]
    forms = [line[:i] + line[i + 1 :] for i in places[:_MOST_QUOTES]] if len(places) % 2 else [line]
    return any(len(cells(form, separator)) == n_columns for form in forms)
