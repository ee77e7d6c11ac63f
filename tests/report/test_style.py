"""Colours of the pages can be read: contrasts that WCAG 2 asks for at level AA, in light and dark."""

import pytest

from identirep.report.style import DARK, LIGHT

_WORDS = (
    "ink",
    "muted",
    "mark",
    "identified",
    "reproducible",
    "unstable",
    "not-checked",
    "kept",
    "mixed",
    "lost",
    "new",
)


def _luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_words_and_marks_stand_out(theme):
    for ground in ("ground", "paper"):
        for word in _WORDS:
            assert _contrast(theme[word], theme[ground]) >= 4.5, (word, ground)
    for word in ("ink", "muted"):
        assert _contrast(theme[word], theme["raised"]) >= 4.5, word
    for mark in ("mark", "against", "rest"):
        assert _contrast(theme[mark], theme["paper"]) >= 3.0, mark


def test_both_themes_have_the_same_colours():
    assert LIGHT.keys() == DARK.keys()
