"""What a run keeps of the rows that it was fitted to: moments and quantiles of latents and targets, ends of inputs.

Latents are those of rows that the model has not seen, as it will not have seen the rows that come later. A network
holds rows out. Of other regressors there are latents from folds or bags without the row, which vary less than those of
later rows since fewer rows were fitted, and those of the fit itself, which vary more: the law of later rows lies
between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.persistence import prefixed, taken
from identirep.shapes import FINITE, SIZE, Damage, check_shapes, check_values
from identirep.splits import split_rows

__all__ = ["Columns", "Reference"]

# Order statistics that are kept of each latent and of each target, of which there may be thousands; even numbers.
_OF_LATENTS, _OF_TARGETS = 100, 20
# Share of the rows by which it is told how far others lie outside of the rest.
_OTHERS = 0.2
_VALUES = {"count": SIZE, "mean": FINITE, "deviation": SIZE, "values": FINITE, "seen": (0.0, 1.0)}
_SHAPES = {"count": "C", "mean": "C", "deviation": "C", "values": "CQ", "seen": "CQ"}


@dataclass(frozen=True)
class Columns:
    """Moments of columns, and the values at some ranks of the `count` that each has, from the least to the largest.

    `seen` is the share below each of these among values of rows that the model has seen; that of the column itself
    where there is nothing to tell apart.
    """

    count: IntArray
    mean: Array
    deviation: Array
    values: Array
    seen: Array

    def ranks(self, c: int) -> IntArray:
        """Return the ranks, 1 for the least, of the values that are kept of a column."""
        return ranks_kept(int(self.count[c]), self.values.shape[1])

    @classmethod
    def of(cls, columns: Array, n_kept: int, seen: Array | None = None) -> Columns:
        """Look at columns, NaN left out, and at those of rows that were `seen`."""
        return cls.of_values([column[~np.isnan(column)] for column in columns.T], n_kept, seen)

    @classmethod
    def of_values(cls, values: Sequence[Array], n_kept: int, seen: Array | None = None) -> Columns:
        """Look at columns that may have different numbers of rows."""
        count = np.array([len(own) for own in values], dtype=np.int64)
        mean, deviation = np.full((2, len(values)), np.nan)
        kept, shares = np.full((2, len(values), n_kept), np.nan)
        for c, own in enumerate(values):
            if len(own) == 0:
                continue
            known = np.sort(own)
            mean[c], deviation[c] = known.mean(), known.std()
            kept[c] = known[ranks_kept(len(known), n_kept) - 1]
            shares[c] = share_below(known if seen is None else np.sort(seen[:, c]), kept[c])
        return cls(count, mean, deviation, kept, shares)

    def in_axes(self, order: IntArray, factor: Array, origin: Array) -> Columns:
        """Return the same of columns in another order, times factors, plus origins."""
        values = self.values[order] * factor[:, None]
        # What was least is largest then, and ranks are as far from one end as from the other.
        back = factor[:, None] < 0
        values = np.where(back, values[:, ::-1], values) + origin[:, None]
        seen = self.seen[order]
        # The value itself is on both sides of it, where it is one of those seen.
        itself = 1.0 / np.maximum(self.count[order], 1)[:, None]
        seen = np.where(back, np.minimum(1.0 - seen[:, ::-1] + itself, 1.0), seen)
        mean, deviation = self.mean[order] * factor + origin, self.deviation[order] * np.abs(factor)
        return Columns(self.count[order], mean, deviation, np.ascontiguousarray(values), np.ascontiguousarray(seen))


def values_of_tasks(targets: Array, tasks: IntArray, n_tasks: int, groups: IntArray | None) -> list[Array]:
    """Return the known targets of each task (long layout); rows of a group count once in each task."""
    known = np.flatnonzero(~np.isnan(targets) & (tasks >= 0))
    if groups is not None:
        once = np.unique(np.column_stack([tasks[known], groups[known]]), axis=0, return_index=True)[1]
        known = known[np.sort(once)]
    known = known[np.argsort(tasks[known], kind="stable")]
    return np.split(targets[known], np.searchsorted(tasks[known], np.arange(1, n_tasks)))


def share_below(ordered: Array, ends: Array) -> Array:
    """Share of sorted values that are not larger than each end."""
    return np.asarray(np.searchsorted(ordered, ends, side="right") / max(len(ordered), 1))


def ranks_kept(count: int, n_kept: int) -> IntArray:
    """Return ranks from 1 to the number of values, alike from both ends; of fewer values some come twice."""
    lower = 1 + np.rint(np.linspace(0, max(count - 1, 0), n_kept)[: n_kept // 2]).astype(np.int64)
    return np.concatenate([lower, count + 1 - lower[::-1]])


@dataclass(frozen=True)
class Reference:
    """What latents, targets and inputs looked like.

    `center` and `unit` (D, D) bring the latents of all rows to mean 0 and covariance 1, where the row that is farthest
    out has the square `farthest`. Inputs were between `low` and `high`; of rows held out from such ends none was
    further out than `margin` times their distance.
    """

    latents: Columns
    targets: Columns
    center: Array
    unit: Array
    farthest: float
    low: Array
    high: Array
    margin: float
    ordered: bool

    @classmethod
    def of(
        cls,
        unseen: Array,
        latents: Array,
        X: NDArray[Any],
        targets: Array | list[Array],
        groups: IntArray | None,
        *,
        between: bool,
        ordered: bool,
    ) -> Reference:
        """Look at latents of rows not seen, and at latents, inputs and targets of all rows; groups count once.

        Targets are a matrix (wide layout), or the values of each task, where groups are counted already.
        The law of later latents lies `between` that of these two, or is that of rows not seen.
        """
        X = np.asarray(X, dtype=np.float64)
        first = np.arange(len(X)) if groups is None else np.unique(groups, return_index=True)[1]
        alone = np.zeros(len(X), dtype=bool)
        alone[first] = True
        covariance = np.atleast_2d(np.cov(latents, rowvar=False, bias=True))
        scale, vectors = np.linalg.eigh(covariance)
        # Axes that do not vary say nothing of rows that lie outside.
        unit = vectors.T / np.sqrt(np.where(scale > 1e-12 * scale.max(initial=0.0), scale, np.inf))[:, None]
        center = latents.mean(axis=0)
        rows = split_rows(len(X), _OTHERS, np.random.default_rng(0), groups=groups)
        low, high = _ends(X[~rows])
        varies = high > low
        margin = beyond(X[np.ix_(rows, varies)], low[varies], high[varies]).max(initial=0.0)
        if not isinstance(targets, list):
            targets = [column[alone & ~np.isnan(column)] for column in targets.T]
        return cls(
            Columns.of(unseen[alone & ~np.isnan(unseen).any(axis=1)], _OF_LATENTS, latents[alone] if between else None),
            Columns.of_values(targets, _OF_TARGETS),
            center,
            unit,
            float((((latents - center) @ unit.T) ** 2).sum(axis=1).max(initial=0.0)),
            *_ends(X),
            float(margin),
            ordered,
        )

    def outside(self, latents: Array, X: NDArray[Any]) -> tuple[BoolArray, IntArray]:
        """Tell which rows lie outside, and the input that is furthest out, -1 where it is the latents together."""
        X = np.asarray(X, dtype=np.float64)
        far = (((latents - self.center) @ self.unit.T) ** 2).sum(axis=1) > self.farthest
        out = beyond(X, self.low, self.high)
        by_input = out.max(axis=1, initial=0.0) > self.margin
        return by_input | far, np.where(by_input, out.argmax(axis=1), -1)

    def in_axes(self, order: IntArray, factor: Array, origin: Array) -> Reference:
        """Return the same of latents ``factor * z[order] + origin``."""
        return Reference(
            self.latents.in_axes(order, factor, origin),
            self.targets,
            self.center[order] * factor + origin,
            self.unit[:, order] / factor,
            self.farthest,
            self.low,
            self.high,
            self.margin,
            self.ordered,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays for a run directory."""
        arrays = prefixed("latents", vars(self.latents)) | prefixed("targets", vars(self.targets))
        arrays |= {name: np.asarray(getattr(self, name)) for name in ("center", "unit", "low", "high")}
        return arrays | {"ends": np.array([self.farthest, self.margin]), "ordered": np.array(self.ordered)}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]], n_latents: int) -> Reference:
        """Take back what `to_arrays` has returned."""
        check_shapes(arrays, {"center": "D", "unit": "DD", "low": "K", "high": "K", "ends": "2"}, D=n_latents)
        check_values(arrays, {"center": FINITE, "unit": FINITE})
        check_values(arrays, {"low": FINITE, "high": FINITE, "ends": SIZE}, gaps=True)
        parts = {}
        for name, sizes in (("latents", {"C": n_latents}), ("targets", {})):
            own = taken(name, arrays)
            check_shapes(own, _SHAPES, **sizes)
            if own["count"].dtype.kind != "i" or own["values"].shape[1] % 2:
                raise Damage("counts that are none")
            check_values(own, _VALUES, gaps=True)
            parts[name] = Columns(**{field: own[field] for field in _SHAPES})
        farthest, margin = (float(value) for value in arrays["ends"])
        ends = (arrays["center"], arrays["unit"], farthest, arrays["low"], arrays["high"], margin)
        return cls(parts["latents"], parts["targets"], *ends, bool(arrays["ordered"]))


def _ends(X: Array) -> tuple[Array, Array]:
    """Return the least and the largest value of each input, gaps left out; NaN where there are gaps only."""
    low, high = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
    return np.asarray(low), np.asarray(high)


def beyond(X: Array, low: Array, high: Array) -> Array:
    """How far values lie beyond their ends, in units of the distance of these; infinite beyond a constant."""
    width = high - low
    out = np.maximum(np.maximum(low - X, X - high), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(out > 0, out / width, 0.0)
    return np.asarray(np.where(np.isnan(X), 0.0, found))
