"""Stage two where it is hard: recovery, roles and verdicts."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.metrics import mcc, mcc_score

__all__ = ["EXPERIMENT"]

_ALIKE, _LOW, _FEW_ROWS, _FEW_TASKS, _LARGE, _ILL = (
    "spurious like causal (q = v = 1)",
    "target noise 0.05 to 0.1",
    "few rows",
    "few tasks",
    "large",
    "ill-conditioned",
)
_CLEAN = {"mixing": "orthogonal", "observation_noise": 0.0}
# Arguments of `make_linear_tasks` that a part sets for all its cells.
_OPTIONS: dict[str, dict[str, Any]] = {
    _ALIKE: {**_CLEAN, "spurious_std": 1.0, "standardize": False},
    _LOW: {**_CLEAN, "target_noise": (0.05, 0.1)},
    _FEW_ROWS: _CLEAN,
    _FEW_TASKS: _CLEAN,
    _LARGE: {"mixing": "orthogonal"},
}


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 10))

    def cell(part: str, tasks: int, rows: int, D: int, causal: int, prior: str = "factorized") -> Cell:
        return {"part": part, "T": tasks, "n": rows, "D": D, "causal": causal, "prior": prior}

    if quick:
        cells = [cell(_LOW, 60, 300, 5, 4, "exact"), cell(_FEW_ROWS, 300, 8, 5, 2), cell(_ILL, 60, 100, 8, 3)]
    else:
        cells = [cell(_LOW, 200, 1000, 10, 8, prior) for prior in ("exact", "factorized")]
        cells += [cell(_ILL, 200, 100, D, causal) for D, causal in ((20, 4), (50, 8))]
        cells += [cell(_FEW_ROWS, 1000, n, 10, 4) for n in (12, 6)]
        cells += [cell(_FEW_TASKS, T, 2000, 10, causal) for T in (8, 4) for causal in (2, 4)]
        cells += [
            cell(_ALIKE, 200, n, 10, causal, prior)
            for causal in (2, 4, 6, 8)
            for n in (100, 1000)
            for prior in (("exact", "factorized") if causal == 4 else ("exact",))
        ]
        large = cell(_LARGE, 1000, 500, 100, 20)
        return [{**c, "seed": seed} for c in cells for seed in seeds] + [{**large, "seed": s} for s in seeds[:2]]
    return [{**c, "seed": seed} for c in cells for seed in seeds]


def _measure(cell: Cell) -> Measured:
    rng = np.random.default_rng(cell["seed"])
    options = _OPTIONS[cell["part"]] if cell["part"] != _ILL else {"mixing": _ill_conditioned(cell["D"], rng)}
    data = make_linear_tasks(cell["T"], cell["n"], cell["D"], cell["causal"], **options, random_state=rng)
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
    if cell["part"] == _ILL:
        row |= _references(data.H, data.Z, data.mixing, row["mcc"])
        row["noise"] = model.noise_std_
    return Measured([row])


def _ill_conditioned(D: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a mixing whose singular values fall geometrically, to 1/100 for D = 20 and 1/1500 for D = 50."""
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    return (U * np.geomspace(10.0, 10.0 / (1500 if D >= 50 else 100), D)) @ V


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
    name="recovery",
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
            where={"part": _ILL},
        ),
    ),
)
