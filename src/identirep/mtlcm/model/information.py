r"""How well tasks tell each pair of latents apart if the factorised model holds, with observation noise.

In relative coordinates, A <- A (I + E), each pair of latents has an information matrix of (E_ij, E_ji). With lambda_ti
the variance of latent i given the target, p_t the task weights and P_t the inverse of the covariance of h given the
target in the coordinates of the latents, Lambda_t + o^2 N, it is

    [[I_ij, J_ij], [J_ij, I_ji]],   I_ij = sum_t p_t lambda_tj^2 w_tij,   w_tij = P_ii P_jj (1 - r^2)^2 / (1 + r^2),
                                    J_ij = sum_t p_t lambda_ti lambda_tj w_tij,   r^2 = P_ij^2 / (P_ii P_jj),

what is left when the task's own variances of i and j are unknown; without noise I_ij = sum_t p_t lambda_tj / lambda_ti
and J_ij = 1. A noise variance that is estimated adds its own error to all E_ij at once. The inverse is the covariance
of (E_ij, E_ji): what leaks from each axis into the other.

References
----------
I. M. Johnstone, "On the distribution of the largest eigenvalue in principal components analysis", Ann. Statist. 29
(2001) 295-327.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from identirep._typing import Array
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.noise import regular_covariances
from identirep.mtlcm.axes.noisy_model import inverse_and_log_det, latent_covariances

__all__ = [
    "PairInformation",
    "chance_excess",
    "fisher_leakage",
    "model_information",
    "noisy_precision",
    "pair_weights",
]

_TINY = 1e-12
# 99% point of the Tracy-Widom law of real matrices.
_TRACY_WIDOM_99 = 2.02
# The ratio of two variances has a mean from three degrees of freedom; smaller tasks lean on the pooled covariance.
_LEAST_FREEDOM = 4.0


class PairInformation(NamedTuple):
    """Information about (E_ij, E_ji) in a row, for each pair of latents.

    Parameters
    ----------
    own : array, shape (D, D)
        I_ij: of E_ij with itself.
    cross : array, shape (D, D)
        J_ij, symmetric: of E_ij with E_ji.
    drift : array, shape (D, D)
        Variance of E_ij, times the number of rows, that the error of the noise variance brings.
    """

    own: Array
    cross: Array
    drift: Array

    @property
    def excess(self) -> Array:
        """What the determinant has over that of an inseparable pair, I_ij I_ji / J_ij^2 - 1; 0 on the diagonal."""
        found = self.own * self.own.T / np.maximum(self.cross**2, _TINY**2) - 1.0
        np.fill_diagonal(found, 0.0)
        return np.maximum(found, 0.0)


def model_information(
    unmixing: Array, variances: Array, noise_variance: float, weights: Array, precision: Array | None = None
) -> PairInformation:
    """Information of a row about each pair of latents.

    Parameters
    ----------
    unmixing : array, shape (D, K)
        Inverse of the mixing matrix.
    variances : array, shape (n_tasks, D)
        Variance of each latent given the target.
    noise_variance : float
        Variance of the observation noise.
    weights : array, shape (n_tasks,)
        Task weights that sum to one.
    precision : array, shape (n_tasks, D, D), optional
        P_t, if known; computed by default.

    Returns
    -------
    PairInformation
        Information about the relative coordinates E of the mixing matrix.
    """
    D, lam = variances.shape[1], variances
    if noise_variance == 0.0:
        return PairInformation((weights[:, None] / lam).T @ lam, np.ones((D, D)), np.zeros((D, D)))
    if precision is None:
        precision, _ = inverse_and_log_det(latent_covariances(unmixing, lam, noise_variance))
    both = pair_weights(precision, weights)
    own, cross = np.einsum("tij,tj->ij", both, lam**2), np.einsum("tij,ti,tj->ij", both, lam, lam)
    # The noise variance moves the off-diagonal by o^2 N; what pairs cannot undo tells how large it is.
    off = noise_variance * unmixing @ unmixing.T
    np.fill_diagonal(off, 0.0)
    coupling = np.einsum("tij,tj->ij", both, lam) * off
    determinant = np.maximum(own * own.T - cross**2, _TINY * own * own.T)
    np.fill_diagonal(determinant, 1.0)
    shift = (own.T * coupling - cross * coupling.T) / determinant
    left = 0.5 * float(np.sum(both * off**2) - np.sum(coupling * shift))
    return PairInformation(own, cross, shift**2 / max(left, _TINY))


def noisy_precision(
    moments: TaskMoments, unmixing: Array, variances: Array, noise_variance: float
) -> tuple[Array, Array]:
    """P_t of all tasks in the coordinates of the latents, and P_t C_t P_t - P_t with C_t what the data show."""
    C = regular_covariances(moments.map_features(unmixing))
    precision, _ = inverse_and_log_det(latent_covariances(unmixing, variances, noise_variance))
    return precision, precision @ C @ precision - precision


def pair_weights(precision: Array, weights: Array) -> Array:
    """Return p_t w_tij, shape (n_tasks, D, D)."""
    diagonal = np.einsum("tii->ti", precision)
    outer = diagonal[:, :, None] * diagonal[:, None, :]
    common = precision**2 / outer
    return np.asarray(weights[:, None, None] * outer * (1.0 - common) ** 2 / (1.0 + common))


def fisher_leakage(of: PairInformation, n_rows: int, chance: float = 0.0) -> tuple[Array, Array]:
    """Separation of all pairs, and leakage if the model holds.

    Parameters
    ----------
    of : PairInformation
        Information in a row.
    n_rows : int
        Distinct rows: those that many tasks share inform about the latents' covariances once.
    chance : float, default 0.0
        What the excess must exceed (`chance_excess`). A pair that does not may be rotated at will: leakage 1.

    Returns
    -------
    separation : array, shape (D, D)
        J_ij^2 / (I_ij I_ji).
    leakage : array, shape (D, D)
        Variance of E_ij; the diagonal is 0.
    """
    excess = of.excess
    determinant = np.maximum(excess, _TINY) * np.maximum(of.cross**2, _TINY**2)
    found = np.minimum((of.own.T / determinant + of.drift) / n_rows, 1.0)
    found[excess <= chance] = 1.0
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
    if T < 2 or int(moments.n_samples.sum()) > moments.n_rows:
        return 0.0
    freedom = np.maximum(moments.n_samples - 2.0, _LEAST_FREEDOM)
    mean = float(moments.weights @ ((freedom / (freedom - 2.0)) ** 2 - 1.0))
    roots = np.sqrt(T - 1.0), np.sqrt(2.0)
    edge = sum(roots) ** 2 + _TRACY_WIDOM_99 * sum(roots) * (1.0 / roots[0] + 1.0 / roots[1]) ** (1.0 / 3.0)
    return mean * edge / T
