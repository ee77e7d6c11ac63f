"""transform and predict of a long table on the command line: peak memory above the import, and time.

python benchmarks/long_tables.py [--rows 10000000] [--regressor ridge]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

N_INPUTS, N_TARGETS, N_TRAINING = 10, 12, 3_000
# What a command needs before it has seen a row, and after.
MEASURE = """
import resource, sys, time
import identirep.cli.runs, identirep.cli.streaming, identirep.regressor, pyarrow.parquet, torch
from identirep.cli import app
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter()
try:
    app(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{after - before:.0f} {before:.0f} {time.perf_counter() - start:.1f}", file=sys.stderr)
"""


def write_table(path: Path, n_rows: int, targets: bool) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    mixing, heads = rng.normal(size=(3, N_INPUTS)), rng.laplace(size=(3, N_TARGETS))
    names = ["id", *(f"x{i}" for i in range(N_INPUTS)), *(f"y{t}" for t in range(N_TARGETS if targets else 0))]
    schema = pa.schema([(name, pa.int64() if name == "id" else pa.float32()) for name in names])
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, 1_000_000):
            n = min(1_000_000, n_rows - start)
            Z = rng.normal(size=(n, 3))
            columns = [np.arange(start, start + n), *(Z @ mixing).astype(np.float32).T]
            if targets:
                columns += [*(Z @ heads + 0.1 * rng.normal(size=(n, N_TARGETS))).astype(np.float32).T]
            writer.write_table(pa.table([np.ascontiguousarray(column) for column in columns], schema=schema))


def main(n_rows: int, regressor: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "training.parquet", N_TRAINING, targets=True)
        fit = ["fit", "training.parquet", "--targets", "y*", "--features", "x*", "--regressor", regressor, "-d", "3"]
        fit += ["--checks", "0", "--out", "run", "--quiet"]
        subprocess.run([sys.executable, "-c", MEASURE, *fit], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        print(
            "| command | rows | peak memory above the import, MB | the import, MB | s |\n|---|---|---|---|---|",
            flush=True,
        )
        for n in (n_rows // 10, n_rows):
            write_table(folder / "long.parquet", n, targets=False)
            for command, ending in (("transform", "parquet"), ("predict", "feather")):
                call = [command, "run", "long.parquet", "--out", f"out.{ending}", "--keep", "id", "--quiet"]
                run = subprocess.run(
                    [sys.executable, "-c", MEASURE, *call], cwd=folder, check=True, stderr=subprocess.PIPE, text=True
                )
                above, before, seconds = run.stderr.split()[-3:]
                print(f"| {command} | {n:,} | {above} | {before} | {seconds} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--regressor", choices=("ridge", "mtrn"), default="ridge")
    arguments = parser.parse_args()
    main(arguments.rows, arguments.regressor)
