"""Objectives against their definition, replicates against a loop, and gradients against finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

from identirep.mtrn.encoders import ModuleEncoder, ReplicatedMLP, make_encoder
from identirep.mtrn.network import LongObjective, WideObjective
from identirep.mtrn.reduction import HEAD_PENALTY


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _mlp(n_replicates=3, sizes=(4, 7, 5)):
    return ReplicatedMLP(sizes, n_replicates, _generator())


def _replicate(encoder, r):
    """Build replicate r as an ordinary network."""
    layers = []
    for weight, bias in zip(encoder.weights, encoder.biases, strict=True):
        layer = nn.Linear(*weight.shape[1:])
        layer.weight.data, layer.bias.data = weight[r].T.clone(), bias[r, 0].clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _wide_batch():
    x, y = torch.randn(40, 4, generator=_generator(1)), torch.randn(40, 6, generator=_generator(2))
    y[:7, 2] = torch.nan
    return x, y


def _long_batch():
    """Build three tasks of 20, 20 and 12 rows."""
    x, y = torch.randn(60, 4, generator=_generator(1)), torch.randn(3, 20, generator=_generator(2))
    weight = torch.ones(3, 20)
    weight[2, 12:] = 0
    y = y - (y * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True)
    return x, y, weight


def test_replicates_at_once_equal_a_loop():
    encoder, x = _mlp(), _wide_batch()[0]
    expected = torch.stack([_replicate(encoder, r)(x) for r in range(3)])
    torch.testing.assert_close(encoder(x), expected)
    torch.testing.assert_close(ModuleEncoder([_replicate(encoder, r) for r in range(3)])(x), expected)


def test_replicates_train_as_if_alone():
    encoder, batch = _mlp(), _long_batch()
    LongObjective(encoder)(*batch).sum().backward()
    for r in range(3):
        alone = _replicate(encoder, r)
        LongObjective(ModuleEncoder([alone]))(*batch).sum().backward()
        torch.testing.assert_close(encoder.weights[0].grad[r].T, alone[0].weight.grad, rtol=1e-3, atol=1e-6)


def test_replicates_start_apart():
    weights = _mlp().weights[0]
    assert (weights[0] - weights[1]).abs().min() > 0


def test_absorbed_scaling_gives_the_same_features():
    encoder, x = _mlp(), _wide_batch()[0]
    mean, scale, rotation = torch.randn(4), torch.rand(4), torch.randn(4, 4)
    low, high = -torch.rand(4), torch.rand(4)
    expected = encoder(((x - mean) * scale).clamp(low, high) @ rotation)
    encoder.absorb(mean, scale, low, high, rotation)
    torch.testing.assert_close(encoder(x), expected, rtol=1e-4, atol=1e-5)


def test_long_objective_is_the_profile_likelihood():
    encoder, (x, y, weight) = _mlp(), _long_batch()
    found = LongObjective(encoder)(x, y, weight).detach().numpy()
    for r, features in enumerate(encoder(x).detach().double().numpy().reshape(3, 3, 20, 5)):
        rows = [features[t, weight[t].numpy() > 0] for t in range(3)]
        rows = [F - F.mean(axis=0) for F in rows]
        penalty = HEAD_PENALTY * np.mean([np.mean(F**2) for F in rows])
        total = 0.0
        for t, F in enumerate(rows):
            target = y[t, : len(F)].double().numpy()
            w = np.linalg.solve(F.T @ F + penalty * np.eye(5), F.T @ target)
            rss = np.sum((target - F @ w) ** 2) + penalty * w @ w
            total += 0.5 * len(F) * np.log(rss / len(F))
        assert found[r] == pytest.approx(total / 52, abs=1e-5)


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_gradient_against_finite_differences(layout, monkeypatch):
    # Finite differences need float64, which the objectives leave for float32 only to undo mixed precision.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    encoder = _mlp(n_replicates=2).double()
    if layout == "wide":
        batch = [part.double() for part in _wide_batch()]
        objective = WideObjective(encoder, 2, 5, 6, _generator(3)).double()
        rss, count = (part.detach() for part in objective.residual_squares(*batch))

        def value():
            # The likelihood whose gradient the weighted squares have at this noise.
            now, _ = objective.residual_squares(*batch)
            return 0.5 * (count * torch.log(now / count)).sum() / count.sum()

        # The running noise is set to the noise of this batch, where both have the same gradient.
        objective.rss.copy_(rss)
        objective.count.copy_(count.double())
    else:
        batch = [part.double() for part in _long_batch()]
        objective = LongObjective(encoder).double()

        def value():
            return objective(*batch).sum()

    objective(*batch).sum().backward()
    for parameter in (encoder.weights[0], encoder.weights[1], encoder.biases[0]):
        step = torch.randn(parameter.shape, generator=_generator(4), dtype=torch.float64)
        expected, ends = (parameter.grad * step).sum(), []
        with torch.no_grad():
            for sign in (1, -1):
                parameter.add_(sign * 1e-5 * step)
                ends.append(float(value()))
                parameter.sub_(sign * 1e-5 * step)
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(expected), rel=1e-5, abs=1e-9)


def test_long_objective_ignores_the_scale_of_features_and_padding():
    encoder, (x, y, weight) = _mlp(), _long_batch()
    objective = LongObjective(encoder)
    expected = objective(x, y, weight)
    with torch.no_grad():
        encoder.weights[-1].mul_(100)
        encoder.biases[-1].mul_(100)
    x, y = x.clone(), y.clone()
    x[52:], y[2, 12:] = 1e3, 1e3
    torch.testing.assert_close(objective(x, y, weight), expected, rtol=1e-4, atol=1e-5)


def test_missing_labels_carry_no_gradient():
    x, y = _wide_batch()
    objective = WideObjective(_mlp(), 3, 5, 6, _generator(3))
    changed = x.clone()
    changed[:7] += 1.0
    y[:7] = torch.nan
    torch.testing.assert_close(objective.residual_squares(x, y), objective.residual_squares(changed, y))
    objective(x, y).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in objective.parameters())


def test_copies_of_a_module_have_their_own_weights_and_leave_the_generator_alone():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    before, state = module[0].weight.clone(), torch.random.get_rng_state()
    first, second = (make_encoder(module, sizes=(), n_replicates=2, generator=_generator()) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(module[0].weight, before)
    weights = [replicate[0].weight for replicate in first.replicates]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], before)
    assert torch.equal(weights[0], second.replicates[0][0].weight)
    factory = make_encoder(lambda: nn.Linear(4, 3), sizes=(), n_replicates=2, generator=_generator())
    assert not torch.equal(factory.replicates[0].weight, factory.replicates[1].weight)
    with pytest.raises(TypeError, match="encoder did not build a module: got int"):
        make_encoder(lambda: 3, sizes=(), n_replicates=1, generator=_generator())
