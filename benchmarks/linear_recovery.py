"""Stage 2 on the paper's linear data: distance from what the true unmixing scores, and time.

    python benchmarks/linear_recovery.py [--seeds 10]

Setting: T = 200 tasks, n = 100 rows each, observation noise 0.01, spurious standard deviation 0.1.
"""

from __future__ import annotations

import argparse
import time

from _timing import set_threads

set_threads(1)

import numpy as np  # noqa: E402

from identirep import MTLCM  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc_score  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    print("| D / causal | mixing | standardised | MCC | true unmixing | mean gap | worst gap | fit, s |")
    print("|---|---|---|---|---|---|---|---|")
    for n_latents, n_causal in ((10, 2), (20, 4), (50, 8)):
        for mixing in ("identity", "orthogonal", "random"):
            for standardize in (True, False):
                rows = []
                for seed in range(seeds):
                    options = {"n_latents": n_latents, "n_causal": n_causal, "mixing": mixing}
                    data = make_linear_tasks(**options, standardize=standardize, random_state=seed)
                    start = time.perf_counter()
                    model = MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks)
                    seconds = time.perf_counter() - start
                    ceiling = mcc_score(data.H @ np.linalg.inv(data.mixing).T, data.Z)
                    rows.append((mcc_score(model.transform(data.H), data.Z), ceiling, seconds))
                found, ceiling, seconds = np.array(rows).T
                gap = ceiling - found
                print(
                    f"| {n_latents} / {n_causal} | {mixing} | {'yes' if standardize else 'no'} | {found.mean():.5f} "
                    f"| {ceiling.mean():.5f} | {gap.mean():.5f} | {gap.max():.5f} | {np.median(seconds):.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
