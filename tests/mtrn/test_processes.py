"""Several processes that torchrun starts fit what one does at the same batches, up to rounding of float32."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

_FIT = """
import os, sys
import numpy as np
from identirep import MTRN
from identirep.datasets import make_linear_tasks

folder, layout, seed = sys.argv[1:4]
if layout == "long":
    data = make_linear_tasks(n_tasks=30, n_latents=3, n_samples=40, random_state=0)
    data = data.H, data.y, data.tasks
else:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6))
    Y = np.tanh(X @ rng.normal(size=(6, 3))) @ rng.laplace(size=(3, 10)) + 0.1 * rng.normal(size=(400, 10))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    data = X, Y, None
stage = MTRN(3, hidden_sizes=(16,), n_replicates=2, max_epochs=4, batch_size=64 if layout == "wide" else 256)
stage.set_params(random_state=None if seed == "none" else int(seed)).fit(*data)
losses = [[entry["train_loss"], entry["validation_loss"]] for entry in stage.history_]
name = f"{folder}/{layout}.{os.environ.get('WORLD_SIZE', '1')}.{os.environ.get('RANK', '0')}.npz"
np.savez(name, features=stage.transform(data[0]), losses=losses)
"""


def _run(path, *arguments, n_processes=1):
    path.write_text(_FIT)
    command = [sys.executable, str(path), *map(str, arguments)]
    if n_processes > 1:
        launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(n_processes)]
        command = [sys.executable, *launch, *command[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=250)


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_two_processes_fit_what_one_does(layout, tmp_path):
    for n in (1, 2):
        _run(tmp_path / "fit.py", tmp_path, layout, 0, n_processes=n)
    one, first, second = (np.load(tmp_path / f"{layout}.{name}.npz") for name in ("1.0", "2.0", "2.1"))
    for name in ("features", "losses"):
        assert np.array_equal(first[name], second[name])
    # Sums of float32 in another order, and what four epochs make of that.
    np.testing.assert_allclose(first["losses"], one["losses"], atol=1e-5)
    np.testing.assert_allclose(first["features"], one["features"], atol=1e-4)


def test_all_have_the_seed_of_the_first(tmp_path):
    _run(tmp_path / "fit.py", tmp_path, "wide", "none", n_processes=2)
    first, second = (np.load(tmp_path / f"wide.2.{rank}.npz")["features"] for rank in (0, 1))
    assert np.array_equal(first, second)
