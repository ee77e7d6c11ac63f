"""Steps follow one cycle, epochs leave a history, and a loss that is not finite is an error."""

import pytest
import torch

from identirep.training import Training


def _training(max_epochs=10, n_batches=4, **settings):
    weight = torch.nn.Parameter(torch.ones(2))
    return weight, Training(torch.optim.SGD([weight], lr=0.5), max_epochs, n_batches, **settings)


def _rates(training, weight):
    for _ in training.epochs():
        for _ in range(4):
            training.step((weight**2).sum() * 0.0)
        training.record({"loss": 1.0})
    return [entry["learning_rate"] for entry in training.history]


def test_learning_rate_rises_to_its_peak_and_falls():
    weight, training = _training(warm_up=0.2)
    rates = _rates(training, weight)
    assert max(rates) == pytest.approx(0.5, rel=0.02)
    assert rates.index(max(rates)) == 1
    assert rates[-1] < 0.01 < rates[0] < rates[1]


def test_learning_rate_is_constant_without_warm_up():
    weight, training = _training()
    assert _rates(training, weight) == [0.5] * 10


@pytest.mark.parametrize("warm_up", [0.1, 0.2, 0.3])
def test_a_single_step(warm_up):
    weight, training = _training(1, 1, warm_up=warm_up)
    training.step((weight**2).sum())
    assert torch.isfinite(weight).all()


def test_history_has_an_entry_for_each_network_of_each_epoch():
    _, training = _training(2)
    for _ in training.epochs():
        training.record({"replicate": 0, "loss": 1.0}, {"replicate": 1, "loss": 2.0})
    assert [(entry["epoch"], entry["replicate"], entry["loss"]) for entry in training.history] == [
        (0, 0, 1.0),
        (0, 1, 2.0),
        (1, 0, 1.0),
        (1, 1, 2.0),
    ]
    seconds = [entry["seconds"] for entry in training.history]
    assert 0.0 <= seconds[0] <= seconds[-1]


def test_gradients_are_clipped():
    weight, training = _training(1)
    training.step(1000.0 * weight.sum(), clip=1.0)
    assert (weight - 1.0).norm().item() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(loss):
    _, training = _training(advice=" or pray")
    with pytest.raises(RuntimeError, match=r"not finite in epoch 0.*Lower learning_rate \(now 0.5\) or pray"):
        training.record({"loss": 1.0}, {"loss": loss})
    assert training.history == []
