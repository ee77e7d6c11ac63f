"""The evidence lower bound of iVAE, iCaRL and the plain VAE, and how it is maximised."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from identirep._typing import Array
from identirep.baselines.networks import AuxiliaryEmbedding, Batch, Perceptron, semi_orthogonal
from identirep.training import Training

__all__ = ["Posterior", "VariationalModel", "maximise"]

# Logarithms of the initial variance of the decoder and standard deviation of the encoder.
_LOG_NOISE, _LOG_SPREAD = -2.0, -1.0
# Standard deviation of what networks add to the linear maps at the start.
_GAIN = 0.1
# Share of the steps in which the learning rate rises, and bound on the norm of the gradient.
_WARM_UP, _CLIP = 0.1, 100.0
# max_epochs="auto" takes as many epochs as make this many steps, within limits.
_AUTO_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 4000, 20, 1000
# Rows encoded at once.
_CHUNK_ROWS = 8192


class Posterior(NamedTuple):
    """Gaussians q(z | x, u) of a batch: mean (n_rows, D), and covariance ``R C C' R``.

    C is lower triangular, shape (n_rows or 1, D, D), and R diagonal, shape (n_rows, D).
    """

    mean: Tensor
    root: Tensor
    shrinkage: Tensor

    def divergence(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence from independent Gaussians, shape (n_rows,)."""
        own = self.shrinkage**2 * (self.root**2).sum(dim=2)
        distance = (own + (self.mean - mean) ** 2) / variance - 1.0 + variance.log()
        negative_entropy = -(self.shrinkage.log() + torch.diagonal(self.root, dim1=1, dim2=2).log()).sum(dim=1)
        return 0.5 * distance.sum(dim=1) + negative_entropy

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw latents, shape (n_rows, D)."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + self.shrinkage * (self.root @ noise[:, :, None])[:, :, 0]


class VariationalModel(nn.Module):
    r"""Evidence lower bound of :math:`x = f(z) + N(0, \mathrm{diag}\,s^2)` with a conditional prior p(z | u).

    The prior maps a batch to mean and variance of the latents. With an embedding of u inference is joint: q(z | x, u)
    is a network of x and the embedded u; without, q is the product of a network's Gaussian and the prior. Encoder and
    decoder are linear without hidden layers.
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

        def network(n_first: int, sizes: Sequence[int], n_last: int) -> Perceptron | None:
            widths = (n_first, *sizes, n_last)
            return Perceptron(widths, generator, gain=_GAIN, activation=activation) if sizes else None

        self.encoder = network(n_encoded, encoder_sizes, D + D * D if correlated else 2 * D)
        self.decoder = network(D, decoder_sizes, n_inputs)
        # Below the diagonal the entries of C, on it their logarithms.
        self.root = nn.Parameter(_LOG_SPREAD * torch.eye(D))
        self.log_noise = nn.Parameter(torch.full((n_inputs,), _LOG_NOISE))

    def decode(self, z: Tensor) -> Tensor:
        """Return the expected inputs of latents."""
        x = torch.addmm(self.decoder_bias, z, self.decoder_map)
        return x if self.decoder is None else x + self.decoder(z)

    def visible(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """Draw the rows that joint inference encodes with u, shape (n_rows, 1).

        Half of the rows are encoded without, so that new rows can be, too; the bound stays one.
        """
        if self.embedding is None:
            return None
        return (torch.rand(len(batch.x), 1, generator=generator) < 0.5).to(batch.x.dtype)

    def recognise(self, batch: Batch, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and root of the covariance that the encoder gives without the prior; u is hidden where keep=0."""
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
        keep = self.visible(batch, generator)
        mean, variance = self.prior(batch)
        q = self.posterior(batch, (mean, variance), keep)
        divergence = batch.mean(q.divergence(mean, variance))
        return batch.mean(self.reconstruction(batch.x, q, generator)), divergence

    @torch.no_grad()
    def encode(self, rows: Batch, *, labelled: bool) -> Array:
        """Return latents in float64: the mean of q(z | x, u) if `labelled`, otherwise what the encoder says of x."""
        double = copy.deepcopy(self).double()
        x, values, seen = (part.double() for part in rows[:3])
        parts = []
        for index in torch.arange(len(x)).split(_CHUNK_ROWS):
            batch = Batch(x, values, seen, rows.task).take(index)
            if labelled:
                parts.append(double.posterior(batch, double.prior(batch)).mean)
            else:
                parts.append(double.recognise(batch, torch.zeros(len(index), 1, dtype=torch.float64))[0])
        return np.asarray(torch.cat(parts).numpy())


def maximise(
    model: VariationalModel,
    rows: Batch,
    generator: torch.Generator,
    *,
    max_epochs: int | str,
    batch_size: int,
    learning_rate: float,
    beta_warm_up: float,
) -> list[dict[str, float]]:
    """Maximise the bound by Adam; "loss", "reconstruction" and "divergence" of the history are in nats for a row.

    The weight of the divergence rises from 0 to 1 in a share `beta_warm_up` of the steps.
    """
    n = len(rows.x)
    n_batches = -(-n // batch_size)
    if max_epochs == "auto":
        max_epochs = min(max(-(-_AUTO_STEPS // n_batches), _MIN_EPOCHS), _MAX_EPOCHS)
    n_epochs = int(max_epochs)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    training = Training(optimizer, n_epochs, n_batches, warm_up=_WARM_UP)
    step, ramp = 0, max(beta_warm_up * n_epochs * n_batches, 1.0)
    for _ in training.epochs():
        totals = torch.zeros(2)
        for index in torch.randperm(n, generator=generator).split(batch_size):
            model.progress = step / (n_epochs * n_batches)
            reconstruction, divergence = model(rows.take(index), generator)
            step += 1
            training.step(reconstruction + min(step / ramp, 1.0) * divergence, clip=_CLIP)
            totals += torch.stack([reconstruction.detach(), divergence.detach()]) * (len(index) / n)
        training.record(
            {"loss": float(totals.sum()), "reconstruction": float(totals[0]), "divergence": float(totals[1])}
        )
    model.eval()
    return training.history
