"""Principal and independent components, which know nothing of targets; scikit-learn does the work."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from identirep._typing import Array, RandomState
from identirep.baselines.base import N_COMPONENTS, POSITIVE, Baseline, LabelFreeBaseline, whiten
from identirep.parameters import Choice, Rule, Whole
from identirep.validation import TaskData

__all__ = ["IndependentComponents", "LinearBaseline", "PrincipalComponents"]


class LinearBaseline(Baseline):
    """Base of the baselines whose latents are linear in the inputs."""

    components_: Array
    mean_: Array

    def _latents(self, X: NDArray[Any]) -> Array:
        return np.asarray((X - self.mean_) @ self.components_.T, dtype=np.float64)


class PrincipalComponents(LabelFreeBaseline, LinearBaseline):
    """Principal components with unit variance: what the inputs alone give.

    Parameters
    ----------
    n_components : int, optional
        Number of components; default the rank of the inputs.

    Attributes
    ----------
    components_ : array, shape (n_components_, n_features_in_)
        Linear map of `transform`: principal axes, divided by the standard deviation along them.
    mean_ : array, shape (n_features_in_,)
        Mean of the inputs.
    n_components_, n_features_in_ : int
        Number of components, and of inputs.

    Notes
    -----
    Axes are those of largest variance, which says nothing about latents. Targets are checked and otherwise ignored.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.baselines import PrincipalComponents
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> PrincipalComponents(2).fit_transform(X).std(axis=0).round(6)
    array([1., 1.])
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {"n_components": N_COMPONENTS}

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        whitening = whiten(data.X, data.weights)
        D = self._set_n_components(len(whitening.components))
        self.mean_, self.components_ = whitening.mean, whitening.components[:D]
        return None


class IndependentComponents(LabelFreeBaseline, LinearBaseline):
    """Independent components by FastICA: latents that are not Gaussian, from the inputs alone.

    Inputs are reduced to their leading principal components with unit variance, and rotated by
    `sklearn.decomposition.FastICA`.

    Parameters
    ----------
    n_components : int, optional
        Number of components; default the rank of the inputs.
    fun : {"logcosh", "exp", "cube"}, default "logcosh"
        Function that measures how far from Gaussian a component is.
    max_iter : int, default 1000
        Largest number of iterations.
    tol : float, default 1e-4
        Change of the rotation at convergence.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Source of the first rotation.

    Attributes
    ----------
    components_ : array, shape (n_components_, n_features_in_)
        Linear map of `transform`.
    mean_ : array, shape (n_features_in_,)
        Mean of the inputs.
    n_iter_ : int
        Iterations.
    converged_ : bool
        Whether `tol` was reached.
    n_components_, n_features_in_ : int
        Number of components, and of inputs.

    Notes
    -----
    Gaussian latents cannot be told apart, and latents that are standardised in every task nearly are Gaussian.

    References
    ----------
    A. Hyvarinen, E. Oja, "Independent component analysis: algorithms and applications", Neural Networks 13 (2000),
    411-430.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.baselines import IndependentComponents
    >>> from identirep.metrics import mcc_score
    >>> Z = np.random.default_rng(0).uniform(size=(1000, 2))
    >>> model = IndependentComponents(random_state=0).fit(Z @ [[1.0, 0.5], [-0.3, 1.0]])
    >>> bool(mcc_score(model.transform(Z @ [[1.0, 0.5], [-0.3, 1.0]]), Z) > 0.99)
    True
    """

    _parameter_rules: ClassVar[Mapping[str, Rule]] = {
        "n_components": N_COMPONENTS,
        "fun": Choice("logcosh", "exp", "cube"),
        "max_iter": Whole(),
        "tol": POSITIVE,
    }
    _why_no_weights: ClassVar[str] = "FastICA of scikit-learn weighs all rows alike"

    def __init__(
        self,
        n_components: int | None = None,
        *,
        fun: Literal["logcosh", "exp", "cube"] = "logcosh",
        max_iter: int = 1000,
        tol: float = 1e-4,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.fun = fun
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _fit(self, data: TaskData, rng: np.random.Generator) -> str | None:
        whitening = whiten(data.X)
        D = self._set_n_components(len(whitening.components))
        start = rng.standard_normal((D, D))
        ica = FastICA(whiten=False, fun=self.fun, max_iter=self.max_iter, tol=self.tol, w_init=start)
        with warnings.catch_warnings():
            # Ours names the estimator that the user has called.
            warnings.simplefilter("ignore", ConvergenceWarning)
            ica.fit(whitening(data.X)[:, :D])
        self.n_iter_, self.converged_ = int(ica.n_iter_), bool(ica.n_iter_ < self.max_iter)
        self.mean_, self.components_ = whitening.mean, ica.components_ @ whitening.components[:D]
        if self.converged_:
            return None
        return (
            f"after {self.max_iter} iterations without reaching tol={self.tol:.1e}. Increase max_iter or tol; latents "
            "that are nearly Gaussian never converge."
        )
