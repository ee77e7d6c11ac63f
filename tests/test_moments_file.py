"""Moments in files come back bit for bit, or it is said what is wrong with the file."""

import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from identirep import TaskMoments


@pytest.fixture
def path(tmp_path):
    H, Y = np.random.default_rng(0).normal(size=(2, 20, 3))
    TaskMoments.from_arrays(H, Y, task_names=["a", "b", "c"]).save(tmp_path / "moments")
    return tmp_path / "moments"


def _changed(path, meta=None, text=None, **arrays):
    meta = {"task_names": ["a", "b", "c"], "n_rows": 20} if meta is None else meta
    metadata = {"format": "identirep.TaskMoments/1", "meta": text or json.dumps(meta)}
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
        (lambda path: _changed(path, text='{"task_names'), "no task moments"),
        (lambda path: _changed(path, meta={"task_names": ["a", "b", {"date": "x"}], "n_rows": 20}), "no task moments"),
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


_LABELS = ["a", "\udc80", 1, 2.5, True, None, ("x", 1, date(2024, 1, 1)), b"\xff", Decimal("1.10"), time(1, 2)]
_LABELS += [date(2024, 2, 29), datetime(2024, 2, 29, 1, 2, 3, 4), datetime(2024, 1, 1, tzinfo=timezone.utc)]
_LABELS += [np.int64(7), np.float32(0.5), np.str_("b"), np.datetime64("2024-01-01"), pd.Timestamp("2024-05-05")]
_LABELS += [timedelta(days=-1, microseconds=3)]


@pytest.mark.parametrize("label", _LABELS, ids=repr)
def test_labels_come_back_as_they_were(tmp_path, label):
    H, Y = np.random.default_rng(0).normal(size=(2, 20, 2))
    moments = TaskMoments.from_arrays(H, Y, task_names=[label, "other"])
    moments.save(tmp_path / "moments")
    found = TaskMoments.load(tmp_path / "moments").task_names[0]
    assert found == label
    assert hash(found) == hash(label.item() if isinstance(label, np.generic) else label)
    arrays, meta = moments.to_arrays()
    document = json.dumps(meta, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert TaskMoments.from_parts(arrays, json.loads(document)).task_names[0] == label


@pytest.mark.parametrize("label", [float("nan"), frozenset("a"), 1j], ids=repr)
def test_labels_that_cannot_be_stored_are_named(tmp_path, label):
    H, Y = np.random.default_rng(0).normal(size=(2, 20, 2))
    with pytest.raises(ValueError, match=r"task_names cannot be stored: got .* of type (float|frozenset|complex)"):
        TaskMoments.from_arrays(H, Y, task_names=[label, "other"]).save(tmp_path / "moments")
    assert not list(tmp_path.iterdir())
