"""An epoch shows each training row once."""

import numpy as np
import torch

from identirep.mtrn.batches import LongBatches, WideBatches
from identirep.splits import split_rows


def test_wide_epochs_show_each_training_row_once():
    held_out = split_rows(50, 0.2, np.random.default_rng(0))
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
    held_out = split_rows(80, 0.2, rng, tasks=index)
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
