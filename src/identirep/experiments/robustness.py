"""Stage two on data that violate its model: what is found, and what is said of it, with and without the repairs."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table, rows_of
from identirep.experiments.figures import dots
from identirep.experiments.violated_settings import draw_violated, violated_settings
from identirep.metrics import mcc
from identirep.mtlcm import MTLCM

__all__ = ["EXPERIMENT"]

# An axis called identified is wrong with a lower correlation with its latent.
_WRONG = 0.95


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 5))
    return [{**setting, "seed": seed} for setting in violated_settings(quick) for seed in seeds]


def _measure(cell: Cell) -> Measured:
    data = draw_violated(cell, np.random.default_rng(cell["seed"]))
    rows = []
    for repaired in (False, True):
        start = time.perf_counter()
        repairs: dict[str, Any] = {} if repaired else {"robust": None, "target_type": None}
        model = MTLCM(prior=cell["prior"], **repairs, random_state=cell["seed"])
        model.fit(data.H, data.y, tasks=data.tasks)
        # Gross errors are no latents to be found: axes are judged on the features without them.
        match = mcc(data.clean @ model.components_.T, data.Z)
        identified = np.array(model.certificate_.verdict) == "identified"
        right = (model.causal_probability_ > 0.5)[~data.foreign] == data.causal[~data.foreign][:, match.assignment]
        weights = model.row_weights_
        rows.append(
            {
                "repairs": "with" if repaired else "without",
                "mcc": match.score,
                "worst_axis": float(match.per_latent.min()),
                "roles_right": float(np.mean(right)),
                "identified": int(identified.sum()),
                "false": int(np.sum(identified & (match.per_latent < _WRONG))),
                "down_weighted": 0.0 if weights is None else float(1.0 - weights.mean()),
                "seconds": time.perf_counter() - start,
            }
        )
    return Measured([{**cell, **row} for row in rows])


def _combine(finished: Finished) -> list[Row]:
    """Count the axes called identified, and those of them that are wrong, over all settings."""
    rows = rows_of(finished)
    totals = []
    for repairs in ("without", "with"):
        for prior in dict.fromkeys(row["prior"] for row in rows):
            these = [row for row in rows if row["repairs"] == repairs and row["prior"] == prior]
            identified, false = (sum(row[name] for row in these) for name in ("identified", "false"))
            share = false / identified if identified else None
            totals.append(
                {"of": repairs, "likelihood": prior, "axes": identified, "wrong": false, "share_wrong": share}
            )
    return totals


EXPERIMENT = Experiment(
    title="Stage two where its model is wrong",
    description=(
        "Linear synthetic data (standardised latents, orthogonal mixing, random where tasks are of other mixings, no "
        "observation noise) that violate what the model takes for granted, from little to strongly; the strength is a "
        "share of rows or tasks, for heteroscedastic effects how much their deviation grows with the target, for heavy "
        "tails degrees of freedom, for repeated tasks how many distinct ones there are. Without repairs: "
        "`MTLCM(robust=None, target_type=None)`; with: the "
        f"defaults. False: axes called identified whose correlation with their latent is under {_WRONG}. "
        "Correlations are taken on features without gross errors, mixed as in most tasks."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table(
            "All settings",
            ("of", "likelihood"),
            (
                Column("axes", "axes called identified", 0, None),
                Column("wrong", "of these false", 0, None),
                Column("share_wrong", "share", 4, None),
            ),
        ),
        Table(
            "Recovery and verdicts",
            ("violation", "strength", "n", "q", "prior", "repairs"),
            (
                Column("mcc", "MCC"),
                Column("worst_axis", "worst axis", 3, None),
                Column("identified", "identified", 1, None),
                Column("false", "false", 1, "max"),
                Column("roles_right", "roles right", 3, None),
                Column("down_weighted", "rows down-weighted", 3, None),
                Column("seconds", "s", 1, None),
            ),
        ),
    ),
    figures={
        f"recovery-{prior}": partial(
            dots,
            value="mcc",
            label="strong MCC",
            by=lambda row: f"{row['violation']}, {row['strength']:g}, n = {row['n']}, q = {row['q']:g}",
            panel=lambda row: f"{row['repairs']} repairs",
            where={"prior": prior},
        )
        for prior in ("factorized", "exact")
    },
)
