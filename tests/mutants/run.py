"""Take features out one by one, in a copy of the sources, and see whether their tests notice: `make mutants`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it there
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """A feature, how it is taken out, and the tests of which one must then fail."""

    feature: str
    file: str
    old: str
    new: str
    tests: str


def read_mutant(path: Path) -> Mutant:
    """Read one file; it has all the fields and no others."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    expected = {field.name for field in fields(Mutant)}
    if set(found) != expected:
        raise ValueError(f"{path.name} has other fields: got {sorted(found)}, expected {sorted(expected)}.")
    return Mutant(**found)


def apply(mutant: Mutant, root: Path) -> str:
    """Return the text of the file without the feature; ValueError if what is taken out is not there exactly once."""
    text = (root / mutant.file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1 or mutant.old == mutant.new:
        raise ValueError(f"old occurs {text.count(mutant.old)} times in {mutant.file}: expected once, and another new.")
    return text.replace(mutant.old, mutant.new)


def run_tests(tests: str, source: Path, root: Path) -> int:
    """Run pytest with `source` before what is installed, and return its exit status."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *shlex.split(tests)]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, check=False).returncode


def judge(mutant: Mutant, root: Path) -> str:
    """Run the tests of one mutant: caught, SURVIVED, or what is wrong with it."""
    try:
        text = apply(mutant, root)
    except (OSError, ValueError) as error:
        return f"STALE ({error})"
    if _status_without_mutant(mutant.tests, root):
        return f"BROKEN (the tests fail, or none are found, with the feature in place: {mutant.tests})"
    with tempfile.TemporaryDirectory() as scratch:
        # Without caches: one of the same size and second would hide the change.
        shutil.copytree(root / "src", Path(scratch, "src"), ignore=shutil.ignore_patterns("__pycache__"))
        Path(scratch, mutant.file).write_text(text, encoding="utf-8")
        status = run_tests(mutant.tests, Path(scratch, "src"), root)
    if status > 1:
        return f"BROKEN (the tests do not start without the feature: pytest ends with status {status})"
    return "caught" if status else "SURVIVED"


@cache
def _status_without_mutant(tests: str, root: Path) -> int:
    return run_tests(tests, root / "src", root)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Judge the mutants of those names, or all, and return 0 if every one is caught."""
    paths = {path.stem: path for path in sorted((root / "tests" / "mutants").glob("*.toml"))}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(paths)}; default all")
    names = parser.parse_args(arguments).names or list(paths)
    if unknown := sorted(set(names) - set(paths)):
        parser.error(f"unknown: {', '.join(unknown)}")
    verdicts = []
    for name in names:
        mutant = read_mutant(paths[name])
        print(f"{name}: {mutant.feature} ... ", end="", flush=True)  # noqa: T201
        verdicts.append(judge(mutant, root))
        print(verdicts[-1])  # noqa: T201
    caught = verdicts.count("caught")
    print(f"{caught} of {len(verdicts)} caught")  # noqa: T201
    return int(caught < len(verdicts))


if __name__ == "__main__":
    sys.exit(main())
