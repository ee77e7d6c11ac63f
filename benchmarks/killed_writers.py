"""Run directories under fire: writers killed at random moments, and many that save beside many that load.

    python benchmarks/killed_writers.py [--kills 50] [--terms 20] [--savers 5] [--readers 3] [--rounds 40]

After each kill the run must give the same latents, and after the next save nothing else may lie beside it.
"""

from __future__ import annotations

import argparse
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression

from identirep import IdentifiableRegressor

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
for name, default in (("kills", 50), ("terms", 20), ("savers", 5), ("readers", 3), ("rounds", 40)):
    parser.add_argument(f"--{name}", type=int, default=default)
options = parser.parse_args()

_WRITER = """
import pickle, sys
model = pickle.load(open(sys.argv[2], "rb"))
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    model.save(sys.argv[1])
"""
_READER = """
import sys
from identirep import IdentifiableRegressor
for _ in range(int(sys.argv[3])):
    IdentifiableRegressor.load(sys.argv[1])
"""


def main() -> None:
    rng, moments = np.random.default_rng(0), random.Random(0)
    X = rng.normal(size=(200, 4))
    Y = X[:, :2] @ rng.laplace(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    model = IdentifiableRegressor(2, regressor=LinearRegression(), n_checks=0, random_state=0).fit(X, Y)
    with tempfile.TemporaryDirectory() as outer:
        (folder := Path(outer) / "runs").mkdir()
        run, pickled = folder / "run", Path(outer) / "model.pickle"
        pickled.write_bytes(pickle.dumps(model))
        model.save(run)
        (run / "notes.txt").write_text("of somebody else")

        def start(program: str, rounds: int) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", program, str(run), str(pickled), str(rounds)]
            return subprocess.Popen(command, stdout=subprocess.PIPE)

        def is_whole() -> bool:
            same = np.array_equal(IdentifiableRegressor.load(run).transform(X), model.transform(X))
            return same and (run / "notes.txt").exists()

        print("| what | times | damaged runs | strays before the next save | after it |")
        print("|---|---|---|---|---|")
        for number, times in ((signal.SIGKILL, options.kills), (signal.SIGTERM, options.terms)):
            damaged, before, after = 0, 0, 0
            for _ in range(times):
                writer = start(_WRITER, 10**9)
                writer.stdout.readline()
                time.sleep(0.3 * moments.random())
                writer.send_signal(number)
                writer.wait()
                damaged += not is_whole()
                before += len(list(folder.iterdir())) - 1
                model.save(run)
                after += len(list(folder.iterdir())) - 1
            print(f"| {number.name} | {times} | {damaged} | {before} | {after} |")
        crowd = [start(_WRITER, options.rounds) for _ in range(options.savers)]
        crowd += [start(_READER, 2 * options.rounds) for _ in range(options.readers)]
        failed = sum(process.wait() != 0 for process in crowd)
        what = f"{options.savers} savers, {options.readers} readers"
        strays = len(list(folder.iterdir())) - 1
        print(f"| {what}, {failed} failed | {options.rounds} | {int(not is_whole())} | {strays} | |")


if __name__ == "__main__":
    main()
