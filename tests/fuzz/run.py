"""Run many cases of the fuzz tests, in parallel, and say how many there were and how long they took.

    python tests/fuzz/run.py [--cases 10000] [--processes N] [--seed S] [--only WORD]

Each test runs in pieces with seeds of their own, all tests once before any of them again, so that a run that is
stopped has tried them all. What a piece has found is told when it ends; at the end comes each fault once, with what
repeats it. Status 1 on faults.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Cases of one process: starting it takes seconds.
PIECE = 250
# A piece whose process does not come to an end.
LIMIT = 3600

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--cases", type=int, default=10_000)
parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--only", default="", help="tests whose name has this in it")


def tests() -> list[str]:
    """List the tests by what pytest calls them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(HERE)]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "::" in line]


def piece(test: str, cases: int, seed: int) -> tuple[str, int, float, list[dict[str, str]]]:
    """Run some cases of a test; return it, how many, the seconds, and the faults."""
    with tempfile.TemporaryDirectory() as folder:
        last, faults = Path(folder) / "last", Path(folder) / "faults"
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
        command += [f"--hypothesis-seed={seed}", "--timeout=0", f"--basetemp={folder}/tmp", test]
        own = {"FUZZ_CASES": str(cases), "FUZZ_LAST": str(last), "FUZZ_FAULTS": str(faults), "OMP_NUM_THREADS": "1"}
        start = time.perf_counter()
        try:
            ended = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, **own},
                capture_output=True,
                text=True,
                timeout=LIMIT,
                errors="replace",
            )
            status, output = ended.returncode, ended.stdout + ended.stderr
        except subprocess.TimeoutExpired:
            status, output = None, "no end"
        seconds = time.perf_counter() - start
        found = [json.loads(line) for line in faults.read_text().splitlines()] if faults.is_file() else []
        if status != 0:
            # Also of the last case, if the process has ended with it.
            what = "a hang" if status is None else f"status {status} of pytest"
            case = last.read_text(errors="replace") if last.is_file() else ""
            found.append({"what": f"{what}: {output[-4000:]}", "at": what, "case": case})
        return test, cases, seconds, found


def main() -> int:
    """Run all pieces; return 1 if there are faults."""
    options = parser.parse_args()
    chosen = [test for test in tests() if options.only in test]
    share = -(-options.cases // len(chosen))
    pieces = [
        (test, min(PIECE, share - done), options.seed + 1000 * i + done // PIECE)
        for done in range(0, share, PIECE)
        for i, test in enumerate(chosen)
    ]
    start = time.perf_counter()
    with ThreadPoolExecutor(options.processes) as pool:
        found = []
        for arguments, ended in zip(pieces, pool.map(lambda arguments: piece(*arguments), pieces), strict=True):
            test, number, took, wrong = ended
            sys.stderr.write(f"{test}: {number} cases, seed {arguments[2]}, {took:.0f} s, {len(wrong)} faults\n")
            sys.stderr.writelines(f"    {fault['what']}\n        {fault['case'][:1500]}\n" for fault in wrong)
            sys.stderr.flush()
            found.append(ended)
    cases, seconds = defaultdict(int), defaultdict(float)
    faults: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for test, number, took, wrong in found:
        name = re.sub(r"^.*?fuzz/", "", test)
        cases[name] += number
        seconds[name] += took
        for fault in wrong:
            faults[name][fault["at"]].append(fault)
    for name, places in faults.items():
        for same in places.values():
            shortest = min(same, key=lambda fault: len(fault["case"]))
            sys.stdout.write(f"{name}, {len(same)} times: {shortest['what']}\n    {shortest['case'][:1500]}\n\n")
    sys.stdout.write("| test | cases | places with faults | seconds |\n|---|---|---|---|\n")
    for name in cases:
        sys.stdout.write(f"| {name} | {cases[name]} | {len(faults[name])} | {seconds[name]:.0f} |\n")
    number = sum(len(places) for places in faults.values())
    sys.stdout.write(f"| all | {sum(cases.values())} | {number} | {time.perf_counter() - start:.0f} of the clock |\n")
    return int(number > 0)


if __name__ == "__main__":
    sys.exit(main())
