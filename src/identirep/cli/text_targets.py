"""Targets of a table, texts of two values among them: yes and no, active and inactive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from identirep._typing import Array
from identirep.datasets import load_targets
from identirep.encoding import plain
from identirep.wording import short

__all__ = ["in_words", "read_targets"]

# The word for what is so, and that for what is not.
_PAIRS: tuple[tuple[str, str], ...] = (
    ("yes", "no"),
    ("y", "n"),
    ("true", "false"),
    ("t", "f"),
    ("active", "inactive"),
    ("positive", "negative"),
)
_PAIRS += (("pos", "neg"), ("present", "absent"), ("on", "off"), ("pass", "fail"), ("+", "-"))
_ONES = {frozenset(pair): pair[0] for pair in _PAIRS}
# What each word means by itself.
_MEANING = {word: pair for pair in map(frozenset, _PAIRS) for word in pair}


class Targets(NamedTuple):
    """Targets of a table, labels of tasks, what is said of texts, and the words for 0 and 1 of targets of texts."""

    y: Array
    tasks: Any
    said: list[str]
    words: dict[str, tuple[str, str]]


def read_targets(
    file: Any,
    names: Sequence[str],
    tasks: str | None,
    *,
    of_run: bool = False,
    words: Mapping[str, tuple[str, str]] | None = None,
) -> Targets:
    """Return targets and labels of tasks as `load_targets` does, and which texts count as 1.

    Texts of other than two values are refused as they are there; to check a run, all but its own `words`, or for a
    target of which it keeps none, words that always mean the same.
    """
    try:
        return Targets(*load_targets(file, names, tasks), [], {})
    except ValueError as error:
        whole = file.read_whole(list(names))
        found = {}
        for name in names:
            known = (words or {}).get(name)
            if (coded := _coded(plain(whole.column(name)), file.markers.texts, of_run, known)) is not None:
                found[name] = coded
        if not found:
            raise
        rest = [name for name in names if name not in found]
        try:
            numbers, of_tasks = load_targets(file, rest, tasks)
        except ValueError:
            raise error from None
    numbers = numbers.reshape(len(whole), len(rest))
    columns = {**{name: values for name, (values, _) in found.items()}, **dict(zip(rest, numbers.T, strict=True))}
    y = np.column_stack([columns[name] for name in names])
    pairs = {name: pair for name, (_, pair) in found.items()}
    said = [f"Target {name!r}: {in_words(pair)}." for name, pair in pairs.items()]
    return Targets(y if of_tasks is None else y[:, 0], of_tasks, said, pairs)


def in_words(pair: tuple[str, str]) -> str:
    """Say which of two words stands for 1, and which for 0."""
    zero, one = (short(repr(word)) for word in pair)
    return f"1 stands for {one}, 0 for {zero}"


def _coded(
    values: Any, markers: Any, of_run: bool, known: tuple[str, str] | None
) -> tuple[Array, tuple[str, str]] | None:
    """Return 1 and 0 for the two texts of a column, NaN for missing ones, and their words; None for others.

    `known` are the words that a run has for 0 and 1.
    """
    import pyarrow as pa

    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return None
    texts = [None if text is None else text.strip() for text in values.to_pylist()]
    texts = [None if text is None or not text or text in markers else text for text in texts]
    # Of several spellings the first one is shown.
    words: dict[str, str] = {}
    for text in texts:
        if text is not None:
            words.setdefault(text.casefold(), text)
    own = {} if known is None else {word.casefold(): word for word in known}
    if own and words.keys() <= own.keys():
        words = own
    elif own and frozenset(own) not in _ONES:
        return None
    elif of_run:
        # Of a pair that means the same in every table one word is enough.
        pairs = {_MEANING.get(word) for word in words}
        (pair,) = pairs if len(pairs) == 1 else (None,)
        words = {} if pair is None else {**{word: word for word in pair}, **words}
    if len(words) != 2:
        return None
    one = _ONES.get(frozenset(words), max(words))
    if words is own and known is not None:
        one = known[1].casefold()
    (zero,) = words.keys() - {one}
    code = {one: 1.0, zero: 0.0}
    coded = np.array([np.nan if text is None else code[text.casefold()] for text in texts])
    return coded, (words[zero], words[one])
