"""Networks trained on rows from disk: peak memory above the import, processor time and time, for rows of 50 columns.

python benchmarks/rows_on_disk.py [--rows 1000000] [--epochs 2] [--batch-size 1024] [--checks 2] [--replicates 4]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from _timing import set_threads

set_threads(1)

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import sklearn.ensemble  # noqa: E402, F401

import identirep.mtrn.network_fit  # noqa: E402, F401
from identirep import MTRN, IdentifiableRegressor  # noqa: E402
from identirep.engines import rows_on_disk  # noqa: E402

_INPUTS, _TARGETS, _LATENTS, _PART = 30, 20, 5, 100_000


def parts(n_rows: int) -> Iterator[pa.Table]:
    rng = np.random.default_rng(0)
    mixing, heads = rng.normal(size=(_INPUTS, _LATENTS)) / 4.0, rng.laplace(size=(_LATENTS, _TARGETS))
    names = [*(f"x{j}" for j in range(_INPUTS)), *(f"y{t}" for t in range(_TARGETS))]
    for start in range(0, n_rows, _PART):
        X = rng.normal(size=(min(_PART, n_rows - start), _INPUTS))
        Y = np.tanh(X @ mixing) @ heads + 0.3 * rng.normal(size=(len(X), _TARGETS))
        yield pa.table(dict(zip(names, np.column_stack([X, Y]).T, strict=True)))


def peak() -> float:
    """Return the largest resident memory since the last look, in MB."""
    status = Path("/proc/self/status").read_text()
    found = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    Path("/proc/self/clear_refs").write_text("5")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("rows", 1_000_000), ("epochs", 2), ("batch-size", 1024), ("checks", 2), ("replicates", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--scratch", default=None, help="directory with room for 12 bytes for each number")
    given = parser.parse_args()
    stage = MTRN(max_epochs=given.epochs, batch_size=given.batch_size, n_replicates=given.replicates, random_state=0)
    model = IdentifiableRegressor(_LATENTS, regressor=stage, n_checks=given.checks, random_state=0)
    print("| rows | step | peak above the import, MB | processor, s | time, s |")
    print("|---|---|---|---|---|")
    before, start, used = peak(), time.perf_counter(), time.process_time()

    def tell(step: str) -> None:
        nonlocal start, used
        numbers = f"{peak() - before:.0f} | {time.process_time() - used:.0f} | {time.perf_counter() - start:.0f}"
        print(f"| {given.rows:,} | {step} | {numbers} |", flush=True)
        start, used = time.perf_counter(), time.process_time()

    with (
        tempfile.TemporaryDirectory(dir=given.scratch) as folder,
        rows_on_disk(parts(given.rows), "y*", scratch=folder) as rows,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        tell("rows made and written")
        model.fit(rows.X, rows.y)
        tell(f"fit, {given.checks} checks")
    print(f"\n{', '.join(model.certificate_.verdict)}")


if __name__ == "__main__":
    main()
