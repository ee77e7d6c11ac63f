"""Stage 2 where it is hard: recovery, roles and verdicts, mean and worst over seeds.

    python experiments/recovery.py [--seeds 10] [alike] [low-noise] [ill-conditioned] [few-rows] [few-tasks] [large]

Settings have T = 200 tasks and D = 10 latents unless said. "certified" counts fits whose latents are all called
identified; what matters is that none of them is wrong (MCC under 0.95).
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from identirep import MTLCM
from identirep.datasets import make_linear_tasks
from identirep.metrics import mcc, mcc_score


def fit(data: Any, prior: str, **options: Any) -> tuple[MTLCM, float, float, float]:
    """Fit; return the model, its MCC, the share of roles that are right, and the seconds taken."""
    start = time.perf_counter()
    model = MTLCM(prior=prior, random_state=0, **options).fit(data.H, data.y, tasks=data.tasks)
    seconds = time.perf_counter() - start
    match = mcc(model.transform(data.H), data.Z)
    roles = float(np.mean((model.causal_probability_ > 0.5) == data.causal[:, match.assignment]))
    return model, match.score, roles, seconds


def table(title: str, settings: list[tuple[str, dict[str, Any], str]], seeds: int) -> None:
    print(f"\n## {title}\n")
    print("| setting | prior | MCC mean | MCC worst | roles right | certified | certified and wrong | s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, options, prior in settings:
        rows, certified, wrong = [], 0, 0
        for seed in range(seeds):
            model, score, roles, seconds = fit(make_linear_tasks(random_state=seed, **options), prior)
            trusted = set(model.certificate_.verdict) == {"identified"}
            certified += trusted
            wrong += trusted and score < 0.95
            rows.append((score, roles, seconds))
        score, roles, seconds = np.array(rows).T
        print(
            f"| {name} | {prior} | {score.mean():.4f} | {score.min():.4f} | {roles.mean():.3f} "
            f"| {certified} of {seeds} | {wrong} | {np.median(seconds):.1f} |",
            flush=True,
        )


def alike(seeds: int) -> None:
    options = {"mixing": "orthogonal", "spurious_std": 1.0, "standardize": False, "observation_noise": 0.0}
    settings = [
        (f"{causal} causal, n = {n}", {**options, "n_causal": causal, "n_samples": n}, prior)
        for causal in (2, 4, 6, 8)
        for n in (100, 1000)
        for prior in (("exact", "factorized") if causal == 4 else ("exact",))
    ]
    table("Spurious latents vary like causal ones (q = v = 1), roles unknown", settings, seeds)


def low_noise(seeds: int) -> None:
    options = {"mixing": "orthogonal", "target_noise": (0.05, 0.1), "n_causal": 8, "n_samples": 1000}
    settings = [
        ("8 causal, n = 1000", {**options, "observation_noise": 0.0}, prior) for prior in ("exact", "factorized")
    ]
    table("Target noise 0.05 to 0.1", settings, seeds)


def ill_conditioned(seeds: int) -> None:
    print("\n## Ill-conditioned mixing, noise 0.01 not given\n")
    print("| D, condition | MCC mean | true posterior mean | true unmixing | mean gap | worst gap | noise | s |")
    print("|---|---|---|---|---|---|---|---|")
    for D, causal, condition in ((20, 4, 100), (50, 8, 1500)):
        rows = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            U, V = (np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(2))
            A = (U * np.geomspace(10.0, 10.0 / condition, D)) @ V
            data = make_linear_tasks(n_latents=D, n_causal=causal, mixing=A, random_state=seed)
            model, score, _, seconds = fit(data, "factorized")
            prior = np.cov(data.Z.T)
            total = A @ prior @ A.T + 1e-4 * np.eye(D)
            oracle = mcc_score(data.H @ np.linalg.solve(total, A @ prior), data.Z)
            direct = mcc_score(data.H @ np.linalg.inv(A).T, data.Z)
            rows.append((score, oracle, direct, model.noise_std_, seconds))
        score, oracle, direct, noise, seconds = np.array(rows).T
        gap = oracle - score
        print(
            f"| {D}, {condition} | {score.mean():.4f} | {oracle.mean():.4f} | {direct.mean():.4f} | {gap.mean():.5f} "
            f"| {gap.max():.5f} | {noise.mean():.4f} | {np.median(seconds):.1f} |",
            flush=True,
        )


def few_rows(seeds: int) -> None:
    options = {"mixing": "orthogonal", "n_tasks": 1000, "n_samples": 12, "n_causal": 4, "observation_noise": 0.0}
    settings = [
        ("T = 1000, n = 12", options, "factorized"),
        ("T = 1000, n = 12, not standardised", {**options, "standardize": False}, "factorized"),
        ("T = 1000, n = 6", {**options, "n_samples": 6}, "factorized"),
    ]
    table("Fewer rows than one would like", settings, seeds)


def few_tasks(seeds: int) -> None:
    options = {"mixing": "orthogonal", "n_samples": 2000, "observation_noise": 0.0}
    settings = [
        (f"T = {T}, n = 2000, {causal} causal", {**options, "n_tasks": T, "n_causal": causal}, "factorized")
        for T in (8, 4)
        for causal in (2, 4)
    ]
    table("Few tasks", settings, seeds)


def large(seeds: int) -> None:
    options = {"mixing": "orthogonal", "n_tasks": 1000, "n_samples": 500, "n_latents": 100, "n_causal": 20}
    table("Large", [("D = 100, T = 1000, n = 500, 20 causal", options, "factorized")], min(seeds, 2))


PARTS = {
    "alike": alike,
    "low-noise": low_noise,
    "ill-conditioned": ill_conditioned,
    "few-rows": few_rows,
    "few-tasks": few_tasks,
    "large": large,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        for part in options.parts or PARTS:
            PARTS[part](options.seeds)


if __name__ == "__main__":
    main()
