"""The baseline iVAE on the data of its own paper, so that a weak baseline is not mistaken for a weak method."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from sklearn.utils import Bunch

from identirep._typing import Array
from identirep.baselines import IVAE, IndependentComponents
from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.experiments.scores import recovery
from identirep.experiments.segments import draw_segments
from identirep.experiments.true_start import IVAEFromTruth

__all__ = ["EXPERIMENT"]

_SMOOTH, _FROM_TRUTH = "iVAE, smooth networks", "iVAE from the truth"


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 5))
    size: Cell = {"segments": 20, "length": 200, "epochs": 50, "starts": 2}
    if not quick:
        size = {"segments": 40, "length": 1000, "epochs": "auto", "starts": 3}
    sizes = ((2, 2),) if quick else ((2, 2), (2, 3), (5, 2), (5, 3))
    cells: list[Cell] = [
        {"data": data, "D": D, "layers": layers, **size, "method": method, "seed": seed}
        for data in ("own", "published", "published, means")
        for method in ("iVAE", _SMOOTH, "FastICA", _FROM_TRUTH)
        for D, layers in sizes
        for seed in seeds
        # For smooth mixings, where leaky networks are not enough.
        if method != _SMOOTH or (data != "own" and (D == 5 or quick))
    ]
    for cell in cells:
        if cell["method"] == _FROM_TRUTH:
            cell |= {"starts": 1, "steps": 500 if quick else 6000}
    return cells


def _measure(cell: Cell) -> Measured:
    rng = np.random.default_rng(cell["seed"])
    data = draw_segments(cell["data"], cell["segments"], cell["length"], cell["D"], cell["layers"], rng)
    known: Row = {}
    truth: Row = {"loss_of_truth": data.negative_log_likelihood, "condition": data.condition}
    start = time.perf_counter()
    if cell["method"] == "FastICA":
        ica = IndependentComponents(cell["D"], random_state=cell["seed"])
        Z = ica.fit(data.X, None, data.segments).transform(data.X)
    else:
        Z, known = _fit_ivae(cell, data)
    seconds = time.perf_counter() - start
    return Measured([{**recovery(Z, data.Z, Z, data.Z), **truth, **known, "seconds": seconds}])


def _fit_ivae(cell: Cell, data: Bunch) -> tuple[Array, Row]:
    """Return latents, and what else is known of the fit."""
    build = IVAEFromTruth if cell["method"] == _FROM_TRUTH else IVAE
    model = build(
        cell["D"],
        auxiliary="task",
        prior="network",
        max_epochs=cell["epochs"],
        n_init=cell["starts"],
        activation="gelu" if cell["method"] == _SMOOTH else "leaky_relu",
        random_state=cell["seed"],
    )
    if isinstance(model, IVAEFromTruth):
        model.sources, model.steps = data.Z, cell["steps"]
    Z = model.fit(data.X, None, data.segments).transform(data.X, tasks=data.segments)
    known: Row = {"loss": model.loss_}
    if isinstance(model, IVAEFromTruth):
        known["mcc_at_start"] = recovery(model.start_, data.Z, model.start_, data.Z)["mcc"]
    return Z, known


EXPERIMENT = Experiment(
    title="iVAE on the data of its own paper",
    description=(
        "Piecewise-stationary Gaussian sources mixed by a network with square layers, the segment as auxiliary "
        "variable. `published`: by the rules of the code that the authors of iVAE published, with the default tanh(x) "
        "+ 0.1 x between layers, means 0, and the same matrix in every layer. `published, means`: the same with means "
        "that change between segments. Five sources and 3 layers are their default. `own`: means that change, leaky "
        "rectifiers, well-conditioned layers. Networks have leaky rectifiers too, or smooth units where so named. "
        "iVAE must reach MCC 0.9 here, otherwise the baseline is wrong. FastICA cannot. The bound has local optima: of "
        "three starts the one with the highest bound is taken. `iVAE from the truth` begins with networks that were "
        "fitted to the true sources: where it leaves them for a loss that the search reaches too, more starts would "
        "not help. The loss is the negative bound in nats for a row, constants left out; the loss of the truth is "
        "what a perfect model of the same data has. Condition: of the worst layer."
    ),
    cells=_cells,
    measure=_measure,
    tables=(
        Table(
            "Strong MCC",
            ("data", "D", "layers", "method"),
            (
                Column("mcc", "MCC", 3),
                Column("worst_latent", "worst latent", 3),
                Column("mcc_at_start", "MCC at the start", 3),
                Column("loss", "loss", 2, "max"),
                Column("loss_of_truth", "loss of the truth", 2, "max"),
                Column("condition", "condition", 1, "max"),
                Column("seconds", "fit, s", 1, "max"),
            ),
        ),
    ),
    figures={
        "recovery": partial(
            dots, value="mcc", label="strong MCC", by=lambda row: f"{row['method']}, {row['data']}", panel="D"
        )
    },
)
