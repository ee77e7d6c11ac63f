"""`MTLCM.fit_moments`, noise estimated or none, against qndiag on the same covariances: processor time and MCC.

    python benchmarks/noisy_fit.py [--dimensions 10,20,50] [--repeats 5]

Data: the paper's linear ones (T = 200, n = 10 D), with orthogonal and with random mixing. Ours takes five starts and no
tasks for foreign, qndiag one start from whitened covariances. Minima over repeats: what else runs on the machine only
ever adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from _timing import set_threads

set_threads(1)

import numpy as np  # noqa: E402
from qndiag import qndiag  # noqa: E402

from identirep import MTLCM, TaskMoments  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc_score  # noqa: E402
from identirep.mtlcm import residual_covariances  # noqa: E402


def least_seconds(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    times, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return min(times), result


def whitened_qndiag(moments: TaskMoments) -> np.ndarray:
    R = residual_covariances(moments)
    values, vectors = np.linalg.eigh(R.mean(axis=0))
    W = vectors.T / np.sqrt(values)[:, None]
    return qndiag(W @ R @ W.T, B0=np.eye(len(W)))[0] @ W


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", default="10,20,50")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print("| D | mixing | qndiag, s | no noise / qndiag | noise estimated / qndiag | MCC | MCC of qndiag |")
    print("|---|---|---|---|---|---|---|")
    for D in map(int, options.dimensions.split(",")):
        for mixing in ("orthogonal", "random"):
            data = make_linear_tasks(
                n_samples=10 * D, n_latents=D, n_causal=max(2, D // 5), mixing=mixing, random_state=0
            )
            moments = TaskMoments.from_long(data.H, data.y, data.tasks)
            theirs, B = least_seconds(lambda: whitened_qndiag(moments), options.repeats)  # noqa: B023
            times, model = [], MTLCM()
            for noise_std in (0.0, "estimate"):
                model = MTLCM(noise_std=noise_std, robust=None, random_state=0)
                times.append(least_seconds(lambda: model.fit_moments(moments), options.repeats)[0])  # noqa: B023
            ours = mcc_score(model.transform(data.H), data.Z)
            print(
                f"| {D} | {mixing} | {theirs:.4f} | {times[0] / theirs:.1f} | {times[1] / theirs:.1f} "
                f"| {ours:.5f} | {mcc_score(data.H @ B.T, data.Z):.5f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
