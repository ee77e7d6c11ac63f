"""Numbers as people write them: decimal marks, thousands separators, and what tells one from the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

__all__ = ["FALSE", "TRUE", "evidence", "in_all", "is_number", "remark_on", "written"]

TRUE, FALSE = ("True", "true", "TRUE"), ("False", "false", "FALSE")
_SIGN, _EXPONENT = r"[+-]?", r"(?:[eE][+-]?\d+)?"
# Digits are read in one way alone: with two, columns of whole numbers that end in something else take forever.
_NUMBER = {
    mark: rf"(?:{_SIGN}(?:\d+(?:{re.escape(mark)}\d*)?|{re.escape(mark)}\d+){_EXPONENT}|{_SIGN}(?i:inf|infinity|nan))"
    for mark in (".", ",")
}
_ONE = {mark: re.compile(number) for mark, number in _NUMBER.items()}
# All of a column at once, which takes a tenth of the time that its cells take one by one.
_MANY = {mark: re.compile(rf"{number}(?:\0{number})*") for mark, number in _NUMBER.items()}
# What may be a thousand just as well: 1,234 but not 0,123, 12345,678 or 1,23.
_EITHER = re.compile(rf"{_SIGN}[1-9]\d{{0,2}}[.,]\d{{3}}")
_THOUSANDS = re.compile(
    rf"{_SIGN}\d{{1,3}}(?:(?:,\d{{3}})+(?:\.\d*)?|(?:\.\d{{3}})+(?:,\d*)?|(?:[ '’\u00a0\u202f]\d{{3}})+(?:[.,]\d*)?)"
)


# What else is written beside numbers: currencies, shares, the minus of typesetters.
_BESIDE = re.compile("[$€£¥%‰\u2212\u2013]")
# A unit behind a blank, which codes such as 1a have not.
_BEHIND = re.compile(r"[\s\u00a0\u202f]+(?:[^\W\d_]|[°%])[^\s]{0,11}(?: [^\s\d][^\s]{0,7})?")


def is_number(text: str, decimal: str) -> bool:
    """Tell whether a trimmed text is a number with this decimal mark."""
    return bool(_ONE[decimal].fullmatch(text))


def evidence(column: Iterable[str], decimal: str) -> int:
    """Return how surely numbers have this decimal mark: 0 not at all, 1 if they may be thousands, 2 surely."""
    texts = list(column)
    if not _MANY[decimal].fullmatch("\0".join(texts)):
        return 0
    with_mark = [text for text in texts if decimal in text]
    return 2 if not all(map(_EITHER.fullmatch, with_mark)) else 1 if with_mark else 0


def remark_on(text: str, decimal: str) -> str:
    """Return what to do about a text that would be a number if it were written otherwise, nothing about others."""
    text = text.strip()
    other = "," if decimal == "." else "."
    if _EITHER.fullmatch(text):
        return (
            f"If {other!r} is its decimal mark, pass decimal={other!r}; if it separates thousands, write numbers "
            "without it."
        )
    if _THOUSANDS.fullmatch(text):
        return "It has thousands separators: write numbers without them."
    if is_number(text, other):
        return f"If the decimal mark is {other!r}, pass decimal={other!r}."
    return "Write numbers without units, and with the usual minus." if _is_beside(text, decimal) else ""


def written(text: str, decimal: str) -> str:
    """Return in which way a text that is no number is written."""
    text = text.strip()
    other = "," if decimal == "." else "."
    if _THOUSANDS.fullmatch(text) and not _EITHER.fullmatch(text):
        return "with thousands separators"
    if _EITHER.fullmatch(text) or is_number(text, other):
        return "with commas" if other == "," else "with points"
    return "with units or signs" if _is_beside(text, decimal) else "of text"


def in_all(ways: Mapping[str, int]) -> str:
    """Return of how many cells a first one is, and in which ways they are written; nothing if it is the only one."""
    n = sum(ways.values())
    if n < 2:
        return ""
    listed = ", ".join(f"{count:,} {way}" for way, count in Counter(ways).most_common())
    return f", of {n:,} cells that are no numbers ({listed})"


def _is_beside(text: str, decimal: str) -> bool:
    """Tell whether a text is a number, however it is written, with a unit or a sign beside it."""
    bare = _BESIDE.sub("", text).strip()
    if found := re.match(r"[^\s\u00a0\u202f]+", bare):
        # What is behind the first blank, where that is no part of the number.
        bare = found[0] if _BEHIND.fullmatch(bare, found.end()) else bare
    return bare != text and bool(is_number(bare, decimal) or remark_on(bare, decimal))
