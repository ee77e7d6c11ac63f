"""Sparse heads: the linear map of the features under which the heads of the tasks are sparsest."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from identirep._typing import Array, RandomState
from identirep.baselines.moment_based import End, MomentBaseline
from identirep.moments import TaskMoments
from identirep.mtrn import linear_heads

__all__ = ["SparseHeads"]

# Widths of the smoothed absolute value, in units of the mean head coefficient: from nearly quadratic to nearly sharp.
_WIDTHS = (1.0, 0.3, 0.1, 0.03)


class SparseHeads(MomentBaseline):
    r"""Features turned so that each task needs few of them: identifiability by sparse heads.

    With :math:`w_t` the least-squares head of task t on whitened features h, the latents are :math:`z = B h` with

    .. math::
        \min_B \sum_t p_t \lVert B^{-\top} w_t / \sigma_t \rVert_1, \qquad \lVert b_i \rVert = 1

    so that each latent has unit variance: the penalised heads of the bi-level problem in the limit of a small penalty,
    where predictions are those of least squares and the penalty chooses the axes.

    Parameters
    ----------
    n_components : int, optional
        Number of latents D; default the rank of the features. With fewer, the leading principal components are used.
    n_init : int, default 5
        Number of starts; the lowest objective wins.
    max_iter : int, default 500
        Largest number of L-BFGS iterations for each width of the smoothed absolute value.
    tol : float, default 1e-6
        Largest entry of the gradient at convergence, for each coefficient.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default None
        Source of the random starts.

    Attributes
    ----------
    components_ : array, shape (n_components_, n_features_in_)
        Linear map of `transform`.
    mean_ : array, shape (n_features_in_,)
        Mean of the features.
    objective_ : float
        Objective at the end.
    n_iter_ : int
        Iterations from the start that won, over all widths.
    converged_ : bool
        Whether the gradient reached `tol`.
    task_names_ : tuple of hashable, length n_tasks
        Labels of the tasks.
    n_components_, n_features_in_ : int
        Number of latents, and of features.

    Notes
    -----
    Identifies latents if each task depends on few of them and these sets vary enough. Where every latent predicts the
    target, as causes and effects both do, heads are not sparse and nothing is guaranteed.

    References
    ----------
    S. Lachapelle, T. Deleu, D. Mahajan, I. Mitliagkas, Y. Bengio, S. Lacoste-Julien, Q. Bertrand, "Synergies between
    disentanglement and sparsity: generalization and identifiability in multi-task learning", ICML 2023,
    arXiv:2211.14666.

    Examples
    --------
    >>> import numpy as np
    >>> from identirep.baselines import SparseHeads
    >>> from identirep.metrics import mcc_score
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(500, 3))
    >>> y = Z @ (rng.normal(size=(3, 30)) * (rng.random((3, 30)) < 0.4)) + 0.1 * rng.normal(size=(500, 30))
    >>> H = Z @ rng.normal(size=(3, 3))
    >>> bool(mcc_score(SparseHeads(random_state=0).fit(H, y).transform(H), Z) > 0.99)
    True
    """

    _unrest = "with a gradient for each coefficient of"

    def __init__(
        self,
        n_components: int | None = None,
        *,
        n_init: int = 5,
        max_iter: int = 500,
        tol: float = 1e-6,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _best_end(self, moments: TaskMoments, starts: list[Array]) -> End:
        """Minimise the objective."""
        heads = linear_heads(moments)
        # Heads in units of the noise: a target that is known better says more about the axes.
        scaled = heads.coef * (moments.weights / np.sqrt(heads.noise))[:, None]
        scaled /= np.abs(scaled).mean()
        return min((_minimise(scaled, start, self.max_iter) for start in starts), key=lambda end: end.objective)


def _minimise(heads: Array, start: Array, max_iter: int) -> End:
    """Go from one start to axes of unit norm, and say how large the gradient is there."""
    C, n_iter = start, 0
    for width in _WIDTHS:
        options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "ftol": 1e-14, "gtol": 0.0}
        result = minimize(_objective, C.ravel(), (heads, width), jac=True, method="L-BFGS-B", options=options)
        C, n_iter = result.x.reshape(start.shape), n_iter + int(result.nit)
    unrest = float(np.abs(result.jac).max()) / heads.size
    return End(C / np.linalg.norm(C, axis=1, keepdims=True), float(result.fun), n_iter, unrest)


def _objective(flat: Array, heads: Array, width: float) -> tuple[float, Array]:
    """Return the smoothed sum of absolute coefficients, and its gradient, for rows that are scaled to unit norm."""
    D = heads.shape[1]
    C = flat.reshape(D, D)
    norm = np.linalg.norm(C, axis=1)
    B = C / norm[:, None]
    try:
        inverse = np.linalg.inv(B)
    except np.linalg.LinAlgError:
        return np.inf, np.zeros_like(flat)
    coef = heads @ inverse
    smooth = np.sqrt(coef**2 + width**2)
    # coef = heads B^-1, so that d coef = -coef dB B^-1; the last line leaves what changes the norms out.
    gradient = -coef.T @ (coef / smooth) @ inverse.T
    gradient = gradient - (gradient * B).sum(axis=1, keepdims=True) * B
    return float((smooth - width).sum()), (gradient / norm[:, None]).ravel()
