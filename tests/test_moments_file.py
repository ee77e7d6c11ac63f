"""Moments in files come back bit for bit, or it is said what is wrong with the file."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from identirep import TaskMoments


@pytest.fixture
def path(tmp_path):
    H, Y = np.random.default_rng(0).normal(size=(2, 20, 3))
    TaskMoments.from_arrays(H, Y, task_names=["a", "b", "c"]).save(tmp_path / "moments")
    return tmp_path / "moments"


def _changed(path, meta=None, **arrays):
    meta = {"task_names": ["a", "b", "c"], "n_rows": 20} if meta is None else meta
    metadata = {"format": "identirep.TaskMoments/1", "meta": json.dumps(meta)}
    save_file({**load_file(path), **arrays}, path, metadata=metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "no task moments"),
        (lambda path: path.write_bytes(b"x"), "no task moments"),
        (lambda path: _changed(path, mean_y=np.zeros(4)), r"an array 'mean_y' of shape \(4,\) in the place of one of"),
        (lambda path: _changed(path, group=np.array([0, 1, 9])), "in no group of rows"),
        (lambda path: _changed(path, meta={"task_names": ["a", "a", "b"], "n_rows": 20}), "not told apart"),
        (lambda path: _changed(path, meta={"n_rows": 20}), "task_names"),
        (lambda path: _changed(path, meta=[]), "no task moments"),
    ],
)
def test_damaged_files(path, change, message):
    change(path)
    with pytest.raises(ValueError, match=rf"moments' is damaged: got .*{message}"):
        TaskMoments.load(path)


def test_files_of_others_are_named(path):
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="does not hold task moments"):
        TaskMoments.load(path)
