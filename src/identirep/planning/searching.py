"""How large a study must be: imagined studies are fitted, each at several sizes, until they reach the target.

A study of more tasks (or rows) has those of the smaller one, so that for each study there is about one size from which
it reaches the target; how these sizes spread over studies says how many are likely to do, and how many are safe.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from identirep._typing import Array
from identirep.metrics import mcc_score
from identirep.mtlcm import MTLCM
from identirep.planning.populations import Drawn, Growing, Population

__all__ = ["SIZES", "rows_needed", "smallest", "tasks_needed"]

# Sizes that are tried, a quarter to a third apart.
SIZES = (
    *(2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128),
    *(160, 200, 256, 320, 400, 512, 640, 800, 1024),
)
# Rows of a task with fewer cannot be fitted.
_FEWEST_ROWS = 5
# Numbers that are drawn at once for more and more rows of the same tasks (40 MB).
_MOST_NUMBERS = 5e6
_GUESS = 8


def tasks_needed(population: Population, n_samples: int, target: float, seeds: Sequence[int]) -> Array:
    """Tasks of so many rows after which each of the imagined studies reaches the target; inf if more than were tried.

    Shape (n_seeds,).
    """

    def study(rng: np.random.Generator) -> Callable[[int], bool]:
        imagined = population.study(rng, own_tasks=False)
        tasks = Growing(imagined, n_samples, rng)
        return lambda n_tasks: _score(population, imagined.mixing, tasks.first(n_tasks), rng) >= target

    return _needed(study, SIZES, seeds)


def rows_needed(population: Population, n_tasks: int, target: float, seeds: Sequence[int]) -> Array:
    """Rows of each of so many tasks after which each of the imagined studies reaches the target, as `tasks_needed`."""
    most = _MOST_NUMBERS / (n_tasks * population.n_components)
    sizes = [size for size in SIZES if _FEWEST_ROWS <= size <= max(most, 2 * _FEWEST_ROWS)]

    def study(rng: np.random.Generator) -> Callable[[int], bool]:
        imagined = population.study(rng, own_tasks=True)
        rows = imagined.draw(n_tasks, sizes[-1], rng)
        return lambda n: _score(population, imagined.mixing, rows.first(n_tasks, n), rng) >= target

    return _needed(study, sizes, seeds)


def smallest(reaches: Callable[[int], bool], sizes: Sequence[int], guess: float) -> float:
    """Smallest of the rising sizes that reaches, by steps that double from a guess and bisection; inf if none does."""
    low, high = -1, len(sizes)
    at, step = int(np.clip(np.searchsorted(sizes, guess), 0, high - 1)), 1
    while high - low > 1:
        if reaches(sizes[at]):
            high, further = at, at - step
        else:
            low, further = at, at + step
        step *= 2
        at = further if low < further < high else (low + high) // 2
    return float(sizes[high]) if high < len(sizes) else np.inf


def _needed(
    study: Callable[[np.random.Generator], Callable[[int], bool]],
    sizes: Sequence[int],
    seeds: Sequence[int],
) -> Array:
    found: list[float] = []
    for seed in seeds:
        guess = min(float(np.median(found)), sizes[-1]) if found else _GUESS
        found.append(smallest(study(np.random.default_rng(seed)), sizes, guess))
    return np.array(found)


def _score(population: Population, mixing: Array, drawn: Drawn, rng: np.random.Generator) -> float:
    """Fit features of these rows; return the mean correlation of latents with those that were drawn."""
    T, n, D = drawn.Z.shape
    Z = drawn.Z.reshape(-1, D)
    H = Z @ mixing.T
    if population.noise_std > 0.0:
        H = H + population.noise_std * rng.standard_normal(H.shape)
    model = MTLCM(D, noise_std=population.known_noise, robust=None, random_state=0)
    with warnings.catch_warnings():
        # A study too small for a fit that converges does not reach the target.
        warnings.simplefilter("ignore")
        model.fit(H, drawn.y.ravel(), tasks=np.repeat(np.arange(T), n))
    return mcc_score(H @ model.components_.T, Z)
