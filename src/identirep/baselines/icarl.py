"""iCaRL: a variational autoencoder with a prior that does not factorise, and tests for the parents of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from identirep._typing import Array, BoolArray, RandomState
from identirep.baselines.ivae import IVAE
from identirep.baselines.latent_model import VariationalBaseline
from identirep.baselines.parents import find_parents, fisher_z_p_values, independence_test_class, kernel_p_values
from identirep.parameters import Choice, Either, Number, Rule, Whole

if TYPE_CHECKING:
    import torch
    from torch import nn

    from identirep.baselines.variational import VariationalModel
    from identirep.validation import TaskData

__all__ = ["ICaRL"]

_TESTS = {"fisherz": fisher_z_p_values, "kci": kernel_p_values}


class ICaRL(IVAE):
    r"""Invariant causal representation learning: latents that may depend on each other given task and target.

    .. math::
        p(z \mid y, t) \propto \exp\bigl(\langle T_f(z), \lambda_f(y, t)\rangle + \langle T_n(z), \lambda_n(y, t)
        \rangle\bigr), \qquad x \mid z \sim N(f(z), \mathrm{diag}\, s^2)

    with the statistics z and z^2 of each latent in :math:`T_f`, and the units of a hidden layer of softplus functions
    in :math:`T_n`. Decoder, noise and encoder maximise the evidence lower bound, for which the prior need not be
    normalised; the prior is trained by score matching at latents drawn from the encoder. Then the parents of the target
    of each task are found by tests: causes of a target are independent of each other, and dependent given the target.
    Inputs are whitened first.

    Parameters
    ----------
    n_components : int, optional
        Number of latents D; default the rank of the inputs.
    n_statistics : int, optional
        Number of units of :math:`T_n`; default D. With 0 the prior factorises, as that of `IVAE` does.
    warm_up : float, default 0.5
        Share of the training in which the prior is its factorised part alone and trained by the bound, as `IVAE` is;
        0 as published.
    prior : {"auto", "affine", "network"}, default "auto"
        How means and :math:`\lambda_n` depend on task and target: "affine" in the target, with variances constant in a
        task; by a "network"; "auto" is "affine" in the long layout and "network" in the wide one, see `IVAE`.
    inference : {"product", "joint"}, default "product"
        "product": q(z | x, u) is proportional to N(z; g(x), v(x)) times the factorised part of the prior. "joint": a
        network of x, task and target, as published; see `IVAE`.
    posterior : {"full", "factorized"}, default "full"
        Covariance of q(z | x, u): any, or diagonal as published.
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
    independence_test : {"fisherz", "kci"}, default "fisherz"
        Fisher's z of (partial) correlations, or the kernel test of causal-learn (extra ``baselines``), which takes
        D (D - 1) tests of O(max_test_rows^3) for each task.
    alpha : float, default 0.05
        Level of the tests.
    max_test_rows : int, default 500
        Rows of each task that are tested, drawn at random where there are more.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed of weights, order of rows, noise and rows for the tests. Equal seeds give equal bits on one machine.

    Attributes
    ----------
    causal_ : array of bool, shape (n_tasks, n_components_)
        Which latents are found to be parents of the target of a task.
    causal_p_values_ : array, shape (n_tasks, n_components_)
        p-value of the hypothesis that a latent depends, given the target, on none of the latents that it is independent
        of otherwise; corrected for the number of latents, not for the number of tasks.
    module_ : torch.nn.Module
        Encoder, decoder and prior.
    history_ : list of dict
        "epoch", "loss", "reconstruction", "divergence" (nats for a row, without the constant of :math:`T_n`),
        "learning_rate" and "seconds".
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
    Identifiability is that of `IVAE` for a wider class of priors. A target with a single cause is not told from one
    without, and dependence given the target is weak where causes explain little of it: the tests then find few of the
    parents. Latents that are still mixed depend on each other given the target too, and are taken for parents. Tests
    run on what the encoder says of the inputs alone. Score matching weighs each latent by its prior variance given task
    and target, which keeps latents of small variance from outweighing all others, and :math:`\lambda_n` is kept small
    by a ridge: the more freely :math:`T_n` fits, the less do tasks fix the axes.

    References
    ----------
    C. Lu, Y. Wu, J. M. Hernandez-Lobato, B. Schoelkopf, "Nonlinear invariant risk minimization: a causal approach",
    arXiv:2102.12353; in ICLR 2022 as "Invariant causal representation learning for out-of-distribution generalization".

    A. Hyvarinen, "Estimation of non-normalized statistical models by score matching", JMLR 6 (2005), 695-709.

    Examples
    --------
    >>> from identirep.baselines import ICaRL
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.metrics import mcc_score
    >>> data = make_linear_tasks(n_tasks=50, n_latents=3, mixing="orthogonal", random_state=0)
    >>> model = ICaRL(hidden_sizes=(), max_epochs=100, random_state=0).fit(data.H, data.y, data.tasks)
    >>> bool(mcc_score(model.transform(data.H), data.Z) > 0.95), model.causal_.shape
    (True, (50, 3))
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        **VariationalBaseline._parameter_rules,
        "n_statistics": Either(Whole(0), Choice(None)),
        "warm_up": Number(0.0, 1.0),
        "prior": Choice("auto", "affine", "network"),
        "inference": Choice("product", "joint"),
        "independence_test": Choice(*_TESTS),
        "alpha": Number(0.0, 1.0),
        "max_test_rows": Whole(),
    }

    _why_no_weights: ClassVar[str] = "tests for the parents of a target count all rows alike"
    causal_: BoolArray
    causal_p_values_: Array

    def __init__(
        self,
        n_components: int | None = None,
        *,
        n_statistics: int | None = None,
        warm_up: float = 0.5,
        prior: Literal["auto", "affine", "network"] = "auto",
        inference: Literal["product", "joint"] = "product",
        posterior: Literal["full", "factorized"] = "full",
        hidden_sizes: Sequence[int] = (128, 128),
        decoder_hidden_sizes: Sequence[int] | None = None,
        min_noise_std: float = 0.1,
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int = 1024,
        learning_rate: float = 1e-2,
        beta_warm_up: float = 0.0,
        independence_test: Literal["fisherz", "kci"] = "fisherz",
        alpha: float = 0.05,
        max_test_rows: int = 500,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.n_statistics = n_statistics
        self.warm_up = warm_up
        self.prior = prior
        self.inference = inference
        self.posterior = posterior
        self.hidden_sizes = hidden_sizes
        self.decoder_hidden_sizes = decoder_hidden_sizes
        self.min_noise_std = min_noise_std
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_warm_up = beta_warm_up
        self.independence_test = independence_test
        self.alpha = alpha
        self.max_test_rows = max_test_rows
        self.random_state = random_state

    _needs_labels = True

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        if self.independence_test == "kci":
            # Before training, which would be in vain.
            independence_test_class()
        problem = super()._fit(data, rng)
        self._find_parents(data, rng)
        return problem

    def _prior(self, n_latents: int, generator: torch.Generator) -> nn.Module:
        from identirep.baselines.energy import EnergyPrior
        from identirep.baselines.networks import AffineMap, NetworkMap

        factors = super()._prior(n_latents, generator)
        n_statistics = n_latents if self.n_statistics is None else int(self.n_statistics)
        sizes = (self._scaling.n_tasks, self._scaling.n_targets, n_statistics)
        coefficients = AffineMap(*sizes) if self._is_affine else NetworkMap(*sizes, generator, tanh=True)
        return EnergyPrior(factors, coefficients, n_latents, n_statistics, generator)

    def _build(self, *sizes: int, **settings: Any) -> VariationalModel:
        from identirep.baselines.energy import EnergyModel

        model = EnergyModel(*sizes, **settings)
        model.warm_up = float(self.warm_up)
        return model

    def _find_parents(self, data: TaskData, rng: np.random.Generator) -> None:
        """Test the latents of each task on its labelled rows."""
        test = _TESTS[self.independence_test]
        shape = (data.n_tasks, self.n_components_)
        self.causal_, self.causal_p_values_ = np.zeros(shape, dtype=bool), np.ones(shape)
        Z, index = self._latents(data.X), data.task_index
        for t in range(data.n_tasks):
            y = data.targets[:, t] if index is None else np.where(index == t, data.targets, np.nan)
            rows = rng.permutation(np.flatnonzero(~np.isnan(y)))[: self.max_test_rows]
            found = find_parents(*test(Z[rows], y[rows]), self.alpha)
            self.causal_[t], self.causal_p_values_[t] = found
