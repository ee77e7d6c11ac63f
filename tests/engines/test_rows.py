"""Fits to rows on disk are the fits to the same rows in memory, and leave nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from identirep import MTRN, IdentifiableRegressor, checkpoints, mapped_rows, validation
from identirep.datasets import make_linear_tasks
from identirep.engines import rows_on_disk
from identirep.mapped_rows import MappedFile, RowWriter
from identirep.mtrn import mapped_fit, sides, training

# What needs a warning of its own is tested elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _wide(n=400):
    """Rows with gaps, a gross error, repeated inputs, a target without labels and a weight of zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    X[-20:] = X[:20]
    Y = np.tanh(X @ rng.normal(size=(4, 2))) @ rng.laplace(size=(2, 6)) + 0.1 * rng.normal(size=(n, 6))
    Y[rng.random(Y.shape) < 0.1] = np.nan
    Y[3, 2], Y[1:, 5] = 1e5, np.nan
    weights = rng.uniform(0.5, 2.0, size=n)
    weights[7] = 0.0
    return X, Y, None, weights


def _long():
    data = make_linear_tasks(n_tasks=12, n_latents=2, n_samples=30, random_state=0)
    rows, rng = np.random.default_rng(1).permutation(len(data.y)), np.random.default_rng(2)
    return data.H[rows], data.y[rows], data.tasks[rows], rng.uniform(0.5, 2.0, size=len(rows))


def _table(X, y, tasks, weights):
    columns = {f"x{j}": X[:, j] for j in range(X.shape[1])} | {"w": weights}
    if tasks is not None:
        return pa.table({**columns, "y": y, "task": [str(task) for task in tasks]})
    return pa.table({**columns, **{f"y{t}": y[:, t] for t in range(y.shape[1])}})


def _on_disk(data, folder, *, weights="w", table=None):
    """Open the rows of data."""
    options = {"targets": "y*", "drop": "w"} if data[2] is None else {"targets": "y", "tasks": "task", "drop": "w"}
    options |= {"weights": "w", "drop": None} if weights else {}
    return rows_on_disk(_table(*data) if table is None else table, **options, scratch=folder)


def _network(**options):
    return MTRN(hidden_sizes=(8,), n_replicates=2, **{"max_epochs": 2, "random_state": 0, **options})


def _model(n_checks=2):
    return IdentifiableRegressor(2, regressor=_network(), n_checks=n_checks, random_state=0)


def _assert_alike(model, other, tol):
    """All that a fitted model says, stages and checks."""
    pairs = [(model.regressor_, other.regressor_), (model.causal_model_, other.causal_model_), (model, other)]
    for first, second in pairs:
        own, others = first._to_arrays()[0], second._to_arrays()[0]
        assert own.keys() == others.keys()
        for name, values in own.items():
            np.testing.assert_allclose(others[name], values, rtol=tol, atol=tol, err_msg=name)
    assert list(model.certificate_.verdict) == list(other.certificate_.verdict)


@pytest.mark.parametrize(
    ("data", "weights"),
    [
        (_wide, "w"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((_wide, None), (_long, None), (_long, "w"))),
    ],
)
def test_fit_is_that_in_memory(data, weights, tmp_path):
    X, y, tasks, w = data()
    in_memory = _model().fit(X, y, tasks, sample_weight=None if weights is None else w)
    with _on_disk(data(), tmp_path, weights=weights) as rows:
        on_disk = _model().fit(rows.X, rows.y, rows.tasks, sample_weight=rows.sample_weight)
    _assert_alike(in_memory, on_disk, 1e-10)
    assert len(on_disk.left_out_tasks_) == (tasks is None)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("data", [_wide, _long])
def test_small_blocks_change_rounding_alone(data, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped_rows, "_BLOCK_ROWS", 37)
    X, y, tasks, _ = data()
    in_memory = _model().fit(X, y, tasks)
    with _on_disk(data(), tmp_path, weights=None) as rows:
        _assert_alike(in_memory, _model().fit(rows.X, rows.y, rows.tasks), 1e-10)


