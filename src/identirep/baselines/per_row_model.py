"""The likelihood of single rows that `PerRowMTLCM` maximises."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from identirep.training import Training

__all__ = ["PerRowModel", "run_epoch"]


class PerRowModel(nn.Module):
    r"""Marginal likelihood p(h | y, t) of the factorised prior with fixed scales.

    A row is Gaussian with mean :math:`A ((1 - c_t) \gamma_t y)` and covariance
    :math:`A \,\mathrm{diag}(c_t + q^2 (1 - c_t))\, A^\top + o^2 I`, with soft indicators c of the causes. Rows of a
    task share their covariance, which is factorised once for all of them in a batch.
    """

    def __init__(
        self,
        n_tasks: int,
        n_features: int,
        n_latents: int,
        spurious_std: float,
        noise_std: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.randn(n_features, n_latents, generator=generator))
        self.indicator = nn.Parameter(torch.zeros(n_tasks, n_latents))
        self.gamma = nn.Parameter(torch.randn(n_tasks, n_latents, generator=generator))
        self.spurious_variance = spurious_std**2
        self.noise: Tensor
        self.register_buffer("noise", noise_std**2 * torch.eye(n_features))

    def forward(self, h: Tensor, y: Tensor, t: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the mean log likelihood of rows `h` (n_rows, n_features) with targets `y` and tasks `t` (n_rows,).

        With a `weight` (n_rows,) the sum of what it multiplies, over the number of rows.
        """
        tasks, group, counts = torch.unique(t, return_inverse=True, return_counts=True)
        c = torch.sigmoid(self.indicator[tasks])
        effect = ((1 - c) * self.gamma[tasks])[group]
        residual = h - (effect * y[:, None]) @ self.mixing.T
        scaled = self.mixing * (c + self.spurious_variance * (1 - c))[:, None]
        covariance = scaled @ self.mixing.T + self.noise
        said, total = counts, 1.0
        if weight is not None:
            residual = residual * weight.sqrt()[:, None]
            said = weight.new_zeros(len(counts)).index_add(0, group, weight)
            total = float(weight.mean())
        loss: Tensor = _GroupedGaussian.apply(covariance, _by_group(residual, group, counts), said)  # type: ignore[no-untyped-call]
        return -loss / len(t) - 0.5 * math.log(2.0 * math.pi) * h.shape[1] * total


class _GroupedGaussian(torch.autograd.Function):
    """Negative log likelihood of centred rows in groups with a covariance each, constants left out.

    Its derivative by the covariances is written out: that of a Cholesky factor takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, rows: Tensor, counts: Tensor) -> Tensor:
        """Return the sum for covariances (n_groups, K, K) and rows, zeros behind them, (n_groups, K, most).

        `counts` has how many rows a group counts for; rows with weights are multiplied by their roots.
        """
        root = torch.linalg.cholesky(covariance)
        precision = torch.cholesky_inverse(root)
        weighed = precision @ rows
        ctx.save_for_backward(precision, weighed, counts)
        log_determinant = 2.0 * torch.diagonal(root, dim1=1, dim2=2).log().sum(dim=1)
        return 0.5 * ((counts * log_determinant).sum() + (weighed * rows).sum())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the derivatives by covariances and rows."""
        precision, weighed, counts = ctx.saved_tensors
        by_covariance = precision * counts[:, None, None]
        by_covariance.baddbmm_(weighed, weighed.mT, beta=0.5, alpha=-0.5)
        return by_covariance.mul_(gradients[0]), weighed * gradients[0], None


def _by_group(rows: Tensor, group: Tensor, counts: Tensor) -> Tensor:
    """Return rows as columns of a matrix for each group, shape (n_groups, K, most rows of a group), filled with 0."""
    order = torch.argsort(group)
    first = torch.cumsum(counts, dim=0) - counts
    place = torch.arange(len(group)) - first[group[order]]
    padded = rows.new_zeros(len(counts), int(counts.max()), rows.shape[1])
    return padded.index_put((group[order], place), rows[order]).mT


def run_epoch(
    model: PerRowModel,
    training: Training,
    H: Tensor,
    labels: tuple[Tensor, Tensor, Tensor],
    batch_size: int,
    generator: torch.Generator,
    weight: Tensor | None = None,
) -> None:
    """Pass once over the labels: row of `H`, target and task, each (n_labels,); a row with several counts for each."""
    total = 0.0
    for chosen in torch.randperm(len(labels[0]), generator=generator).split(batch_size):
        row, y, t = (part[chosen] for part in labels)
        try:
            loss = -model(H[row], y, t, None if weight is None else weight[chosen])
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            # A covariance is no longer positive definite.
            raise training.diverged() from error
        training.step(loss)
        total += float(loss.detach()) * len(row)
    if not torch.isfinite(model.mixing).all():
        raise training.diverged()
    training.record({"loss": total / len(labels[0])})
