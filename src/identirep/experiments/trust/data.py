"""Data of the cells: rows of the fit, as many other rows for a fresh fit, and rows that neither sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.datasets import make_linear_tasks, make_nonlinear_tasks
from identirep.experiments.experiment import Cell
from identirep.experiments.trust.tables import equal_rows, load_real

__all__ = ["Drawn", "draw", "in_each_task", "three_parts"]

_MOST_UNSEEN = 4000
# A target has at least so many rows that do not hold its commonest value.
_FEWEST_OTHERS = 5


@dataclass(frozen=True)
class Drawn:
    """Inputs, targets in either layout, and which rows are for what."""

    X: Array
    y: Array
    first: IntArray
    other: IntArray
    unseen: IntArray
    tasks: IntArray | None = None
    groups: IntArray | None = None
    truth: Array | None = None


def draw(cell: Cell) -> Drawn:
    """Draw the data of a cell."""
    return _DRAWS.get(cell["data"], _table)(cell, np.random.default_rng(cell["seed"]))


def _table(cell: Cell, rng: np.random.Generator) -> Drawn:
    data = load_real(cell["data"])
    first, other, unseen = three_parts(equal_rows(data.X) if data.groups is None else data.groups, cell["rows"], rng)
    varies = np.all([_varies(data.Y[part]) for part in (first, other, unseen)], axis=0)
    return Drawn(data.X, data.Y[:, varies], first, other, unseen, groups=data.groups)


def _varies(targets: Array) -> BoolArray:
    """Tell which targets are not one value in all but a few rows, as counts of rare events are."""
    common = [np.unique(column, return_counts=True)[1].max() for column in targets.T]
    return len(targets) - np.array(common) >= _FEWEST_OTHERS


def three_parts(groups: IntArray, n_rows: int, rng: np.random.Generator) -> tuple[IntArray, IntArray, IntArray]:
    """Split rows, groups kept whole; the two fits share rows only where there are too few for both."""
    n_all = len(groups)
    _, index = np.unique(groups, return_inverse=True)
    order = np.argsort(rng.permutation(index.max() + 1)[index], kind="stable")
    n_unseen = min(_MOST_UNSEEN, max(n_all - 2 * n_rows, n_all // 8))
    seen, unseen = order[: n_all - n_unseen], order[n_all - n_unseen :]
    first, other = seen[:n_rows], seen[max(len(seen) - n_rows, 0) :]
    if len(seen) >= 2 * n_rows:
        other = other[~np.isin(groups[other], groups[first])]
    return first, other, unseen[~np.isin(groups[unseen], groups[seen])]


def in_each_task(n_tasks: int, n_rows: int) -> tuple[IntArray, IntArray, IntArray]:
    """Split the rows of tasks that have three times as many, in order of the tasks."""
    place = np.arange(3 * n_tasks * n_rows) % (3 * n_rows)
    first, other, unseen = (np.flatnonzero(place // n_rows == part) for part in range(3))
    return first, other, unseen


def _consecutive(n_rows: int) -> tuple[IntArray, IntArray, IntArray]:
    first, other, unseen = np.arange(3 * n_rows).reshape(3, n_rows)
    return first, other, unseen


def _smooth(x: Array) -> Array:
    """Go from slope 0.2 to slope 1."""
    return 0.6 * x + 0.4 * np.sqrt(1.0 + x**2)


def _polynomial(x: Array) -> Array:
    return x + x**3


def _bounded(x: Array) -> Array:
    """Go from slope 1.25 to slope 0.25."""
    return 0.25 * x + np.tanh(x)


def _one_sided(x: Array) -> Array:
    """Go from slope 0 to slope 1, everywhere rising."""
    return np.logaddexp(0.0, x)


def _nonlinear(cell: Cell, rng: np.random.Generator) -> Drawn:
    D, T, n = int(cell["D"]), cell["tasks"], cell["rows"]
    n_observed = cell["observed"] * D
    data = make_nonlinear_tasks(
        T,
        3 * n,
        D,
        n_observed,
        max(1, (D + 1) // 3),
        hidden_sizes=[n_observed] * cell["depth"],
        activation="leaky_relu",
        spurious_std=cell["q"],
        random_state=rng,
    )
    X = data.X if cell["mixing"] == "leaky" else _decode(data.Z, data.decoder, _BENT[cell["mixing"]])
    return Drawn(X, data.y, *in_each_task(T, n), tasks=data.tasks, truth=data.Z)


_BENT: dict[str, Callable[[Array], Array]] = {
    "smooth": _smooth,
    "polynomial": _polynomial,
    "bounded": _bounded,
    "one-sided": _one_sided,
}


def _decode(Z: Array, decoder: Any, activation: Callable[[Array], Array]) -> Array:
    """Decode with another activation between the layers."""
    x = Z
    for layer, (W, b) in enumerate(zip(decoder.weights, decoder.biases, strict=True)):
        x = (activation(x) if layer else x) @ W.T + b
    return x


def _linear_long(cell: Cell, rng: np.random.Generator) -> Drawn:
    D, T, n = int(cell["D"]), cell["tasks"], cell["rows"]
    data = make_linear_tasks(
        T, 3 * n, D, max(1, (D + 1) // 3), n_features=2 * D, observation_noise=cell["noise"], random_state=rng
    )
    return Drawn(data.H, data.y, *in_each_task(T, n), tasks=data.tasks, truth=data.Z)


def _linear_wide(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw targets of which each depends on one latent, and weakly on another; latents are linear in the inputs."""
    n_inputs, n_per_latent = 20, 4
    D, n = int(cell["D"]), cell["rows"]
    X = rng.standard_normal((3 * n, n_inputs))
    Z = X @ np.linalg.qr(rng.standard_normal((n_inputs, D)))[0]
    heads = np.kron(np.eye(D), np.ones((n_per_latent, 1))) * rng.uniform(0.7, 1.3, (n_per_latent * D, 1))
    heads += 0.3 * heads[:, rng.permutation(D)]
    y = Z @ heads.T + cell["noise"] * rng.standard_normal((3 * n, n_per_latent * D))
    return Drawn(X, y, *_consecutive(n), truth=Z)


