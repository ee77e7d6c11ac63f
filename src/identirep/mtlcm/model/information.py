r"""How well tasks tell each pair of latents apart: Fisher information of the mixing matrix, and the scores of tasks.

In relative coordinates, A <- A (I + E), each pair of latents has an information matrix of (E_ij, E_ji), of a row,

    [[I_ij, J_ij], [J_ij, I_ji]],   whose inverse, over the number of rows, is their covariance: what leaks from where.

*Factorised likelihood* p(h | y, t), from the prior (6) and the likelihood (9) of the paper. With lambda_ti the variance
of latent i given the target, p_t the task weights and P_t the inverse of the covariance of h given the target in the
coordinates of the latents, Lambda_t + o^2 N,

    I_ij = sum_t p_t lambda_tj^2 w_tij,           w_tij = P_ii P_jj (1 - r^2)^2 / (1 + r^2),
    J_ij = sum_t p_t lambda_ti lambda_tj w_tij,   r^2 = P_ij^2 / (P_ii P_jj),

what is left when the task's own variances of i and j are unknown; without noise I_ij = sum_t p_t lambda_tj / lambda_ti
and J_ij = 1. A noise variance that is estimated adds its own error to all E_ij at once. Task t adds to the gradient of
E_ij the score g_tij = p_t lambda_tj (P_t - P_t C_t P_t)_ij, C_t the covariance given the target that the data show.
Where C_t is not the model's, every task adapts its variances: with r = (P_t C_t P_t - P_t)_ij and d_i = 1 / P_ii, I_ij
loses 2 p_t r^2 (lambda_j^2 + (d_j - lambda_j)^2) of each task, and J_ij what that takes from its scores.

*Exact likelihood* p(h, y | t). Adding a share e of latent j to latent i changes log S_ii (log R_ii, R_t the covariance
given the target, if i is no cause), and, if i is a cause, what the regression on the causes leaves of y: with b, g what
the causes leave of cov(z_j, y) and var(z_j), beta the coefficient of z_i in the regression of z_j on them and c the
variance of z_i given the others, its second derivative is

    (w_i^2 g + 2 w_i beta b - b^2 / c) / sigma^2 - 2 w_i^2 b^2 / sigma^4,

zero if j is a cause too: the regression does not care which basis of the causes it has. J_ij = 1.

References
----------
I. M. Johnstone, "On the distribution of the largest eigenvalue in principal components analysis", Ann. Statist. 29
(2001) 295-327.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.model.likelihood import (
    JointMoments,
    explained_directions,
    inverse_and_log_det,
    latent_covariances,
    regular_residual_covariances,
)

__all__ = [
    "ExactInformation",
    "FactorizedInformation",
    "Information",
    "PairInformation",
    "chance_excess",
    "fisher_leakage",
]

_TINY = 1e-12
# 99% point of the Tracy-Widom law of real matrices.
_TRACY_WIDOM_99 = 2.02
# The ratio of two variances has a mean from three degrees of freedom; smaller tasks lean on the pooled covariance.
_LEAST_FREEDOM = 4.0


class PairInformation(NamedTuple):
    """I_ij, J_ij (symmetric), and the variance of E_ij times the rows that an estimated noise variance adds: (D, D)."""

    own: Array
    cross: Array
    drift: Array

    @property
    def excess(self) -> Array:
        """What the determinant has over that of an inseparable pair, I_ij I_ji / J_ij^2 - 1; 0 on the diagonal."""
        found = self.own * self.own.T / np.maximum(self.cross**2, _TINY**2) - 1.0
        np.fill_diagonal(found, 0.0)
        return np.maximum(found, 0.0)


@dataclass(frozen=True)
class FactorizedInformation:
    """Information about latents in p(h | y, t), from moments of the features and the parameters of the model."""

    moments: TaskMoments
    unmixing: Array
    variances: Array
    noise_variance: float

    has_many_optima: ClassVar[bool] = False

    @property
    def n_rows(self) -> float:
        """Distinct rows: those that many tasks share inform about the latents' covariances once."""
        return self.moments._n_effective_rows

    @property
    def chance(self) -> float:
        """Excess that a pair must have to be told apart."""
        return chance_excess(self.moments)

    @cached_property
    def _precision(self) -> Array:
        """P_t, shape (n_tasks, D, D)."""
        if self.noise_variance > 0.0:
            return inverse_and_log_det(latent_covariances(self.unmixing, self.variances, self.noise_variance))[0]
        return np.asarray(np.eye(self.variances.shape[1]) / self.variances[:, None])

    @cached_property
    def _pair_weights(self) -> Array:
        """p_t w_tij, shape (n_tasks, D, D)."""
        diagonal = np.einsum("tii->ti", self._precision)
        outer = diagonal[:, :, None] * diagonal[:, None]
        common = self._precision**2 / outer
        return np.asarray(self.moments.weights[:, None, None] * outer * (1.0 - common) ** 2 / (1.0 + common))

    def pairs(self) -> PairInformation:
        """Information of a row about each pair if the model holds."""
        lam, both = self.variances, self._pair_weights
        own, cross = np.einsum("tij,tj->ij", both, lam**2), np.einsum("tij,ti,tj->ij", both, lam, lam)
        # The noise variance moves the off-diagonal by o^2 N. What pairs cannot undo tells how large it is, and so do
        # directions of the features without latents.
        off = self.noise_variance * self.unmixing @ self.unmixing.T
        np.fill_diagonal(off, 0.0)
        coupling = np.einsum("tij,tj->ij", both, lam) * off
        determinant = np.maximum(own * own.T - cross**2, _TINY * own * own.T)
        np.fill_diagonal(determinant, 1.0)
        shift = (own.T * coupling - cross * coupling.T) / determinant
        left = 0.5 * np.sum(both * off**2) - np.sum(coupling * shift) + 0.5 * (self.moments.n_features - len(off))
        return PairInformation(own, cross, shift**2 / np.maximum(left, _TINY))

    def scores(self) -> tuple[Array, PairInformation]:
        """g_tij up to its sign, (n_tasks, D, D), and the Hessian that goes with it where the model may be wrong."""
        lam, precision, weights = self.variances, self._precision, self.moments.weights[:, None, None]
        latents = self.moments.map_features(self.unmixing)
        C = regular_residual_covariances(latents)
        if self.noise_variance == 0.0:
            # Nothing is inverted here, so that what the target explains is taken out whole.
            u, s = explained_directions(latents), latents.cov_hy
            C += u[:, :, None] * u[:, None] - s[:, :, None] * s[:, None] / latents.var_y[:, None, None]
        residual = precision @ C @ precision - precision
        rest = 1.0 / np.einsum("tii->ti", precision) - lam
        lost = weights * residual**2
        own, cross, drift = self.pairs()
        own = np.maximum(own - 2.0 * np.einsum("tij,tj->ij", lost, lam**2 + rest**2), 0.0)
        cross = cross + 2.0 * (
            np.einsum("tij,ti,tj->ij", lost, rest, lam) + np.einsum("tij,ti,tj->ij", lost, lam, rest)
        )
        return weights * residual * lam[:, None], PairInformation(own, cross, drift)

    def effective_tasks(self) -> Array:
        """Equally informative tasks whose squared scores, projected on E_ij, would vary as much: shape (D, D)."""
        shares = self._pair_weights * self.variances[:, None] ** 2
        mixed = self._pair_weights * self.variances[:, None] * self.variances[:, :, None]
        own, cross = shares.sum(axis=0), mixed.sum(axis=0)
        expected = own.T**2 * shares - 2.0 * own.T * cross * mixed + cross**2 * shares.swapaxes(1, 2)
        return np.asarray(expected.sum(axis=0) ** 2 / np.maximum(np.sum(expected**2, axis=0), 1e-300)).clip(min=1.0)


