"""Linear synthetic data (Figure 2a of arXiv:2306.14861): stage two has to find the latents in a linear mixture."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table, rows_of
from identirep.experiments.figures import dots
from identirep.experiments.margins import margins
from identirep.experiments.methods import FROM_FEATURES, OURS, REFERENCE
from identirep.experiments.scores import recovery

__all__ = ["EXPERIMENT"]

_MIXINGS = ("identity", "orthogonal", "random")
_SETTING = ("D", "mixing", "causal")
_N_TRAINING_ROWS = 100
_LARGEST_EXACT = 10


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 5))
    sizes = ((4, 2),) if quick else ((5, 2), (10, 2), (10, 5), (20, 2), (20, 10), (50, 2), (50, 25))
    mixings = ("random",) if quick else _MIXINGS
    size = {"tasks": 40 if quick else 200, "epochs": 10 if quick else "auto"}
    cells: list[Cell] = [
        {"D": D, "mixing": mixing, "causal": causal, **size, "method": method, "seed": seed}
        for seed in seeds
        for method in (REFERENCE, *FROM_FEATURES)
        for D, causal in sizes
        for mixing in mixings
        if method != "MTLCM exact" or D <= _LARGEST_EXACT
    ]
    # The published procedure takes the longest, hours at D = 50, so that everything else comes first.
    return sorted(cells, key=lambda cell: cell["D"] if cell["method"] == "MTLCM as published" else 0)


def _measure(cell: Cell) -> Measured:
    D, seed, n = cell["D"], cell["seed"], _N_TRAINING_ROWS
    data = make_linear_tasks(
        cell["tasks"], 2 * n, D, cell["causal"], mixing=cell["mixing"], random_state=np.random.default_rng(seed)
    )
    fitted = np.arange(len(data.y)) % (2 * n) < n
    H, y, tasks = data.H[fitted], data.y[fitted], data.tasks[fitted]
    start = time.perf_counter()
    if cell["method"] == REFERENCE:
        Z = data.H @ np.linalg.inv(data.mixing).T
        seconds = None
    else:
        model = FROM_FEATURES[cell["method"]](D, seed, cell["epochs"]).fit(H, y, tasks)
        seconds = time.perf_counter() - start
        Z = model.transform(data.H)
    scores = recovery(Z[fitted], data.Z[fitted], Z[~fitted], data.Z[~fitted], data.tasks[~fitted])
    return Measured([{**scores, "seconds": seconds}])


def _combine(finished: Finished) -> list[Row]:
    rows = rows_of(finished)
    return margins(rows, setting=_SETTING, ours=OURS, not_baselines={REFERENCE, "MTLCM exact"})


EXPERIMENT = Experiment(
    title="Linear synthetic data",
    description=(
        "Features are a linear mixture of the latents (200 tasks of 100 rows, standardised in each task, "
        "observation noise 0.01, target noise 2 to 3, spurious standard deviation 0.1 before standardising). "
        "Every method gets the same features, targets and tasks; networks get linear encoders and decoders. "
        "The strong MCC (Pearson, one assignment over all rows, learnt on the rows of the fit) is that of 100"
        " other rows of each task. `truth` is the inverse of the true mixing."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table("Strong MCC, held-out rows", _SETTING, (Column("mcc", "MCC"),), across="method"),
        Table(
            "Margin of MTLCM over the best baseline, same data",
            (*_SETTING, "best_baseline"),
            (Column("mcc_margin", "margin"),),
        ),
        Table(
            "By method and dimension, all settings together",
            ("method", "D"),
            (
                Column("mcc", "strong MCC"),
                Column("worst_latent", "worst latent"),
                Column("spearman", "Spearman"),
                Column("mcc_per_task", "per task, Spearman"),
                Column("seconds", "fit, s", 2, "max"),
            ),
        ),
    ),
    figures={"recovery": partial(dots, value="mcc", label="strong MCC, held-out rows", by="method", panel="D")},
)
