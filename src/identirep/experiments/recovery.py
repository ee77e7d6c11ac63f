"""Stage two where it is hard: recovery, roles and verdicts."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.experiments.hard_settings import ILL_CONDITIONED, draw_hard, hard_settings, large_setting
from identirep.metrics import mcc, mcc_score
from identirep.mtlcm import MTLCM

__all__ = ["EXPERIMENT"]


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 10))
    cells = [{**setting, "seed": seed} for setting in hard_settings(quick) for seed in seeds]
    return cells if quick else cells + [{**large_setting(), "seed": seed} for seed in seeds[:2]]


def _measure(cell: Cell) -> Measured:
    rng = np.random.default_rng(cell["seed"])
    data = draw_hard(cell, rng)
    start = time.perf_counter()
    model = MTLCM(prior=cell["prior"], random_state=cell["seed"]).fit(data.H, data.y, tasks=data.tasks)
    seconds = time.perf_counter() - start
    match = mcc(model.transform(data.H), data.Z)
    certified = set(model.certificate_.verdict) == {"identified"}
    row: Row = {
        "mcc": match.score,
        "roles_right": float(np.mean((model.causal_probability_ > 0.5) == data.causal[:, match.assignment])),
        "certified": float(certified),
        "certified_and_wrong": float(certified and match.score < 0.95),
        "converged": float(model.converged_),
        "fit_seconds": seconds,
        "seconds": time.perf_counter() - start,
    }
    if cell["part"] == ILL_CONDITIONED:
        row |= _references(data.H, data.Z, data.mixing, row["mcc"])
        row["noise"] = model.noise_std_
    return Measured([row])


def _references(H: np.ndarray, Z: np.ndarray, A: np.ndarray, score: float) -> Row:
    """Return what the true parameters score: the inverse of the mixing, and the posterior mean given noise 0.01."""
    prior = np.cov(Z.T)
    posterior = mcc_score(H @ np.linalg.solve(A @ prior @ A.T + 1e-4 * np.eye(len(A)), A @ prior), Z)
    return {
        "true_posterior_mean": posterior,
        "true_unmixing": mcc_score(H @ np.linalg.inv(A).T, Z),
        "gap": posterior - score,
    }


EXPERIMENT = Experiment(
    title="Stage two where it is hard",
    description=(
        "Linear synthetic data in settings where recovery is difficult; roles are never given and the noise "
        "of the ill-conditioned mixings (0.01) is not either. `certified`: all latents are called identified;"
        " what matters is that no such fit is wrong (MCC under 0.95). Seconds include certificate and roles, "
        "`fit` is MTLCM.fit alone."
    ),
    cells=_cells,
    measure=_measure,
    tables=(
        Table(
            "Recovery, roles and verdicts",
            ("part", "T", "n", "D", "causal", "prior"),
            (
                Column("mcc", "MCC"),
                Column("roles_right", "roles right", 3),
                Column("certified", "certified", 2, None),
                Column("certified_and_wrong", "certified and wrong", 2, None),
                Column("converged", "converged", 2, None),
                Column("fit_seconds", "fit, s", 2, "max"),
                Column("seconds", "all, s", 1, "max"),
            ),
        ),
        Table(
            "Ill-conditioned mixing against the true parameters",
            ("D",),
            (
                Column("mcc", "MCC"),
                Column("true_posterior_mean", "true posterior mean"),
                Column("true_unmixing", "true unmixing"),
                Column("gap", "gap to the posterior mean", 5, "max"),
                Column("noise", "noise found", 4, None),
            ),
            where={"part": ILL_CONDITIONED},
        ),
    ),
    figures={
        "recovery": partial(
            dots,
            value="mcc",
            label="strong MCC",
            by=lambda row: f"{row['part']}, n = {row['n']}, D = {row['D']}, {row['causal']} causal",
            panel="prior",
        )
    },
)
