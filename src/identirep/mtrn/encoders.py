"""Encoders: several independently initialised copies of one architecture that are trained together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from identirep.mtrn.initial_weights import drawn_anew
from identirep.training import ordinary_torch

__all__ = ["FeatureMap", "ModuleEncoder", "ReplicatedMLP", "make_encoder", "restored_encoder", "side_by_side"]


class ReplicatedMLP(nn.Module):
    """Multilayer perceptrons of layers `sizes`, with the replicate as leading dimension of every weight.

    All replicates read the same rows, so a layer of all of them is one batched matrix product.
    """

    def __init__(
        self, sizes: Sequence[int], n_replicates: int, generator: torch.Generator, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.dropout = dropout
        self.n_replicates = n_replicates
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(sizes[0], dtype=torch.float64))
        self.register_buffer("scale", torch.ones(sizes[0], dtype=torch.float64))
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("low", torch.full((sizes[0],), -torch.inf, dtype=torch.float32))
        self.register_buffer("high", torch.full((sizes[0],), torch.inf, dtype=torch.float32))
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for fan_in, fan_out in pairwise(sizes):
            weight = torch.randn(n_replicates, fan_in, fan_out, generator=generator, dtype=torch.float32)
            last = len(self.weights) == len(sizes) - 2
            # He et al. 2015 before a rectifier; the features themselves start with unit variance.
            self.weights.append(nn.Parameter(weight * math.sqrt((1.0 if last else 2.0) / fan_in)))
            self.biases.append(nn.Parameter(torch.zeros(n_replicates, 1, fan_out, dtype=torch.float32)))

    @torch.no_grad()
    def absorb(self, mean: Tensor, scale: Tensor, low: Tensor, high: Tensor, rotation: Tensor) -> None:
        """Take over the scaling of training: ``clip((x - mean) * scale, low, high) @ rotation``."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self.low.copy_(low)
        self.high.copy_(high)
        self.weights[0].copy_(rotation.to(self.weights[0].dtype) @ self.weights[0])

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, shape (n_replicates, n_samples, n_features), of `x` (n_samples, n_inputs)."""
        return self.of_standardised(self.standardised(x))

    def standardised(self, x: Tensor) -> Tensor:
        """Return inputs in the units of training, with the digits that they have beside an offset."""
        return ((x.to(self.mean.dtype) - self.mean) * self.scale).clamp(self.low, self.high)

    def of_standardised(self, z: Tensor) -> Tensor:
        """Return the features of standardised inputs."""
        h = z.to(self.weights[0].dtype).expand(self.n_replicates, -1, -1)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, h, weight)
            if i < len(self.weights) - 1:
                h = nn.functional.dropout(torch.relu(h), self.dropout, self.training)
        return h

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ReplicatedMLP:
        """Keep mean and scale in float64 whatever the weights become, unless the device has none."""
        exact = self.mean, self.scale
        self.mean, self.scale = (part.float() for part in exact)
        super()._apply(fn, recurse)
        if self.mean.device.type not in ("mps", "meta"):
            self.mean, self.scale = (part.to(self.mean.device) for part in exact)
        return self


class ModuleEncoder(nn.Module):
    """Copies of a user's own module, each with its own initial weights; samples of axes `input_shape` as they are."""

    def __init__(self, modules: Sequence[nn.Module], input_shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.replicates = nn.ModuleList(modules)
        self.input_shape = input_shape

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, shape (n_replicates, n_samples, n_features), of a batch `x`."""
        # A module that was made in another precision is taken in that.
        weight = next((value for value in self.parameters() if value.is_floating_point()), x)
        if self.input_shape and x.ndim == 2:
            x = x.unflatten(1, self.input_shape)
        return torch.stack([module(x.to(weight.dtype)) for module in self.replicates])


class FeatureMap(nn.Module):
    """The whole of stage one as a module: inputs to reduced features, shape (n_samples, n_components)."""

    def __init__(self, encoder: nn.Module, components: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.components: Tensor
        self.offset: Tensor
        self.register_buffer("components", components)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        """Return the reduced features of a batch `x`."""
        features = side_by_side(self.encoder(x)).to(self.components.dtype)
        return nn.functional.linear(features, self.components, self.offset)


def side_by_side(features: Tensor) -> Tensor:
    """Return features (n_replicates, n_samples, n_features) as (n_samples, n_replicates * n_features)."""
    return features.transpose(0, 1).flatten(1)


def make_encoder(
    encoder: str | nn.Module | Callable[[], nn.Module],
    *,
    sizes: Sequence[int],
    n_replicates: int,
    generator: torch.Generator,
    dropout: float = 0.0,
    input_shape: tuple[int, ...] = (),
) -> ReplicatedMLP | ModuleEncoder:
    """Build all replicates: perceptrons of layers `sizes`, fresh copies of a module, or what a function makes.

    The result maps (n_samples, n_inputs) to (n_replicates, n_samples, n_features).
    """
    if isinstance(encoder, str):
        return ReplicatedMLP(sizes, n_replicates, generator, dropout)
    modules = []
    for _ in range(n_replicates):
        seed = int(torch.randint(2**31, (), generator=generator))
        # Modules draw their weights from the global generator: it is forked, so the caller's stream is left alone.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            module = drawn_anew(encoder) if isinstance(encoder, nn.Module) else encoder()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"encoder did not build a module: got {type(module).__name__}, expected a torch.nn.Module. Return the "
                "module from the factory."
            )
        modules.append(module)
    return ModuleEncoder(modules, input_shape)


@ordinary_torch()
def restored_encoder(
    encoder: str | nn.Module | Callable[[], nn.Module],
    *,
    sizes: Sequence[int],
    n_replicates: int,
    weights: Mapping[str, NDArray[Any]],
    input_shape: tuple[int, ...] = (),
) -> ReplicatedMLP | ModuleEncoder:
    """Build a trained encoder from its weights; `sizes` are those of the perceptron, empty for a module of the user."""
    if bool(sizes) != isinstance(encoder, str):
        raise ValueError(
            f"encoder does not fit the stored weights: got {encoder!r}, expected "
            f"{'mlp' if sizes else 'the module that the model was fitted with, which is not stored'!r}. Pass "
            "encoder=... with the same architecture."
        )
    settings: dict[str, Any] = {"n_replicates": n_replicates, "generator": torch.Generator()}
    module = make_encoder(encoder, sizes=sizes, input_shape=input_shape, **settings)
    state = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
    # Runs from before inputs had ends have none.
    ends = {name: value for name, value in module.named_buffers() if name in ("low", "high")}
    try:
        module.load_state_dict(ends | state)
    except RuntimeError as error:
        raise ValueError(
            f"encoder does not fit the stored weights: got {error}, expected the architecture that the model was "
            "fitted with. Pass encoder=... with the same architecture."
        ) from None
    return module.eval()
