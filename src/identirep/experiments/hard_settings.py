"""Linear synthetic data in settings where stage two has a hard time."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Cell

__all__ = ["ILL_CONDITIONED", "draw_hard", "hard_settings", "large_setting"]

ILL_CONDITIONED = "ill-conditioned"
_ALIKE, _LOW, _FEW_ROWS, _FEW_TASKS, _LARGE = (
    "spurious like causal (q = v = 1)",
    "target noise 0.05 to 0.1",
    "few rows",
    "few tasks",
    "large",
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


def hard_settings(quick: bool) -> list[Cell]:
    """Return all settings but the largest, as cells without seed."""
    if quick:
        return [
            _setting(_LOW, 60, 300, 5, 4, "exact"),
            _setting(_FEW_ROWS, 300, 8, 5, 2),
            _setting(ILL_CONDITIONED, 60, 100, 8, 3),
        ]
    settings = [_setting(_LOW, 200, 1000, 10, 8, prior) for prior in ("exact", "factorized")]
    settings += [_setting(ILL_CONDITIONED, 200, 100, D, causal) for D, causal in ((20, 4), (50, 8))]
    settings += [_setting(_FEW_ROWS, 1000, n, 10, 4) for n in (12, 6)]
    settings += [_setting(_FEW_TASKS, T, 2000, 10, causal) for T in (8, 4) for causal in (2, 4)]
    return settings + [
        _setting(_ALIKE, 200, n, 10, causal, prior)
        for causal in (2, 4, 6, 8)
        for n in (100, 1000)
        for prior in (("exact", "factorized") if causal == 4 else ("exact",))
    ]


def large_setting() -> Cell:
    """Return the setting with 100 latents and 1,000 tasks."""
    return _setting(_LARGE, 1000, 500, 100, 20)


def draw_hard(cell: Cell, rng: np.random.Generator) -> Bunch:
    """Draw the data of a setting, as `make_linear_tasks` returns them."""
    options = {"mixing": _ill_mixing(cell["D"], rng)} if cell["part"] == ILL_CONDITIONED else _OPTIONS[cell["part"]]
    return make_linear_tasks(cell["T"], cell["n"], cell["D"], cell["causal"], **options, random_state=rng)


def _setting(part: str, tasks: int, rows: int, D: int, causal: int, prior: str = "factorized") -> Cell:
    return {"part": part, "T": tasks, "n": rows, "D": D, "causal": causal, "prior": prior}


def _ill_mixing(D: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a mixing whose singular values fall geometrically, to 1/100 for D = 20 and 1/1500 for D = 50."""
    U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
    return (U * np.geomspace(10.0, 10.0 / (1500 if D >= 50 else 100), D)) @ V
