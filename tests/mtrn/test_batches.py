"""Splits keep groups whole and tasks represented; an epoch shows each training row once."""

import numpy as np
import pytest
import torch

from identirep.mtrn.batches import LongBatches, WideBatches, split_rows


def _split(n=200, fraction=0.2, **settings):
    return split_rows(n, fraction, **{"task_index": None, "groups": None, "rng": np.random.default_rng(0)} | settings)


@pytest.mark.parametrize("task_index", [None, np.arange(200) % 7])
def test_groups_stay_whole(task_index):
    groups = np.random.default_rng(1).integers(30, size=200)
    held_out = _split(groups=groups, task_index=task_index)
    shares = [held_out[groups == group].mean() for group in np.unique(groups)]
    assert set(shares) == {0.0, 1.0}
    assert 0.15 <= held_out.mean() <= 0.25


def test_each_task_holds_out_its_share():
    index = np.repeat([0, 1, 2], [100, 50, 10])
    np.testing.assert_array_equal(np.bincount(index, _split(160, task_index=index)), [20, 10, 2])


def test_wide_share():
    assert _split().sum() == 40
    assert _split(5, 0.01).sum() == 1


def test_wide_epochs_show_each_training_row_once():
    held_out = _split(50)
    y = torch.zeros(50, 2)
    y[3] = torch.nan
    batches = WideBatches(torch.arange(50.0)[:, None], y, held_out, 8)
    seen = torch.cat([x[:, 0] for x, _ in batches.epoch(torch.Generator())]).sort().values
    expected = [i for i in np.flatnonzero(~held_out) if i != 3]
    assert seen.tolist() == expected
    parts = [torch.cat([x[:, 0] for x, _ in batches.epoch(torch.Generator(), rank, 2)]) for rank in (0, 1)]
    assert torch.cat(parts).sort().values.tolist() == expected
    valid = torch.cat([x[:, 0] for x, _ in batches.validation()])
    assert valid.tolist() == [i for i in np.flatnonzero(held_out) if i != 3]


def test_long_epochs_show_each_training_row_once():
    rng = np.random.default_rng(0)
    index = rng.integers(6, size=80)
    held_out = _split(80, task_index=index)
    x = torch.arange(80.0)[:, None]
    batches = LongBatches(x, x[:, 0], index, held_out, 30)
    rows = []
    for inputs, targets, weight in batches.epoch(torch.Generator()):
        inside = weight.flatten() > 0
        torch.testing.assert_close(inputs[:, 0], targets.flatten())
        rows += inputs[inside, 0].int().tolist()
        for row, real in zip(targets.int(), weight > 0, strict=True):
            assert len(set(index[row[real].numpy()])) == 1
    assert sorted(rows) == np.flatnonzero(~held_out).tolist()
    valid = [x[mask.flatten() > 0, 0] for x, _, _, mask in batches.validation()]
    assert sorted(torch.cat(valid).int().tolist()) == np.flatnonzero(held_out).tolist()
