"""The plain variational autoencoder, which knows nothing of targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from identirep._typing import RandomState
from identirep.baselines.base import LabelFreeBaseline
from identirep.baselines.latent_model import VariationalBaseline

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["VAE"]


class VAE(LabelFreeBaseline, VariationalBaseline):
    r"""Variational autoencoder with a standard normal prior.

    .. math::
        z \sim N(0, I), \qquad x \mid z \sim N(f(z), \mathrm{diag}\, s^2)

    The networks and the training are those of `IVAE`; only the prior differs, so comparing the two shows what tasks and
    targets add. Inputs are whitened first.

    Parameters
    ----------
    n_components : int, optional
        Number of latents D; default the rank of the inputs.
    posterior : {"full", "factorized"}, default "factorized"
        Covariance of q(z | x). The diagonal one is the usual one, and picks axes in which the columns of the decoder's
        Jacobian are orthogonal; with any covariance all rotations of the latents are alike.
    hidden_sizes : sequence of int, default (128, 128)
        Hidden layers of the encoder; ``()`` is linear.
    decoder_hidden_sizes : sequence of int, optional
        Hidden layers of the decoder; default those of the encoder in reverse.
    min_noise_std : float, default 0.1
        Lower bound of s, in units of the whitened inputs.
    max_epochs : int or "auto", default "auto"
        Passes over the rows; "auto" takes as many as make 4,000 steps, from 20 to 1,000.
    batch_size : int, default 1024
        Rows of a batch.
    learning_rate : float, default 1e-2
        Peak of the learning rate of Adam, which follows one cycle.
    beta_warm_up : float, default 0.0
        Share of the steps over which the weight of the divergence from the prior rises from 0 to 1.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed of weights, order of rows and noise. Equal seeds give equal bits on one machine.

    Attributes
    ----------
    module_ : torch.nn.Module
        Encoder, decoder and prior.
    history_ : list of dict
        "epoch", "loss", "reconstruction", "divergence" (nats for a row), "learning_rate" and "seconds".
    loss_ : float
        Mean loss of the last tenth of the epochs.
    converged_ : bool
        Whether the loss fell by less than 0.01 nats for a row and latent in the last tenth of the epochs.
    n_components_, n_features_in_ : int
        Number of latents, and of inputs.

    Notes
    -----
    Latents of this model are not identified. Targets are checked and otherwise ignored.

    References
    ----------
    D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014, arXiv:1312.6114.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.baselines import VAE
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> VAE(2, hidden_sizes=(), max_epochs=20, random_state=0).fit_transform(X).shape
    (200, 2)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        posterior: Literal["full", "factorized"] = "factorized",
        hidden_sizes: Sequence[int] = (128, 128),
        decoder_hidden_sizes: Sequence[int] | None = None,
        min_noise_std: float = 0.1,
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int = 1024,
        learning_rate: float = 1e-2,
        beta_warm_up: float = 0.0,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.posterior = posterior
        self.hidden_sizes = hidden_sizes
        self.decoder_hidden_sizes = decoder_hidden_sizes
        self.min_noise_std = min_noise_std
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_warm_up = beta_warm_up
        self.random_state = random_state

    def _prior(self, n_latents: int, generator: torch.Generator) -> nn.Module:
        from identirep.baselines.networks import StandardPrior

        return StandardPrior(n_latents)
