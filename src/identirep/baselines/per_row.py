"""MTLCM as published: the likelihood of single rows, maximised by Adam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, RandomState
from identirep.baselines.auxiliary import learn_scaling
from identirep.baselines.base import N_COMPONENTS, POSITIVE, TrainedBaseline
from identirep.parameters import Choice, Either, Made, Rule, Whole
from identirep.validation import TaskData

if TYPE_CHECKING:
    from identirep.baselines.per_row_model import PerRowModel

__all__ = ["PerRowMTLCM"]


class PerRowMTLCM(TrainedBaseline):
    r"""MTLCM as published: Adam on sampled rows, soft indicators of the causes, fixed scales.

    The model is that of `identirep.MTLCM` with its factorised prior, but scales are not learnt, and the likelihood

    .. math::
        h \mid y, t \sim N\bigl(A\,((1 - c_t) \odot \gamma_t)\, y,\;
        A\, \mathrm{diag}(c_t + q^2 (1 - c_t))\, A^\top + o^2 I\bigr), \qquad c_t = \mathrm{sigmoid}(\theta_t)

    is evaluated row by row and maximised over A, :math:`\theta` and :math:`\gamma`.

    Parameters
    ----------
    n_components : int, optional
        Number of latents D; default the number of features.
    spurious_std : float, default 0.1
        Standard deviation q of spurious latents given the target; causes have 1.
    noise_std : float, default 0.01
        Standard deviation o of the observation noise.
    standardize_targets : bool, default False
        Whether to give targets mean 0 and variance 1 in each task first. As published they are taken as they are, which
        does for the synthetic data; targets in units of their own need it.
    max_epochs : int, default 1000
        Passes over the labels.
    batch_size : int, default 1024
        Labels of a batch.
    learning_rate : float, default 1e-2
        Step of Adam.
    dtype : {"float32", "float64"}, default "float32"
        Precision. In float32 covariances of 50 latents may cease to be positive definite.
    on_epoch : callable, optional
        Called after each epoch as ``on_epoch(estimator, n_epochs)``, when ``mixing_`` and `transform` are those of the
        moment. Training stops if it returns True.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Seed of initial values and order.

    Attributes
    ----------
    mixing_ : array, shape (n_features, n_components_)
        The matrix A.
    components_ : array, shape (n_components_, n_features)
        Linear map of `transform`: inverse of A, pseudo-inverse if there are fewer latents than features.
    causal_probability_ : array, shape (n_tasks, n_components_)
        Soft indicators of the causes.
    spurious_coef_ : array, shape (n_tasks, n_components_)
        The coefficients gamma.
    history_ : list of dict
        "epoch", "loss" (mean negative log likelihood of a label), "learning_rate" and "seconds" of each epoch.
    converged_ : bool
        Whether the loss fell by less than 0.01 nats for a label and latent in the last tenth of the epochs.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    n_components_, n_features_in_ : int
        Number of latents, and of features.

    Notes
    -----
    In the wide layout each row counts once for each of its labels, as if it were copied. A batch of B labels of G
    different tasks takes O(G K^3 + B K^2). Nothing is centred or scaled: features are expected to have about mean 0 and
    unit variance.

    References
    ----------
    W. Chen, J. Horwood, J. Heo, J. M. Hernandez-Lobato, "Leveraging task structures for improved identifiability in
    neural network representations", TMLR 2024, arXiv:2306.14861.

    Examples
    --------
    >>> from identirep.baselines import PerRowMTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> data = make_linear_tasks(n_tasks=10, n_latents=3, n_causal=1, random_state=0)
    >>> model = PerRowMTLCM(max_epochs=2, random_state=0).fit(data.H, data.y, data.tasks)
    >>> model.transform(data.H).shape, len(model.history_)
    ((1000, 3), 2)
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "n_components": N_COMPONENTS,
        "spurious_std": POSITIVE,
        "noise_std": POSITIVE,
        "standardize_targets": Choice(True, False),
        "max_epochs": Whole(),
        "batch_size": Whole(),
        "learning_rate": POSITIVE,
        "dtype": Choice("float32", "float64"),
        "on_epoch": Either(Choice(None), Made("a function of the estimator and the number of epochs")),
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        spurious_std: float = 0.1,
        noise_std: float = 0.01,
        standardize_targets: bool = False,
        max_epochs: int = 1000,
        batch_size: int = 1024,
        learning_rate: float = 1e-2,
        dtype: Literal["float32", "float64"] = "float32",
        on_epoch: Callable[[PerRowMTLCM, int], object] | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.spurious_std = spurious_std
        self.noise_std = noise_std
        self.standardize_targets = standardize_targets
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dtype = dtype
        self.on_epoch = on_epoch
        self.random_state = random_state

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        from identirep.training import ordinary_torch

        with ordinary_torch():
            return self._train(data, rng)

    def _train(self, data: TaskData, rng: np.random.Generator) -> str | None:
        """Train the model of every row."""
        import torch

        from identirep.baselines.per_row_model import PerRowModel, run_epoch
        from identirep.training import Training

        D = self._set_n_components(data.X.shape[1])
        dtype = torch.float32 if self.dtype == "float32" else torch.float64
        targets = learn_scaling(data).standardized(data) if self.standardize_targets else data.targets
        row, *task = np.nonzero(~np.isnan(targets))
        labels = (
            torch.from_numpy(row),
            torch.from_numpy(targets[~np.isnan(targets)]).to(dtype),
            torch.from_numpy(task[0] if data.task_index is None else data.task_index[row]),
        )
        weight = None
        if data.weights is not None:
            of_labels = data.weights[row]
            weight = torch.from_numpy(of_labels / of_labels.mean()).to(dtype)
        H = torch.from_numpy(np.array(data.X, dtype=self.dtype))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        scales = (float(self.spurious_std), float(self.noise_std))
        model = PerRowModel(data.n_tasks, data.X.shape[1], D, *scales, generator).to(dtype)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate)
        training = Training(optimizer, self.max_epochs, advice=", raise noise_std or use dtype='float64'")
        for epoch in training.epochs():
            run_epoch(model, training, H, labels, self.batch_size, generator, weight)
            if self.on_epoch is not None:
                self._store(model)
                if self.on_epoch(self, epoch + 1) is True:
                    break
        self._store(model)
        self.history_ = training.history
        return self._judge()

    def _store(self, model: PerRowModel) -> None:
        """Take over the values that the model has at the moment."""
        values = (model.mixing, model.indicator.sigmoid(), model.gamma)
        copies = (np.array(value.detach().double().numpy()) for value in values)
        self.mixing_, self.causal_probability_, self.spurious_coef_ = copies
        self.components_ = np.linalg.pinv(self.mixing_)

    def _latents(self, X: NDArray[Any]) -> Array:
        return np.asarray(X @ self.components_.T, dtype=np.float64)
