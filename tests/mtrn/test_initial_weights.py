"""Replicates of an own encoder start from weights of their own, or are refused."""

import numpy as np
import pytest
import torch
from torch import nn

from identirep import MTRN
from identirep.mtrn.encoders import restored_encoder


class Bare(nn.Module):
    """A weight that nobody draws anew, between layers that somebody does."""

    def __init__(self, n_hidden=8):
        super().__init__()
        self.first = nn.Linear(4, n_hidden)
        self.weight = nn.Parameter(torch.randn(n_hidden, 6))
        self.gain = nn.Parameter(torch.ones(6))

    def forward(self, x):
        return torch.relu(self.first(x)) @ self.weight * self.gain


class Reset(Bare):
    """The same, with what draws it."""

    def reset_parameters(self):
        nn.init.normal_(self.weight)


class Plain(Bare):
    """The same, of a class that is called without arguments: what is set afterwards stays, what is drawn does not."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.randn(6))


class Failing(Bare):
    """A class that cannot be called a second time."""

    made = 0

    def __init__(self):
        super().__init__()
        type(self).made += 1
        if type(self).made > 1:
            raise RuntimeError("one is enough")


def _failing():
    Failing.made = 0
    return Failing()


class Attention(nn.Module):
    """Inputs as a sequence of numbers."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)
        self.up = nn.Linear(1, 2)

    def forward(self, x):
        h = self.up(x[..., None])
        return self.attention(h, h, h)[0].flatten(1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    return X, X @ rng.normal(size=(4, 5)) + 0.1 * rng.normal(size=(80, 5))


def _fitted(data, encoder, n_replicates=2):
    settings = {"max_epochs": 1, "learning_rate": 1e-9, "weight_decay": 0.0, "random_state": 0}
    return MTRN(2, encoder=encoder, n_replicates=n_replicates, **settings).fit(*data)


@pytest.mark.parametrize("n_replicates", [1, 3])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Bare, "'weight', which neither reset_parameters"),
        (lambda: nn.Sequential(nn.Linear(4, 4), Bare()), "'1.weight', which neither reset_parameters"),
        (_failing, "'weight', which neither reset_parameters nor a class without arguments draws anew"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), "'parametrizations.weight.original1'"),
    ],
)
def test_copies_with_the_weights_of_the_original_are_refused(data, make, name, n_replicates):
    with pytest.raises(ValueError, match=f"encoder starts its replicates from the same weights: got equal .*{name}"):
        _fitted(data, make(), n_replicates)


def test_functions_that_return_the_same_weights_are_refused(data):
    shared = nn.Linear(4, 6)

    def seeded():
        torch.manual_seed(0)
        return Bare()

    for factory in (lambda: shared, seeded):
        with pytest.raises(ValueError, match="got equal values of all parameters, since the function returned"):
            _fitted(data, factory)


@pytest.mark.parametrize(
    "encoder",
    [
        Bare,
        Reset(),
        Plain(),
        nn.Sequential(nn.Linear(4, 4), Plain()),
        Attention(),
        nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 6)),
    ],
)
def test_every_weight_that_was_drawn_differs_between_replicates(data, encoder):
    first, second = _fitted(data, encoder).module_.replicates
    for (name, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        # With a learning rate of next to nothing these are the starts.
        constant = float(a.detach().std()) < 1e-6
        assert constant or float((a - b).abs().max()) > 0.01, name


def test_only_what_was_drawn_is_taken_from_a_new_module(data):
    encoder = Plain()
    encoder.first.p, encoder.weight.requires_grad = 0.3, False
    replicate = _fitted(data, encoder).module_.replicates[0]
    assert replicate.first.p == 0.3
    # It is not trained, and what is held is held.
    assert torch.equal(replicate.weight, encoder.weight)
    assert not torch.allclose(replicate.gain, encoder.gain, atol=0.01)


def test_pretrained_parts_of_what_a_function_returns_may_be_equal(data):
    pretrained = nn.Linear(4, 6).state_dict()

    def finetuned():
        first = nn.Linear(4, 6)
        first.load_state_dict(pretrained)
        return nn.Sequential(first, nn.ReLU(), nn.Linear(6, 6))

    replicates = _fitted(data, finetuned).module_.replicates
    assert torch.allclose(replicates[0][0].weight, replicates[1][0].weight, atol=1e-6)
    assert not torch.allclose(replicates[0][2].weight, replicates[1][2].weight)


def test_stored_weights_replace_those_that_are_equal(data):
    module = Bare()
    weights = {
        f"replicates.{r}.{name}": value.numpy() + r for r in (0, 1) for name, value in module.state_dict().items()
    }
    restored = restored_encoder(module, sizes=(), n_replicates=2, weights=weights)
    assert torch.allclose(restored.replicates[1].weight, module.weight + 1)