@pytest.mark.slow
def test_looks_at_some_rows_find_the_same_axes(tmp_path, monkeypatch):
    X, Y, _, _ = _wide(1500)
    network = _network(max_epochs=60, n_components=2)
    in_memory = network.fit(X, Y).transform(X)
    for module, name, most in ((validation, "_MOST_ROWS", 256), (sides, "_MOST_HELD_OUT", 128)):
        monkeypatch.setattr(module, name, most)
    monkeypatch.setattr(mapped_fit, "_RUNS", 2)
    monkeypatch.setattr(mapped_rows, "_RUN", 16)
    monkeypatch.setattr(mapped_fit, "_RUN", 16)
    with _on_disk((X, Y, None, np.ones(len(X))), tmp_path, weights=None) as rows:
        on_disk = network.fit(rows.X, rows.y).transform(X)
    assert not np.array_equal(in_memory, on_disk)
    left = in_memory - on_disk @ np.linalg.lstsq(on_disk, in_memory, rcond=None)[0]
    assert 1.0 - left.var() / in_memory.var() > 0.9


def test_batches_are_runs_mixed_with_others(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped_fit, "_RUN", 10)
    monkeypatch.setattr(mapped_fit, "_RUNS", 3)
    n = 200
    with RowWriter(tmp_path / "rows.arrow", {"x": (1, np.float32), "y": (1, np.float32)}) as writer:
        labels = np.where(np.arange(n)[:, None] == 5, np.nan, 1.0)
        writer.write(x=np.arange(n)[:, None], y=labels)
    file = MappedFile(tmp_path / "rows.arrow")
    held_out = np.arange(n) % 8 == 0
    x, y = (mapped_fit.MappedTensor(file.rows(name)) for name in "xy")
    batches = mapped_fit.MappedWideBatches(x, y, held_out, 30)
    import torch

    generator = torch.Generator().manual_seed(0)
    first, second = (np.concatenate([b[0][:, 0] for b in batches.epoch(generator)]) for _ in range(2))
    expected = np.flatnonzero(~held_out & (np.arange(n) != 5))
    for order in (first, second):
        assert np.array_equal(np.sort(order), expected)
        # Of three runs of ten rows, wherever these lie, and in no order.
        place = np.searchsorted(expected, order[:30])
        assert len(np.unique(place // 10)) == 3
        assert not np.array_equal(np.sort(place), place)
    assert not np.array_equal(first, second)


@pytest.mark.slow
def test_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    epochs = []
    original = training._run_epoch

    def counted(*args):
        epochs.append(1)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return original(*args)

    whole = _model(0).set_params(regressor=_network(max_epochs=5)).fit(*_long()[:3])
    monkeypatch.setattr(training, "_run_epoch", counted)
    for name, value in (("_PAUSE", 0.0), ("_WRITE_PAUSE", 0.0), ("_SHARE", 1e9)):
        monkeypatch.setattr(checkpoints, name, value)

    def run():
        model = _model(0).set_params(regressor=_network(max_epochs=5))
        with _on_disk(_long(), tmp_path, weights=None) as rows:
            return model.fit(rows.X, rows.y, rows.tasks, checkpoint=tmp_path / "kept")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    _assert_alike(whole, run(), 1e-10)
    assert len(epochs) == 3 + 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regressor": "ridge"}, "regressor='ridge' as well, which needs all rows in memory"),
        ({"regressor": "auto"}, "regressor='auto' as well"),
        ({"n_refinements": 1}, "n_refinements=1 as well"),
    ],
)
def test_what_needs_all_rows_is_refused(options, message, tmp_path):
    model = IdentifiableRegressor(random_state=0).set_params(**options)
    with _on_disk(_long(), tmp_path) as rows, pytest.raises(ValueError, match=message):
        model.fit(rows.X, rows.y, rows.tasks)


def test_targets_of_levels_are_refused_unless_they_are_to_be_numbers(tmp_path):
    X, Y, _, w = _wide()
    Y[:, 1] = np.where(Y[:, 1] > 0, 1.0, 0.0)
    with _on_disk((X, Y, None, w), tmp_path) as rows:
        with pytest.raises(ValueError, match="got 'y1', which looks binary, expected continuous"):
            _network().fit(rows.X, rows.y)
        assert _network(target_type="continuous").fit(rows.X, rows.y).n_components_


