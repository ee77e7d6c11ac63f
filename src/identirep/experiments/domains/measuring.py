"""One cell: a fit and what it says of its axes, a fit to other rows, baselines on the same features, and the truth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from identirep._typing import Array, IntArray
from identirep.experiments.domains.catalogue import DOMAINS
from identirep.experiments.domains.domain import Domain
from identirep.experiments.experiment import Cell, Measured, Row
from identirep.experiments.methods import AFTER_STAGE_ONE, OURS, REFERENCE
from identirep.experiments.scores import recovery
from identirep.experiments.trust import CERTIFIED, IDENTIFIED, Drawn, said_of_axes, two_stages
from identirep.metrics import chance_mcc, mcc
from identirep.mtrn import MTRN
from identirep.regressor import IdentifiableRegressor

__all__ = ["measure"]

FEATURES = "features of stage one"
# Baselines that see no target.
_OF_INPUTS = ("PCA", "FastICA")
# Two networks instead of four: a fit takes half the time.
_N_REPLICATES = 2
# Under these an axis that may be named is a false one.
_LOW_AGAIN, _LOW_TRUE = 0.90, 0.95
# Labels that a regression of a target on latents takes.
_FEWEST_LABELS = 20


def measure(cell: Cell) -> Measured:
    """Return a row for each axis, each factor and each method, and one for the fit as a whole."""
    domain = DOMAINS[cell["domain"]]
    drawn, seed = domain.draw(np.random.default_rng(cell["seed"]), cell["quick"]), 2 * cell["seed"]
    start = time.perf_counter()
    model = _fit(domain, drawn, drawn.first, cell, seed, checked=True)
    seconds = time.perf_counter() - start
    fresh = _fit(domain, drawn, drawn.other, cell, seed + 1, checked=False)
    one = dict(_latents(model, drawn, drawn.first, seed))
    two = dict(_latents(fresh, drawn, drawn.other, seed + 1))
    choose, score = _halves(drawn)
    chance = chance_mcc(len(score), domain.n_latents).mean
    rows: list[Row] = []
    for name, Z in one.items():
        says = _r2_of_targets(Z, drawn)
        again = recovery(Z[choose], two[name][choose], Z[score], two[name][score])
        rows.append({"against": "a fit to other rows", "method": name, "chance": chance, "says": says, **again})
        if drawn.truth is not None:
            true = _against_truth(Z, drawn, score)
            rows.append({"against": "the truth", "method": name, "chance": chance, "says": says, **true})
    if drawn.truth is not None:
        rows += _of_reference(domain, drawn, cell, seed, one[OURS], score, chance)
    axes = _of_axes(model, one[OURS], two[OURS], drawn, choose, score)
    unseen = drawn.unseen
    tasks = None if drawn.tasks is None else drawn.tasks[unseen]
    whole: Row = {
        "whole": True,
        "rows_of_fit": len(drawn.first),
        "targets": len(model.task_names_),
        "labels": float(np.isfinite(drawn.y[drawn.first]).mean()),
        "r2": model.score(drawn.X[unseen], drawn.y[unseen], tasks),
        "signal": model.signal_.answer,
        "seconds": seconds,
    }
    return Measured([*rows, *axes, whole])


def _network(domain: Domain, cell: Cell, seed: int) -> MTRN:
    settings = {"n_replicates": _N_REPLICATES, **domain.network}
    if cell["quick"]:
        settings["max_epochs"] = domain.quick_epochs
    return MTRN(domain.n_latents, **settings, random_state=seed)


def _fit(
    domain: Domain, drawn: Drawn, rows: IntArray, cell: Cell, seed: int, *, checked: bool
) -> IdentifiableRegressor:
    model = two_stages(_network(domain, cell, seed), domain.n_latents, seed, checked=checked)
    tasks, groups = (None if labels is None else labels[rows] for labels in (drawn.tasks, drawn.groups))
    return model.fit(drawn.X[rows], drawn.y[rows], tasks, groups=groups)


def _latents(model: IdentifiableRegressor, drawn: Drawn, rows: IntArray, seed: int) -> Iterator[tuple[str, Array]]:
    """Yield the latents of all rows by each method, fitted to the rows of the fit."""
    H, D = model.regressor_.transform(drawn.X), model.n_components_
    yield OURS, model.transform(drawn.X)
    yield FEATURES, H
    for name, build in AFTER_STAGE_ONE.items():
        if name != OURS:
            second = build(D, seed, "auto")
            if hasattr(second, "fit_moments"):
                second.fit_moments(model.moments_)
            else:
                second.fit(H[rows], None)
            yield f"{name} of features", second.transform(H)
    inputs = drawn.X.reshape(len(drawn.X), -1)
    for name in _OF_INPUTS:
        yield f"{name} of inputs", AFTER_STAGE_ONE[name](D, seed, "auto").fit(inputs[rows], None).transform(inputs)


def _halves(drawn: Drawn) -> tuple[IntArray, IntArray]:
    """Split rows that no fit has seen, groups kept whole: one half chooses partners, the other gives correlations."""
    unseen = drawn.unseen
    place = np.arange(len(unseen)) if drawn.groups is None else np.unique(drawn.groups[unseen], return_inverse=True)[1]
    return unseen[place % 2 == 0], unseen[place % 2 == 1]


def _against_truth(Z: Array, drawn: Drawn, score: IntArray) -> Row:
    assert drawn.truth is not None
    return recovery(Z[drawn.first], drawn.truth[drawn.first], Z[score], drawn.truth[score])


def _of_reference(
    domain: Domain, drawn: Drawn, cell: Cell, seed: int, Z: Array, score: IntArray, chance: float
) -> list[Row]:
    """Return what the same network reaches that is trained on the true latents, and each factor beside it."""
    assert drawn.truth is not None
    first = drawn.first
    network = _network(domain, cell, seed).fit(drawn.X[first], drawn.truth[first])
    best = network.predict(drawn.X)
    found = mcc(drawn.truth[first], Z[first], held_out=(drawn.truth[score], Z[score])).per_latent
    reached = [float(np.corrcoef(drawn.truth[score, k], best[score, k])[0, 1]) for k in range(best.shape[1])]
    factors: list[Row] = [
        {"factor": name, "found": float(found[k]), "reached": reached[k]} for k, name in enumerate(domain.factors)
    ]
    row = {"against": "the truth", "method": REFERENCE, "chance": chance, "says": _r2_of_targets(best, drawn)}
    return [{**row, **_against_truth(best, drawn, score)}, *factors]


def _of_axes(
    model: IdentifiableRegressor, Z: Array, other: Array, drawn: Drawn, choose: IntArray, score: IntArray
) -> list[Row]:
    """Return what is said of each axis, and what is found."""
    fresh = mcc(Z[choose], other[choose], held_out=(Z[score], other[score])).per_latent
    first = drawn.first
    truth = np.full(Z.shape[1], np.nan)
    if drawn.truth is not None:
        truth = mcc(Z[first], drawn.truth[first], held_out=(Z[score], drawn.truth[score])).per_latent
    rows: list[Row] = []
    for i, said in enumerate(said_of_axes(model.certificate_)):
        certified, identified = said["verdict"] in CERTIFIED, said["verdict"] == IDENTIFIED
        true = float(truth[i]) if np.isfinite(truth[i]) else None
        rows.append(
            {
                "axis": i,
                **said,
                "fresh": float(fresh[i]),
                "truth": true,
                "certified": int(certified),
                "identified": int(identified),
                "false_again": int(certified and fresh[i] < _LOW_AGAIN),
                "false_truth": int(identified and true is not None and true < _LOW_TRUE),
            }
        )
    return rows


def _r2_of_targets(Z: Array, drawn: Drawn) -> float:
    """Return the mean R^2 of linear regressions of each target on latents of the fit, on rows unseen."""
    found = []
    for target, learn, test in _targets(drawn):
        design, design_test = (np.column_stack([np.ones(len(rows)), Z[rows]]) for rows in (learn, test))
        coefficients = np.linalg.lstsq(design, target[learn], rcond=None)[0]
        error = float(np.sum((target[test] - design_test @ coefficients) ** 2))
        spread = float(np.sum((target[test] - target[test].mean()) ** 2))
        if spread > 0:
            found.append(1.0 - error / spread)
    return float(np.mean(found)) if found else float("nan")


def _targets(drawn: Drawn) -> Iterator[tuple[Array, IntArray, IntArray]]:
    """Yield each target with the rows of the fit and the unseen rows that have it."""
    columns: list[tuple[Any, Any]]
    if drawn.tasks is None:
        columns = [(column, np.isfinite(column)) for column in drawn.y.T]
    else:
        columns = [(drawn.y, drawn.tasks == task) for task in np.unique(drawn.tasks)]
    for target, has in columns:
        learn, test = drawn.first[has[drawn.first]], drawn.unseen[has[drawn.unseen]]
        if len(learn) >= _FEWEST_LABELS and len(test) > 1:
            yield target, learn, test
