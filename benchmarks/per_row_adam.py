"""The model fitted by Adam on sampled rows, as published, against MTLCM.fit on the same data.

    python benchmarks/per_row_adam.py [--target 0.999] [--epochs 1000]

Published settings: D = 10, 2 causal, T = 200, n = 100, random mixing, standardised; batches of 1,024 rows, up to 1,000
epochs, sigmoid indicators, fixed scales (causal 1, spurious 0.1, noise 0.01). That is `PerRowMTLCM`, our own,
faster implementation: the marginal p(h | y, t) of each row in a batch is a Gaussian with mean A (1 - c_t) gamma_t y
and covariance A diag(c_t + 0.01 (1 - c_t)) A' + 0.0001 I, which the rows of a task share; the published code
factorises it for each row.
"""

from __future__ import annotations

import argparse
import time
import warnings

from _timing import median_seconds, set_threads

set_threads(1)

import numpy as np  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402

from identirep import MTLCM  # noqa: E402
from identirep.baselines import PerRowMTLCM  # noqa: E402
from identirep.datasets import make_linear_tasks  # noqa: E402
from identirep.metrics import mcc_score  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=float, default=0.999)
    parser.add_argument("--epochs", type=int, default=1000)
    arguments = parser.parse_args()
    data = make_linear_tasks(random_state=3)
    ceiling = mcc_score(data.H @ np.linalg.inv(data.mixing).T, data.Z)
    seconds = median_seconds(lambda: MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks), 9)
    ours = mcc_score(MTLCM(random_state=0).fit(data.H, data.y, tasks=data.tasks).transform(data.H), data.Z)
    print(f"true unmixing: MCC {ceiling:.5f}\nMTLCM.fit: MCC {ours:.5f} in {seconds:.3f} s", flush=True)

    start = time.perf_counter()
    progress = {"elapsed": 0.0, "reached": False}

    def on_epoch(model: PerRowMTLCM, n_epochs: int) -> bool:
        if n_epochs % 20:
            return False
        found = mcc_score(model.transform(data.H), data.Z)
        progress.update(elapsed=time.perf_counter() - start, reached=found >= arguments.target)
        print(f"Adam, epoch {n_epochs}: MCC {found:.5f} after {progress['elapsed']:.0f} s", flush=True)
        return bool(progress["reached"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped at the target, as asked
        PerRowMTLCM(max_epochs=arguments.epochs, on_epoch=on_epoch, random_state=0).fit(data.H, data.y, data.tasks)
    elapsed, reached = progress["elapsed"], progress["reached"]
    outcome = "reached the target" if reached else "did not reach the target"
    print(f"Adam {outcome} ({arguments.target}) after {elapsed:.0f} s: {elapsed / seconds:,.0f} times MTLCM.fit")


if __name__ == "__main__":
    main()
