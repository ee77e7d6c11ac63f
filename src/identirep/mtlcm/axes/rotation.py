r"""The axes on shared rows: those under which the heads of the tasks are sparse.

Where tasks share their rows there is one law of the latents for all of them, and any invertible map of the features
predicts the targets as well. What has to be chosen is a map that comes back on other rows. With c_t the least-squares
head of task t on latents of unit variance, in units of the noise of its target, minimise

    F(B) = sum_t p_t sum_i |c_ti|,      c_t = B^{-T} w_t / sigma_t,   diag(B S B') = 1,

with w_t the heads on the features, whose covariance is S. Heads of a given length cost least where one coefficient is
all of it, which quartimax and varimax reward with fourth powers and independent axes; here axes may correlate, since
nothing makes latents of the same rows independent. Pham's criterion grows without bound as a correlation with a target
goes to one, so that axes chase the target that a fit happens to predict best, and rotations cannot follow latents that
correlate. Powers of abs(c) between one and two often come back better still, but mix weak latents with strong ones,
however many rows there are. What comes back better is that mixture: sums of the axes' lengths |c_i|_p, which do not
mix, have no advantage. The absolute value is smoothed, sqrt(c^2 + w^2), with w a twentieth of the root mean square of
c, about what fits to other rows differ by. `benchmarks/rotations.py` compares all these.

References
----------
H. F. Kaiser, "The varimax criterion for analytic rotation in factor analysis", Psychometrika 23 (1958) 187-200.
S. Lachapelle et al., "Synergies between disentanglement and sparsity: generalization and identifiability in multi-task
learning", ICML 2023, arXiv:2211.14666.
R. I. Jennrich, "Rotation to simple loadings using component loss functions: the oblique case", Psychometrika 71 (2006)
173-191.
Y. Shen, Y. Xue, J. Zhang, K. Letaief, V. Lau, "Complete dictionary learning via l_p-norm maximization", UAI 2020.
K. Rohe, M. Zeng, "Vintage factor analysis with varimax performs statistical inference", J. R. Stat. Soc. B 85 (2023)
1037-1060.
X. Liu, G. Wallin, Y. Chen, I. Moustaki, "Rotation to sparse loadings using L^p losses and related inference problems",
Psychometrika 88 (2023) 527-553.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.noise import denoised_joint_moments
from identirep.mtlcm.axes.solutions import Solutions

__all__ = ["HeadsOfTasks", "length_of_heads", "mostly_shared", "n_starts", "sparsest_heads"]

# Width of the smoothed absolute value, in units of the root mean square coefficient.
_WIDTH = 0.05
# Tasks have their rows in common where a row of one task has labels of at least this share of the others, on average.
_SHARED = 0.5
# A target counts with at least this share of its variance as noise, as in stage one: otherwise the few that are almost
# deterministic decide alone.
_NOISE_SHARE = 0.01
# Gradient at which a line search that finds nothing lower has arrived: the criterion is flat up to rounding there.
_FLAT = 1e-5


class HeadsOfTasks(NamedTuple):
    """Heads on whitened features, in units of the targets' noise, (n_tasks, D), and weights of the tasks."""

    coef: Array
    weights: Array

    @classmethod
    def of(cls, moments: TaskMoments, noise_variance: float) -> tuple[HeadsOfTasks, Array]:
        """Heads from moments with the noise of the features taken out, and the map that whitens those."""
        joint = denoised_joint_moments(moments, noise_variance)
        values, vectors = np.linalg.eigh(np.tensordot(joint.weights, joint.S, axes=1))
        whitener = vectors.T / np.sqrt(values)[:, None]
        white = joint.mapped(whitener)
        coef = np.linalg.solve(white.S, white.s[..., None])[..., 0]
        left = 1.0 - np.einsum("ti,ti->t", coef, white.s) / white.v
        noise = white.v * np.maximum(left, _NOISE_SHARE)
        return cls(coef / np.sqrt(noise)[:, None], joint.weights), whitener

    @property
    def size(self) -> float:
        """Root mean square coefficient."""
        return float(np.sqrt(self.weights @ np.mean(self.coef**2, axis=1)))


def mostly_shared(moments: TaskMoments) -> bool:
    """Whether tasks have most of their rows in common, so that all have about the same law of the latents."""
    further_labels = moments._n_labels - moments.n_rows
    return moments.is_shared or further_labels >= _SHARED * (moments.n_tasks - 1) * moments.n_rows


def n_starts(n_init: int | str, moments: TaskMoments, prior: str) -> dict[str, int]:
    """How many starts of the solver are taken at first, and at most."""
    if n_init != "auto":
        return {"n_init": int(n_init)}
    if mostly_shared(moments) and prior == "factorized":
        return {"n_init": 20, "most_starts": 100}
    return {"n_init": 5}


def sparsest_heads(heads: HeadsOfTasks, initial: Array, *, max_iter: int, tol: float) -> Solutions:
    """Minimise log F from each start, shape (n_starts, D, D), in whitened coordinates."""
    return Solutions.joined([_solved(heads, start, max_iter, tol) for start in initial])


def length_of_heads(heads: HeadsOfTasks, unmixing: Array) -> Array:
    """What each task adds to F, smoothed, before its weight, shape (n_tasks,), for rows of unit norm."""
    coef = heads.coef @ np.linalg.inv(unmixing)
    return np.asarray(np.sqrt(coef**2 + (_WIDTH * heads.size) ** 2).sum(axis=1))


def _solved(heads: HeadsOfTasks, start: Array, max_iter: int, tol: float) -> Solutions:
    """Minimise from one start by L-BFGS, until no entry of the gradient exceeds `tol`."""
    options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "ftol": 0.0, "gtol": tol}
    parts = (heads, _WIDTH * heads.size)
    found = minimize(_criterion, start.ravel(), parts, jac=True, method="L-BFGS-B", options=options)
    B = found.x.reshape(start.shape)
    B = B / np.linalg.norm(B, axis=1, keepdims=True)
    # Status 2: no step lowers the criterion beyond rounding.
    near = max(tol, _FLAT) if found.status == 2 else tol
    return Solutions.of_one(B, float(found.fun), float(np.abs(found.jac).max()), int(found.nit), near)


def _criterion(flat: Array, heads: HeadsOfTasks, width: float) -> tuple[float, Array]:
    """Return log F, smoothed, and its gradient for an unmixing matrix whose rows are scaled to unit norm."""
    D = heads.coef.shape[1]
    M = flat.reshape(D, D)
    norm = np.linalg.norm(M, axis=1)
    B = M / norm[:, None]
    try:
        inverse = np.linalg.inv(B)
    except np.linalg.LinAlgError:
        return np.inf, np.zeros_like(flat)
    coef = heads.coef @ inverse
    smooth = np.sqrt(coef**2 + width**2)
    total = float(heads.weights @ smooth.sum(axis=1))
    # coef = heads B^-1, so that d coef = -coef dB B^-1; the last line leaves what changes the norms out.
    gradient = -coef.T @ (heads.weights[:, None] * coef / smooth) @ inverse.T / total
    gradient = gradient - (gradient * B).sum(axis=1, keepdims=True) * B
    return float(np.log(total)), (gradient / norm[:, None]).ravel()