@dataclass(frozen=True)
class ExactInformation:
    """Information about latents in p(h, y | t), from the moments of latents and target, and the causes."""

    z: JointMoments
    causal: BoolArray
    n_rows: float

    has_many_optima: ClassVar[bool] = True
    # It has other sources than variances that differ.
    chance: ClassVar[float] = 0.0

    @cached_property
    def _spread(self) -> tuple[Array, Array]:
        """Variance of each latent, and what is left of it given the target, shape (n_tasks, D)."""
        S_ii = np.einsum("tii->ti", self.z.S)
        return S_ii, np.maximum(S_ii - self.z.s**2 / self.z.v[:, None], _TINY * S_ii)

    @cached_property
    def _covariances(self) -> Array:
        """Covariance of latents i and j, given the target if i is no cause, shape (n_tasks, D, D)."""
        explained = self.z.s[:, :, None] * self.z.s[:, None] / self.z.v[:, None, None]
        return self.z.S - np.where(self.causal[:, :, None], 0.0, explained)

    @cached_property
    def _regression(self) -> tuple[Array, Array, Array, Array]:
        """Of the target on the causes: inverse of their covariance, coefficients, variance left, and b."""
        # A unit diagonal for the others keeps the inverse regular.
        both = self.causal[:, :, None] & self.causal[:, None]
        padded = np.where(both, self.z.S, 0.0)
        i = np.arange(self.causal.shape[1])
        padded[:, i, i] = np.where(self.causal, self._spread[0] * (1.0 + _TINY), 1.0)
        inverse = np.where(both, np.linalg.inv(padded), 0.0)
        w = np.einsum("tij,tj->ti", inverse, self.z.s)
        residual = np.maximum(self.z.v - np.einsum("ti,ti->t", w, self.z.s), _TINY * self.z.v)
        return inverse, w, residual, np.where(self.causal, 0.0, self.z.s - np.einsum("ti,tij->tj", w, self.z.S))

    def pairs(self) -> PairInformation:
        """Information of a row about each pair if the model holds; the diagonal means nothing."""
        return self._curvature(np.where(self.causal[:, :, None] & ~self.causal[:, None], self._covariances, 0.0))

    def scores(self) -> tuple[Array, PairInformation]:
        """What tasks add to the gradient, (n_tasks, D, D), up to the identity, and the Hessian at what they show."""
        _, w, residual, b = self._regression
        S_ii, R_ii = self._spread
        by_variance = self._covariances / np.where(self.causal, S_ii, R_ii)[:, :, None]
        by_target = w[:, :, None] * b[:, None] / residual[:, None, None]
        return self.z.weights[:, None, None] * (by_variance - by_target), self._curvature(self._covariances)

    def effective_tasks(self) -> Array:
        """All tasks, for every pair."""
        D = self.causal.shape[1]
        return np.full((D, D), float(len(self.z.v)))

    def _curvature(self, covariances: Array) -> PairInformation:
        """Second derivative along each E_ij, with these covariances of i and j (given the target if i is no cause)."""
        S_ii, R_ii = self._spread
        inverse, w, residual, b = self._regression
        variance, b, left = np.where(self.causal, S_ii, R_ii)[:, :, None], b[:, None], residual[:, None, None]
        other = np.where(self.causal[:, :, None], S_ii[:, None], R_ii[:, None])
        own = other / variance - 2.0 * (covariances / variance) ** 2
        beta = inverse @ self.z.S
        g = np.where(self.causal, 0.0, np.maximum(S_ii - np.einsum("tij,tij->tj", beta, self.z.S), 0.0))[:, None]
        w = w[:, :, None]
        own += (w**2 * g + 2.0 * w * beta * b - b**2 * np.einsum("tii->ti", inverse)[:, :, None]) / left
        own -= 2.0 * w**2 * b**2 / left**2
        own = np.maximum(np.tensordot(self.z.weights, own, axes=1), 0.0)
        return PairInformation(own, np.ones_like(own), np.zeros_like(own))


