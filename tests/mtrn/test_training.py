"""Training keeps the weights that predict held-out rows best, and stops when they get no better."""

import numpy as np
import pytest
import torch
from torch import nn

from identirep.mtrn.training import TrainingOptions, make_fabric, train


class _Slope(nn.Module):
    """One weight, which training pulls to 2."""

    tasks_in_every_batch = True
    is_binary = None

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))

    def forward(self, x, y):
        return self.residual_squares(x, y)[0].mean(dim=1)

    def residual_squares(self, x, y):
        return ((y - x * self.weight) ** 2).sum(dim=0, keepdim=True), torch.tensor([len(x)])


class _Batches:
    """Training rows of slope 2, and held-out rows of another slope: on its way the weight passes the best one."""

    def __init__(self, slope):
        self.slope = slope

    def __len__(self):
        return 1

    def epoch(self, generator, rank=0, world_size=1):
        x = torch.linspace(-1, 1, 20)[:, None]
        yield x, 2.0 * x

    def validation(self):
        x = torch.linspace(-1, 1, 10)[:, None]
        yield x, self.slope * x


def _train(slope, patience=None, max_epochs=60):
    objective, options = _Slope(), TrainingOptions(max_epochs, 0.1, 0.0, patience, False)
    history = train(objective, _Batches(slope), options, make_fabric("cpu", "32-true"), torch.Generator())
    return objective, np.array([entry["validation_loss"] for entry in history])


@pytest.mark.parametrize("patience", [None, 5])
@pytest.mark.parametrize("slope", [0.5, 1.0, 1.5])
def test_weights_with_the_best_validation_loss_are_put_back(slope, patience):
    objective, losses = _train(slope, patience)
    assert losses.argmin() < len(losses) - 1
    (x, y), *_ = _Batches(slope).validation()
    rss, count = objective.residual_squares(x, y)
    assert 0.5 * np.log(rss.item() / count.item()) == pytest.approx(losses.min(), abs=1e-5)


def test_stops_after_patience_epochs_without_a_better_loss():
    _, losses = _train(1.0, patience=5)
    assert len(losses) == losses.argmin() + 6 < 60


def test_trains_to_the_end_while_the_loss_falls():
    objective, losses = _train(3.0, patience=5, max_epochs=30)
    assert len(losses) == 30
    assert losses.argmin() == 29
    assert objective.weight.item() > 1.0
