"""What the experiment concludes: how often each statement about the words and numbers of a fit holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.experiments.experiment import Finished, Row, rows_of
from identirep.experiments.trust.cells import AUTO, NULL, TABLES
from identirep.experiments.trust.said import IDENTIFIED
from identirep.experiments.trust.tables import why_missing

__all__ = ["ALL_PARTS", "combine", "statements", "within_factor"]

ALL_PARTS = "all"
_CERTIFIED = "axes called identified or reproducible"
_PAIRS = "pairs of fits, number chosen by the fit"
_FACTOR = 3.0


def combine(finished: Finished) -> list[Row]:
    """Return how often each statement holds, in tuned and held-back settings, and which tables could be had."""
    rows = rows_of(finished)
    found: list[Row] = []
    for name in dict.fromkeys(row["set"] for row in rows):
        of_set = [row for row in rows if row["set"] == name]
        parts = [part for part in dict.fromkeys(row["part"] for row in of_set) if part != NULL]
        found += [{"judged": name, "of": ALL_PARTS, **line} for line in statements(of_set)]
        for part in parts:
            chosen = [row for row in of_set if row["part"] == part]
            found += [{"judged": name, "of": part, **line} for line in statements(chosen)]
    return found + _tables_here(rows)


def statements(rows: Sequence[Row]) -> list[Row]:
    """Return how often each statement holds; null cases, and fits that share rows, have statements of their own."""
    axes = [row for row in rows if "axis" in row]
    fits = [row for row in rows if row.get("whole")]
    lines = _of_axes([row for row in axes if not row["null"] and not row["shared"]])
    null, chosen = _where(fits, lambda row: row["null"]), _where(fits, lambda row: row["D"] == AUTO)
    latents, ridge, differs = (_numbers(fits, name) for name in ("latents", "ridge_r2", "number_differs"))
    in_range = (differs <= 1) | _where(fits, lambda row: row["range_says_so"])
    none = _where(fits, lambda row: row["signal"] == "none")
    of_null = _where([row for row in axes if row["null"]], lambda row: row["certified"])
    return [
        *lines,
        _share("(f) certified", of_null, np.ones_like(of_null), "axes of null cases"),
        _share("(g) latents found", latents > 0, chosen & null, "null fits, number chosen by the fit"),
        _share('(h) "no signal"', none, ~null & (ridge >= 0.3), "fits where ridge has R^2 0.3 on unseen rows"),
        _share("(i) numbers of latents differ by at most 1", differs <= 1, chosen & ~null, _PAIRS),
        _share("(i) the same, or the range says so", in_range, chosen & ~null, _PAIRS),
    ]


def _of_axes(axes: Sequence[Row]) -> list[Row]:
    """Return the statements about axes where something can come back."""
    certified = _where(axes, lambda row: row["certified"])
    identified = _where(axes, lambda row: row["verdict"] == IDENTIFIED)
    long = _where(axes, lambda row: row["layout"] == "long")
    fresh, same, truth = (_numbers(axes, name) for name in ("fresh", "same", "truth"))
    predicted, again, expected = (_numbers(axes, name) for name in ("predicted", "predicted_same", "expected"))
    low, high = _numbers(axes, "predicted_low"), _numbers(axes, "predicted_high")
    told, true = np.isfinite(predicted), long & np.isfinite(truth) & np.isfinite(expected)
    close, close_to_truth = within_factor(predicted, fresh), within_factor(expected, truth)
    doubted, named, foreseen = "axes with 0.98 in the fresh fit", _CERTIFIED, "axes with a prediction"
    return [
        _share("(a) under 0.90 in the fresh fit", fresh < 0.9, certified, named),
        _share("(b) under 0.95 with the truth", truth < 0.95, identified & long, "axes called identified, long layout"),
        _share("(c) 1 - correlation with the fresh fit within a factor 3", close, told, foreseen),
        _share("(c) the same, certified axes", close, told & certified, named),
        _share("(c) not less than a third of it predicted", predicted <= 1 - (1 - fresh) / _FACTOR, told, foreseen),
        _share("(c) inside the interval", (low <= fresh) & (fresh <= high), told, foreseen),
        _share("(c) another seed on the same rows", within_factor(again, same), np.isfinite(again), foreseen),
        _share("(d) 1 - correlation with the truth within a factor 3", close_to_truth, true, "axes, long layout"),
        _share("(e) called identified or reproducible", certified, fresh >= 0.98, doubted),
    ]


def within_factor(predicted: Array, actual: Array) -> BoolArray:
    """Tell whether 1 - correlation is predicted within the factor."""
    return np.asarray((1 - predicted <= _FACTOR * (1 - actual)) & (1 - actual <= _FACTOR * (1 - predicted)))


def _where(rows: Sequence[Row], holds: Callable[[Row], bool]) -> BoolArray:
    return np.array([holds(row) for row in rows], dtype=bool)


def _numbers(rows: Sequence[Row], name: str) -> Array:
    return np.array([row.get(name) for row in rows], dtype=np.float64)


def _share(what: str, holds: BoolArray, among: BoolArray, name: str) -> Row:
    """Return how often something holds among those that qualify."""
    n = int(among.sum())
    share = float(holds[among].mean()) if n else None
    return {"statement": what, "among": name, "share": share, "held": int(holds[among].sum()), "counted": n}


def _tables_here(rows: Sequence[Row]) -> list[Row]:
    """Return for each real table whether it was there, or why not."""
    seen = {row["data"] for row in rows}
    return [
        {"table": name, "state": "run" if name in seen else why_missing(name) or "not run", "rows_of_fit": n}
        for name, (n, _, _) in TABLES.items()
    ]
