"""Random settings, what studies of them need, and what was planned, from a pilot and from the setting itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from identirep.datasets import make_linear_tasks
from identirep.experiments.experiment import Row
from identirep.metrics import mcc_score
from identirep.mtlcm import MTLCM
from identirep.planning import SIZES, RowsNeeded, TasksNeeded, plan, smallest

__all__ = ["measure_plans", "scores_by_tasks", "smallest_to", "worth_of_plans"]

Score = Callable[[int], float]

# Tasks of a study, drawn at once; more only if it needs them.
_MANY = 128
_FEWEST_ROWS = 5
_STUDIES = 7
_GUESS = 8


def scores_by_tasks(setting: dict[str, Any], n: int, seed: int) -> Score:
    """MCC of a study by its number of tasks; one with more tasks has those of the smaller one."""
    many = make_linear_tasks(_MANY, n, **setting, random_state=seed)

    def score(n_tasks: int) -> float:
        data = many if n_tasks <= _MANY else make_linear_tasks(SIZES[-1], n, **setting, random_state=seed)
        return _score(data, np.s_[: n_tasks * n])

    return score


def _scores_by_rows(setting: dict[str, Any], n_tasks: int, seed: int, study: int | None = None) -> Score:
    """MCC of a study by the rows of its tasks; one with more rows has those of the smaller one.

    Tasks follow from the seed, whatever their number of rows; a study may take these rows in an order of its own.
    """
    data = make_linear_tasks(n_tasks, SIZES[-1], **setting, random_state=seed)
    order = np.arange(SIZES[-1]) if study is None else np.random.default_rng(study).permutation(SIZES[-1])
    row = np.tile(order, n_tasks)
    return lambda n: _score(data, row < n)


def _score(data: Any, rows: Any) -> float:
    H = data.H[rows]
    model = MTLCM(noise_std=0.0, robust=None, random_state=0).fit(H, data.y[rows], tasks=data.tasks[rows])
    return mcc_score(H @ model.components_.T, data.Z[rows])


def measure_plans(seed: int, target: float) -> list[Row]:
    """Plan a random setting, and find what it needs."""
    setting, n, size = _random_setting(np.random.default_rng([seed, 1]))
    studies = [1000 * seed + i for i in range(1, _STUDIES + 1)]
    rows_tried = [n for n in SIZES if n >= _FEWEST_ROWS]
    by_tasks = [smallest_to(scores_by_tasks(setting, n, study), SIZES, target) for study in studies]
    by_rows = [smallest_to(_scores_by_rows(setting, size[0], study), rows_tried, target) for study in studies]
    # More rows of the tasks that the pilot has.
    of_pilot = [smallest_to(_scores_by_rows(setting, size[0], seed, study), rows_tried, target) for study in studies]
    data = make_linear_tasks(*size, **setting, random_state=seed)
    pilot = MTLCM(random_state=seed).fit(data.H, data.y, tasks=data.tasks)
    names = {"n_components": "n_latents", "n_causal": "n_causal", "spurious_std": "spurious_std"}
    design: dict[str, Any] = {name: setting[key] for name, key in names.items()}
    wanted: dict[str, Any] = {"target": target, "n_samples": [n], "random_state": seed}
    plans = {
        "D, causes and noise": plan(**design, noise_std=setting["observation_noise"], n_tasks=[size[0]], **wanted),
        "pilot": plan(pilot, **wanted),
    }
    about = {key: setting[key] for key in ("n_latents", "n_causal", "spurious_std", "observation_noise")}
    return [
        {
            "from": source,
            "what": what,
            "n": n,
            "pilot": f"{size[0]} x {size[1]}",
            **about,
            "needed": float(np.median(needed)),
            **dict(zip(("planned", "planned_safe"), _sizes(planned), strict=True)),
            "told_apart": not found.is_lower_bound,
        }
        for source, found in plans.items()
        for what, needed, planned in (
            ("tasks", by_tasks, found.tasks[0]),
            ("rows per task", of_pilot if source == "pilot" else by_rows, found.rows[0]),
        )
    ]


def _random_setting(rng: np.random.Generator) -> tuple[dict[str, Any], int, tuple[int, int]]:
    """Draw arguments of `make_linear_tasks`, rows of the study, and the tasks and rows of a pilot."""
    D = int(rng.integers(3, 13))
    setting = {
        "n_latents": D,
        "n_causal": int(rng.integers(1, D)),
        "spurious_std": float(np.exp(rng.uniform(np.log(0.1), 0.0))),
        "mixing": "orthogonal",
        "observation_noise": float(rng.choice([0.0, rng.uniform(0.0, 0.1)])),
    }
    n, tasks, rows = (round(np.exp(rng.uniform(*np.log(ends)))) for ends in ((20, 100), (10, 40), (10, 30)))
    return setting, n, (tasks, rows)


def smallest_to(score: Score, sizes: Sequence[int], target: float) -> float:
    """Smallest size at which a study reaches the target."""
    return smallest(lambda size: score(size) >= target, sizes, _GUESS)


def _sizes(needed: TasksNeeded | RowsNeeded) -> tuple[float, float]:
    if isinstance(needed, TasksNeeded):
        return needed.n_tasks, needed.n_tasks_safe
    return needed.n_samples, needed.n_samples_safe


def worth_of_plans(rows: list[Row]) -> list[Row]:
    """How often what was planned is what is needed, by what was planned from, and for."""
    found = []
    for source, what in dict.fromkeys((row["from"], row["what"]) for row in rows):
        those = [row for row in rows if (row["from"], row["what"]) == (source, what)]
        found.append(_worth(those, {"plan from": source, "of": what, "among": "all"}))
        told = [row for row in those if row["told_apart"]]
        if source == "pilot" and told:
            found.append(_worth(told, {"plan from": source, "of": what, "among": "axes told apart by the pilot"}))
    return found


def _worth(rows: list[Row], names: Row) -> Row:
    needed, planned, safe = (np.array([row[name] for row in rows]) for name in ("needed", "planned", "planned_safe"))
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isinf(needed) & np.isinf(planned), 1.0, planned / needed)
    return {
        **names,
        "within": float(np.mean((ratio >= 0.5) & (ratio <= 2.0))),
        "too_few": float(np.mean(ratio < 0.5)),
        "ratio": float(np.median(ratio)),
        "safe_enough": float(np.mean(safe >= needed)),
        "n_settings": len(rows),
    }
