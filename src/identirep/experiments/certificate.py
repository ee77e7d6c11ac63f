"""How far the certificate can be trusted: predicted against actual recovery over random settings."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table, rows_of
from identirep.experiments.figures import predictions
from identirep.experiments.hard_settings import draw_hard, hard_settings
from identirep.metrics import mcc
from identirep.mtlcm import MTLCM

__all__ = ["EXPERIMENT"]


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (10 if quick else 200))
    hard = [{**setting, "seed": seed} for setting in hard_settings(quick) for seed in seeds[: 1 if quick else 5]]
    return [{"seed": seed} for seed in seeds] + hard


def _random_setting(rng: np.random.Generator) -> dict[str, Any]:
    """Draw the arguments of `make_linear_tasks`."""
    n_latents = int(rng.integers(4, 11))
    return {
        "n_tasks": round(np.exp(rng.uniform(np.log(3), np.log(150)))),
        "n_samples": round(np.exp(rng.uniform(np.log(20), np.log(300)))),
        "n_latents": n_latents,
        "n_causal": int(rng.integers(1, n_latents)),
        "spurious_std": float(np.exp(rng.uniform(np.log(0.1), 0.0))),
        "mixing": str(rng.choice(["random", "orthogonal"])),
        "observation_noise": float(rng.choice([0.0, np.exp(rng.uniform(np.log(0.01), np.log(0.1)))])),
        "standardize": bool(rng.random() < 0.5),
    }


def _measure(cell: Cell) -> Measured:
    rng = np.random.default_rng(cell["seed"])
    if "part" in cell:
        setting: Row = {}
        data, prior = draw_hard(cell, rng), cell["prior"]
    else:
        setting = _random_setting(rng)
        data, prior = make_linear_tasks(**setting, random_state=rng), "factorized"
    model = MTLCM(prior=prior, random_state=cell["seed"]).fit(data.H, data.y, tasks=data.tasks)
    latents, certificate = model.transform(data.H), model.certificate_
    # Noise that the fit cannot tell from latents counts as part of them.
    seen = data.Z if model.noise_std_ > 0 else data.H @ np.linalg.inv(data.mixing).T
    per_latent = mcc(latents, seen).per_latent
    low, high = certificate.features_mcc_interval.T
    row: Row = {
        **setting,
        "identified": all(verdict == "identified" for verdict in certificate.verdict),
        "predicted_loss": float(1 - certificate.features_mcc.mean()),
        "loss": 1 - mcc(latents, data.Z).score,
        "loss_of_axes": float(1 - per_latent.mean()),
        "inside_interval": float(np.mean((low <= per_latent) & (per_latent <= high))),
    }
    return Measured([row])


def _combine(finished: Finished) -> list[Row]:
    hard = np.array(["part" in cell for cell, _ in finished])
    rows = rows_of(finished)
    return [
        {"settings": name, **summary}
        for name, chosen in (("random and those of recovery", hard | True), ("random", ~hard), ("of recovery", hard))
        for summary in _statements([row for row, use in zip(rows, chosen, strict=True) if use])
    ]


def _statements(rows: list[Row]) -> list[Row]:
    """Return how often each statement holds."""
    if not rows:
        return []
    identified, predicted, loss, axes, inside = (
        np.array([row[name] for row in rows])
        for name in ("identified", "predicted_loss", "loss", "loss_of_axes", "inside_interval")
    )
    within, with_noise = _within(predicted, axes), _within(predicted, loss)
    return [
        _share("predicted 1 - MCC within a factor 2 of the actual one", within, identified, "identified"),
        _share("the same, noise that cannot be told from latents is error", with_noise, identified, "identified"),
        _share("predicted at least half of the actual 1 - MCC", predicted > axes / 2, identified, "identified"),
        _share("latents inside the 90 % interval", inside, identified, "identified"),
        _share("flagged", ~identified, loss > 0.05, "MCC below 0.95"),
        _share("flagged", ~identified, loss > 0.02, "MCC below 0.98"),
        _share("passed", identified, loss < 0.01, "MCC above 0.99"),
    ]


def _within(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    return (predicted > actual / 2) & (predicted < actual * 2)


def _share(what: str, holds: np.ndarray, among: np.ndarray, name: str) -> Row:
    """Return how often something holds among the fits that qualify."""
    share = float(holds[among].mean()) if among.any() else None
    return {"statement": what, "of fits with": name, "share": share, "fits": int(among.sum())}


EXPERIMENT = Experiment(
    title="Can the certificate be trusted?",
    description=(
        "200 random settings (3 to 150 tasks, 20 to 300 rows, 4 to 10 latents, spurious standard deviation 0.1 to "
        "1, random or orthogonal mixing, no observation noise or up to 0.1, standardised or not) and five seeds of "
        "each setting of the experiment `recovery` but its largest. A fit is identified if all its latents are, "
        "flagged if not. Where the mixing is orthogonal no likelihood can tell noise from the latents' own "
        "variation: losses are given with such noise counted as part of the latents, and as error. With 4 or 5 "
        "latents few pairs can mix, and the actual loss varies by chance so much that no prediction is within a "
        "factor 2 in much more than 90 % of fits."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        Table(
            "Predicted against actual",
            ("settings", "statement", "of fits with"),
            (Column("share", "share", 3, None), Column("fits", "fits", 0, None)),
        ),
        Table(
            "1 - MCC, settings of recovery",
            ("part", "T", "n", "D", "causal", "prior"),
            (
                Column("predicted_loss", "predicted", 7, None),
                Column("loss_of_axes", "actual", 7, None),
                Column("identified", "fits identified", 2, None),
            ),
        ),
    ),
    figures={
        "prediction": partial(
            predictions, predicted="predicted_loss", actual="loss_of_axes", label="1 - MCC", trusted="identified"
        )
    },
)
