"""iVAE: a variational autoencoder whose prior is conditional on task and target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, RandomState
from identirep.baselines.latent_model import VariationalBaseline
from identirep.parameters import Choice, Rule, Whole
from identirep.validation import TaskData, check_task_data

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["IVAE"]


class IVAE(VariationalBaseline):
    r"""Identifiable variational autoencoder: a prior that is conditional on task and target.

    .. math::
        z \mid u \sim N\bigl(\mu(u), \mathrm{diag}\, v(u)\bigr), \qquad x \mid z \sim N(f(z), \mathrm{diag}\, s^2)

    with the evidence lower bound maximised over decoder f, noise s, prior and encoder. Inputs are whitened first, which
    changes neither the model nor its likelihood.

    Parameters
    ----------
    n_components : int, optional
        Number of latents D; default the rank of the inputs.
    auxiliary : {"task and target", "task"}, default "task and target"
        The auxiliary variable u. With the wide layout it is the whole vector of targets, missing ones marked. "task"
        needs the long layout, and then targets may be None.
    prior : {"auto", "affine", "network"}, default "auto"
        "affine": every task has its own mean, slope in the target and variances. "network": a network with two hidden
        layers gives mean and variances, as published. "auto" takes "affine" in the long layout, where it holds on the
        synthetic data, and "network" in the wide one, where variances must depend on the targets to identify anything.
    inference : {"product", "joint"}, default "product"
        "product": q(z | x, u) is proportional to N(z; g(x), v(x)) p(z | u), as the true posterior is. "joint": q is a
        network of x and u as published, which in half of the training rows does not see u, so that it can encode rows
        whose targets are not known.
    posterior : {"full", "factorized"}, default "full"
        Covariance of q(z | x, u): any, or diagonal as published. With a diagonal one the bound is highest where the
        columns of the decoder's Jacobian are orthogonal, whatever the true mixing is.
    hidden_sizes : sequence of int, default (128, 128)
        Hidden layers of the encoder; ``()`` is linear.
    decoder_hidden_sizes : sequence of int, optional
        Hidden layers of the decoder; default those of the encoder in reverse.
    activation : {"leaky_relu", "gelu"}, default "leaky_relu"
        Function between the layers of encoder and decoder: leaky rectifiers of slope 0.1, or the smooth Gaussian error
        linear unit, which fits smooth mixings more closely.
    min_noise_std : float, default 0.1
        Lower bound of s, in units of the whitened inputs. With less noise the bound is so narrow that gradient steps
        hardly turn the latents.
    max_epochs : int or "auto", default "auto"
        Passes over the rows; "auto" takes as many as make 4,000 steps, from 20 to 1,000.
    batch_size : int, default 1024
        Rows of a batch.
    learning_rate : float, default 1e-2
        Peak of the learning rate of Adam, which follows one cycle.
    beta_warm_up : float, default 0.0
        Share of the steps over which the weight of the divergence from the prior rises from 0 to 1.
    n_init : int, default 1
        Number of starts; the lowest loss wins. The bound has local optima where latents stay mixed.
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
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    n_components_, n_features_in_ : int
        Number of latents, and of inputs.

    Notes
    -----
    Identifiability needs variances that differ between values of u; then latents are unique up to order and a
    transformation of each. The prior takes latents as independent given task and target, which causes of a target are
    not. Nothing is guaranteed at finite training: the bound has local optima.

    References
    ----------
    I. Khemakhem, D. P. Kingma, R. P. Monti, A. Hyvarinen, "Variational autoencoders and nonlinear ICA: a unifying
    framework", AISTATS 2020, arXiv:1907.04809.

    Examples
    --------
    >>> from identirep.baselines import IVAE
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.metrics import mcc_score
    >>> data = make_linear_tasks(n_tasks=50, n_latents=3, mixing="orthogonal", random_state=0)
    >>> model = IVAE(hidden_sizes=(), max_epochs=100, random_state=0).fit(data.H, data.y, data.tasks)
    >>> bool(mcc_score(model.transform(data.H), data.Z) > 0.95)
    True
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        **VariationalBaseline._parameter_rules,
        "auxiliary": Choice("task and target", "task"),
        "prior": Choice("auto", "affine", "network"),
        "inference": Choice("product", "joint"),
        "activation": Choice("leaky_relu", "gelu"),
        "n_init": Whole(),
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        auxiliary: Literal["task and target", "task"] = "task and target",
        prior: Literal["auto", "affine", "network"] = "auto",
        inference: Literal["product", "joint"] = "product",
        posterior: Literal["full", "factorized"] = "full",
        hidden_sizes: Sequence[int] = (128, 128),
        decoder_hidden_sizes: Sequence[int] | None = None,
        activation: Literal["leaky_relu", "gelu"] = "leaky_relu",
        min_noise_std: float = 0.1,
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int = 1024,
        learning_rate: float = 1e-2,
        beta_warm_up: float = 0.0,
        n_init: int = 1,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.auxiliary = auxiliary
        self.prior = prior
        self.inference = inference
        self.posterior = posterior
        self.hidden_sizes = hidden_sizes
        self.decoder_hidden_sizes = decoder_hidden_sizes
        self.activation = activation
        self.min_noise_std = min_noise_std
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_warm_up = beta_warm_up
        self.n_init = n_init
        self.random_state = random_state

    @property
    def _needs_labels(self) -> bool:
        return self.auxiliary != "task"

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        if not self._needs_labels and not data.is_long:
            raise ValueError(
                "auxiliary does not fit the layout: got 'task' with y in the wide layout, where every row has all "
                "tasks, expected the task of each row. Pass tasks, or auxiliary='task and target'."
            )
        return super()._fit(data, rng)

    def transform(self, X: ArrayLike, y: ArrayLike | None = None, tasks: ArrayLike | None = None) -> Array:
        """Compute the latents.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, optional
            Targets, in the layout of `fit`; NaN means label missing.
        tasks : array-like, optional
            As for `fit`.

        Returns
        -------
        array, shape (n_samples, n_components_)
            With targets or tasks the mean of q(z | x, u); without, what the encoder says of x alone.
        """
        if y is None and tasks is None:
            return super().transform(X)
        check_is_fitted(self)
        if y is None:
            y = np.full(len(np.asarray(tasks)), np.nan)
        data = check_task_data(X, y, tasks, estimator=self, reset=False, min_labels=0, known_tasks=self.task_names_)
        return self._latents(data.X, self._scaling(data))

    def _prior(self, n_latents: int, generator: torch.Generator) -> nn.Module:
        from identirep.baselines.networks import AffinePrior, NetworkPrior

        sizes = (self._scaling.n_tasks, self._scaling.n_targets, n_latents)
        return AffinePrior(*sizes) if self._is_affine else NetworkPrior(*sizes, generator)

    @property
    def _is_affine(self) -> bool:
        """Whether the prior is affine in the target."""
        return self._scaling.is_long if self.prior == "auto" else self.prior == "affine"

    def _embedding(self, generator: torch.Generator) -> Any:
        from identirep.baselines.networks import AuxiliaryEmbedding

        if self.inference == "product":
            return None
        return AuxiliaryEmbedding(self._scaling.n_tasks, self._scaling.n_targets, generator)