def _shuffled_table(cell: Cell, rng: np.random.Generator) -> Drawn:
    data = load_real("superconductivity")
    first, other, unseen = three_parts(data.groups, cell["rows"], rng)
    return Drawn(data.X, data.Y[rng.permutation(len(data.Y))], first, other, unseen, groups=data.groups)


def _shuffled_long(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw linear tasks, and shuffle the targets of each task."""
    T, n = cell["tasks"], cell["rows"]
    data = make_linear_tasks(T, 3 * n, 5, 2, random_state=rng)
    y = rng.permuted(data.y.reshape(T, 3 * n), axis=1).reshape(-1)
    return Drawn(data.H, y, *in_each_task(T, n), tasks=data.tasks)


def _random_walks(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw one long table of independent walks: other rows are later ones."""
    n = cell["rows"]
    walks = rng.standard_normal((3 * n, 14)).cumsum(axis=0)
    return Drawn(walks[:, :8], walks[:, 8:], *_consecutive(n))


def _slow_noise(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw independent series that forget a tenth of what they were at every row: other rows are later ones."""
    n = cell["rows"]
    series = rng.standard_normal((3 * n, 12))
    for i in range(1, len(series)):
        series[i] = 0.9 * series[i - 1] + np.sqrt(1 - 0.9**2) * series[i]
    return Drawn(series[:, :7], series[:, 7:], *_consecutive(n))


def _heavy_tails(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw inputs and independent targets from Student's t with two degrees of freedom."""
    n = cell["rows"]
    return Drawn(rng.standard_t(2, (3 * n, 10)), rng.standard_t(2, (3 * n, 8)), *_consecutive(n))


def _one_noise(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw targets that share two factors, which have nothing to do with the inputs."""
    n = cell["rows"]
    factors = rng.standard_normal((3 * n, 2))
    y = factors @ rng.standard_normal((2, 12)) + 0.3 * rng.standard_normal((3 * n, 12))
    return Drawn(rng.standard_normal((3 * n, 15)), y, *_consecutive(n))


def _repeated_rows(cell: Cell, rng: np.random.Generator) -> Drawn:
    """Draw few rows of inputs, each eight times, with targets that are noise but equal for equal rows."""
    n, n_repeats = cell["rows"], 8
    X, y = rng.standard_normal((3 * n // n_repeats, 8)), rng.standard_normal((3 * n // n_repeats, 6))
    return Drawn(np.repeat(X, n_repeats, axis=0), np.repeat(y, n_repeats, axis=0), *_consecutive(n))


_DRAWS: dict[str, Callable[[Cell, np.random.Generator], Drawn]] = {
    "nonlinear": _nonlinear,
    "linear, long": _linear_long,
    "linear, wide": _linear_wide,
    "shuffled superconductivity": _shuffled_table,
    "shuffled tasks": _shuffled_long,
    "random walks": _random_walks,
    "rows repeated 8 times": _repeated_rows,
    "slow noise": _slow_noise,
    "heavy-tailed noise": _heavy_tails,
    "targets of one noise": _one_noise,
}
