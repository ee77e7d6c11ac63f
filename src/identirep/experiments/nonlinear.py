"""Nonlinear synthetic data (Figure 3 of arXiv:2306.14861): observations are a random network of the latents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from identirep._typing import Array, BoolArray
from identirep.datasets import make_nonlinear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table, rows_of
from identirep.experiments.figures import dots
from identirep.experiments.margins import margins
from identirep.experiments.methods import AFTER_STAGE_ONE, FROM_INPUTS, OURS, REFERENCE
from identirep.experiments.scores import recovery
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN
from identirep.refining import refine

__all__ = ["EXPERIMENT"]

_SETTING = ("D", "observed")
_FEATURES = "MTRN features"
_REFINED = f"MTRN, {OURS}, refined"
_GENERATIVE = "VAE"
_ON_GENERATIVE = f"{_GENERATIVE}, {OURS}"
_N_REFINEMENTS = 3


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 5))
    # The last one is published too; its decoder loses information.
    sizes = ((3, 15, 2),) if quick else ((5, 25, 2), (10, 50, 4), (20, 100, 4), (10, 20, 4))
    size = {"tasks": 60, "rows": 60, "epochs": 20} if quick else {"tasks": 500, "rows": 200, "epochs": "auto"}
    return [
        {"D": D, "observed": K, "causal": causal, **size, "method": method, "seed": seed}
        for method in ("MTRN", REFERENCE, *FROM_INPUTS)
        for D, K, causal in sizes
        for seed in seeds
    ]


def _draw(cell: Cell) -> tuple[Bunch, BoolArray]:
    """Return data, and which rows are for the fit; half as many more of each task are for the score."""
    n = cell["rows"] * 3 // 2
    data = make_nonlinear_tasks(
        cell["tasks"], n, cell["D"], cell["observed"], cell["causal"], random_state=np.random.default_rng(cell["seed"])
    )
    return data, np.arange(len(data.y)) % n < cell["rows"]


def _measure(cell: Cell) -> Measured:
    data, fitted = _draw(cell)
    rows = []
    for method, seconds, Z in _latents(cell, data, fitted):
        scores = recovery(Z[fitted], data.Z[fitted], Z[~fitted], data.Z[~fitted], data.tasks[~fitted])
        rows.append({"method": method, **scores, "seconds": seconds})
    return Measured(rows)


def _latents(cell: Cell, data: Bunch, fitted: BoolArray) -> Iterator[tuple[str, float | None, Array]]:
    """Yield the name of each method of a cell, its seconds, and its latents on all rows."""
    D, seed, method = cell["D"], cell["seed"], cell["method"]
    X, y, tasks = data.X[fitted], data.y[fitted], data.tasks[fitted]
    start = time.perf_counter()
    if method == REFERENCE:
        # The best that can be had from these observations: latents regressed on them, with the same network.
        regression = MTRN(D, max_epochs=cell["epochs"], random_state=seed).fit(X, data.Z[fitted])
        yield method, None, regression.predict(data.X)
    elif method == "MTRN":
        # Against learning rows by heart: a row has one label.
        network = MTRN(D, n_features=max(20, 3 * D // 2), dropout=0.1, max_epochs=cell["epochs"], random_state=seed)
        network.fit(X, y, tasks)
        seconds = time.perf_counter() - start
        H = network.transform(data.X)
        yield _FEATURES, seconds, H
        for name, build in AFTER_STAGE_ONE.items():
            start = time.perf_counter()
            second = _fit_second_stage(build(D, seed, cell["epochs"]), network, H[fitted], y, tasks)
            elapsed = seconds + time.perf_counter() - start
            yield f"MTRN, {name}", elapsed, second.transform(H)
            if name == OURS:
                yield from _refined(network, second, data, fitted, seed, elapsed)
    else:
        model = FROM_INPUTS[method](D, seed, cell["epochs"]).fit(X, y, tasks)
        Z = model.transform(data.X)
        yield method, time.perf_counter() - start, Z
        if method == _GENERATIVE:
            # Its features are another stage one: learnt from the observations alone, targets only turn them.
            second = _fit_second_stage(AFTER_STAGE_ONE[OURS](D, seed, cell["epochs"]), None, Z[fitted], y, tasks)
            yield _ON_GENERATIVE, time.perf_counter() - start, second.transform(Z)


def _refined(
    network: MTRN, model: MTLCM, data: Bunch, fitted: BoolArray, seed: int, seconds: float
) -> Iterator[tuple[str, float, Array]]:
    """Yield both stages after rounds of refinement, as ``IdentifiableRegressor(n_refinements=...)`` makes them."""
    start = time.perf_counter()
    for step in range(_N_REFINEMENTS):
        X, y, tasks = data.X[fitted], data.y[fitted], data.tasks[fitted]
        refined = refine(network, model, X, y, tasks, None, seed + step)
        if refined is None:
            break
        network = refined
        model = MTLCM(random_state=seed).fit_moments(network.moments_)
    yield _REFINED, seconds + time.perf_counter() - start, model.transform(network.transform(data.X))


def _fit_second_stage(second: Any, network: MTRN | None, H: Any, y: Any, tasks: Any) -> Any:
    if network is not None and hasattr(second, "fit_moments"):
        return second.fit_moments(network.moments_)
    return second.fit(H, y, tasks)


def _combine(finished: Finished) -> list[Row]:
    rows = rows_of(finished)
    ours = (f"MTRN, {OURS}", _REFINED, _ON_GENERATIVE)
    return [
        {**row, "method": name}
        for name in ours
        for row in margins(rows, setting=_SETTING, ours=name, not_baselines={REFERENCE, *ours})
    ]


EXPERIMENT = Experiment(
    title="Nonlinear synthetic data",
    description=(
        "Observations are a random ReLU network of the latents (500 tasks of 200 rows, target noise 2 to 3). "
        "Scores are those of 100 other rows of each task, with the assignment learnt on the rows of the fit. "
        "`truth` regresses the true latents on the observations with the same network as stage one: the best "
        "that these observations allow. With 20 observations of 10 latents the decoder is not injective and "
        "no method can reach 1."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table(
            "Recovery and time",
            (*_SETTING, "method"),
            (
                Column("mcc", "strong MCC"),
                Column("weak_mcc", "weak MCC"),
                Column("worst_latent", "worst latent", 3),
                Column("spearman", "Spearman", 3),
                Column("mcc_per_task", "per task, Spearman", 3),
                Column("seconds", "fit, s", 1, "max"),
            ),
        ),
        Table(
            "Margin of both stages over the best baseline, same data",
            (*_SETTING, "method", "best_baseline"),
            (Column("mcc_margin", "margin of strong MCC"),),
        ),
    ),
    figures={
        "recovery": partial(
            dots,
            value="mcc",
            label="strong MCC",
            by="method",
            panel=lambda row: f"D, observed = {row['D']}, {row['observed']}",
        )
    },
)
