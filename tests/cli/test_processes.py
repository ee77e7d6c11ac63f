"""fit under torchrun: several processes, one run, and a process that is killed costs nothing but time."""

import os
import subprocess
import sys

import numpy as np
import pytest
from pyarrow import csv

from identirep import IdentifiableRegressor
from identirep.cli import console

# Calls the command line; the second process kills itself in the third epoch if it is told to.
_COMMAND = """
import os, signal, sys
from identirep import checkpoints
from identirep.cli import main
from identirep.mtrn import training

checkpoints._PAUSE, checkpoints._WRITE_PAUSE, checkpoints._SHARE = 0.0, 0.0, 1e9
original, epochs = training._run_epoch, []

def counted(*args):
    epochs.append(1)
    if len(epochs) == 3 and os.environ.get("KILLED", "none") == os.environ.get("RANK"):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)

training._run_epoch = counted
sys.argv[0] = "identirep"
sys.exit(main())
"""


@pytest.fixture
def call(tmp_path, folder):
    """Call fit in so many processes."""
    script = tmp_path / "command.py"
    script.write_text(_COMMAND)

    def run(n_processes, out, *options, killed=None):
        launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(n_processes)] if n_processes > 1 else []
        fit = ["fit", folder / "wide.csv", "--targets", "y_*", "--features", "x*", "--engine", "stream", "-d", 2]
        fit += ["--epochs", 5, "--replicates", 2, "--checks", 0, "--out", tmp_path / out, *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({} if killed is None else {"KILLED": str(killed)})
        command = [sys.executable, *launch, str(script), *map(str, fit)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)

    return run


@pytest.mark.slow
def test_two_processes_write_one_run_and_go_on_when_one_is_killed(call, folder, tmp_path):
    one, two = call(1, "one"), call(2, "two")
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    assert two.stdout.count("latents from 8 targets") == 1
    killed = call(2, "again", killed=1)
    assert killed.returncode
    words = " ".join(killed.stderr.split())
    assert "of this job has ended: got no answer from it" in words or "Terminated: the work is kept." in words
    assert "torchrun --nproc_per_node 2 --no-python identirep fit" in words
    assert not (tmp_path / "again").exists()
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".identirep-")]) == 1
    resumed = call(2, "again", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".identirep-")]
    X = csv.read_csv(folder / "wide.csv").select([f"x{j}" for j in range(5)])
    first, second, third = (IdentifiableRegressor.load(tmp_path / run).transform(X) for run in ("one", "two", "again"))
    np.testing.assert_allclose(second, first, atol=1e-3)
    assert np.array_equal(third, second)


def test_other_commands_are_for_one_process(invoke, folder, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    result = invoke("inspect", folder / "wide.csv")
    assert result.exit_code == 2
    assert "several processes share a fit: got 2 that torchrun has started for 'inspect'" in result.output.replace(
        "\n", " "
    )
    monkeypatch.setenv("RANK", "1")
    assert invoke("inspect", folder / "wide.csv").output == ""
    assert not console.OUTPUT.quiet
