"""Numbers as people write them: decimal marks, thousands separators, and what tells one from the other."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["FALSE", "TRUE", "evidence", "is_number", "remark_on"]

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
    bare = _BESIDE.sub("", text).strip()
    if bare != text and (is_number(bare, decimal) or remark_on(bare, decimal)):
        return "Write numbers without units, and with the usual minus."
    return ""