Information: TypeAlias = FactorizedInformation | ExactInformation


def fisher_leakage(information: Information) -> tuple[Array, Array]:
    """Separation J_ij^2 / (I_ij I_ji), and variance of E_ij if the model holds: 1 for pairs that may rotate at will."""
    own, cross, drift = pairs = information.pairs()
    excess = pairs.excess
    determinant = np.maximum(excess, _TINY) * np.maximum(cross**2, _TINY**2)
    found = np.minimum((own.T / determinant + drift) / information.n_rows, 1.0)
    found[excess <= information.chance] = 1.0
    np.fill_diagonal(found, 0.0)
    return 1.0 / (1.0 + excess), found


def chance_excess(moments: TaskMoments) -> float:
    """Largest excess that sampling produces, at 99%, for two latents with equal variances in all tasks.

    The ratio of two sample variances of a task has an F distribution, for which E[F] E[1/F] - 1 is known. The fit turns
    the pair to where the ratios differ most between T tasks, which takes the mean over tasks to the largest eigenvalue
    of a 2 x 2 Wishart matrix with T degrees of freedom (Tracy-Widom law; Johnstone 2001). Zero where tasks have rows in
    common, and so share the sampling error of the variances.
    """
    T = moments.n_tasks
    if T < 2 or not moments._has_own_rows:
        return 0.0
    freedom = np.maximum(moments.n_samples - 2.0, _LEAST_FREEDOM)
    mean = float(moments.weights @ ((freedom / (freedom - 2.0)) ** 2 - 1.0))
    roots = np.sqrt(T - 1.0), np.sqrt(2.0)
    edge = sum(roots) ** 2 + _TRACY_WIDOM_99 * sum(roots) * (1.0 / roots[0] + 1.0 / roots[1]) ** (1.0 / 3.0)
    return mean * edge / T
