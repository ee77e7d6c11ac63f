"""New tasks from few rows, and predictions that survive a flipped spurious mechanism."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import Bunch

from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.mtlcm import MTLCM

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT"]

_N_NEW, _N_TEST = 5, 500
_LABELLED = (20, 2000)
_NOISE = {"low": (0.05, 0.1), "paper": (2.0, 3.0)}


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 10))
    return [
        {"mixing": mixing, "target noise": noise, "tasks": 60 if quick else 200, "seed": seed}
        for mixing in (("random",) if quick else ("orthogonal", "random"))
        for noise in _NOISE
        for seed in seeds
    ]


def _measure(cell: Cell) -> Measured:
    options: dict[str, Any] = {"n_latents": 10, "n_causal": 4, "target_noise": _NOISE[cell["target noise"]]}
    seed = cell["seed"]
    data = make_linear_tasks(cell["tasks"], mixing=cell["mixing"], random_state=seed, **options)
    model = MTLCM(random_state=seed).fit(data.H, data.y, tasks=data.tasks)
    n_rows = max(_LABELLED) + _N_TEST
    new = make_linear_tasks(_N_NEW, n_rows, mixing=data.mixing, random_state=10_000 + seed, **options)
    return Measured([_adapted(model, new, task, n) for task in range(_N_NEW) for n in _LABELLED])


def _adapted(model: MTLCM, new: Bunch, task: int, n_labelled: int) -> Row:
    """Adapt to one new task and score it on other rows, as they are and with the sign of gamma reversed."""
    own = np.flatnonzero(new.tasks == task)
    labelled, test = own[:n_labelled], own[-_N_TEST:]
    y = new.y[test]
    flipped = new.H[test] - 2.0 * (y[:, None] * new.spurious_coef[task]) @ new.mixing.T
    adapted = model.adapt(new.H[labelled], new.y[labelled])
    row: Row = {"labelled": n_labelled, "task": task}
    for use in ("all", "causal"):
        lower, upper = adapted.predict_interval(new.H[test], level=0.9, use=use)
        row[f"{use}_r2"] = r2_score(y, adapted.predict(new.H[test], use=use))
        row[f"{use}_r2_flipped"] = r2_score(y, adapted.predict(flipped, use=use))
        row[f"{use}_coverage"] = float(np.mean((lower <= y) & (y <= upper)))
    return row


def _combine(finished: Finished) -> list[Row]:
    """Return means over the new tasks of a seed."""
    rows = []
    for cell, measured in finished:
        for n in _LABELLED:
            own = [row for row in measured.rows if row["labelled"] == n]
            names = [name for name in own[0] if name.endswith(("r2", "flipped", "coverage"))]
            means = {f"mean_{name}": float(np.mean([row[name] for row in own])) for name in names}
            rows.append({**cell, "labelled": n, **means})
    return rows


def _figure(rows: list[Row]) -> Figure:
    """Draw R^2 on rows where effects have changed sign: with all latents, and with causes alone."""
    lines = [
        {
            **row,
            "score": row[f"{use}_r2_flipped"],
            "line": f"{use} latents, {row['mixing']}, {row['target noise']} noise",
        }
        for use in ("all", "causal")
        for row in rows
        if row.get(f"{use}_r2_flipped") is not None
    ]
    return dots(lines, value="score", label="R^2 after the flip", by="line", panel="labelled")


EXPERIMENT = Experiment(
    title="New tasks",
    description=(
        "A model fitted to 200 tasks (10 latents, 4 causal in each) is adapted to 5 tasks that it has not "
        "seen; figures are means over these, then mean and worst over seeds. Flipped: gamma has changed its "
        "sign on the test rows, the causes act as before. Coverage is that of the 90 % interval, without the "
        "flip."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table(
            "R^2 and coverage",
            ("mixing", "target noise", "labelled"),
            tuple(
                Column(f"mean_{use}_{name}", f"{use}: {label}", 3, None if name == "coverage" else "min")
                for use in ("all", "causal")
                for name, label in (("r2", "R^2"), ("r2_flipped", "R^2 flipped"), ("coverage", "coverage"))
            ),
        ),
    ),
    figures={"flipped": _figure},
)
