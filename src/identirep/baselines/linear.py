"""Principal and independent components, which know nothing of targets; scikit-learn does the work."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from identirep._typing import Array, RandomState
from identirep.baselines.base import (
    Baseline,
    check_inputs,
    choice_faults,
    components_faults,
    count_faults,
    positive_faults,
    whiten,
)
from identirep.seeds import as_generator

__all__ = ["IndependentComponents", "PrincipalComponents"]


class LinearBaseline(Baseline):
    """Base of the linear baselines."""

    components_: Array
    mean_: Array

    def _latents(self, X: NDArray[Any]) -> Array:
        return np.asarray((X - self.mean_) @ self.components_.T, dtype=np.float64)


class PrincipalComponents(LinearBaseline):
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
    n_components_ : int
        Number of components.
    n_features_in_ : int
        Number of inputs.

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

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, tasks: ArrayLike | None = None) -> PrincipalComponents:
        """Compute the components.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, optional
            Not used.
        tasks : array-like, optional
            Not used.

        Returns
        -------
        PrincipalComponents
            This estimator.

        Raises
        ------
        ValueError
            If data or parameters are out of range.
        """
        data = check_inputs(self, X, y, tasks, components_faults(self.n_components), needs_labels=False)
        whitening = whiten(data.X)
        self.n_components_ = _available(self.n_components, len(whitening.components))
        self.mean_, self.components_ = whitening.mean, whitening.components[: self.n_components_]
        self.task_names_ = data.task_names
        return self


class IndependentComponents(LinearBaseline):
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
    n_components_ : int
        Number of components.
    n_features_in_ : int
        Number of inputs.

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

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, tasks: ArrayLike | None = None) -> IndependentComponents:
        """Compute the components.

        Parameters
        ----------
        X : array-like, shape (n_samples, n_features_in)
            Inputs.
        y : array-like, optional
            Not used.
        tasks : array-like, optional
            Not used.

        Returns
        -------
        IndependentComponents
            This estimator.

        Raises
        ------
        ValueError
            If data or parameters are out of range.
        """
        faults = components_faults(self.n_components)
        faults += count_faults({"max_iter": self.max_iter}) + positive_faults({"tol": self.tol})
        faults += choice_faults({"fun": (self.fun, ("logcosh", "exp", "cube"))})
        rng = as_generator(self.random_state)
        data = check_inputs(self, X, y, tasks, faults, needs_labels=False)
        whitening = whiten(data.X)
        self.n_components_ = D = _available(self.n_components, len(whitening.components))
        ica = FastICA(
            whiten=False,
            fun=self.fun,
            max_iter=self.max_iter,
            tol=self.tol,
            w_init=rng.standard_normal((D, D)),
        )
        white = whitening(data.X)[:, :D]
        with warnings.catch_warnings():
            # Ours names the estimator that the user has called.
            warnings.simplefilter("ignore", ConvergenceWarning)
            ica.fit(white)
        self.n_iter_, self.converged_ = int(ica.n_iter_), bool(ica.n_iter_ < self.max_iter)
        self.mean_, self.components_ = whitening.mean, ica.components_ @ whitening.components[:D]
        self.task_names_ = data.task_names
        if not self.converged_:
            warnings.warn(
                f"IndependentComponents stopped after {self.max_iter} iterations without reaching tol={self.tol:.1e}. "
                "Increase max_iter or tol; latents that are nearly Gaussian never converge.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self


def _available(n_components: int | None, rank: int) -> int:
    """Return the number of components; refuse more than there are."""
    faults = components_faults(n_components, rank)
    if faults:
        raise ValueError(faults[0])
    return rank if n_components is None else int(n_components)
