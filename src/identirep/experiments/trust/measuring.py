"""One cell: a fit and what it says, and what a fit to other rows, another seed, and the truth make of that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from identirep._typing import Array, IntArray
from identirep.experiments.experiment import Cell, Measured, Row
from identirep.experiments.trust.cells import AUTO, NULL
from identirep.experiments.trust.data import Drawn, draw
from identirep.experiments.trust.said import CERTIFIED, said_of_axes, two_stages
from identirep.metrics import mcc
from identirep.mtrn import MTRN
from identirep.regressor import IdentifiableRegressor

__all__ = ["correlations", "measure"]

# Two networks instead of four: a fit takes half the time.
_N_REPLICATES = 2


def measure(cell: Cell) -> Measured:
    """Return a row for each axis of the fit, and one for the fit as a whole."""
    drawn, seed = draw(cell), 3 * cell["seed"]
    start = time.perf_counter()
    model = _fit(cell, drawn, drawn.first, seed, checked=True)
    seconds = time.perf_counter() - start
    said = said_of_axes(model.certificate_)
    fresh = _fit(cell, drawn, drawn.other, seed + 1, checked=False)
    start = time.perf_counter()
    again = _fit(cell, drawn, drawn.first, seed + 2, checked=False)
    unchecked = time.perf_counter() - start
    Z = model.transform(drawn.X[drawn.unseen])
    shared = float(np.isin(drawn.other, drawn.first).mean())
    found = {
        "fresh": correlations(Z, fresh.transform(drawn.X[drawn.unseen])),
        "same": correlations(Z, again.transform(drawn.X[drawn.unseen])),
    }
    if drawn.truth is not None:
        found["truth"] = correlations(Z, drawn.truth[drawn.unseen])
    about: Row = {"layout": "wide" if drawn.tasks is None else "long", "null": cell["part"] == NULL, "shared": shared}
    certified = [words["verdict"] in CERTIFIED for words in said]
    rows: list[Row] = [
        {**about, "axis": i, **words, "certified": certified[i], **{name: float(r[i]) for name, r in found.items()}}
        for i, words in enumerate(said)
    ]
    fewest, most = model.n_components_range_
    whole: Row = {
        **about,
        "whole": True,
        "latents": model.n_components_,
        "latents_fresh": fresh.n_components_,
        "latents_same": again.n_components_,
        "number_differs": abs(model.n_components_ - fresh.n_components_),
        "range_says_so": bool(fewest <= fresh.n_components_ <= most),
        "certified_axes": sum(certified),
        "signal": model.signal_.answer,
        "r2": _score(model, drawn),
        "ridge_r2": _ridge_score(drawn),
        "seconds": seconds,
        "cost_of_checks": seconds / unchecked,
    }
    if said:
        whole |= {"fresh_mean": float(found["fresh"].mean()), "fresh_worst": float(found["fresh"].min())}
    return Measured([*rows, whole])


def _fit(cell: Cell, drawn: Drawn, rows: IntArray, seed: int, *, checked: bool) -> IdentifiableRegressor:
    D = cell["D"] if cell["D"] == AUTO else int(cell["D"])
    model = two_stages(_STAGES[cell["stage one"]](D, cell["quick"]), D, seed, checked=checked)
    tasks, groups = (None if labels is None else labels[rows] for labels in (drawn.tasks, drawn.groups))
    return model.fit(drawn.X[rows], drawn.y[rows], tasks, groups=groups)


def _network(D: int | str, quick: bool) -> Any:
    return MTRN(D, n_replicates=_N_REPLICATES, max_epochs=20 if quick else "auto")


def _trees(D: int | str, quick: bool) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(10 if quick else 60, min_samples_leaf=2)


def _ridge(D: int | str, quick: bool) -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))


_STAGES: dict[str, Callable[[int | str, bool], Any]] = {"MTRN": _network, "trees": _trees, "ridge": _ridge}


def correlations(Z: Array, partners: Array) -> Array:
    """Return the correlation of each axis with its partner; half of the rows choose partners, the other half scores."""
    if not Z.shape[1] or not partners.shape[1]:
        return np.zeros(Z.shape[1])
    return mcc(Z[::2], partners[::2], held_out=(Z[1::2], partners[1::2])).per_latent


def _score(model: IdentifiableRegressor, drawn: Drawn) -> float:
    """Return R^2 on rows that the fit has not seen."""
    unseen = drawn.unseen
    return model.score(drawn.X[unseen], drawn.y[unseen], None if drawn.tasks is None else drawn.tasks[unseen])


def _ridge_score(drawn: Drawn) -> float | None:
    """Return R^2 of a linear model on the same rows, in the wide layout: whether there is signal that it can find."""
    if drawn.tasks is not None:
        return None
    ridge = _ridge(1, False).fit(drawn.X[drawn.first], drawn.y[drawn.first])
    return float(ridge.score(drawn.X[drawn.unseen], drawn.y[drawn.unseen]))
