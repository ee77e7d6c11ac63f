"""The scripts that kill fits and writers run, and count nothing damaged, nothing lost and nothing left."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def _rows(script, *options):
    command = [sys.executable, str(_BENCHMARKS / script), *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [re.split(r" *\| *", line.strip("| \n")) for line in output.splitlines() if line.startswith("| ")]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_fits_go_on_to_the_same_result_and_leave_nothing():
    _, *rows = _rows("killed_fits.py", "--kills", "8", "--terms", "4")
    assert [row[:2] for row in rows] == [["SIGKILL", "8"], ["SIGTERM", "4"]]
    for _, times, ended, damaged, kept, other, strays in rows:
        assert (damaged, other, strays) == ("0", "0", "0")
        assert int(ended) < int(times)
        assert int(kept) > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_and_concurrent_writers_damage_nothing_and_leave_nothing():
    _, *killed, crowd = _rows("killed_writers.py", "--kills", "8", "--terms", "4", "--rounds", "5")
    for _, _, damaged, _, after in killed:
        assert (damaged, after) == ("0", "0")
    assert crowd[0] == "5 savers, 3 readers, 0 failed"
    assert crowd[2:4] == ["0", "0"]
