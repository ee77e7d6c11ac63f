"""Networks of the variational baselines: perceptrons, embedded auxiliary variables and conditional priors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from identirep._typing import Array
from identirep.baselines.auxiliary import Auxiliary

__all__ = [
    "AffineMap",
    "AffinePrior",
    "AuxiliaryEmbedding",
    "Batch",
    "NetworkMap",
    "NetworkPrior",
    "Perceptron",
    "StandardPrior",
    "semi_orthogonal",
]

# Slope of the leaky rectifiers below zero; the published networks have it too, and it keeps layers invertible.
_SLOPE = 0.1
# Variances are held above this value (latents and inputs have about unit variance), or a latent that a task
# determines would have a likelihood without bound.
_MIN_VARIANCE = 1e-4
# Width of the networks of the auxiliary variable, and standard deviation of what they say at the start.
_WIDTH, _MAP_GAIN = 128, 0.3


class Batch(NamedTuple):
    """Whitened inputs of rows, their auxiliary variable, as `Auxiliary` has it, and weights of mean 1, if any."""

    x: Tensor
    values: Tensor
    seen: Tensor
    task: Tensor
    weight: Tensor | None = None

    @classmethod
    def of(
        cls, X: Array, auxiliary: Auxiliary, dtype: torch.dtype = torch.float32, *, weights: Array | None = None
    ) -> Batch:
        """Return whitened inputs and their auxiliary variable as tensors."""
        parts = (np.ascontiguousarray(X), auxiliary.values, auxiliary.seen)
        x, values, seen = (torch.from_numpy(part).to(dtype) for part in parts)
        weight = None if weights is None else torch.from_numpy(weights / weights.mean()).to(dtype)
        return cls(x, values, seen, torch.from_numpy(auxiliary.task), weight)

    def take(self, index: Tensor) -> Batch:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        return Batch(self.x[index], self.values[index], self.seen[index], self.task[index], weight)

    def mean(self, values: Tensor) -> Tensor:
        """Return the sum of what rows have times their weights, over the number of rows."""
        return values.mean() if self.weight is None else (self.weight * values).mean()


class Perceptron(nn.Module):
    """Linear layers of given widths with leaky rectifiers, or GELU, between them; outputs have std `gain` at first."""

    def __init__(
        self, sizes: Sequence[int], generator: torch.Generator, *, gain: float = 1.0, activation: str = "leaky_relu"
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        last = len(sizes) - 2
        for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            scale = gain if i == last else math.sqrt(2.0 / (1.0 + _SLOPE**2))
            self.weights.append(nn.Parameter(scale * semi_orthogonal(fan_in, fan_out, generator)))
            self.biases.append(nn.Parameter(torch.zeros(fan_out)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (n_rows, sizes[-1])."""
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.addmm(bias, x, weight)
            if i < len(self.weights) - 1:
                x = nn.functional.gelu(x) if self.activation == "gelu" else nn.functional.leaky_relu(x, _SLOPE)
        return x


class AffineMap(nn.Module):
    r"""What is affine in the targets in each task, :math:`b_t + W_t y`; zero at the start."""

    def __init__(self, n_tasks: int, n_targets: int, n_outputs: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(n_tasks, n_outputs))
        self.slope = nn.Parameter(torch.zeros(n_tasks, n_targets, n_outputs))

    def forward(self, batch: Batch) -> Tensor:
        """Return the values, shape (n_rows, n_outputs)."""
        if len(self.offset) == 1:
            # All rows share the task: one product instead of a copy of the slopes for each row.
            return self.offset + batch.values @ self.slope[0]
        return self.offset[batch.task] + torch.einsum("np,npk->nk", batch.values, self.slope[batch.task])


class AuxiliaryEmbedding(nn.Module):
    """First layer on the auxiliary variable: linear in one-hot task, targets and what is missing."""

    def __init__(self, n_tasks: int, n_targets: int, generator: torch.Generator) -> None:
        super().__init__()
        self.task = nn.Parameter(torch.randn(n_tasks, _WIDTH, generator=generator))
        scale = 1.0 / math.sqrt(max(n_targets, 1))
        self.values = nn.Parameter(scale * torch.randn(n_targets, _WIDTH, generator=generator))
        self.missing = nn.Parameter(torch.zeros(n_targets, _WIDTH))

    def forward(self, batch: Batch) -> Tensor:
        """Return the embedding, shape (n_rows, 128)."""
        return self.task[batch.task] + batch.values @ self.values + (1.0 - batch.seen) @ self.missing


class NetworkMap(nn.Module):
    """Network of the auxiliary variable with two hidden layers; the first has tanh units or leaky rectifiers."""

    def __init__(
        self, n_tasks: int, n_targets: int, n_outputs: int, generator: torch.Generator, *, tanh: bool = False
    ) -> None:
        super().__init__()
        self.tanh = tanh
        self.embedding = AuxiliaryEmbedding(n_tasks, n_targets, generator)
        self.network = Perceptron((_WIDTH, _WIDTH, n_outputs), generator, gain=_MAP_GAIN)

    def forward(self, batch: Batch) -> Tensor:
        """Return the values, shape (n_rows, n_outputs)."""
        first = self.embedding(batch)
        return self.network(torch.tanh(first) if self.tanh else nn.functional.leaky_relu(first, _SLOPE))


class StandardPrior(nn.Module):
    """The prior N(0, I) of the plain VAE."""

    def __init__(self, n_latents: int) -> None:
        super().__init__()
        self.zeros: Tensor
        self.register_buffer("zeros", torch.zeros(1, n_latents))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents, each broadcastable to (n_rows, D)."""
        return self.zeros, self.zeros + 1.0


class AffinePrior(nn.Module):
    r"""Prior whose mean is affine in the targets: :math:`N(b_t + W_t y, \mathrm{diag}\,q_t)`, q constant in a task."""

    def __init__(self, n_tasks: int, n_targets: int, n_latents: int) -> None:
        super().__init__()
        self.mean = AffineMap(n_tasks, n_targets, n_latents)
        self.log_variance = nn.Parameter(torch.zeros(n_tasks, n_latents))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents, each broadcastable to (n_rows, D)."""
        log_variance = self.log_variance if len(self.log_variance) == 1 else self.log_variance[batch.task]
        return self.mean(batch), log_variance.exp() + _MIN_VARIANCE


class NetworkPrior(nn.Module):
    """Prior whose mean and variance are a network of the auxiliary variable, as published."""

    def __init__(self, n_tasks: int, n_targets: int, n_latents: int, generator: torch.Generator) -> None:
        super().__init__()
        self.network = NetworkMap(n_tasks, n_targets, 2 * n_latents, generator)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents, each of shape (n_rows, D)."""
        mean, log_variance = self.network(batch).chunk(2, dim=1)
        return mean, log_variance.exp() + _MIN_VARIANCE


def semi_orthogonal(fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    """Draw weights that keep the variance of white inputs: orthonormal, rescaled where there are more inputs."""
    long, short = max(fan_in, fan_out), min(fan_in, fan_out)
    Q, R = torch.linalg.qr(torch.randn(long, short, generator=generator))
    Q = Q * torch.sign(torch.diagonal(R))
    return Q if fan_in >= fan_out else Q.T * math.sqrt(fan_out / fan_in)
