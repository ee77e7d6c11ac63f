"""What may come of any input: success, or an error of ours that says what was got and expected."""

import json
import os
import re
import signal
import traceback
from contextlib import contextmanager

import hypothesis.strategies as st
import numpy as np
from typer.testing import CliRunner

from identirep.cli import app

# Seconds of the processor that a case may take: more is a hang. One that sleeps is ended with its whole test.
_LIMIT = 60
_DOCUMENTED = (ValueError, TypeError, OSError)
# The last one is asked for by scikit-learn's checks of estimators.
_FORM = re.compile(
    r"got .*expected|No such file|File exists|Is a directory|Not a directory|a minimum of \d+ is required", re.DOTALL
)


class HangError(BaseException):
    """A case that does not come to an end."""


def _fault(where, case, error):
    """Raise the fault of a case; in a long run write it down, so that one does not hide the others."""
    frames = list(traceback.walk_tb(error.__traceback__)) if error is not None else []
    ours = [frame for frame, _ in frames if "identirep" in str(frame.f_globals.get("__name__"))]
    at = f"{ours[-1].f_globals['__name__']}.{ours[-1].f_code.co_name}" if ours else ""
    if path := os.environ.get("FUZZ_FAULTS"):
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(json.dumps({"what": f"{at}: {where[:300]}", "at": f"{at} {type(error).__name__}", "case": case}))
            file.write("\n")
    else:
        raise AssertionError(f"{case}: {where}") from error


@contextmanager
def _limited():
    def stop(*_):
        raise HangError(f"no end after {_LIMIT} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, _LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _note(case):
    """Leave the case where it is found if it ends the process."""
    if path := os.environ.get("FUZZ_LAST"):
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(case)


def judge(call, case=""):
    """Call a function; return its result, or None if it refused in our words. Anything else is a fault."""
    _note(case)
    try:
        with _limited(), np.errstate(all="ignore"):
            return call()
    except _DOCUMENTED as error:
        frames = list(traceback.walk_tb(error.__traceback__))
        where = str(frames[-1][0].f_globals.get("__name__", ""))
        if not (where.startswith("identirep") or isinstance(error, OSError)):
            _fault(f"{where} says {type(error).__name__}: {error}", case, error)
        elif not _FORM.search(str(error)):
            _fault(f"no form of ours: {error}", case, error)
    except (Exception, HangError) as error:
        _fault(f"{type(error).__name__}: {error}", case, error)
    return None


def judge_command(*arguments, case=""):
    """Call the command line; return its result. Exit statuses are 0, 2 and 3, without a traceback."""
    words = [str(argument) for argument in arguments]
    case = f"{words} {case}"
    _note(case)
    with _limited():
        result = CliRunner().invoke(app, words)
    raised = result.exception
    if raised is not None and not isinstance(raised, SystemExit):
        _fault(f"{type(raised).__name__}: {raised}", case, raised)
    elif result.exit_code not in (0, 2, 3) or "Traceback" in result.output:
        _fault(f"status {result.exit_code}: {result.output[-1500:]}", case, None)
    elif result.exit_code == 2 and not re.search(r"^Error: .|Usage: ", result.stderr, re.MULTILINE):
        _fault(f"no words: {result.output}", case, None)
    return result


# Values that have been trouble somewhere.
NUMBERS = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 1.0, 1e-46, 1e-320, 1e300, -1e300, 2.0**53 + 1, -9999.0, np.nan, np.inf, -np.inf, 2461000.5]
    ),
    st.floats(-100, 100),
    st.floats(),
)


def damaged(draw, data):
    """Return bytes that are cut, with some changed, doubled or of something else."""
    kind = draw(st.sampled_from(["cut", "flip", "flip", "zero", "other", "double"]))
    if kind == "other":
        return draw(st.binary(max_size=200))
    if not data or kind == "double":
        return data + data
    at = draw(st.integers(0, len(data) - 1))
    if kind == "cut":
        return data[:at]
    length = draw(st.integers(1, 8))
    values = bytes(b ^ draw(st.integers(1, 255)) for b in data[at : at + length]) if kind == "flip" else b"\0" * length
    return data[:at] + values + data[at + length :]
