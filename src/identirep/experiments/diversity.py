"""How many tasks, and rows of each, stage two needs; tasks that are alike; whether plans come true."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table
from identirep.experiments.figures import dots, planned_and_needed
from identirep.experiments.plans import measure_plans, scores_by_tasks, smallest_to, worth_of_plans
from identirep.metrics import mcc
from identirep.mtlcm import MTLCM
from identirep.planning import SIZES

__all__ = ["EXPERIMENT"]

_NEEDED, _ALIKE, _PLANNED = "needed", "alike", "planned"
_TARGETS = (0.95, 0.99)
# An axis called identified is wrong with a lower correlation with its latent.
_WRONG = 0.95
_TASKS_ALIKE, _ROWS_ALIKE = 64, 50


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 9))
    every = [(D, n) for D in (3, 6, 10) for n in (20, 50, 100)]
    cells: list[Cell] = [
        {"part": _NEEDED, "D": D, "causal": causal, "q": q, "n": n, "seed": seed}
        for D, n in ([(3, 50), (6, 50)] if quick else [*every, (20, 50)])
        for causal in dict.fromkeys((max(1, D // 4), D // 2, D - 1))
        for q in ((0.1,) if quick or D == 20 else (0.1, 1.0))
        for seed in seeds
    ]
    cells += [
        {"part": _ALIKE, "kind": kind, "D": 10, "causal": causal, "distinct": distinct, "seed": seed}
        for kind in ("clustered", "repeated")
        for causal in ((4,) if quick else (4, 8))
        for distinct in ((2, 16) if quick else (2, 4, 8, 16, 64))
        for seed in seeds[:5]
    ]
    return cells + [{"part": _PLANNED, "seed": seed} for seed in range(2 if quick else 200)]


def _measure(cell: Cell) -> Measured:
    if cell["part"] == _PLANNED:
        return Measured(measure_plans(cell["seed"], _TARGETS[1]))
    return Measured([_needed(cell) if cell["part"] == _NEEDED else _with_tasks_alike(cell)])


def _needed(cell: Cell) -> Row:
    """Tasks with which a study reaches each target."""
    setting = {"n_latents": cell["D"], "n_causal": cell["causal"], "spurious_std": cell["q"]}
    score = scores_by_tasks({**setting, "mixing": "orthogonal", "observation_noise": 0.0}, cell["n"], cell["seed"])
    return {f"tasks_{target}": smallest_to(score, SIZES, target) for target in _TARGETS}


def _with_tasks_alike(cell: Cell) -> Row:
    """What is found, and said, where tasks are of a few kinds."""
    H, Z, y, tasks = _alike(cell, np.random.default_rng(cell["seed"]))
    model = MTLCM(random_state=cell["seed"]).fit(H, y, tasks=tasks)
    found = mcc(H @ model.components_.T, Z).per_latent
    identified = np.array(model.certificate_.verdict) == "identified"
    false = int(np.sum(identified & (found < _WRONG)))
    return {"mcc": float(found.mean()), "identified": int(identified.sum()), "false": false}


def _alike(cell: Cell, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Draw tasks of a few kinds: with the causes of their kind (clustered), or its coefficients too (repeated)."""
    kinds, T, n, D = cell["distinct"], _TASKS_ALIKE, _ROWS_ALIKE, cell["D"]
    repeated = cell["kind"] == "repeated"
    n_tasks, n_samples = (kinds, n * T // kinds) if repeated else (T, n)
    clean: dict[str, Any] = {"mixing": "identity", "observation_noise": 0.0, "random_state": rng}
    data = make_linear_tasks(n_tasks, n_samples, D, cell["causal"], **clean)
    Z = data.Z.reshape(T, n, D)
    if not repeated:
        # Latents are drawn alike, so that exchanging them gives a task the causes of another.
        for t in range(T):
            kind = t % kinds
            order = np.concatenate([np.flatnonzero(data.causal[t]), np.flatnonzero(~data.causal[t])])
            place = np.concatenate([np.flatnonzero(data.causal[kind]), np.flatnonzero(~data.causal[kind])])
            Z[t][:, place] = Z[t][:, order]
    Z = Z.reshape(-1, D)
    rotation = np.linalg.qr(rng.standard_normal((D, D)))[0]
    return Z @ rotation, Z, data.y, np.repeat(np.arange(T), n)


def _combine(finished: Finished) -> list[Row]:
    """Put together what is needed at least, and what plans are worth."""
    rows = [row for _, measured in finished for row in measured.rows]
    return _at_least([row for row in rows if row["part"] == _NEEDED]) + worth_of_plans(
        [row for row in rows if row["part"] == _PLANNED]
    )


def _at_least(rows: list[Row]) -> list[Row]:
    """Tasks with which half of the studies, and nine of ten, reach each target."""
    lines: dict[tuple[float, ...], list[Row]] = {}
    for row in rows:
        lines.setdefault((row["D"], row["causal"], row["q"], row["n"]), []).append(row)
    found = []
    for key, those in lines.items():
        line: Row = dict(zip(("latents", "causes", "spurious", "rows per task"), key, strict=True))
        for target in _TARGETS:
            sizes = np.sort([row[f"tasks_{target}"] for row in those])
            # Sizes that were not found are infinite, which a table shows as not known.
            line[f"half_{target}"] = float(sizes[(len(sizes) - 1) // 2])
            line[f"most_{target}"] = float(sizes[int(np.ceil(0.9 * len(sizes))) - 1])
        found.append(line)
    return found


EXPERIMENT = Experiment(
    title="How many tasks, and rows of each",
    description=(
        "Linear synthetic data, orthogonal mixing, standardised latents. *You need at least*: the number of tasks with "
        "which half of the studies, and nine of ten, reach an MCC of 0.95 or 0.99, where a study of more tasks has "
        f"those of the smaller one; – is more than {SIZES[-1]}. *Alike*: {_TASKS_ALIKE} tasks of {_ROWS_ALIKE} rows of "
        "a few kinds, which share their causes (clustered) or their coefficients as well (repeated); false are axes "
        "called identified whose correlation with their latent is under 0.95. *Plans*: random settings (3 to 12 "
        "latents, 1 to D - 1 causes, spurious deviation 0.1 to 1, observation noise 0 or up to 0.1, 20 to 100 rows) "
        "with pilots of 10 to 40 tasks of 10 to 30 rows, none of which plans were built on. Needed is the median over "
        "seven studies for an MCC of 0.99; rows are those of each of as many tasks as the pilot has, for a plan from "
        "the pilot those of its own tasks. Where none suffices and the plan says so, it is within. Studies are fitted "
        "by `MTLCM(noise_std=0)`, since nothing tells noise here, pilots and tasks that are alike by `MTLCM()`."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table(
            "You need at least: tasks",
            ("latents", "causes", "spurious", "rows per task"),
            (
                Column("half_0.95", "0.95, half of the studies", 0, None),
                Column("most_0.95", "0.95, nine of ten", 0, None),
                Column("half_0.99", "0.99, half of the studies", 0, None),
                Column("most_0.99", "0.99, nine of ten", 0, None),
            ),
        ),
        Table(
            "Plans against what is needed",
            ("plan from", "of", "among"),
            (
                Column("within", "within a factor 2", 3, None),
                Column("too_few", "less than half", 3, None),
                Column("ratio", "median ratio", 2, None),
                Column("safe_enough", '"to be safe" is enough for half of the studies', 3, None),
                Column("n_settings", "settings", 0, None),
            ),
        ),
        Table(
            "Tasks that are alike",
            ("kind", "D", "causal", "distinct"),
            (Column("mcc", "MCC"), Column("identified", "identified", 1, None), Column("false", "false", 1, "max")),
        ),
    ),
    figures={
        "alike": partial(
            dots,
            value="mcc",
            label="strong MCC",
            by=lambda row: f"{row['distinct']} kinds, {row['causal']} causes",
            panel="kind",
            where={"part": _ALIKE},
        ),
        "plans": planned_and_needed,
    },
)
