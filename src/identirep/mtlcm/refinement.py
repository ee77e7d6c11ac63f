r"""Full likelihood of the factorised model with observation noise, maximised from a joint diagonaliser.

With noise the covariances given the target are Sigma_t = A Lambda_t A' + o^2 I, and joint diagonalisation of what is
left of R_t after taking o^2 I away is only close to the maximum. In the coordinates of the start, where A is near the
identity and the noise has covariance o^2 N,

    L = 1/2 sum_t p_t [ log|Sigma_t| + tr(Sigma_t^{-1} C_t) ],      dL = sum_t tr(G_t dSigma_t),
    G_t = p_t/2 (Sigma_t^{-1} - Sigma_t^{-1} C_t Sigma_t^{-1}),

and A, log Lambda_t and log o^2 are moved together by L-BFGS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["NoisyFit", "maximise_noisy_likelihood"]

Array = NDArray[np.float64]

# Stop when an iteration raises the log-likelihood of all rows together by less than this many nats.
_TOLERANCE = 0.02
_MAX_ITER = 200


@dataclass(frozen=True)
class NoisyFit:
    """Maximum of the likelihood.

    Parameters
    ----------
    unmixing : array, shape (D, D)
        Inverse of the mixing matrix.
    variances : array, shape (n_tasks, D)
        Variance of each latent given the target.
    noise_variance : float
        Variance of the observation noise.
    """

    unmixing: Array
    variances: Array
    noise_variance: float


def maximise_noisy_likelihood(
    R: Array, n_samples: NDArray[np.int64], B: Array, variances: Array, noise_variance: float, *, fixed_noise: bool
) -> NoisyFit:
    """Maximise the likelihood of covariances given the target over mixing, variances and noise.

    Parameters
    ----------
    R : array, shape (n_tasks, D, D)
        Covariances given the target, noise included.
    n_samples : array of int, shape (n_tasks,)
        Rows of each task.
    B : array, shape (D, D)
        Unmixing matrix to start from.
    variances : array, shape (n_tasks, D)
        Variances to start from, positive.
    noise_variance : float
        Noise to start from, positive.
    fixed_noise : bool
        Whether the noise stays at its start.

    Returns
    -------
    NoisyFit
        At least as likely as the start.
    """
    T, D = variances.shape
    n_rows = float(n_samples.sum())
    weights = n_samples / n_rows
    scale = 1.0 / np.sqrt(weights @ variances)
    B, variances = B * scale[:, None], variances * scale**2
    objective = _Objective(B @ R @ B.T, B @ B.T, weights, variances, noise_variance, fixed_noise)
    start = np.zeros(D * D + T * D + (0 if fixed_noise else 1))
    options = {"maxiter": _MAX_ITER, "maxcor": 20, "ftol": _TOLERANCE / n_rows, "gtol": 1e-9}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    M, fitted, noise = objective.unpack(found.x)
    return NoisyFit(np.asarray(np.linalg.solve(M, B)), fitted, float(noise))


@dataclass(frozen=True)
class _Objective:
    """Negative mean log-likelihood and its gradient, in the coordinates of the start."""

    C: Array
    noise_shape: Array
    weights: Array
    variances: Array
    noise_variance: float
    fixed_noise: bool

    def unpack(self, x: Array) -> tuple[Array, Array, float]:
        """Mixing, variances and noise of a parameter vector; zero is the start."""
        T, D = self.variances.shape
        M = np.eye(D) + x[: D * D].reshape(D, D)
        # Log variances weigh like their task, which gives all of them about the same curvature.
        logs = x[D * D : D * D + T * D].reshape(T, D) / np.sqrt(self.weights)[:, None]
        noise = self.noise_variance * (1.0 if self.fixed_noise else float(np.exp(x[-1])))
        return M, self.variances * np.exp(np.clip(logs, -50.0, 50.0)), noise

    def __call__(self, x: Array) -> tuple[float, Array]:
        M, variances, noise = self.unpack(x)
        mixed = M * variances[:, None, :]
        Sigma = mixed @ M.T + noise * self.noise_shape
        sign, log_det = np.linalg.slogdet(Sigma)
        if np.any(sign <= 0) or not np.isfinite(log_det).all():
            return np.inf, np.zeros_like(x)
        P = np.linalg.inv(Sigma)
        PC = P @ self.C
        value = 0.5 * float(self.weights @ (log_det + np.einsum("tii->t", PC)))
        G = 0.5 * self.weights[:, None, None] * (P - PC @ P)
        by_mixing = 2.0 * (G @ mixed).sum(axis=0)
        by_log = np.einsum("ji,tji->ti", M, G @ M) * variances / np.sqrt(self.weights)[:, None]
        parts = [by_mixing.ravel(), by_log.ravel()]
        if not self.fixed_noise:
            parts.append(np.array([np.sum(G.sum(axis=0) * self.noise_shape) * noise]))
        return value, np.concatenate(parts)
