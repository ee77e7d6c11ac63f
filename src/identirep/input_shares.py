"""How much of an axis each input moves, by shuffling inputs one by one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from identirep._typing import Array, IntArray
from identirep.canonical_analysis import cross_correlation
from identirep.encoding import as_table, is_frame, plain
from identirep.inputs import column_names

__all__ = ["InputShare", "input_shares"]

# Rows on which inputs are shuffled, and inputs that are looked at; of more, those that correlate most with the axes.
_MOST_ROWS, _MOST_INPUTS = 1000, 300
_FEWEST_ROWS = 10
# Shuffles that are averaged, as long as there are few inputs; and rows in all shuffles of all inputs, each of which
# takes a prediction: with many inputs there are fewer rows, down to a number that still says something.
_MOST_DRAWS, _ALL_ROWS, _LEAST_ROWS = 10, 100_000, 300
# Quantile of the normal distribution for an interval of 90%.
_QUANTILE = 1.645


class InputShare(NamedTuple):
    """How much of an axis an input moves: the share of its variance that changes when the input alone is shuffled.

    That is the total effect (Sobol's index, Jansen's estimator); where inputs depend on each other shares do not sum to
    one. `interval` holds it with 90% probability over rows; `correlation` is that of input and axis, NaN of no numbers.
    """

    name: str
    share: float
    interval: tuple[float, float]
    correlation: float


def input_shares(model: Any, X: Any, Z: Array, seed: int) -> list[list[InputShare]]:
    """Share of each axis that each input moves, by input and axis; rows beyond the first thousand or so are drawn."""
    rng = np.random.default_rng(seed)
    table = _Columns(X)
    if len(Z) < _FEWEST_ROWS:
        raise ValueError(
            f"X has too few rows to tell what moves an axis: got {len(Z)}, expected at least {_FEWEST_ROWS}. Pass more "
            "rows."
        )
    places = None if model._encoder is None else _places(model._encoder, table)
    correlation = {
        k: _correlations(table.numbers(k), Z) for k in (range(table.n_columns) if places is None else places)
    }
    known = {k: np.where(np.isnan(found), 1.0, np.abs(found)).max() for k, found in correlation.items()}
    chosen = sorted(sorted(known, key=lambda k: -known[k])[:_MOST_INPUTS])
    n_rows = int(np.clip(_ALL_ROWS // len(chosen), _LEAST_ROWS, _MOST_ROWS))
    rows = np.sort(rng.permutation(len(Z))[:n_rows])
    part, own = _Shuffled(model, table.rows(rows), places), Z[rows]
    n_draws = int(np.clip(_ALL_ROWS // (len(chosen) * len(rows)), 1, _MOST_DRAWS))
    found = []
    for k in chosen:
        share, error = _share(part, own, k, [rng.permutation(len(rows)) for _ in range(n_draws)])
        low, high = np.maximum(share - _QUANTILE * error, 0.0), share + _QUANTILE * error
        found.append(
            [
                InputShare(table.names[k], float(share[i]), (float(low[i]), float(high[i])), float(correlation[k][i]))
                for i in range(Z.shape[1])
            ]
        )
    return found


def _share(part: _Shuffled, Z: Array, k: int, orders: list[IntArray]) -> tuple[Array, Array]:
    """Return the share of each axis that input k moves, with its standard error over rows, averaged over shuffles."""
    half, both = np.zeros_like(Z), np.zeros_like(Z)
    for order in orders:
        moved = 0.5 * (Z - part.latents(k, order)) ** 2
        half += moved / len(orders)
        # Each row counts as the one that gets a value, and as the one that gives its own.
        both += (moved + moved[np.argsort(order)]) / len(orders)
    square = (Z - Z.mean(axis=0)) ** 2
    variance = square.mean(axis=0)
    share = half.mean(axis=0) / variance
    return share, np.std(both - share * square, axis=0) / (variance * np.sqrt(len(Z)))


def _places(encoder: Any, table: _Columns) -> dict[int, IntArray]:
    """Return where the numbers of each column that is an input are, once it is encoded; of a matrix by position."""
    names = table.names if table.has_names else [column.name for column in encoder.columns_]
    places = encoder._places
    return {k: places[name] for k, name in enumerate(names) if name in places}


class _Shuffled:
    """Rows of which one input at a time is shuffled; a table is encoded once, and not for each input again."""

    def __init__(self, model: Any, part: _Columns, places: dict[int, IntArray] | None) -> None:
        self._model, self._part, self._places = model, part, places
        with _silence():
            self._numbers = None if places is None else model._encoder.transform(part.X)

    def latents(self, k: int, order: IntArray) -> Array:
        """Return the latents of the rows with input k in another order."""
        with _silence():
            if self._places is None or self._numbers is None:
                return np.asarray(self._model._latents_of(self._part.shuffled(k, order)))
            moved, own = self._numbers.copy(), self._places[k]
            moved[:, own] = self._numbers[np.ix_(order, own)]
            return np.asarray(self._model._latents_of_numbers(moved))


@contextmanager
def _silence() -> Iterator[None]:
    """Say nothing more of these rows: it was said when their latents were computed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _correlations(column: Array | None, Z: Array) -> Array:
    if column is None or np.isnan(column).any():
        return np.full(Z.shape[1], np.nan)
    return cross_correlation(column[:, None], Z, "pearson")[0]


class _Columns:
    """Inputs in any form that a model takes, as columns that can be shuffled one by one."""

    def __init__(self, X: Any) -> None:
        # Tables of polars and others become Arrow tables, which models take as well.
        if is_frame(X) and not hasattr(X, "iloc"):
            X = _plain_table(X)
        self.X: Any = X if hasattr(X, "shape") else np.asarray(X)
        self.is_arrow, self.is_frame = hasattr(self.X, "set_column"), hasattr(self.X, "iloc")
        self.n_columns = int(self.X.shape[1])
        names = column_names(self.X)
        self.has_names = names is not None
        self.names = [f"input {k}" for k in range(self.n_columns)] if names is None else [str(name) for name in names]

    def rows(self, index: IntArray) -> _Columns:
        """Return some of the rows."""
        if self.is_arrow:
            return _Columns(self.X.take(index))
        return _Columns(self.X.iloc[index] if self.is_frame else self.X[index])

    def numbers(self, k: int) -> Array | None:
        """Return a column as numbers; None if it has others."""
        if self.is_arrow:
            column = self.X.column(k).to_numpy()
        else:
            column = np.asarray(self.X.iloc[:, k] if self.is_frame else self.X[:, k])
        return column.astype(np.float64) if column.dtype.kind in "fiub" else None

    def shuffled(self, k: int, order: IntArray) -> Any:
        """Return the inputs with one column in another order."""
        if self.is_arrow:
            return self.X.set_column(k, self.X.field(k), self.X.column(k).take(order))
        moved = self.X.copy()
        if self.is_frame:
            moved.isetitem(k, self.X.iloc[order, k].array)
        else:
            moved[:, k] = self.X[order, k]
        return moved


def _plain_table(X: Any) -> Any:
    """Return a table of Arrow whose columns are of types that rows can be taken of."""
    import pyarrow as pa

    table = as_table(X)
    return pa.table([plain(column) for column in table.columns], names=table.column_names)
