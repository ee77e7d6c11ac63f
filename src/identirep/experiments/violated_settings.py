"""Linear synthetic data that violate what stage two takes for granted, from not at all to strongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtri
from sklearn.utils import Bunch

from identirep._typing import Array, IntArray
from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell

__all__ = ["DIALS", "draw_violated", "violated_settings"]

CLEAN, HEAVY = "clean", "latents with heavy tails"
ONE_OTHER, OTHERS = "tasks of one other mixing", "tasks of other mixings"
# How strong a violation is, from none on: shares of rows or tasks, how much the deviation of effects grows with the
# target or curves with it, degrees of freedom, distinct tasks, levels.
DIALS: dict[str, tuple[float, ...]] = {
    "outliers in y": (0.001, 0.01, 0.05),
    "outliers in h": (0.001, 0.01, 0.05),
    "labels mixed up": (0.05, 0.2, 0.5),
    "effects heteroscedastic": (1.0, 2.0, 8.0),
    HEAVY: (10.0, 5.0, 3.0),
    ONE_OTHER: (0.1, 0.3),
    OTHERS: (0.1, 0.3),
    "tasks repeated": (20, 4, 3, 2),
    "effects quadratic in the target": (0.1, 0.3, 2.0),
    "targets of so many levels": (5, 2),
}
_QUICK: dict[str, tuple[float, ...]] = {
    "targets of so many levels": (2,),
    "outliers in y": (0.01,),
    "labels mixed up": (0.2,),
    OTHERS: (0.1,),
}
# Standard deviations that gross errors are off by.
_GROSS = 10.0
# Rows of a task on data without violations.
_ROWS, _CLEAN_ROWS = 300, (15, 60, 300)


def violated_settings(quick: bool) -> list[Cell]:
    """Return all settings, as cells without seed: the violation, its strength, and the data."""
    size = {"T": 40, "D": 5, "causal": 2} if quick else {"T": 100, "D": 10, "causal": 4}
    rows = 100 if quick else _ROWS
    dials = _QUICK if quick else DIALS
    kinds: list[Cell] = [{"violation": CLEAN, "strength": 0.0, "n": n} for n in ((rows,) if quick else _CLEAN_ROWS)]
    kinds += [{"violation": kind, "strength": dial, "n": rows} for kind, dials_ in dials.items() for dial in dials_]
    priors = ("factorized",) if quick else ("factorized", "exact")
    stds = (1.0,) if quick else (0.1, 1.0)
    return [{**kind, **size, "q": q, "prior": prior} for kind in kinds for q in stds for prior in priors]


def draw_violated(cell: Cell, rng: np.random.Generator) -> Bunch:
    """Draw a setting as `make_linear_tasks` does, with what is violated in it.

    `foreign` (T,) are tasks of another mixing, `clean` (N, K) the features without gross errors, under the mixing of
    most tasks, of which `Z` are the latents.
    """
    data = make_linear_tasks(
        cell["T"],
        cell["n"],
        cell["D"],
        cell["causal"],
        # Orthogonal mixings leave the pooled covariance as it is, so that other ones of that kind do no harm.
        mixing="random" if cell["violation"] in (ONE_OTHER, OTHERS) else "orthogonal",
        observation_noise=0.0,
        spurious_std=cell["q"],
        random_state=rng,
    )
    data.foreign = np.zeros(cell["T"], dtype=bool)
    data.clean = data.H
    if cell["violation"] != CLEAN:
        _VIOLATIONS[cell["violation"]](data, cell["strength"], rng)
    return data


def _outliers_in_y(data: Bunch, share: float, rng: np.random.Generator) -> None:
    hit = rng.random(len(data.y)) < share
    deviation = _by_task(data.y, data.tasks).std(axis=1)[data.tasks]
    data.y = data.y + hit * _GROSS * deviation * rng.standard_normal(len(data.y))


def _outliers_in_h(data: Bunch, share: float, rng: np.random.Generator) -> None:
    hit = rng.random(len(data.y)) < share
    data.H = data.H + hit[:, None] * _GROSS * rng.standard_normal(data.H.shape)


def _labels_mixed(data: Bunch, share: float, rng: np.random.Generator) -> None:
    """Permute the labels of tasks among a share of the rows."""
    hit = np.flatnonzero(rng.random(len(data.y)) < share)
    data.tasks = data.tasks.copy()
    data.tasks[hit] = rng.permutation(data.tasks[hit])


def _heteroscedastic(data: Bunch, strength: float, rng: np.random.Generator) -> None:
    """Effects spread around their regression by sqrt(1 + (strength y)^2), the target in standard units."""
    y = _by_task(data.y, data.tasks)
    factor = np.sqrt(1.0 + (strength * (y - y.mean(axis=1, keepdims=True)) / y.std(axis=1, keepdims=True)) ** 2)
    middle = data.spurious_coef[data.tasks] * data.y[:, None] + data.spurious_intercept[data.tasks]
    _remix(data, np.where(data.causal[data.tasks], data.Z, middle + (data.Z - middle) * factor.reshape(-1, 1)))


def _heavy_tails(data: Bunch, freedom: float, rng: np.random.Generator) -> None:
    """Causes, and what effects are besides their regression, have a Student t of their own each."""
    noise = rng.standard_t(freedom, size=data.Z.shape)
    t, causal = data.tasks, data.causal[data.tasks]
    y = np.einsum("nd,nd->n", np.where(causal, noise, 0.0), data.causal_coef[t])
    y += data.target_noise[t] * rng.standard_normal(len(t))
    _remix(data, np.where(causal, noise, data.spurious_coef[t] * y[:, None] + data.spurious_std[t] * noise))
    data.y = y


def _one_other_mixing(data: Bunch, share: float, rng: np.random.Generator) -> None:
    _other_mixings(data, share, rng, common=True)


def _other_mixings(data: Bunch, share: float, rng: np.random.Generator, common: bool = False) -> None:
    """A share of the tasks has features mixed otherwise, all alike or each in its own way."""
    T, D = data.causal.shape
    foreign = rng.permutation(T)[: round(share * T)]
    A = rng.standard_normal((1 if common else len(foreign), D, D))
    H = data.H.reshape(T, -1, D).copy()
    H[foreign] = data.Z.reshape(T, -1, D)[foreign] @ A
    data.H, data.foreign[foreign] = H.reshape(-1, D), True


def _repeated(data: Bunch, distinct: float, rng: np.random.Generator) -> None:
    """The first tasks over and over again, their rows as they are."""
    T, n = len(data.causal), len(data.y) // len(data.causal)
    source = np.arange(T) % int(distinct)
    rows = (source[:, None] * n + np.arange(n)).ravel()
    data.H, data.clean, data.Z, data.y = data.H[rows], data.clean[rows], data.Z[rows], data.y[rows]
    data.causal = data.causal[source]


def _quadratic(data: Bunch, strength: float, rng: np.random.Generator) -> None:
    """Effects have a square of the target, in standard units, beside their line."""
    y = _by_task(data.y, data.tasks)
    square = ((y - y.mean(axis=1, keepdims=True)) / y.std(axis=1, keepdims=True)) ** 2 - 1.0
    _remix(data, data.Z + np.where(data.causal[data.tasks], 0.0, strength * square.reshape(-1, 1)))


def _in_levels(data: Bunch, levels: float, rng: np.random.Generator) -> None:
    """Targets are known in so many levels, as if asked for on a scale; thresholds differ between tasks."""
    y = _by_task(data.y, data.tasks)
    y = (y - y.mean(axis=1, keepdims=True)) / y.std(axis=1, keepdims=True)
    middle = ndtri(np.arange(1, levels) / levels)
    thresholds = middle + 0.5 * rng.standard_normal((len(y), 1))
    data.y = (y[..., None] > thresholds[:, None]).sum(axis=2).astype(np.float64).ravel()


_VIOLATIONS: dict[str, Callable[[Bunch, float, np.random.Generator], None]] = dict(
    zip(
        DIALS,
        (
            _outliers_in_y,
            _outliers_in_h,
            _labels_mixed,
            _heteroscedastic,
            _heavy_tails,
            _one_other_mixing,
            _other_mixings,
            _repeated,
            _quadratic,
            _in_levels,
        ),
        strict=True,
    )
)


def _by_task(y: Array, tasks: IntArray) -> Array:
    """Targets of tasks of equally many rows, in order, shape (n_tasks, n)."""
    return y.reshape(int(tasks.max()) + 1, -1)


def _remix(data: Bunch, Z: Array) -> None:
    """Take other latents, in standard units in each task, and the features that these give."""
    by_task = Z.reshape(len(data.causal), -1, Z.shape[1])
    by_task = (by_task - by_task.mean(axis=1, keepdims=True)) / by_task.std(axis=1, keepdims=True)
    data.Z = by_task.reshape(Z.shape)
    data.H = data.clean = data.Z @ data.mixing.T
