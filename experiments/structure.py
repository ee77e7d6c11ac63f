"""Roles of latents: how well causes, effects and unrelated latents are told apart, and how honest probabilities are.

    python experiments/structure.py [--seeds 10]

T = 200 tasks, D = 10 latents. Axes are those of a fit, matched with the true latents, or the true ones where spurious
latents vary like causal ones (q = v = 1: there the default likelihood does not find the axes). The last rows have
unrelated latents too: each role is drawn for each task and latent with equal probability.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
from sklearn.metrics import f1_score, roc_auc_score  # noqa: E402
from sklearn.utils import Bunch  # noqa: E402

from identirep import MTLCM, TaskMoments  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc  # noqa: E402
from identirep.mtlcm.causal_sets import correlations  # noqa: E402
from identirep.mtlcm.likelihood import joint_covariances  # noqa: E402
from identirep.mtlcm.role_posterior import causal_posterior  # noqa: E402

ROLES = ("cause", "effect", "unrelated")


def paper(seed: int, **options: Any) -> Bunch:
    """Draw the paper's linear data; `role` holds the position of each true role in `ROLES`."""
    data = make_linear_tasks(
        **{"n_causal": 4, "mixing": "orthogonal", "observation_noise": 0.0, **options}, random_state=seed
    )
    data.role = np.where(data.causal, 0, 1)
    return data


def with_unrelated(seed: int, n_samples: int, standardize: bool, n_tasks: int = 200, n_latents: int = 10) -> Bunch:
    """Draw like the paper, but each role with equal probability; latents are the features."""
    rng = np.random.default_rng(seed)
    shape = (n_tasks, n_latents)
    role = rng.integers(3, size=shape)
    w = np.where(role == 0, rng.normal(size=shape), 0.0)
    gamma = np.where(role == 1, rng.uniform(-1.0, 1.0, size=shape), 0.0)
    noise = rng.normal(size=(n_tasks, n_samples, n_latents))
    y = np.einsum("tnd,td->tn", noise, w) + 2.5 * rng.normal(size=(n_tasks, n_samples))
    Z = np.where((role == 1)[:, None], gamma[:, None] * y[..., None] + 0.1 * noise, noise)
    if standardize:
        Z = (Z - Z.mean(axis=1, keepdims=True)) / Z.std(axis=1, keepdims=True)
    tasks = np.repeat(np.arange(n_tasks), n_samples)
    return Bunch(Z=Z.reshape(-1, n_latents), y=y.ravel(), tasks=tasks, role=role)


def probabilities(data: Bunch, true_axes: bool) -> tuple[np.ndarray, bool]:
    """Probability of each role, shape (3, n_tasks, D), latents in the true order, and whether scales were shared."""
    if not true_axes:
        model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
        order = mcc(data.Z, model.transform(data.H)).assignment
        found = np.stack([getattr(model.structure_, role)[:, order] for role in ROLES])
        return found, model.structure_.scales == "shared"
    moments = TaskMoments.from_long(data.Z, data.y, data.tasks)
    variances = np.einsum("gii->gi", moments.cov_h)[moments.group]
    posterior = causal_posterior(correlations(joint_covariances(moments)), moments.n_samples, variances)
    return np.stack([getattr(posterior, role) for role in ROLES]), posterior.scales is not None


def calibration_error(p: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((p * 10).astype(int), 9)
    return sum(abs(p[bins == b].mean() - truth[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins))


def measure(data: Bunch, true_axes: bool) -> list[float]:
    """Figures of one row of the table."""
    p, shared = probabilities(data, true_axes)
    role = data.role.ravel()
    p = p.reshape(3, -1)
    best = p.argmax(axis=0)
    errors = [calibration_error(p[k], role == k) for k in range(3)]
    unrelated = roc_auc_score(role == 2, p[2]) if np.any(role == 2) else np.nan
    return [
        roc_auc_score(role == 0, p[0]),
        f1_score(role == 0, p[0] > 0.5),
        float(np.mean(best == role)),
        errors[0],
        max(errors),
        unrelated,
        float(shared),
    ]


def settings() -> list[tuple[str, Callable[[int], Bunch], bool]]:
    """Name, data for a seed, and whether the true axes are used."""
    rows: list[tuple[str, Callable[[int], Bunch], bool]] = []
    for n in (100, 1000):
        for standardize in (True, False):
            name = f"n = {n}, {'' if standardize else 'not '}standardised"
            rows.append((f"4 causal, {name}", partial(paper, n_samples=n, standardize=standardize), False))
    low = {"n_causal": 8, "n_samples": 1000, "target_noise": (0.05, 0.1)}
    rows.append(("8 causal, target noise 0.05 to 0.1, n = 1000", partial(paper, **low), False))
    for n in (100, 1000):
        for standardize in (True, False):
            name = f"n = {n}, {'' if standardize else 'not '}standardised"
            options = {"n_samples": n, "standardize": standardize, "spurious_std": 1.0}
            rows.append((f"q = v = 1, true axes, {name}", partial(paper, **options), True))
            unrelated = partial(with_unrelated, n_samples=n, standardize=standardize)
            rows.append((f"a third unrelated, true axes, {name}", unrelated, True))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    print("Mean over seeds (worst seed).\n")
    print(
        "| setting | AUROC cause | F1 cause | roles right | calibration error, cause | calibration error, worst role "
        "| AUROC unrelated | scales shared |\n|---|---|---|---|---|---|---|---|"
    )
    for name, draw, true_axes in settings():
        figures = np.array([measure(draw(seed), true_axes) for seed in range(seeds)])
        mean, low, high = figures.mean(axis=0), figures.min(axis=0), figures.max(axis=0)
        worst = [low[0], low[1], low[2], high[3], high[4], low[5]]
        cells = [f"{m:.4f} ({w:.4f})" if np.isfinite(m) else "none" for m, w in zip(mean, worst, strict=False)]
        print(f"| {name} | {' | '.join(cells)} | {int(figures[:, 6].sum())} of {seeds} |", flush=True)


if __name__ == "__main__":
    main()
