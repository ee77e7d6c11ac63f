"""How far stage one is from the best that observations allow, by depth, activation, observations and encoder."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from identirep._typing import Array
from identirep.baselines import VAE
from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table, rows_of
from identirep.experiments.figures import dots
from identirep.experiments.methods import REFERENCE
from identirep.experiments.scores import recovery
from identirep.experiments.trust import Drawn, draw, in_each_task
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN
from identirep.regressor import IdentifiableRegressor

__all__ = ["EXPERIMENT"]

_D, _TASKS, _ROWS = 5, 100, 60
# Two networks instead of four: a fit takes half the time.
_N_REPLICATES = 2
_GENERATIVE, _FLOW = "VAE", "flow"
_ROUNDS: dict[str, Any] = {"labels alone": 0, "auto": "auto"}
# A method is at the ceiling if it is no further from it.
_CLOSE = 0.02
_SETTING = ("mixing", "depth", "observed", "q")


# Settings of `MTRN`; the generative one has none.
_ENCODERS: dict[str, dict[str, Any]] = {
    "default": {},
    "wide": {"hidden_sizes": (1024,)},
    "deep": {"hidden_sizes": (256, 256)},
    _GENERATIVE: {},
}


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    settings = [
        (kind, depth, observed, 0.1) for depth in (1, 2, 3) for kind in ("leaky", "smooth") for observed in (2, 5)
    ]
    settings += [("leaky", 3, 2, 1.0), ("bounded", 2, 2, 0.1), (_FLOW, 3, 1, 0.1), (_FLOW, 6, 1, 0.1)]
    if quick:
        settings = [("leaky", 2, 2, 0.1)]
    return [
        {
            **dict(zip(_SETTING, setting, strict=True)),
            "encoder": encoder,
            "tasks": 30 if quick else _TASKS,
            "rows": 40 if quick else _ROWS,
            "quick": quick,
            "seed": seed,
        }
        for encoder in (("default",) if quick else _ENCODERS)
        for setting in settings
        # Zero has been looked at, with other numbers of rows.
        for seed in range(1, 1 + (n_seeds or (1 if quick else 3)))
    ]


def _measure(cell: Cell) -> Measured:
    drawn = _drawn(cell)
    assert drawn.tasks is not None
    assert drawn.truth is not None
    rows: list[Row] = []

    def add(method: str, Z: Array, seconds: float, rounds: int | None = None) -> None:
        assert drawn.truth is not None
        pairs = ((Z[part], drawn.truth[part]) for part in (drawn.first, drawn.unseen))
        (learn, learn_true), (test, test_true) = pairs
        scores = recovery(learn, learn_true, test, test_true)
        rows.append({"method": method, **scores, "seconds": seconds, "rounds": rounds})

    X, y, tasks = drawn.X[drawn.first], drawn.y[drawn.first], drawn.tasks[drawn.first]
    start = time.process_time()
    if cell["encoder"] == _GENERATIVE:
        epochs: Any = 20 if cell["quick"] else "auto"
        features = VAE(_D, max_epochs=epochs, random_state=cell["seed"]).fit(X, y, tasks)
        H = features.transform(drawn.X)
        model = MTLCM(random_state=cell["seed"]).fit(H[drawn.first], y, tasks)
        add(f"{_GENERATIVE}, MTLCM", model.transform(H), time.process_time() - start)
        return Measured(rows)
    epochs = 40 if cell["quick"] else "auto"
    settings = {"n_replicates": _N_REPLICATES, "max_epochs": epochs, **_ENCODERS[cell["encoder"]]}
    network = MTRN(_D, **settings, random_state=cell["seed"]).fit(X, drawn.truth[drawn.first])
    add(REFERENCE, network.predict(drawn.X), time.process_time() - start)
    for method, rounds in _ROUNDS.items():
        start = time.process_time()
        both = IdentifiableRegressor(
            _D, regressor=MTRN(_D, **settings), n_checks=0, n_refinements=rounds, random_state=cell["seed"]
        ).fit(X, y, tasks)
        add(method, both.transform(drawn.X), time.process_time() - start, both.n_refinements_)
    return Measured(rows)


def _drawn(cell: Cell) -> Drawn:
    if cell["mixing"] != _FLOW:
        return draw({**cell, "data": "nonlinear", "D": _D})
    rng = np.random.default_rng(cell["seed"])
    n = cell["rows"]
    data = make_linear_tasks(
        cell["tasks"], 3 * n, _D, 2, mixing="identity", observation_noise=0.0, spurious_std=cell["q"], random_state=rng
    )
    X = _flow(data.Z, cell["depth"], rng)
    return Drawn(X, data.y, *in_each_task(cell["tasks"], n), tasks=data.tasks, truth=data.Z)


def _flow(Z: Array, depth: int, rng: np.random.Generator) -> Array:
    """Mix by affine couplings, each after a random rotation: as many observations as latents, smooth and invertible."""
    x, half = Z, Z.shape[1] // 2
    for _ in range(depth):
        x = x @ np.linalg.qr(rng.standard_normal((_D, _D)))[0]
        hidden = np.tanh(x[:, :half] @ rng.standard_normal((half, 16)) + rng.standard_normal(16))
        scale, shift = (hidden @ rng.standard_normal((16, _D - half)) / 4.0 for _ in range(2))
        x = np.column_stack([x[:, :half], x[:, half:] * np.exp(np.tanh(scale)) + shift])
    return x


def _combine(finished: Finished) -> list[Row]:
    """Return how far each method is from the ceiling of its setting: the same, or the default, network on the truth."""
    rows = rows_of(finished)
    places = (*_SETTING, "seed", "tasks")
    ceilings = {
        (row["encoder"], *(row[name] for name in places)): row["mcc"] for row in rows if row.get("method") == REFERENCE
    }
    found: list[Row] = []
    for row in rows:
        # The VAE has no ceiling of its own: the default network's stands for it.
        encoder = "default" if row["encoder"] == _GENERATIVE else row["encoder"]
        ceiling = ceilings.get((encoder, *(row[name] for name in places)))
        if ceiling is None or row["method"] == REFERENCE:
            continue
        gap = ceiling - row["mcc"]
        named = {name: row[name] for name in (*_SETTING, "encoder", "seed")}
        found.append({**named, "of": row["method"], "ceiling": ceiling, "gap": gap, "close": float(gap <= _CLOSE)})
    return found


_TABLE_OF_GAPS = (
    Column("gap", "below the ceiling", 3, "max"),
    Column("close", f"share within {_CLOSE}", 2, None),
)

EXPERIMENT = Experiment(
    title="Nonlinear mixing: what stage one leaves to be had",
    description=(
        f"{_D} latents, {_TASKS} tasks of {_ROWS} rows in the long layout, observed through random perceptrons of one "
        "to three layers, leaky (slope 0.2) or smooth (slope 0.2 to 1), with two or five observations for each latent, "
        "or through flows (affine couplings after random rotations; depth is their number). Scores are those of other "
        "rows, with the assignment learnt on the rows of the fit. The ceiling, `truth`, is the same network trained on "
        "the true latents of the same rows. `labels alone` is stage one and MTLCM without refinement, the default; "
        "`auto` is `n_refinements='auto'`. `wide` has 1,024 hidden units instead of "
        "256, `deep` two layers of 256; the VAE learns its features from the observations alone, and is held against "
        "the default network's ceiling. Rows teach in refinements what their targets tell: the rule was chosen on one "
        "draw of three leaky layers with two observations for each latent (q = 0.1), none of the draws here."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table("Below the ceiling, all settings", ("encoder", "of"), _TABLE_OF_GAPS),
        Table("Below the ceiling", (*_SETTING, "encoder", "of"), _TABLE_OF_GAPS),
        Table(
            "Recovery and time",
            (*_SETTING, "encoder", "method"),
            (
                Column("mcc", "strong MCC", 3),
                Column("weak_mcc", "weak MCC", 3),
                Column("worst_latent", "worst latent", 3),
                Column("rounds", "rounds", 1, None),
                Column("seconds", "processor, s", 0, "max"),
            ),
        ),
    ),
    figures={
        "recovery": partial(
            dots,
            value="mcc",
            label="strong MCC",
            by=lambda row: f"{row['mixing']}, depth {row['depth']}, {row['observed']} D, q = {row['q']:g}",
            panel=lambda row: str(row["method"]),
            where={"encoder": "default"},
        )
    },
)
