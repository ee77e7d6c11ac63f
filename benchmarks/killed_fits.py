"""Fits that are killed at random moments, and go on: is the result the same, and is anything left beside it?

    python benchmarks/killed_fits.py [--kills 50] [--terms 20]

Each fit replaces a run that is there. After each signal that run has to be whole, the same command with --resume has
to give the bits of a fit that was never cut off, and then nothing else may lie beside the run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from identirep import IdentifiableRegressor, checkpoints
from identirep.cli import app

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
for name, default in (("kills", 50), ("terms", 20)):
    parser.add_argument(f"--{name}", type=int, default=default)


def started(folder: Path, *arguments: object) -> int:
    """Run the command line in a process of its own, in which everything is imported; return its number."""
    if number := os.fork():
        return number
    output = os.open(folder.parent / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        app([str(argument) for argument in arguments])
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(1)


def status(number: int) -> int:
    """Wait for a process; return its exit status, negative if a signal has ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def main() -> None:
    options = parser.parse_args()
    moments, rng = random.Random(0), np.random.default_rng(0)
    # Kept and written whenever that is possible, to be hit while writing.
    checkpoints._PAUSE = checkpoints._WRITE_PAUSE = 0.0
    checkpoints._SHARE = 1e9
    X = rng.normal(size=(200, 4))
    Y = X[:, :2] @ rng.laplace(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    table = {f"x{i}": X[:, i] for i in range(4)} | {f"y{t}": Y[:, t] for t in range(6)}
    with tempfile.TemporaryDirectory() as outer:
        data = Path(outer) / "data.csv"
        csv.write_csv(pa.table(table), data)
        (folder := Path(outer) / "runs").mkdir()
        run = folder / "run"
        command = ("fit", data, "--targets", "y*", "-d", 2, "--epochs", 12, "--replicates", 1, "--out", run)
        # Imported here, once, so that the fits take most of the time of their processes.
        with contextlib.redirect_stdout(None), contextlib.suppress(SystemExit):
            app([str(argument) for argument in command])
        lengths = []
        for _ in range(3):
            start = time.perf_counter()
            assert status(started(folder, *command)) == 0
            lengths.append(time.perf_counter() - start)
        length = float(np.median(lengths))
        expected = (run / "model.safetensors").read_bytes()
        print(f"A fit takes {length:.1f} s.")
        print("| signal | times | ended before it | damaged runs | kept work | other results | strays after the next |")
        print("|---|---|---|---|---|---|---|")
        for number, times in ((signal.SIGKILL, options.kills), (signal.SIGTERM, options.terms)):
            done, damaged, kept, other, strays = 0, 0, 0, 0, 0
            for _ in range(times):
                process = started(folder, *command)
                time.sleep(length * moments.random())
                os.kill(process, number)
                ended = status(process)
                done += ended == 0
                assert ended in (0, -number, 128 + number), ended
                IdentifiableRegressor.load(run)
                damaged += (run / "model.safetensors").read_bytes() != expected
                kept += any((place / "1-0001.json").exists() for place in folder.iterdir())
                assert status(started(folder, *command, "--resume")) == 0
                other += (run / "model.safetensors").read_bytes() != expected
                strays += len(list(folder.iterdir())) - 1
            print(f"| {number.name} | {times} | {done} | {damaged} | {kept} | {other} | {strays} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