def test_parts_that_do_not_go_together_are_named_and_leave_nothing(tmp_path):
    X, Y, _, w = _wide()
    table, scratch = _table(X, Y, None, w), tmp_path / "scratch"
    scratch.mkdir()
    for i, part in enumerate((table.slice(0, 100), table.slice(100, 0), table.slice(100))):
        parquet.write_table(part, tmp_path / f"part-{i}.parquet")
    with rows_on_disk(tmp_path, "y*", weights="w", scratch=scratch) as rows:
        assert rows.X.shape == (400, 4)
        assert np.array_equal(np.asarray(rows.y), Y, equal_nan=True)
    gap = pa.table({name: ([None] if name == "x1" else [1.0]) for name in table.column_names})
    text = pa.table({name: (["a"] if name == "x1" else [1.0]) for name in table.column_names})
    for bad, message in (
        (table.drop_columns(["x2"]), "part-3.parquet has other columns than .*part-0.parquet: got none named 'x2'"),
        (text, "part-3.parquet: column 'x1' is not numeric: got 'a' first at row 1"),
        (gap, "part-3.parquet: column 'x1' has no value"),
    ):
        parquet.write_table(bad, tmp_path / "part-3.parquet")
        with pytest.raises(ValueError, match=message), rows_on_disk(tmp_path, "y*", weights="w", scratch=scratch):
            raise AssertionError
    with pytest.raises(ValueError, match="the table is empty"), rows_on_disk([], "y*", scratch=scratch):
        raise AssertionError
    with pytest.raises(FileNotFoundError, match="scratch is no directory"), _on_disk(_wide(), tmp_path / "none"):
        raise AssertionError
    assert not list(scratch.iterdir())


def test_a_full_disk_is_told_before_the_fit(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
        with (
            pytest.raises(OSError, match="scratch has too little room: got 0"),
            _on_disk(_wide(), tmp_path),
        ):
            raise AssertionError

    def full(self):
        raise OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device")

    monkeypatch.setattr(RowWriter, "_flush", full)
    with pytest.raises(OSError, match="scratch has too little room: got a full disk"), _on_disk(_wide(), tmp_path):
        raise AssertionError
    assert not list(tmp_path.iterdir())


_KILLED = """
import os, signal, sys
import numpy as np, pyarrow as pa
from identirep.engines import rows_on_disk
rng = np.random.default_rng(0)
with rows_on_disk(pa.table({name: rng.normal(size=50) for name in ("x0", "y0")}), "y*", scratch=sys.argv[1]):
    assert len(os.listdir(sys.argv[1])) == 1
    os.kill(os.getpid(), int(sys.argv[2]))
"""


@pytest.mark.slow
def test_killed_processes_leave_what_the_next_one_removes(tmp_path):
    for sent, n_left in ((signal.SIGTERM, 0), (signal.SIGKILL, 1)):
        found = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), str(int(sent))], check=False)
        assert found.returncode in (-sent, 128 + sent)
        assert len(os.listdir(tmp_path)) == n_left
    (tmp_path / "mine").mkdir()
    with _on_disk(_wide(), tmp_path):
        assert len(os.listdir(tmp_path)) == 2
    assert os.listdir(tmp_path) == ["mine"]


_MEASURED = """
import sys
import numpy as np, pyarrow as pa, torch, pyarrow.dataset, sklearn.ensemble
from identirep import MTRN, IdentifiableRegressor
from identirep.engines import rows_on_disk
import identirep.mtrn.network_fit
from identirep import validation
from identirep.mtrn import sides

# So many rows are looked at as a whole, and more of larger tables up to there.
validation._MOST_ROWS = sides._MOST_HELD_OUT = 2**13

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

n = int(sys.argv[2])
def parts():
    rng = np.random.default_rng(0)
    for start in range(0, n, 20_000):
        X = rng.normal(size=(20_000, 90))
        Y = np.tanh(X[:, :3]) @ np.random.default_rng(1).normal(size=(3, 10)) + 0.1 * rng.normal(size=(20_000, 10))
        names = [*(f"x{j}" for j in range(90)), *(f"y{t}" for t in range(10))]
        yield pa.table(dict(zip(names, np.column_stack([X, Y]).T)))

before = peak()
with rows_on_disk(parts(), "y*", scratch=sys.argv[1]) as rows:
    stage = MTRN(3, hidden_sizes=(8,), n_features=4, n_replicates=2, max_epochs=1, batch_size=2048, random_state=0)
    IdentifiableRegressor(3, regressor=stage, random_state=0).fit(rows.X, rows.y)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured as Linux tells it")
def test_memory_does_not_follow_the_table(tmp_path):
    def megabytes(n_rows):
        command = [sys.executable, "-c", _MEASURED, str(tmp_path), str(n_rows)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)

    few, many = megabytes(100_000), megabytes(300_000)
    # These 200,000 rows more are 160 MB as they are read; what numbers rows takes a few bytes each.
    assert many - few < 40, (few, many)
