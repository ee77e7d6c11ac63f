"""What an MCC is worth: the one of unrelated latents, since an assignment takes the best of what chance gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from identirep._typing import Array, RandomState
from identirep.parameters import Number, Whole, check_arguments
from identirep.seeds import as_generator

__all__ = ["ChanceMCC", "chance_mcc"]

# Correlations that are drawn at once (float64, 40 MB).
_MOST_NUMBERS = 5e6


@dataclass(frozen=True)
class ChanceMCC:
    """Strong MCC of two sets of latents that have nothing to do with each other.

    Parameters
    ----------
    mean : float
        Its expectation.
    quantile : float
        Value that it exceeds with a probability of one minus `level`.
    level : float
        The level of `quantile`.
    standard_error : float
        Standard error of `mean`, which is an average over draws.
    """

    mean: float
    quantile: float
    level: float
    standard_error: float


def chance_mcc(
    n_samples: int,
    n_components: int,
    *,
    level: float = 0.95,
    n_draws: int = 200,
    random_state: RandomState = 0,
) -> ChanceMCC:
    r"""Draw the strong MCC of unrelated Gaussian latents.

    :math:`\max_\pi \frac1D \sum_i |r_{i\pi(i)}|`, with r the correlations of two independent samples of n rows. It
    grows about as :math:`\sqrt{\log D / n}`.

    Parameters
    ----------
    n_samples : int
        Rows n, at least 2.
    n_components : int
        Latents D of each set, at least 1.
    level : float, default 0.95
        Level of the quantile, above 0 and below 1.
    n_draws : int, default 200
        Pairs of samples that are drawn, at least 2.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default 0
        Seed or generator.

    Returns
    -------
    ChanceMCC
        Mean and quantile.

    Raises
    ------
    ValueError
        If an argument is out of range; the message lists all faults.
    TypeError
        If an argument is of another type.

    Notes
    -----
    Rows are independent and latents of a set uncorrelated. Rows of a series, or latents that correlate, are worth fewer
    rows, and their chance level is higher. An assignment that was learnt on other rows has no such level: its MCC is 0
    on average.

    Examples
    --------
    >>> from identirep.metrics import chance_mcc
    >>> found = chance_mcc(20, 10)
    >>> round(found.mean, 1), found.quantile > found.mean
    (0.4, True)
    """
    check_arguments(
        n_samples=(n_samples, Whole(2)),
        n_components=(n_components, Whole()),
        level=(level, Number(0.0, 1.0, open_low=True, open_high=True)),
        n_draws=(n_draws, Whole(2)),
    )
    rng = as_generator(random_state)
    scores = np.array([_score(_correlations(n_samples, n_components, rng)) for _ in range(n_draws)])
    error = float(scores.std(ddof=1) / np.sqrt(n_draws))
    return ChanceMCC(float(scores.mean()), float(np.quantile(scores, level)), float(level), error)


def _correlations(n: int, D: int, rng: np.random.Generator) -> Array:
    """Draw the correlations of two independent sets, (D, D), row blocks at a time."""
    block = max(1, int(_MOST_NUMBERS // (2 * D)))
    products, squares, sums = np.zeros((D, D)), np.zeros((2, D)), np.zeros((2, D))
    for start in range(0, n, block):
        a, b = rng.standard_normal((2, min(block, n - start), D))
        products += a.T @ b
        squares += np.stack([(a**2).sum(axis=0), (b**2).sum(axis=0)])
        sums += np.stack([a.sum(axis=0), b.sum(axis=0)])
    scale = np.sqrt(squares - sums**2 / n)
    return np.asarray((products - np.outer(sums[0], sums[1]) / n) / np.outer(scale[0], scale[1]))


def _score(correlation: Array) -> float:
    rows, columns = linear_sum_assignment(-np.abs(correlation))
    return float(np.abs(correlation[rows, columns]).mean())
