"""Topics: counts of words in texts, whose topics are the latents."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array
from identirep.experiments.domains.domain import Domain, draw_observed
from identirep.experiments.trust import Drawn

__all__ = ["FACTORS", "TOPICS", "write"]

FACTORS = ("topic 1", "topic 2", "topic 3", "topic 4", "topic 5")
_N_WORDS, _LENGTH = 300, 150
# Share of the words that a topic makes more or less likely, and by how much in logarithms.
_SHARE, _WEIGHT = 0.3, 0.7


def write(Z: Array, rng: np.random.Generator) -> Array:
    """Return square roots of word counts (n_samples, 300) in texts of 150 words with topics (n_samples, 5).

    Words have frequencies of their own, each times the exponential of a sparse linear map of the topics.
    """
    topics = _WEIGHT * rng.standard_normal((Z.shape[1], _N_WORDS)) * (rng.random((Z.shape[1], _N_WORDS)) < _SHARE)
    frequency = np.exp(rng.standard_normal(_N_WORDS) + Z @ topics)
    return np.sqrt(rng.multinomial(_LENGTH, frequency / frequency.sum(axis=1, keepdims=True)))


def _draw(rng: np.random.Generator, quick: bool) -> Drawn:
    n_tasks, n_rows = (30, 40) if quick else (100, 60)
    return draw_observed(rng, n_tasks, n_rows, len(FACTORS), write)


TOPICS = Domain(_draw, len(FACTORS), factors=FACTORS, quick_epochs=20)
