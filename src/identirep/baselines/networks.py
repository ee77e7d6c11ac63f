"""Networks of the variational baselines: perceptrons, embedded auxiliary variables and conditional priors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "AffinePrior",
    "AuxiliaryEmbedding",
    "Batch",
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


class Batch(NamedTuple):
    """Rows and their auxiliary variable.

    Attributes
    ----------
    x : Tensor, shape (n_rows, n_inputs)
        Whitened inputs.
    values, seen : Tensor, shape (n_rows, n_targets)
        Standardised targets with 0 for missing ones, and 1 where there is a label.
    task : Tensor of int64, shape (n_rows,)
        Task of each row.
    """

    x: Tensor
    values: Tensor
    seen: Tensor
    task: Tensor


class Perceptron(nn.Module):
    """Linear layers with leaky rectifiers, or another function, between them.

    Parameters
    ----------
    sizes : sequence of int
        Widths of all layers.
    generator : torch.Generator
        Source of the initial weights.
    gain : float, default 1.0
        Standard deviation of the outputs at the start, for inputs of unit variance.
    activation : {"leaky_relu", "gelu"}, default "leaky_relu"
        Function between the layers.
    """

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


class StandardPrior(nn.Module):
    """The prior N(0, I) of the plain VAE.

    Parameters
    ----------
    n_latents : int
        Number of latents D.
    """

    def __init__(self, n_latents: int) -> None:
        super().__init__()
        self.zeros: Tensor
        self.register_buffer("zeros", torch.zeros(1, n_latents))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents, each broadcastable to (n_rows, D)."""
        return self.zeros, self.zeros + 1.0


class AffinePrior(nn.Module):
    r"""Prior whose mean is affine in the targets: :math:`N(b_t + W_t y, \mathrm{diag}\,q_t)` with q constant in a task.

    Parameters
    ----------
    n_tasks, n_targets, n_latents : int
        Sizes.
    """

    def __init__(self, n_tasks: int, n_targets: int, n_latents: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(n_tasks, n_latents))
        self.slope = nn.Parameter(torch.zeros(n_tasks, n_targets, n_latents))
        self.log_variance = nn.Parameter(torch.zeros(n_tasks, n_latents))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents, each of shape (n_rows, D)."""
        if len(self.offset) == 1:
            # All rows share the task: one product instead of a copy of the slopes for each row.
            return self.offset + batch.values @ self.slope[0], self.log_variance.exp() + _MIN_VARIANCE
        mean = self.offset[batch.task]
        if batch.values.shape[1]:
            mean = mean + torch.einsum("np,npd->nd", batch.values, self.slope[batch.task])
        return mean, self.log_variance[batch.task].exp() + _MIN_VARIANCE


class AuxiliaryEmbedding(nn.Module):
    """First layer on the auxiliary variable: linear in one-hot task, targets and what is missing.

    Parameters
    ----------
    n_tasks, n_targets, width : int
        Sizes.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(self, n_tasks: int, n_targets: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.task = nn.Parameter(torch.randn(n_tasks, width, generator=generator))
        scale = 1.0 / math.sqrt(max(n_targets, 1))
        self.values = nn.Parameter(scale * torch.randn(n_targets, width, generator=generator))
        self.missing = nn.Parameter(torch.zeros(n_targets, width))

    def forward(self, batch: Batch) -> Tensor:
        """Return the embedding, shape (n_rows, width)."""
        return self.task[batch.task] + batch.values @ self.values + (1.0 - batch.seen) @ self.missing


class NetworkPrior(nn.Module):
    """Prior whose mean and variance are a network of the auxiliary variable, as published.

    Parameters
    ----------
    n_tasks, n_targets, n_latents : int
        Sizes.
    width : int
        Width of the two hidden layers.
    generator : torch.Generator
        Source of the initial weights.
    """

    def __init__(self, n_tasks: int, n_targets: int, n_latents: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = AuxiliaryEmbedding(n_tasks, n_targets, width, generator)
        self.network = Perceptron((width, width, 2 * n_latents), generator, gain=0.3)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents, each of shape (n_rows, D)."""
        hidden = nn.functional.leaky_relu(self.embedding(batch), _SLOPE)
        mean, log_variance = self.network(hidden).chunk(2, dim=1)
        return mean, log_variance.exp() + _MIN_VARIANCE


def semi_orthogonal(fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    """Draw weights that keep the variance of white inputs: orthonormal, rescaled where there are more inputs."""
    long, short = max(fan_in, fan_out), min(fan_in, fan_out)
    Q, R = torch.linalg.qr(torch.randn(long, short, generator=generator))
    Q = Q * torch.sign(torch.diagonal(R))
    return Q if fan_in >= fan_out else Q.T * math.sqrt(fan_out / fan_in)
