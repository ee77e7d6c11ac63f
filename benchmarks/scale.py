"""Stage 2 at scale: time and memory of the fit, the roles and the certificate, with default arguments.

    python benchmarks/scale.py [--quick] [--threads 2]

The largest setting is D = 100 latents, T = 1000 tasks, n = 500 rows each, 20 causes: rows of 400 MB. Roles and
certificate are computed when first asked for; memory is the peak of the process above what the rows take.
"""

from __future__ import annotations

import argparse
import resource
import time

from _timing import set_threads

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="leave out the largest setting")
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
set_threads(options.threads)

import numpy as np  # noqa: E402

from identirep import MTLCM  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc_score  # noqa: E402

# Latents, causes, tasks, rows of a task.
SETTINGS = [(20, 4, 200, 100), (50, 8, 200, 100), (50, 10, 400, 300), (100, 20, 1000, 500)]


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    print("| D / causal | T | n | mixing | fit, s | roles, s | certificate, s | MCC | memory, MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n_latents, n_causal, n_tasks, n_samples in SETTINGS[:-1] if options.quick else SETTINGS:
        for mixing in ("orthogonal", "random"):
            data = make_linear_tasks(n_tasks, n_samples, n_latents, n_causal, mixing=mixing, random_state=0)
            H, y, tasks, Z = data.H, data.y, data.tasks, data.Z
            before, seconds = megabytes(), []
            start = time.perf_counter()
            model = MTLCM(random_state=0).fit(H, y, tasks=tasks)
            for name in ("fit_", "causal_probability_", "certificate_"):
                getattr(model, name)
                seconds.append(time.perf_counter() - start)
            memory = megabytes() - before
            fit, roles, certificate = np.diff(seconds, prepend=0.0)
            score = np.mean([mcc_score(H[part] @ model.components_.T, Z[part]) for part in _parts(len(H))])
            print(
                f"| {n_latents} / {n_causal} | {n_tasks} | {n_samples} | {mixing} | {fit:.2f} | {roles:.2f} "
                f"| {certificate:.2f} | {score:.5f} | {memory:.0f} |",
                flush=True,
            )
            del data, H, y, tasks, Z


def _parts(n_rows: int) -> list[slice]:
    """Parts of the rows that are compared one by one, to keep memory low."""
    return [slice(i, i + 100_000) for i in range(0, n_rows, 100_000)]


if __name__ == "__main__":
    main()
