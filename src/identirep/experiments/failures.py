"""Failure signatures: where the method must fail, does it say so?"""

from __future__ import annotations

from functools import partial

import numpy as np

from identirep._typing import Array
from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.metrics import mcc_score
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN

__all__ = ["EXPERIMENT"]

_D = 10


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 10))
    heads: list[Cell] = [{"failure": "dependent heads", "rank": rank} for rank in ((6,) if quick else (3, 6, 9, 10))]
    graphs: list[Cell] = [
        {"failure": "wrong graph", "edges": edges} for edges in ((0.0, 0.5) if quick else (0.0, 0.1, 0.2, 0.5))
    ]
    sizes: list[Cell] = [
        {"failure": "few tasks or rows", "tasks": T, "rows": n}
        for T, n in (
            ((4, 30), (100, 100)) if quick else [(T, n) for T in (3, 5, 10, 30, 100) for n in (6, 12, 30, 100)]
        )
    ]
    return [{**cell, "seed": seed} for cell in (*heads, *graphs, *sizes) for seed in seeds]


def _measure(cell: Cell) -> Measured:
    parts = {"dependent heads": _dependent_heads, "wrong graph": _wrong_graph, "few tasks or rows": _too_few}
    return Measured([parts[cell["failure"]](cell)])


def _dependent_heads(cell: Cell) -> Row:
    """Targets that see fewer directions than there are latents: 40 targets of 10 latents, heads of lower rank."""
    rng = np.random.default_rng(cell["seed"])
    Z = rng.normal(size=(3000, _D))
    # Orthonormal directions: all that targets see they see well, so that rank 10 is a control.
    directions = np.linalg.qr(rng.normal(size=(_D, cell["rank"])))[0]
    heads = rng.normal(size=(40, cell["rank"])) @ directions.T
    Y = Z @ heads.T
    Y += 0.3 * Y.std(axis=0) * rng.normal(size=Y.shape)
    X = np.tanh(Z @ rng.normal(size=(_D, 40)) / 3)
    build = partial(MTRN, hidden_sizes=(64,), n_replicates=2, max_epochs=30, random_state=cell["seed"])
    found, asked = build("auto").fit(X, Y), build(_D).fit(X, Y)
    certificate = MTLCM(random_state=cell["seed"]).fit_moments(asked.moments_).certificate_
    return {
        "dimension": found.n_components_,
        "said": float(found.n_components_ < _D),
        "head_rank": certificate.head_rank,
        "identified": float(np.mean([verdict == "identified" for verdict in certificate.verdict])),
    }


def _wrong_graph(cell: Cell) -> Row:
    """Latents that act on each other in ways that change from task to task, which the model does not have."""
    data = make_linear_tasks(100, 200, _D, 3, mixing="orthogonal", observation_noise=0.0, random_state=cell["seed"])
    rng = np.random.default_rng([cell["seed"], 1])
    Z = data.Z.reshape(100, 200, _D)
    edges = cell["edges"] * rng.normal(size=(100, _D, _D)) * (rng.random((100, _D, _D)) < 0.2)
    edges[:, np.arange(_D), np.arange(_D)] = 1.0
    Z = (Z @ edges.swapaxes(1, 2)).reshape(-1, _D)
    H = Z @ data.mixing.T
    model = MTLCM(random_state=cell["seed"]).fit(H, data.y, tasks=data.tasks)
    p_value = model.certificate_.goodness_of_fit.p_value
    return {"p_value": p_value, "rejected": float(p_value < 0.05), **_trust(model, H, Z)}


def _too_few(cell: Cell) -> Row:
    """Fewer tasks or rows than the latents need."""
    data = make_linear_tasks(cell["tasks"], cell["rows"], _D, 4, mixing="orthogonal", random_state=cell["seed"])
    model = MTLCM(random_state=cell["seed"]).fit(data.H, data.y, tasks=data.tasks)
    return _trust(model, data.H, data.Z)


def _trust(model: MTLCM, H: Array, Z: Array) -> Row:
    """Return recovery, the share of latents called identified, and whether a wrong fit got through."""
    score = mcc_score(model.transform(H), Z)
    identified = np.array([verdict == "identified" for verdict in model.certificate_.verdict])
    return {
        "mcc": score,
        "identified": float(identified.mean()),
        "wrong_and_certified": float(identified.all() and score < 0.95),
        "flagged": float(not identified.all()),
    }


_TRUST = (
    Column("mcc", "MCC", 3),
    Column("identified", "latents called identified", 2, None),
    Column("flagged", "fits flagged", 2, None),
    Column("wrong_and_certified", "certified with MCC under 0.95", 2, None),
)


def _what(row: Row) -> str:
    if row["failure"] == "few tasks or rows":
        return f"{row['tasks']} tasks, {row['rows']} rows"
    return f"latents act on each other, {row['edges']:g}"


EXPERIMENT = Experiment(
    title="Failure signatures",
    description=(
        "What the method needs is taken away by construction, and what it says then is recorded. Dependent "
        "heads: 40 targets see only some directions of 10 latents; stage one must report fewer dimensions, "
        "and a certificate for the dimension asked for must report the rank. Wrong graph: latents act on each"
        " other with coefficients that change from task to task (strength 0: the model is right); the "
        "goodness-of-fit test must reject. Few tasks or rows: fits that are wrong must be flagged."
    ),
    cells=_cells,
    measure=_measure,
    tables=(
        Table(
            "Heads of lower rank (10 latents)",
            ("rank",),
            (
                Column("dimension", "dimensions found", 1, "max"),
                Column("said", "stage one says fewer than 10", 2, None),
                Column("head_rank", "rank in the certificate, 10 asked for", 1, None),
                Column("identified", "latents called identified", 2, None),
            ),
        ),
        Table(
            "Wrong causal graph",
            ("edges",),
            (Column("rejected", "rejected at 5 %", 2, None), Column("p_value", "p-value", 3, None), *_TRUST),
        ),
        Table("Few tasks or rows (10 latents)", ("tasks", "rows"), _TRUST, where={"failure": "few tasks or rows"}),
    ),
    # Fits that are not flagged must all be right.
    figures={
        "flags": partial(
            dots,
            value="mcc",
            label="strong MCC",
            by=_what,
            panel=lambda row: "fits = flagged" if row["flagged"] else "fits = not flagged",
        )
    },
)
