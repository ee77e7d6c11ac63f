"""NF-iVAE: a prior known up to its constant, trained by score matching, inside the evidence lower bound."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from identirep.baselines.networks import Batch
from identirep.baselines.variational import VariationalModel

__all__ = ["EnergyModel", "EnergyPrior"]

# Weight of the squared coefficients of the network's statistics in the score matching loss. A task has some hundred
# rows for as many coefficients as there are statistics; unregularised they fit noise, and blur the axes that the
# factorised part finds.
_RIDGE = 0.1


class EnergyPrior(nn.Module):
    r"""Exponential family whose latents may depend on one another given task and target.

    .. math::
        \log p(z \mid u) = -\tfrac12 \sum_i (z_i - m_i(u))^2 / v_i(u) + \sum_k a_k(u)\, \mathrm{softplus}(w_k^\top z +
        b_k) + \mathrm{const}(u)

    The first sum has the factorised statistics z and z^2 with natural parameters m / v and -1 / (2 v), the second those
    of a network with one hidden layer, whose derivatives in z have a closed form. `factors` maps a batch to m and v,
    each broadcastable to (n_rows, D), and `coefficients` to a, shape (n_rows, n_statistics).
    """

    def __init__(
        self,
        factors: nn.Module,
        coefficients: nn.Module,
        n_latents: int,
        n_statistics: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.factors, self.coefficients = factors, coefficients
        # Unit vectors in random directions: statistics vary about as much as latents do.
        directions = torch.randn(n_latents, n_statistics, generator=generator)
        self.directions = nn.Parameter(directions / directions.norm(dim=0))
        self.offsets = nn.Parameter(torch.zeros(n_statistics))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean m and variance v of the factorised part."""
        return self.factors(batch)

    def interaction(self, z: Tensor, coefficients: Tensor) -> Tensor:
        """Return the second sum, shape (n_rows,); gradients reach `z` and not the parameters."""
        inputs = torch.addmm(self.offsets.detach(), z, self.directions.detach())
        return (coefficients.detach() * nn.functional.softplus(inputs)).sum(dim=1)

    def score(self, z: Tensor, factors: tuple[Tensor, Tensor], coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Return first and second derivatives of the log density in each latent, each of shape (n_rows, D)."""
        mean, variance = factors
        gate = torch.sigmoid(torch.addmm(self.offsets, z, self.directions))
        slope = (mean - z) / variance + (coefficients * gate) @ self.directions.T
        curvature = (coefficients * gate * (1.0 - gate)) @ (self.directions**2).T - 1.0 / variance
        return slope, curvature

    def score_matching(self, z: Tensor, factors: tuple[Tensor, Tensor], coefficients: Tensor) -> Tensor:
        r"""Return the score matching loss of draws, shape (n_rows,).

        :math:`\sum_i v_i (\partial_i^2 \log p + \tfrac12 (\partial_i \log p)^2)` with v held constant: the distance of
        the scores is measured in units of the prior, so that latents of small variance do not outweigh all others.
        Without the network its gradient is that of the likelihood (times two for log v). A ridge on the coefficients
        is added.
        """
        slope, curvature = self.score(z, factors, coefficients)
        loss = (factors[1].detach() * (curvature + 0.5 * slope**2)).sum(dim=1)
        return loss + 0.5 * _RIDGE * (coefficients**2).sum(dim=1)


class EnergyModel(VariationalModel):
    """Evidence lower bound whose prior is an `EnergyPrior`.

    The bound trains encoder and decoder with the prior held constant, and leaves out the constant of the network's
    part, which they do not change; score matching at draws of q trains the prior with q held constant. Before, in a
    share `warm_up` of the training, the model is that of iVAE, all of it trained by the bound: from axes that are
    mixed, score matching fits a network that explains the mixture.
    """

    prior: EnergyPrior
    warm_up: float = 0.0

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return reconstruction loss and divergence, to which score matching adds its gradient and no value."""
        if self.progress < self.warm_up:
            return super().forward(batch, generator)
        keep = self.visible(batch, generator)
        factors, coefficients = self.prior(batch), self.prior.coefficients(batch)
        mean, variance = (part.detach() for part in factors)
        q = self.posterior(batch, (mean, variance), keep)
        z = q.draw(generator)
        divergence = q.divergence(mean, variance) - self.prior.interaction(z, coefficients)
        matching = self.prior.score_matching(z.detach(), factors, coefficients)
        divergence = divergence + (matching - matching.detach())
        return self.reconstruction(batch.x, q, generator).mean(), divergence.mean()
