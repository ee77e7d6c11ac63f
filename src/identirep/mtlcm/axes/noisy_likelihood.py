r"""Full likelihood of the factorised model with observation noise, maximised from a joint diagonaliser.

With noise, equation (9) of the paper, the covariances given the target are Sigma_t = A Lambda_t A' + o^2 I, and joint
diagonalisation of what is left of R_t after taking o^2 I away is only close to the maximum. In the coordinates of the
start, where A is M = I + E with a small E and the noise has covariance o^2 N,

    L = 1/2 sum_t p_t [ log|Sigma_t| + tr(Sigma_t^{-1} C_t) ],      dL = sum_t tr(G_t dSigma_t),
    G_t = p_t/2 (Sigma_t^{-1} - Sigma_t^{-1} C_t Sigma_t^{-1}),

and E, Lambda_t and o^2 are moved together by L-BFGS. Coordinates give all of them about the same curvature: pairs
(E_ij, E_ji) are divided by the root of their 2 x 2 Fisher information, log variances by that of their task. The noise
comes in twice. As long as the variances given the target are far off, log Lambda_t and log o^2 move by themselves.
After that the diagonal of Sigma_t is what the data tell best, so that Lambda_t + o^2 diag(N) and o^2 are the
coordinates: o^2 then moves without disturbing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import minimize

from identirep._typing import Array, Counts
from identirep.mtlcm.model import inverse_and_log_det, latent_covariances
from identirep.threads import cached_parts, in_threads

__all__ = ["NoisyFit", "climb_with_noise", "log_likelihood", "maximise_noisy_likelihood", "scored_variances"]
_Moves: TypeAlias = Literal["fixed", "apart", "joined"]

# Stop when an iteration raises the log-likelihood of all rows together by less than so many nats a parameter: while
# approaching the maximum, and at the end. Half a nat is a standard error of a parameter.
_ROUGH, _FINE = 1e-4, 1e-5
_LEAST_NATS = 2e-3
_MAX_ITER = 200
# Directions of a pair that the data hardly inform about keep this share of the better one's information, or of 1, which
# is that of a pair with equal variances.
_LEAST_INFORMATION = 1e-2
# Width, in units of the noise, of the bend that keeps variances positive when they are what the noise leaves of the
# total.
_BEND = 0.1
# Steps of scoring, what steadies them, and the share of its noise that the variance of a latent starts with at least.
_SCORINGS, _SCORING_RIDGE, _LEAST_LEFT = 2, 1e-2, 0.1


@dataclass(frozen=True)
class NoisyFit:
    """Parameters of the model with noise, and the mean log-likelihood of a row if known, up to a constant."""

    unmixing: Array
    variances: Array
    noise_variance: float
    log_likelihood: float = -np.inf


def log_likelihood(R: Array, weights: Array, B: Array, variances: Array, noise_variance: float) -> float:
    """Mean log-likelihood of a row as in `NoisyFit`; minus infinity if a covariance is not positive definite."""
    log_det_B = float(np.linalg.slogdet(B)[1])
    if noise_variance == 0.0:
        observed = np.einsum("tij,ij->ti", B @ R, B)
        return log_det_B - 0.5 * float(weights @ (np.log(variances) + observed / variances).sum(axis=1))

    def loss(tasks: slice) -> float:
        inverse, log_det = inverse_and_log_det(latent_covariances(B, variances[tasks], noise_variance))
        traces = np.einsum("tij,tij->t", inverse, B @ R[tasks] @ B.T)
        return 0.5 * float(weights[tasks] @ (log_det + traces))

    try:
        return log_det_B - sum(in_threads(loss, cached_parts(len(R), B.size)))
    except np.linalg.LinAlgError:
        return -np.inf


def maximise_noisy_likelihood(R: Array, n_samples: Counts, start: NoisyFit, *, fixed_noise: bool) -> NoisyFit:
    """Maximise the likelihood of R, noise included, over mixing, positive variances and, unless fixed, the noise."""
    if fixed_noise:
        return climb_with_noise(R, n_samples, start, "fixed")
    return climb_with_noise(R, n_samples, climb_with_noise(R, n_samples, start, "apart"), "joined")


def climb_with_noise(R: Array, n_samples: Counts, start: NoisyFit, moves: _Moves) -> NoisyFit:
    """Climb until an iteration gains little; "apart" is for starts whose variances may be far off, and stops early."""
    objective = _Objective.at(R, n_samples, start, moves)
    T, D = objective.variances.shape
    x = np.zeros(D * D + T * D + (moves != "fixed"))
    nats = max((_ROUGH if moves == "apart" else _FINE) * len(x), _LEAST_NATS)
    options = {"maxiter": _MAX_ITER, "maxcor": 20, "ftol": nats / objective.n_rows, "gtol": 1e-9}
    found = minimize(objective, x, jac=True, method="L-BFGS-B", options=options)
    point = objective.point(found.x)
    unmixing = np.asarray(np.linalg.solve(point.M, objective.unmixing), dtype=np.float64)
    height = float(np.linalg.slogdet(objective.unmixing)[1]) - float(found.fun)
    return NoisyFit(unmixing, point.variances, point.noise_variance, height)


def scored_variances(R: Array, fit: NoisyFit) -> NoisyFit:
    """Return a fit to some tasks with the variances of all tasks, near their best ones for its axes and noise.

    By Fisher scoring of the logarithms, each task by itself.
    """
    B, noise = fit.unmixing, fit.noise_variance
    part_of_noise = noise * np.einsum("ij,ij->i", B, B)
    ridge = _SCORING_RIDGE * np.eye(len(B))

    def of_part(tasks: slice) -> Array:
        C = B @ R[tasks] @ B.T
        variances = np.maximum(np.einsum("tii->ti", C) - part_of_noise, _LEAST_LEFT * part_of_noise)
        for _ in range(_SCORINGS):
            inverse, _ = inverse_and_log_det(latent_covariances(B, variances, noise))
            slope = np.einsum("tii->ti", inverse) - np.einsum("tij,tij->ti", inverse @ C, inverse)
            information = variances[:, :, None] * variances[:, None] * inverse**2 + ridge
            step = np.linalg.solve(information, (variances * slope)[..., None])[..., 0]
            variances = variances * np.exp(np.clip(-step, -1.0, 1.0))
        return variances

    variances = np.concatenate(in_threads(of_part, cached_parts(len(R), B.size)))
    return NoisyFit(B, variances, noise)


@dataclass(frozen=True)
class _Point:
    """Parameters, and the derivatives of the variances with respect to their own coordinate and to log noise."""

    M: Array
    variances: Array
    noise_variance: float
    by_own: Array
    by_noise: Array


@dataclass(frozen=True)
class _Objective:
    """Negative mean log-likelihood and its gradient, in the coordinates of the start, which is zero.

    `moves` says how the noise moves: "fixed", "apart" from the variances, or "joined" with them to their total.
    """

    unmixing: Array
    C: Array
    noise_shape: Array
    n_rows: float
    weights: Array
    variances: Array
    noise_variance: float
    moves: _Moves

    @classmethod
    def at(cls, R: Array, n_samples: Counts, start: NoisyFit, moves: _Moves) -> _Objective:
        n_rows = float(n_samples.sum())
        weights = n_samples / n_rows
        scale = 1.0 / np.sqrt(weights @ start.variances)
        B, variances = start.unmixing * scale[:, None], start.variances * scale**2
        return cls(B, B @ R @ B.T, B @ B.T, n_rows, weights, variances, start.noise_variance, moves)

    @cached_property
    def total(self) -> Array:
        """Diagonal of Sigma_t at the start."""
        return self.variances + self.noise_variance * np.diag(self.noise_shape)

    @cached_property
    def pair_roots(self) -> Array:
        """Inverse root of the Fisher information of (E_ij, E_ji), shape (D, D, 2, 2)."""
        shares = self.variances / self.total
        own = (self.weights[:, None] / self.total).T @ (self.variances * shares)
        cross = (self.weights[:, None] * shares).T @ shares
        values, vectors = np.linalg.eigh(np.stack([np.stack([own, cross], -1), np.stack([cross, own.T], -1)], -2))
        values = np.maximum(values, _LEAST_INFORMATION * np.maximum(values[..., 1:], 1.0))
        return np.asarray((vectors / np.sqrt(values)[..., None, :]) @ vectors.swapaxes(-1, -2))

    @cached_property
    def scales(self) -> Array:
        """Inverse root of the information of log variances, shape (n_tasks, 1)."""
        return np.sqrt(2.0 / self.weights)[:, None]

    @cached_property
    def bend(self) -> Array:
        """Width of the bend, shape (D,)."""
        return _BEND * self.noise_variance * np.diag(self.noise_shape)

    @cached_property
    def unbent(self) -> Array:
        """What the bend makes the variances of, plus the noise: the total as a coordinate, shape (n_tasks, D)."""
        # Variances below this share of the noise start there: the total must be positive.
        variances = np.maximum(self.variances, 1e-4 * self.bend)
        steep = np.log(-np.expm1(-variances / self.bend))
        return variances + self.bend * steep + self.noise_variance * np.diag(self.noise_shape)

    @cached_property
    def noise_scale(self) -> float:
        """Inverse root of the information of log noise in the off-diagonal of Sigma_t, the only one if joined."""
        if self.moves == "apart":
            return 1.0
        shares = self.noise_variance / self.total
        off = self.noise_shape - np.diag(np.diag(self.noise_shape))
        information = 0.5 * float(np.sum(((self.weights[:, None] * shares).T @ shares) * off**2))
        return 1.0 / np.sqrt(max(information, 1e-4))

    def point(self, x: Array) -> _Point:
        """Parameters of a coordinate vector."""
        T, D = self.variances.shape
        u = x[: D * D].reshape(D, D)
        E = self.pair_roots[..., 0, 0] * u + self.pair_roots[..., 0, 1] * u.T
        # The scale of a latent belongs to its variances.
        np.fill_diagonal(E, 0.0)
        growth = np.exp(np.clip(x[D * D : D * D + T * D].reshape(T, D) * self.scales, -50.0, 50.0))
        if self.moves != "joined":
            noise = self.noise_variance * (1.0 if self.moves == "fixed" else float(np.exp(x[-1])))
            variances = self.variances * growth
            return _Point(np.eye(D) + E, variances, noise, variances * self.scales, np.zeros(D))
        noise = self.noise_variance * float(np.exp(np.clip(x[-1] * self.noise_scale, -50.0, 50.0)))
        total, part = self.unbent * growth, noise * np.diag(self.noise_shape)
        bent = (total - part) / self.bend
        variances = self.bend * np.logaddexp(0.0, bent) + np.finfo(np.float64).tiny
        slope = np.exp(-np.logaddexp(0.0, -bent))
        return _Point(np.eye(D) + E, variances, noise, slope * total * self.scales, -slope * part)

    def __call__(self, x: Array) -> tuple[float, Array]:
        T, D = self.variances.shape
        point = self.point(x)
        try:
            sums = in_threads(partial(self._sums, point), cached_parts(T, D * D))
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(x)
        value, traces = sum(part[0] for part in sums), sum(part[1] for part in sums)
        by_mixing = np.sum([part[2] for part in sums], axis=0)
        by_variance = np.concatenate([part[3] for part in sums])
        np.fill_diagonal(by_mixing, 0.0)
        by_pairs = self.pair_roots[..., 0, 0] * by_mixing + self.pair_roots[..., 0, 1].T * by_mixing.T
        parts = [by_pairs.ravel(), (by_variance * point.by_own).ravel()]
        if self.moves != "fixed":
            # Sigma_t consists of latents and noise, and tr(G_t Sigma_t) is known.
            whole = 0.5 * (float(self.weights.sum()) * D - traces)
            by_noise = whole - np.sum(by_variance * point.variances) + np.sum(by_variance * point.by_noise)
            parts.append(np.array([by_noise * (self.noise_scale if self.moves == "joined" else 1.0)]))
        return value, np.concatenate(parts)

    def _sums(self, point: _Point, tasks: slice) -> tuple[float, float, Array, Array]:
        """What some tasks add to the value, to traces and to the gradient in M; the gradients in their variances."""
        M, variances, weights, C = point.M, point.variances[tasks], self.weights[tasks], self.C[tasks]
        D = len(M)
        mixed = M * variances[:, None, :]
        Sigma = (mixed.reshape(-1, D) @ M.T).reshape(-1, D, D) + point.noise_variance * self.noise_shape
        inverse, log_det = inverse_and_log_det(Sigma)
        traces = np.einsum("tij,tij->t", inverse, C)
        # 2 G_t M, for all tasks.
        GM = (inverse.reshape(-1, D) @ M).reshape(-1, D, D)
        GM -= inverse @ (C @ GM)
        GM *= weights[:, None, None]
        value, trace = 0.5 * float(weights @ (log_det + traces)), float(weights @ traces)
        return value, trace, np.einsum("tij,tj->ij", GM, variances), 0.5 * np.einsum("tij,ij->tj", GM, M)
