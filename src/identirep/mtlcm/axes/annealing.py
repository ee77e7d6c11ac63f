r"""Simulated annealing of causal sets and unmixing matrix together, all starts at once.

A round draws the causes of every task by one Gibbs scan, at temperature 1 from their posterior under a flat prior and
below that from a flattened one, and then takes one quasi-Newton step of `exact` on the unmixing matrix. While draws are
loose that is annealing, at temperature 1 it is stochastic EM for the marginal likelihood with the roles summed out.

A draw leaves the covariances swept on the causes, which holds their regression too: the step costs next to nothing.
The target is scaled to unit variance and comes last; arrays are (n_starts, D + 1, D + 1, n_tasks), since NumPy is fast
along a long last axis.
"""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.mtlcm.axes.diagonalise import pair_step
from identirep.mtlcm.model import JointMoments
from identirep.mtlcm.roles import sweep

__all__ = ["MIN_CURVATURE", "anneal"]

_TINY = 1e-12
# Determinants of pairs that no task tells apart are held above this.
MIN_CURVATURE = 1e-2
# Largest entry of a relative step.
_MAX_STEP = 0.5
# Numbers swept at once (float64, 1 MB: what a cache holds), and the fewest tasks that are worth a pass.
_MAX_NUMBERS = 2**17
_MIN_TASKS = 64


def anneal(
    moments: JointMoments, n_samples: Counts, unmixing: Array, temperatures: Array, rng: np.random.Generator
) -> Array:
    """Move unmixing matrices, shape (n_starts, D, D), towards high marginal likelihood, from random causal sets.

    Temperatures, shape (n_rounds, n_starts), are factors on the log evidence of sets.
    """
    T, D = moments.s.shape
    half_n = 0.5 * n_samples.astype(np.float64)
    B = unmixing
    J = _mapped(_joint(moments)[None], B)
    causal = rng.random((len(B), D, T)) < 0.5
    block = max(_MIN_TASKS, int(_MAX_NUMBERS // (len(B) * (D + 1) ** 2)))
    for temperature in temperatures[:, :, None]:
        order, logistic = rng.permutation(D), rng.logistic(size=causal.shape)
        M = J.copy()
        for first in range(0, T, block):
            part = np.s_[..., first : first + block]
            # Drawn in place, so that a block is a view.
            _draw_sets(M[part], causal[part], half_n[first : first + block], temperature, order, logistic[part])
        step = _step(J, M, causal, moments.weights)
        J, B = _mapped(J, step), step @ B
    return B


def _joint(moments: JointMoments) -> Array:
    """Covariances of features and, last, the target scaled to unit variance, shape (D + 1, D + 1, n_tasks)."""
    T, D = moments.s.shape
    J = np.empty((D + 1, D + 1, T))
    J[:D, :D] = moments.S.transpose(1, 2, 0)
    J[:D, D] = J[D, :D] = (moments.s / np.sqrt(moments.v)[:, None]).T
    J[D, D] = 1.0
    return J


def _mapped(J: Array, maps: Array) -> Array:
    """Covariances of the features under one map for each start, the target as it is."""
    S, D = maps.shape[:2]
    whole = np.tile(np.eye(D + 1), (S, 1, 1))
    whole[:, :D, :D] = maps
    half = whole @ J.reshape(len(J), D + 1, -1)
    return np.asarray(whole[:, None] @ half.reshape(S, *J.shape[1:]))


def _draw_sets(
    M: Array, causal: BoolArray, half_n: Array, temperature: Array, order: IntArray, logistic: Array
) -> None:
    """Gibbs scan over the latents in the order given; `causal` becomes the draw, `M` is left swept on it.

    A draw is compared with a `logistic` one. Latent i lowers the residual variance of y by M_iy^2 / M_ii as it joins
    the causes; M_ii < 0 for those among them, and the same formula gives the rise as it leaves.
    """
    D = causal.shape[1]
    S_ii = np.einsum("siit->sit", M)[:, :D]
    own = half_n * np.log1p(-np.minimum(M[:, :D, D] ** 2 / S_ii, 1.0 - _TINY))
    buffer = np.empty_like(M)
    for i in range(D):
        sweep(M, i, causal[:, i], buffer)
    for i in order:
        residual = np.maximum(M[:, D, D], _TINY)
        flipped = np.maximum(residual - M[:, i, D] ** 2 / M[:, i, i], _TINY)
        gain = half_n * np.abs(np.log(flipped / residual))
        drawn = logistic[:, i] < temperature * (own[:, i] + gain)
        sweep(M, i, drawn != causal[:, i], buffer)
        causal[:, i] = drawn


def _step(J: Array, M: Array, causal: BoolArray, weights: Array) -> Array:
    """Map of the quasi-Newton step of `exact.exact_step` for each start, its length bounded but not searched."""
    D = causal.shape[1]
    S_ii, s = np.einsum("siit->sit", J)[:, :D], J[:, :D, D]
    R_ii = np.maximum(S_ii - s**2, _TINY * S_ii)
    # The column of y has the coefficients of causes, and what these leave of the covariance with other latents.
    w, left = np.where(causal, M[:, :D, D], 0.0), np.where(causal, 0.0, M[:, :D, D])
    coupling = weights * w / np.maximum(M[:, D, D], _TINY)[:, None]
    as_cause, as_effect = np.where(causal, weights / S_ii, 0.0), np.where(causal, 0.0, weights / R_ii)
    G = (J[:, :D, :D] @ (as_cause + as_effect)[..., None])[..., 0]
    G -= (as_effect * s) @ s.swapaxes(1, 2) + coupling @ left.swapaxes(1, 2) + np.eye(D)
    H = (as_cause + coupling * w) @ S_ii.swapaxes(1, 2) + as_effect @ R_ii.swapaxes(1, 2)
    E = pair_step(G, H, MIN_CURVATURE)
    length = np.minimum(1.0, _MAX_STEP / np.maximum(np.abs(E).max(axis=(1, 2)), _TINY))
    return np.asarray(np.eye(D) + length[:, None, None] * E)
