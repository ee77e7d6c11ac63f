"""What a run keeps of the rows that it was fitted to: moments and quantiles of latents and targets, ends of inputs.

Latents are those of rows that the model has not seen, as it will not have seen the rows that come later. A network
holds rows out. Of other regressors there are latents from folds or bags without the row, which vary less than those of
later rows since fewer rows were fitted, and those of the fit itself, which vary more: the law of later rows lies
between. Where inputs take few values later rows have those of the fit, whose latents are the very same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, BoolArray, IntArray
from identirep.persistence import prefixed, taken
from identirep.shapes import FINITE, SIZE, Damage, check_shapes, check_values
from identirep.splits import row_groups, row_hashes, split_rows

__all__ = ["Columns", "Reference"]

# Order statistics that are kept of each latent and of each target, of which there may be thousands; even numbers.
_OF_LATENTS, _OF_TARGETS = 100, 20
# Share of the rows by which it is told how far others lie outside of the rest.
_OTHERS = 0.2
# Cumulated weights may fall short of a share by that.
_ROUNDING = 1e-9
_VALUES = {"count": SIZE, "alike": SIZE, "mean": FINITE, "deviation": SIZE, "values": FINITE}
_VALUES |= dict.fromkeys(("share", "under", "seen", "seen_under"), (0.0, 1.0 + 1e-9))
_SHAPES = {"count": "C", "alike": "C", "mean": "C", "deviation": "C"}
_SHAPES |= dict.fromkeys(("values", "share", "under", "seen", "seen_under"), "CQ")


@dataclass(frozen=True)
class Columns:
    """Moments of columns, and the values at some ranks of the `count` that each has, from the least to the largest.

    `share` is the share of rows with values not larger than each of these, `under` with smaller ones; `seen` and
    `seen_under` are the same of rows as the model has seen them, which are those of the column itself where there is
    nothing to tell apart. Of rows that weigh differently the effective number counts. If rows of equal inputs are the
    same row again there are `alike` times fewer.
    """

    count: IntArray
    alike: Array
    mean: Array
    deviation: Array
    values: Array
    share: Array
    under: Array
    seen: Array
    seen_under: Array

    @classmethod
    def of(
        cls,
        columns: Array,
        n_kept: int,
        seen: Array | None = None,
        *,
        hashes: NDArray[np.uint64] | None = None,
        weights: Array | None = None,
    ) -> Columns:
        """Look at columns, NaN left out, and at those of rows that were `seen`; rows with equal hashes are alike."""
        known = [np.flatnonzero(~np.isnan(column)) for column in columns.T]
        own = None if hashes is None else [hashes[rows] for rows in known]
        w = None if weights is None else [weights[rows] for rows in known]
        values = [column[rows] for column, rows in zip(columns.T, known, strict=True)]
        return cls.of_values(values, n_kept, seen, hashes=own, weights=w)

    @classmethod
    def of_values(
        cls,
        values: Sequence[Array],
        n_kept: int,
        seen: Array | None = None,
        *,
        hashes: Sequence[NDArray[np.uint64]] | None = None,
        weights: Sequence[Array] | None = None,
    ) -> Columns:
        """Look at columns that may have different numbers of rows."""
        C = len(values)
        count, alike = np.zeros(C, dtype=np.int64), np.ones(C)
        mean, deviation = np.full((2, C), np.nan)
        kept, share, under, of_seen, seen_under = np.full((5, C, n_kept), np.nan)
        for c, own in enumerate(values):
            if len(own) == 0:
                continue
            w = np.ones(len(own)) if weights is None else weights[c]
            count[c] = round(float(w.sum() ** 2 / (w @ w)))
            if hashes is not None:
                of_equal = np.bincount(np.unique(hashes[c], return_inverse=True)[1].reshape(-1), w)
                alike[c] = max(float(of_equal @ of_equal / (w @ w)), 1.0)
            mean[c] = np.average(own, weights=w)
            deviation[c] = np.sqrt(np.average((own - mean[c]) ** 2, weights=w))
            order = np.argsort(own, kind="stable")
            ordered, below = own[order], np.cumsum(w[order]) / w.sum()
            # The share that a rank stands for, from below and from above alike.
            ranks = ranks_kept(int(count[c]), n_kept) / count[c]
            place = np.searchsorted(below, ranks - _ROUNDING)
            kept[c] = ordered[np.minimum(place, len(own) - 1)]
            below = np.concatenate([[0.0], below])
            share[c] = np.minimum(below[np.searchsorted(ordered, kept[c], side="right")], 1.0)
            under[c] = below[np.searchsorted(ordered, kept[c], side="left")]
            of_seen[c], seen_under[c] = share[c], under[c]
            if seen is not None:
                known = np.sort(seen[:, c])
                of_seen[c], seen_under[c] = share_below(known, kept[c]), share_below(known, kept[c], "left")
        return cls(count, alike, mean, deviation, kept, share, under, of_seen, seen_under)

    def in_axes(self, order: IntArray, factor: Array, origin: Array) -> Columns:
        """Return the same of columns in another order, times factors, plus origins."""
        values = self.values[order] * factor[:, None]
        # What was least is largest then.
        back = factor[:, None] < 0
        values = np.where(back, values[:, ::-1], values) + origin[:, None]
        share, under, seen, seen_under = (
            np.ascontiguousarray(np.where(back, 1.0 - of[order][:, ::-1], own[order]))
            for own, of in (
                (self.share, self.under),
                (self.under, self.share),
                (self.seen, self.seen_under),
                (self.seen_under, self.seen),
            )
        )
        mean, deviation = self.mean[order] * factor + origin, self.deviation[order] * np.abs(factor)
        values = np.ascontiguousarray(values)
        return Columns(self.count[order], self.alike[order], mean, deviation, values, share, under, seen, seen_under)

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]], **sizes: int) -> Columns:
        """Take back the arrays of columns; of a run that has no shares of rows yet they follow from ranks."""
        if "share" not in arrays and {"count", "values", "seen"} <= set(arrays):
            arrays = dict(arrays)
            check_shapes(arrays, {"count": "C", "values": "CQ", "seen": "CQ"}, **sizes)
            count = np.maximum(arrays["count"], 1)[:, None]
            ranks = np.array([ranks_kept(int(n), arrays["values"].shape[1]) for n in arrays["count"]])
            arrays["share"] = (ranks / count).reshape(arrays["values"].shape)
            arrays["alike"] = np.ones(len(count))
            for name, of in (("under", "share"), ("seen_under", "seen")):
                arrays[name] = np.maximum(arrays[of] - 1.0 / count, 0.0)
        check_shapes(arrays, _SHAPES, **sizes)
        if arrays["count"].dtype.kind != "i" or arrays["values"].shape[1] % 2:
            raise Damage("counts that are none")
        check_values(arrays, _VALUES, gaps=True)
        return cls(**{field: arrays[field] for field in _SHAPES})


def rows_of_tasks(targets: Array, tasks: IntArray, n_tasks: int, groups: IntArray | None) -> list[IntArray]:
    """Return the rows of each task with known targets (long layout); of the rows of a group one in each task."""
    known = np.flatnonzero(~np.isnan(targets) & (tasks >= 0))
    if groups is not None:
        once = np.unique(np.column_stack([tasks[known], groups[known]]), axis=0, return_index=True)[1]
        known = known[np.sort(once)]
    known = known[np.argsort(tasks[known], kind="stable")]
    return np.split(known, np.searchsorted(tasks[known], np.arange(1, n_tasks)))


def share_below(ordered: Array, ends: Array, side: Literal["left", "right"] = "right") -> Array:
    """Share of sorted values that are not larger than each end, or smaller."""
    return np.asarray(np.searchsorted(ordered, ends, side=side) / max(len(ordered), 1))


def ranks_kept(count: int, n_kept: int) -> IntArray:
    """Return ranks from 1 to the number of values, alike from both ends; of fewer values some come twice."""
    lower = 1 + np.rint(np.linspace(0, max(count - 1, 0), n_kept)[: n_kept // 2]).astype(np.int64)
    return np.concatenate([lower, count + 1 - lower[::-1]])


@dataclass(frozen=True)
class Reference:
    """What latents, targets and inputs looked like.

    `latents` are those of later rows which have inputs of the fit as often as its rows have those of others; `apart`,
    which is None where no two rows have the same, those of later rows that never do.

    `center` and `unit` (D, D) bring the latents of all rows to mean 0 and covariance 1, where the row that is farthest
    out has the square `farthest`. Inputs were between `low` and `high`; of rows held out from such ends none was
    further out than `margin` times their distance.
    """

    latents: Columns
    apart: Columns | None
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
        targets: Columns,
        groups: IntArray | None,
        *,
        between: bool,
        ordered: bool,
    ) -> Reference:
        """Look at latents of rows not seen (others NaN), and at latents and inputs of all rows; groups count once.

        The law of later latents lies `between` that of these two, or is that of rows not seen.
        """
        hashes = row_hashes(X)
        X = np.asarray(X, dtype=np.float64)
        alone = first_of_groups(groups, len(X))
        covariance = np.atleast_2d(np.cov(latents, rowvar=False, bias=True))
        scale, vectors = np.linalg.eigh(covariance)
        # Axes that do not vary say nothing of rows that lie outside.
        unit = vectors.T / np.sqrt(np.where(scale > 1e-12 * scale.max(initial=0.0), scale, np.inf))[:, None]
        center = latents.mean(axis=0)
        rows = split_rows(len(X), _OTHERS, np.random.default_rng(0), groups=row_groups(X, groups))
        low, high = _ends(X[~rows])
        varies = high > low
        margin = beyond(X[np.ix_(rows, varies)], low[varies], high[varies]).max(initial=0.0)
        return cls(
            *_laws(unseen[alone], latents[alone], hashes[alone], between=between),
            targets,
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
            self.apart and self.apart.in_axes(order, factor, origin),
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
        arrays |= {} if self.apart is None else prefixed("apart", vars(self.apart))
        arrays |= {name: np.asarray(getattr(self, name)) for name in ("center", "unit", "low", "high")}
        return arrays | {"ends": np.array([self.farthest, self.margin]), "ordered": np.array(self.ordered)}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]], n_latents: int) -> Reference:
        """Take back what `to_arrays` has returned."""
        check_shapes(arrays, {"center": "D", "unit": "DD", "low": "K", "high": "K", "ends": "2"}, D=n_latents)
        check_values(arrays, {"center": FINITE, "unit": FINITE})
        check_values(arrays, {"low": FINITE, "high": FINITE, "ends": SIZE}, gaps=True)
        latents, targets = Columns.of_arrays(taken("latents", arrays), C=n_latents), taken("targets", arrays)
        others = taken("apart", arrays)
        apart = Columns.of_arrays(others, C=n_latents) if others else None
        farthest, margin = (float(value) for value in arrays["ends"])
        ends = (arrays["center"], arrays["unit"], farthest, arrays["low"], arrays["high"], margin)
        return cls(latents, apart, Columns.of_arrays(targets), *ends, bool(arrays["ordered"]))


def targets_looked_at(
    targets: Array, X: NDArray[Any], tasks: IntArray | None, n_tasks: int, groups: IntArray | None
) -> Columns:
    """Look at targets: a matrix (wide layout), or one of each row with its task; groups count once in each task."""
    if tasks is None:
        rows = [np.flatnonzero(first_of_groups(groups, len(X)) & ~np.isnan(column)) for column in targets.T]
        values = [column[own] for column, own in zip(targets.T, rows, strict=True)]
    else:
        rows = rows_of_tasks(targets, tasks, n_tasks, groups)
        values = [targets[own] for own in rows]
    hashes = row_hashes(X)
    return Columns.of_values(values, _OF_TARGETS, hashes=[hashes[own] for own in rows])


def first_of_groups(groups: IntArray | None, n: int) -> BoolArray:
    """Tell which row is the first of its group."""
    found = np.zeros(n, dtype=bool)
    found[np.arange(n) if groups is None else np.unique(groups, return_index=True)[1]] = True
    return found


def _laws(unseen: Array, seen: Array, hashes: NDArray[np.uint64], *, between: bool) -> tuple[Columns, Columns | None]:
    """Return what latents of later rows look like, by themselves and if they never have inputs of the fit."""
    known, of_seen = ~np.isnan(unseen).any(axis=1), seen if between else None
    apart = Columns.of(unseen[known], _OF_LATENTS, of_seen, hashes=hashes[known])
    repeated = np.unique(hashes, return_inverse=True, return_counts=True)
    again = repeated[2][repeated[1].reshape(-1)] > 1
    if not again.any():
        return apart, None
    # Later rows with inputs of the fit have latents as the model has them that has seen these; rows whose inputs are
    # their own stand for those that were seen, too.
    rows, own = again | known, ~again
    weights = np.where(again, 1.0, own.sum() / max((own & known).sum(), 1))
    mixed = np.where(again[:, None], seen, unseen)
    return Columns.of(mixed[rows], _OF_LATENTS, of_seen, hashes=hashes[rows], weights=weights[rows]), apart


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
