"""Roles of latents: how well causes, effects and unrelated latents are told apart, and how honest probabilities are."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.utils import Bunch

from identirep._typing import Array, BoolArray
from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell, Column, Experiment, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.metrics import mcc
from identirep.moments import TaskMoments
from identirep.mtlcm import MTLCM, causal_posterior, correlations, joint_covariances

__all__ = ["EXPERIMENT"]

_ROLES = ("cause", "effect", "unrelated")
_PAPER, _LOW, _ALIKE, _THIRD = (
    "paper, 4 causal",
    "8 causal, target noise 0.05 to 0.1",
    "q = v = 1, 4 causal, true axes",
    "a third unrelated, true axes",
)


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    seeds = range(n_seeds or (1 if quick else 10))
    sizes = (100,) if quick else (100, 1000)
    cells = [
        {"setting": setting, "n": n, "standardised": standardised}
        for setting in ((_PAPER, _THIRD) if quick else (_PAPER, _LOW, _ALIKE, _THIRD))
        for n in (sizes if setting != _LOW else (1000,))
        for standardised in ((True, False) if setting != _LOW else (True,))
    ]
    return [{**cell, "T": 60 if quick else 200, "seed": seed} for cell in cells for seed in seeds]


def _draw(cell: Cell) -> Bunch:
    """Draw the data of a cell; ``role`` holds the position of each true role in `_ROLES`."""
    T, n, seed, standardised = cell["T"], cell["n"], cell["seed"], cell["standardised"]
    if cell["setting"] == _THIRD:
        return _with_unrelated(T, n, seed, standardised)
    special: dict[str, dict[str, Any]] = {_LOW: {"target_noise": (0.05, 0.1)}, _ALIKE: {"spurious_std": 1.0}}
    options = {"mixing": "orthogonal", "observation_noise": 0.0, "standardize": standardised}
    options |= special.get(cell["setting"], {})
    data = make_linear_tasks(T, n, 10, 8 if cell["setting"] == _LOW else 4, random_state=seed, **options)
    data.role = np.where(data.causal, 0, 1)
    return data


def _with_unrelated(n_tasks: int, n_samples: int, seed: int, standardised: bool, D: int = 10) -> Bunch:
    """Draw like the paper, but each role with equal probability; latents are the features."""
    rng = np.random.default_rng(seed)
    shape = (n_tasks, D)
    role = rng.integers(3, size=shape)
    w = np.where(role == 0, rng.normal(size=shape), 0.0)
    gamma = np.where(role == 1, rng.uniform(-1.0, 1.0, size=shape), 0.0)
    noise = rng.normal(size=(n_tasks, n_samples, D))
    y = np.einsum("tnd,td->tn", noise, w) + 2.5 * rng.normal(size=(n_tasks, n_samples))
    Z = np.where((role == 1)[:, None], gamma[:, None] * y[..., None] + 0.1 * noise, noise)
    if standardised:
        Z = (Z - Z.mean(axis=1, keepdims=True)) / Z.std(axis=1, keepdims=True)
    return Bunch(Z=Z.reshape(-1, D), y=y.ravel(), tasks=np.repeat(np.arange(n_tasks), n_samples), role=role)


def _probabilities(cell: Cell, data: Bunch) -> tuple[Array, bool]:
    """Return the probability of each role, shape (3, n_tasks, D) in the true order, and whether scales were shared."""
    if cell["setting"] in (_PAPER, _LOW):
        model = MTLCM(random_state=cell["seed"]).fit(data.H, data.y, tasks=data.tasks)
        order = mcc(data.Z, model.transform(data.H)).assignment
        found = np.stack([getattr(model.structure_, role)[:, order] for role in _ROLES])
        return found, model.structure_.scales == "shared"
    moments = TaskMoments.from_long(data.Z, data.y, data.tasks)
    variances = np.einsum("gii->gi", moments.cov_h)[moments.group]
    posterior = causal_posterior(correlations(joint_covariances(moments)), moments.n_samples, variances)
    return np.stack([getattr(posterior, role) for role in _ROLES]), posterior.scales is not None


def _calibration_error(p: Array, truth: BoolArray) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((p * 10).astype(int), 9)
    return float(sum(abs(p[bins == b].mean() - truth[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)))


def _measure(cell: Cell) -> Measured:
    data = _draw(cell)
    p, shared = _probabilities(cell, data)
    role = data.role.ravel()
    p = p.reshape(3, -1)
    errors = [_calibration_error(p[k], role == k) for k in range(3)]
    row: Row = {
        "auroc": float(roc_auc_score(role == 0, p[0])),
        "f1": float(f1_score(role == 0, p[0] > 0.5)),
        "roles_right": float(np.mean(p.argmax(axis=0) == role)),
        "calibration_error": errors[0],
        "worst_calibration_error": max(errors),
        "auroc_unrelated": float(roc_auc_score(role == 2, p[2])) if np.any(role == 2) else None,
        "scales_shared": float(shared),
    }
    return Measured([row])


EXPERIMENT = Experiment(
    title="Causes and effects",
    description=(
        "200 tasks, 10 latents. Axes are those of a fit, matched with the true latents, or the true ones "
        "where the default likelihood does not find the axes (spurious latents that vary like causal ones) or"
        " where latents are the features. Calibration error: ten bins of equal width, for the probability of "
        "being a cause and for the worst of the three roles."
    ),
    cells=_cells,
    measure=_measure,
    tables=(
        Table(
            "Roles",
            ("setting", "n", "standardised"),
            (
                Column("auroc", "AUROC cause"),
                Column("f1", "F1 cause"),
                Column("roles_right", "roles right"),
                Column("calibration_error", "calibration error, cause", 4, "max"),
                Column("worst_calibration_error", "calibration error, worst role", 4, "max"),
                Column("auroc_unrelated", "AUROC unrelated"),
                Column("scales_shared", "scales shared", 1, None),
            ),
        ),
    ),
    figures={"roles": partial(dots, value="auroc", label="AUROC of causes", by="setting", panel="n")},
)
