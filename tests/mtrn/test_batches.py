"""An epoch shows each training row once."""

import numpy as np
import torch

from identirep.mtrn.batches import LongBatches, WideBatches
from identirep.mtrn.network import LongObjective
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
        torch.testing.assert_close(inputs[:, 0], targets[weight > 0])
        assert torch.equal(torch.isnan(targets), weight == 0)
        rows += inputs[:, 0].int().tolist()
        for row, real in zip(targets.int(), weight > 0, strict=True):
            assert len(set(index[row[real].numpy()])) == 1
    assert sorted(rows) == np.flatnonzero(~held_out).tolist()
    valid = [y[mask > 0] for _, y, _, mask in batches.validation()]
    assert sorted(torch.cat(valid).int().tolist()) == np.flatnonzero(held_out).tolist()


def test_a_task_of_very_many_rows_is_cut_anew_in_each_epoch_and_pads_no_other():
    index = np.repeat([0, *range(1, 41)], [20_000, *[10] * 40])
    held_out = split_rows(len(index), 0.1, np.random.default_rng(0), tasks=index)
    x = torch.arange(float(len(index)))[:, None]
    batches, generator = LongBatches(x, x[:, 0], index, held_out, 100), torch.Generator().manual_seed(0)
    epochs = [list(batches.epoch(generator)) for _ in range(2)]
    for epoch in epochs:
        rows = torch.cat([inputs[:, 0] for inputs, _, _ in epoch]).int().tolist()
        assert sorted(rows) == np.flatnonzero(~held_out).tolist()
        assert len(epoch) == len(batches)
        assert max(targets.shape[1] for _, targets, _ in epoch) <= 800
        assert max(len(inputs) for inputs, _, _ in epoch) <= 1600
    parts = [{frozenset(y[y < 20_000].int().tolist()) for _, y, _ in epoch} for epoch in epochs]
    assert len(parts[0] & parts[1]) <= 1
    assert sum(len(inputs) for inputs, *_ in batches.validation()) < 9000
    held = sum(float(mask.sum()) for *_, mask in batches.validation())
    assert held == 819 + 40


def test_padding_is_not_seen_by_the_encoder_and_changes_nothing():
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(4), [3, 8, 5, 8])
    x, y = torch.from_numpy(rng.normal(size=(24, 5))).float(), torch.from_numpy(rng.normal(size=24)).float()
    seen = []

    class Encoder(torch.nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return x[None, :, :2]

    objective = LongObjective(Encoder())
    ((inputs, targets, weight),) = LongBatches(x, y, index, np.zeros(24, dtype=bool), 1000).epoch(torch.Generator())
    assert targets.shape == (4, 8)
    together = objective(inputs, targets, weight)
    assert seen == [24]
    full = torch.nan_to_num(targets)
    padded = torch.zeros(4, 8, 5)
    padded[weight > 0] = inputs
    torch.testing.assert_close(objective(padded.flatten(0, 1), full, weight), together)
