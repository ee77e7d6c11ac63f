"""Stage two of very many tasks: processor and wall time, and memory, of the fit, the roles and the certificate.

    python benchmarks/many_tasks.py [--tasks 100000] [--rows 50] [--latents 20] [--causes 4] [--threads 2]

Default arguments of `MTLCM`. Processor time is summed over threads; memory is the peak of the process so far, the rows
and their true latents included. The budget for 100,000 tasks is two minutes by the clock on two cores that are idle.
"""

from __future__ import annotations

import argparse
import resource
import time

from _timing import set_threads

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--tasks", type=int, default=100_000)
parser.add_argument("--rows", type=int, default=50)
parser.add_argument("--latents", type=int, default=20)
parser.add_argument("--causes", type=int, default=4)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
set_threads(options.threads)

import numpy as np  # noqa: E402

from identirep import MTLCM  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc_score  # noqa: E402

# Rows that latents are compared on.
_COMPARED = 200_000


def main() -> None:
    data = make_linear_tasks(
        options.tasks, options.rows, options.latents, options.causes, mixing="random", random_state=0
    )
    model = MTLCM(random_state=0)
    steps = {
        "fit": lambda: model.fit(data.H, data.y, tasks=data.tasks),
        "roles": lambda: model.causal_probability_,
        "certificate": lambda: model.certificate_,
    }
    print(f"{options.tasks:,} tasks of {options.rows} rows, D = {options.latents}, {options.threads} threads\n")
    print("| step | processor, s | clock, s | peak of memory, MB |")
    print("|---|---|---|---|")
    totals = np.zeros(2)
    for name, step in steps.items():
        before = np.array([time.process_time(), time.perf_counter()])
        step()
        spent = np.array([time.process_time(), time.perf_counter()]) - before
        totals += spent
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {name} | {spent[0]:.1f} | {spent[1]:.1f} | {memory:,.0f} |", flush=True)
    print(f"| all | {totals[0]:.1f} | {totals[1]:.1f} | |")
    certificate = model.certificate_
    score = mcc_score(model.transform(data.H[:_COMPARED]), data.Z[:_COMPARED])
    lowest = np.nanmin(certificate.expected_mcc) if np.isfinite(certificate.expected_mcc).any() else float("nan")
    print(
        f"\nMCC {score:.6f}, lowest expected correlation {lowest:.6f}, lowest correlation on other rows "
        f"{certificate.comes_back.other_rows.min():.6f}, identified {certificate.verdict.count('identified')}"
    )


if __name__ == "__main__":
    main()
