"""Moments against the bare matrix products in memory, and a stream from Parquet in bounded memory.

python benchmarks/moments.py [--values 100000000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from _timing import median_seconds, set_threads

set_threads(1)

import numpy as np  # noqa: E402

from identirep import TaskMoments  # noqa: E402


def in_memory() -> None:
    rng = np.random.default_rng(0)
    print("| rows x (features + tasks) | moments, s | H'[H Y] alone, s | throughput against the products |")
    print("|---|---|---|---|")
    for n, K, T in ((1_000_000, 20, 81), (1_000_000, 50, 12), (200_000, 100, 200)):
        H, Y = rng.normal(size=(n, K)), rng.normal(size=(n, T))
        ours = median_seconds(lambda: TaskMoments.from_arrays(H, Y))  # noqa: B023
        bare = median_seconds(lambda: (H.T @ H, H.T @ Y))  # noqa: B023
        print(f"| {n:,} x ({K} + {T}) | {ours:.3f} | {bare:.3f} | {bare / ours:.2f} |", flush=True)


def from_parquet(n_values: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    K, T = 20, 80
    n = n_values // (K + T)
    names = [f"x{i}" for i in range(K)] + [f"y{i}" for i in range(T)]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "data.parquet"
        with pq.ParquetWriter(path, pa.schema([(name, pa.float64()) for name in names])) as writer:
            for start in range(0, n, 20_000):
                block = rng.normal(size=(min(20_000, n - start), K + T))
                writer.write_table(pa.Table.from_arrays(list(block.T.copy()), names=names))

        def batches():
            for batch in pq.ParquetFile(path, pre_buffer=False).iter_batches(batch_size=20_000):
                block = np.column_stack([column.to_numpy() for column in batch.columns])
                yield block[:, :K], block[:, K:]

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        for _ in batches():
            pass
        decoding = time.perf_counter() - start
        start = time.perf_counter()
        TaskMoments.from_batches(batches())
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"\nParquet, {n_values:.0e} values: {seconds:.1f} s, decoding alone {decoding:.1f} s; peak memory "
            f"{after - before:.0f} MB above the {before:.0f} MB before"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--values", type=int, default=100_000_000)
    arguments = parser.parse_args()
    from_parquet(arguments.values)
    in_memory()
