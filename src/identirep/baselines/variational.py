"""The evidence lower bound that iVAE, iCaRL and the plain VAE maximise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from identirep.baselines.networks import AuxiliaryEmbedding, Batch, Perceptron, semi_orthogonal

__all__ = ["Posterior", "VariationalModel"]

# Logarithms of the initial variance of the decoder and standard deviation of the encoder.
_LOG_NOISE, _LOG_SPREAD = -2.0, -1.0
# Standard deviation of what networks add to the linear maps at the start.
_GAIN = 0.1


class Posterior(NamedTuple):
    """Gaussians q(z | x, u) of a batch, with covariance ``R C C' R``.

    Attributes
    ----------
    mean : Tensor, shape (n_rows, D)
        Means.
    root : Tensor, shape (n_rows or 1, D, D)
        Lower triangular C.
    shrinkage : Tensor, shape (n_rows, D)
        Diagonal of R.
    """

    mean: Tensor
    root: Tensor
    shrinkage: Tensor

    @property
    def variance(self) -> Tensor:
        """Variance of each latent, shape (n_rows, D)."""
        return self.shrinkage**2 * (self.root**2).sum(dim=2)

    @property
    def negative_entropy(self) -> Tensor:
        """Mean of log q without constants, shape (n_rows,)."""
        return -(self.shrinkage.log() + torch.diagonal(self.root, dim1=1, dim2=2).log()).sum(dim=1)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (n_rows, D)."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + self.shrinkage * (self.root @ noise[:, :, None])[:, :, 0]


class VariationalModel(nn.Module):
    r"""Evidence lower bound of :math:`x = f(z) + N(0, \mathrm{diag}\,s^2)` with a conditional prior p(z | u).

    Parameters
    ----------
    n_inputs, n_latents : int
        Sizes.
    encoder_sizes, decoder_sizes : sequence of int
        Hidden layers; without any, the map is linear.
    prior : nn.Module
        Maps a batch to mean and variance of the latents.
    embedding : AuxiliaryEmbedding or None
        Joint inference: q(z | x, u) is a network of x and the embedded u. None: q is the product of a network's
        Gaussian and the prior.
    correlated : bool
        Whether latents may be correlated under q.
    min_noise_std : float
        Lower bound of s.
    activation : {"leaky_relu", "gelu"}
        Function between the hidden layers.
    generator : torch.Generator
        Source of the initial weights.
    """

    # Share of the training that is done, which the training loop sets.
    progress: float = 0.0

    def __init__(
        self,
        n_inputs: int,
        n_latents: int,
        *,
        encoder_sizes: Sequence[int],
        decoder_sizes: Sequence[int],
        prior: nn.Module,
        embedding: AuxiliaryEmbedding | None,
        correlated: bool,
        min_noise_std: float,
        activation: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.prior, self.embedding, self.correlated, self.min_noise_std = prior, embedding, correlated, min_noise_std
        D = n_latents
        n_encoded = n_inputs + (0 if embedding is None else embedding.task.shape[1])
        # Networks are added to linear maps that start as inverses of each other: training from an invertible encoder
        # ends in fewer local optima.
        start = semi_orthogonal(n_inputs, D, generator)
        padding = torch.zeros(n_encoded - n_inputs, D)
        self.encoder_map, self.encoder_bias = nn.Parameter(torch.cat([start, padding])), nn.Parameter(torch.zeros(D))
        self.decoder_map, self.decoder_bias = nn.Parameter(start.T.clone()), nn.Parameter(torch.zeros(n_inputs))
        self.encoder = self.decoder = None
        if encoder_sizes:
            n_outputs = D + D * D if correlated else 2 * D
            self.encoder = Perceptron(
                (n_encoded, *encoder_sizes, n_outputs), generator, gain=_GAIN, activation=activation
            )
        if decoder_sizes:
            self.decoder = Perceptron((D, *decoder_sizes, n_inputs), generator, gain=_GAIN, activation=activation)
        # Below the diagonal the entries of C, on it their logarithms.
        self.root = nn.Parameter(_LOG_SPREAD * torch.eye(D))
        self.log_noise = nn.Parameter(torch.full((n_inputs,), _LOG_NOISE))

    def decode(self, z: Tensor) -> Tensor:
        """Return the expected inputs of latents."""
        x = torch.addmm(self.decoder_bias, z, self.decoder_map)
        return x if self.decoder is None else x + self.decoder(z)

    def recognise(self, batch: Batch, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean, and root of the covariance (see `Posterior`), of what the encoder says without the prior.

        Parameters
        ----------
        batch : Batch
            Rows.
        keep : Tensor, shape (n_rows, 1), or None
            0 for rows whose auxiliary variable is hidden from joint inference.
        """
        x = batch.x
        if self.embedding is not None:
            embedded = self.embedding(batch)
            x = torch.cat([x, embedded if keep is None else embedded * keep], dim=1)
        mean = torch.addmm(self.encoder_bias, x, self.encoder_map)
        # The posterior of a linear model has the same covariance in every row.
        root: Tensor = self.root[None]
        D = mean.shape[1]
        if self.encoder is not None:
            output = self.encoder(x)
            mean = mean + output[:, :D]
            change = output[:, D:]
            root = root + (change.unflatten(1, (D, D)) if self.correlated else torch.diag_embed(change))
        diagonal = torch.diag_embed(torch.diagonal(root, dim1=1, dim2=2).exp())
        return mean, diagonal + torch.tril(root, -1) if self.correlated else diagonal

    def posterior(self, batch: Batch, prior: tuple[Tensor, Tensor], keep: Tensor | None = None) -> Posterior:
        """Return q(z | x, u), given mean and variance of the prior."""
        mean, root = self.recognise(batch, keep)
        if self.embedding is not None:
            return Posterior(mean, root, torch.ones_like(mean))
        # Each latent is weighed against its prior as a product of Gaussians has it; correlations are kept.
        variance = (root**2).sum(dim=2)
        weight = prior[1] / (variance + prior[1])
        return Posterior(weight * mean + (1.0 - weight) * prior[0], root, weight.sqrt())

    def reconstruction(self, x: Tensor, q: Posterior, generator: torch.Generator) -> Tensor:
        """Return the expected negative log likelihood of rows, shape (n_rows,), constants left out.

        Exact for linear maps, from one draw of the latents otherwise.
        """
        noise = self.log_noise.exp() + self.min_noise_std**2
        if self.encoder is None and self.decoder is None:
            spread = (self.decoder_map / noise) @ self.decoder_map.T * (q.root[0] @ q.root[0].T)
            squares = ((x - self.decode(q.mean)) ** 2 / noise).sum(dim=1)
            squares = squares + ((q.shrinkage @ spread) * q.shrinkage).sum(dim=1)
        else:
            squares = ((x - self.decode(q.draw(generator))) ** 2 / noise).sum(dim=1)
        return 0.5 * (squares + noise.log().sum())

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return reconstruction loss and divergence from the prior, averaged over the rows of a batch."""
        keep = None
        if self.embedding is not None:
            # Half of the rows are encoded without u, so that new rows can be, too; the bound stays one.
            keep = (torch.rand(len(batch.x), 1, generator=generator) < 0.5).to(batch.x.dtype)
        mean, variance = self.prior(batch)
        q = self.posterior(batch, (mean, variance), keep)
        distance = (q.variance + (q.mean - mean) ** 2) / variance - 1.0 + variance.log()
        divergence = 0.5 * distance.sum(dim=1) + q.negative_entropy
        return self.reconstruction(batch.x, q, generator).mean(), divergence.mean()
