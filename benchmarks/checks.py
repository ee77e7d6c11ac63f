"""What the checks of a fit cost: `IdentifiableRegressor.fit` with them against the same fit without.

    python benchmarks/checks.py [--threads 1] [--repeats 3] [--only ridge]

Superconductors with fractions of elements as inputs, 81 targets; and nonlinear tasks with rows of their own. The ratio
is the median over repeats of fits made in turn.
"""

from __future__ import annotations

import argparse
import time

from _timing import set_threads

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--repeats", type=int, default=3)
parser.add_argument("--only", default="", help="settings whose name has this in it")
options = parser.parse_args()
set_threads(options.threads)

import warnings  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.ensemble import ExtraTreesRegressor  # noqa: E402
from sklearn.linear_model import RidgeCV  # noqa: E402

from identirep import MTRN, IdentifiableRegressor, PredictiveFeatures  # noqa: E402
from identirep.datasets import load_superconductivity, make_nonlinear_tasks  # noqa: E402


def main() -> None:
    data = load_superconductivity(fractions=True)
    order = np.random.default_rng(0).permutation(len(data.X))
    wide = {n: (data.X[order[:n]], data.Y[order[:n]], None, data.groups[order[:n]]) for n in (1000, 4000)}
    tasks = make_nonlinear_tasks(n_tasks=120, n_samples=100, n_latents=3, n_observed=20, n_causal=1, random_state=0)
    trees = PredictiveFeatures(ExtraTreesRegressor(60, min_samples_leaf=2))
    settings = [
        ("network, 1,000 rows", MTRN(device="cpu"), 3, wide[1000]),
        ("network, 4,000 rows", MTRN(device="cpu"), 3, wide[4000]),
        ("extra trees, 1,000 rows", trees, 3, wide[1000]),
        ("ridge, 1,000 rows", "ridge", 8, wide[1000]),
        ("ridge, 4,000 rows", PredictiveFeatures(RidgeCV(np.logspace(-3, 3, 13))), 3, wide[4000]),
        ("network, 120 tasks of 100 rows", MTRN(device="cpu"), 3, (tasks.X, tasks.y, tasks.tasks, None)),
    ]
    print("| fit | D | without, s | with, s | ratio |")
    print("|---|---|---|---|---|")
    for name, stage, D, (X, y, labels, groups) in settings:
        if options.only not in name:
            continue
        seconds = []
        for seed in range(options.repeats):
            row = []
            for n_checks in (0, 2):
                model = IdentifiableRegressor(D, regressor=stage, n_checks=n_checks, random_state=seed)
                start = time.process_time()
                model.fit(X, y, labels, groups=groups)
                row.append(time.process_time() - start)
            seconds.append(row)
        without, with_checks = np.median(seconds, axis=0)
        ratio = np.median([b / a for a, b in seconds])
        print(f"| {name} | {D} | {without:.2f} | {with_checks:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
