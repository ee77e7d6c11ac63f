r"""Which latents cause a target and which are caused by it: posterior over causal sets, from moments.

For task t and a set of causes C, with the scales of all latents profiled out, the log evidence is up to a constant

    -n_t/2 [ sum_{i not in C} log(1 - rho_ti^2) + log(1 - R^2_t(y | C)) ],

rho_ti the correlation of latent i with y and R^2 that of regressing y on C. It does not change when latents are
rescaled task by task. One correlated latent alone explains y equally well as cause and as effect, so the evidence is
joined by an empirical-Bayes prior on the strength of effects: one Gaussian a role over logit rho_ti^2, learnt by EM
over all tasks and latents together with the share of causes. Only cells whose role the evidence alone informs about
teach it, so that where there is nothing but equivalent sets the probabilities stay at one half.

Up to `_MAX_ENUMERATED` latents the sum over sets is exact. Beyond, the sets are averaged over the latents whose role
is least clear in the task, the others held at the best set found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from identirep.moments import TaskMoments
from identirep.mtlcm.likelihood import joint_covariances

__all__ = ["CausalPosterior", "causal_posterior", "causal_regression"]

Array = NDArray[np.float64]

_MAX_ENUMERATED = 12
_N_AMBIGUOUS = 10
_EM_ITERATIONS = 100
_EM_TOL = 1e-4
_TINY = 1e-12


@dataclass(frozen=True)
class RolePrior:
    """Share of causes and, for each role (spurious, causal), mean and standard deviation of logit rho^2."""

    share: float
    mean: Array
    std: Array

    def log_odds(self, x: Array) -> Array:
        """Prior log odds of cause against effect for effect strengths `x`, any shape."""
        z = (x[..., None] - self.mean) / self.std
        density = -0.5 * z**2 - np.log(self.std)
        odds: Array = float(logit(self.share)) + density[..., 1] - density[..., 0]
        return odds


@dataclass(frozen=True)
class CausalPosterior:
    """Posterior of the roles.

    Parameters
    ----------
    probability : array, shape (n_tasks, D)
        Probability that the latent causes the target.
    best : array of bool, shape (n_tasks, D)
        The most probable set of causes found.
    exact : bool
        Whether all sets were enumerated.
    prior : RolePrior
        The prior learnt from all tasks.
    """

    probability: Array
    best: NDArray[np.bool_]
    exact: bool
    prior: RolePrior


def causal_posterior(latents: TaskMoments) -> CausalPosterior:
    """Compute the posterior probability that each latent causes each target.

    Parameters
    ----------
    latents : TaskMoments
        Moments of the latents.

    Returns
    -------
    CausalPosterior
        Probabilities, best sets and the prior learnt.
    """
    joint = joint_covariances(latents)
    scale = np.sqrt(np.einsum("tii->ti", joint))
    correlation = joint / (scale[:, :, None] * scale[:, None, :])
    n_samples = latents.n_samples
    T, D = latents.n_tasks, latents.n_features
    rho2 = np.clip(correlation[:, :D, D] ** 2, _TINY, 1 - _TINY)
    strength = logit(rho2)
    # Turning latent i into a cause takes its own term out of the sum over effects.
    own = 0.5 * n_samples[:, None] * np.log1p(-rho2)
    prior = _fit_prior(strength, np.where(rho2 < 0.5, 0.9, 0.1), np.ones((T, D)))
    exact = D <= _MAX_ENUMERATED
    if exact:
        chosen = np.broadcast_to(np.arange(D), (T, D))
        fixed = np.zeros((T, D), dtype=bool)
        probability, best, prior = _average(correlation, n_samples, own, strength, chosen, fixed, prior)
        return CausalPosterior(probability, best, True, prior)
    best = rho2 < 0.5
    for _ in range(3):
        before = best
        best, odds = _search_mode(correlation, n_samples, own + prior.log_odds(strength), best)
        chosen = np.argsort(np.abs(odds), axis=1, kind="stable")[:, :_N_AMBIGUOUS]
        probability, best, prior = _average(correlation, n_samples, own, strength, chosen, best, prior, odds)
        if np.array_equal(before, best):
            break
    return CausalPosterior(probability, best, False, prior)


def causal_regression(cov_z: Array, cov_zy: Array, causal: NDArray[np.bool_]) -> Array:
    """Regress each target on its causes.

    Parameters
    ----------
    cov_z : array, shape (n_tasks, D, D)
        Within-task covariance of the latents.
    cov_zy : array, shape (n_tasks, D)
        Covariance of latents and target.
    causal : array of bool, shape (n_tasks, D)
        The causes.

    Returns
    -------
    array, shape (n_tasks, D)
        Regression coefficients; 0 for latents that are no causes.
    """
    D = cov_z.shape[1]
    both = causal[:, :, None] & causal[:, None, :]
    scale = np.sqrt(np.einsum("tii->ti", cov_z))
    scale = np.where(scale > 0, scale, 1.0)
    normal = np.where(both, cov_z / (scale[:, :, None] * scale[:, None, :]), 0.0)
    # A unit diagonal for the others makes the system regular and their coefficients zero; the ridge is at rounding
    # level.
    normal[:, np.arange(D), np.arange(D)] = 1.0 + 1e-12
    right = np.where(causal, cov_zy / scale, 0.0)
    return np.linalg.solve(normal, right[..., None])[..., 0] / scale


def _average(
    correlation: Array,
    n_samples: NDArray[np.int64],
    own: Array,
    strength: Array,
    chosen: NDArray[np.int64],
    fixed: NDArray[np.bool_],
    prior: RolePrior,
    odds: Array | None = None,
) -> tuple[Array, NDArray[np.bool_], RolePrior]:
    """EM for the prior with the posterior summed over all sets of the `chosen` latents of each task."""
    T = len(strength)
    k = chosen.shape[1]
    rows = np.arange(T)[:, None]
    outside = fixed.copy()
    outside[rows, chosen] = False
    evidence = -0.5 * n_samples[:, None] * _log_residual_variances(_swept_on(correlation, outside), chosen)
    members = (np.arange(2**k)[:, None] >> np.arange(k)[::-1] & 1).astype(np.float64)
    evidence += own[rows, chosen] @ members.T
    probability = fixed.astype(np.float64)
    if odds is not None:
        probability = 1.0 / (1.0 + np.exp(np.clip(-odds, -700, 700)))
    # What evidence alone says of the roles: only cells that it informs about teach what strength goes with which role.
    alone = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    informed = np.abs(2.0 * probability - 1.0)
    informed[rows, chosen] = np.abs(2.0 * (alone / alone.sum(axis=1, keepdims=True)) @ members - 1.0)
    posterior = evidence
    for _ in range(_EM_ITERATIONS):
        posterior = evidence + prior.log_odds(strength[rows, chosen]) @ members.T
        posterior -= posterior.max(axis=1, keepdims=True)
        np.exp(posterior, out=posterior)
        posterior /= posterior.sum(axis=1, keepdims=True)
        probability[rows, chosen] = posterior @ members
        updated = _fit_prior(strength, probability, informed)
        change = max(abs(updated.share - prior.share), np.abs(updated.mean - prior.mean).max())
        prior = updated
        if change < _EM_TOL:
            break
    best = fixed.copy()
    best[rows, chosen] = members[np.argmax(posterior, axis=1)] > 0.5
    return probability, best, prior


def _fit_prior(strength: Array, probability: Array, informed: Array) -> RolePrior:
    """Maximise the expected log prior, with the weight of two pseudo-observations against degenerate roles."""
    mean, std = np.zeros(2), np.zeros(2)
    centre, spread = float(strength.mean()), float(strength.std()) + _TINY
    for role, weight in enumerate((informed * (1 - probability), informed * probability)):
        total = weight.sum() + 2.0
        mean[role] = (np.sum(weight * strength) + 2.0 * centre) / total
        std[role] = np.sqrt((np.sum(weight * (strength - mean[role]) ** 2) + 2.0 * spread**2) / total)
    share = ((informed * probability).sum() + 1.0) / (informed.sum() + 2.0)
    return RolePrior(float(share), mean, std)


def _log_residual_variances(M: Array, chosen: NDArray[np.int64]) -> Array:
    """log(1 - R^2) of y on every set of the `chosen` latents, shape (n_tasks, 2**k); first latent = highest bit.

    Each level of the recursion splits on one latent: left out, its row and column are dropped; taken in, they are
    swept out. The matrices shrink as fast as their number doubles, so all sets cost about as much as the last few
    levels.
    """
    T = len(M)
    index = np.concatenate([chosen, np.full((T, 1), M.shape[1] - 1)], axis=1)
    nodes = M[np.arange(T)[:, None, None], index[:, :, None], index[:, None, :]][:, None]
    for _ in range(chosen.shape[1]):
        rest, column, pivot = nodes[..., 1:, 1:], nodes[..., 1:, 0], nodes[..., 0, 0]
        usable = pivot > 1e-10
        factor = np.where(usable, 1.0 / np.where(usable, pivot, 1.0), 0.0)
        swept = rest - (factor[..., None] * column)[..., :, None] * column[..., None, :]
        nodes = np.stack([rest, swept], axis=2).reshape(T, -1, *rest.shape[2:])
    return np.log(np.maximum(nodes[..., 0, 0], _TINY))


def _sweep(M: Array, tasks: NDArray[np.int64], latent: NDArray[np.int64]) -> None:
    """Sweep one latent of each task named, in place; sweeping it again undoes that (Goodnight 1979)."""
    rows = M[tasks, latent].copy()
    pivot = rows[np.arange(len(tasks)), latent]
    pivot = np.where(np.abs(pivot) > _TINY, pivot, np.copysign(_TINY, pivot))
    M[tasks] -= rows[:, :, None] * rows[:, None, :] / pivot[:, None, None]
    scaled = rows / np.abs(pivot)[:, None]
    M[tasks, latent], M[tasks, :, latent] = scaled, scaled
    M[tasks, latent, latent] = -1.0 / pivot


def _swept_on(correlation: Array, causal: NDArray[np.bool_]) -> Array:
    """Correlation matrices with each latent of the set swept in."""
    M = correlation.copy()
    for latent in range(causal.shape[1]):
        tasks = np.flatnonzero(causal[:, latent])
        if len(tasks):
            _sweep(M, tasks, np.full(len(tasks), latent))
    return M


def _search_mode(
    correlation: Array, n_samples: NDArray[np.int64], bonus: Array, start: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Array]:
    """Flip the latent that gains most, in all tasks at once, until none gains; return the set and the log odds there.

    A swept matrix gives the gain of every single flip: taking in latent i lowers the residual variance of y by
    M_iy^2 / M_ii, and since M_ii < 0 for those in the set the same formula gives the rise from leaving it out.
    """
    T, D = bonus.shape
    causal, M = start.copy(), _swept_on(correlation, start)
    i = np.arange(D)
    odds = np.zeros((T, D))
    running = np.arange(T)
    for _ in range(4 * D):
        part = M[running]
        residual = np.maximum(part[:, D, D], _TINY)
        pivot = part[:, i, i]
        change = part[:, i, D] ** 2 / np.where(np.abs(pivot) > 1e-10, pivot, np.inf)
        flipped = np.maximum(residual[:, None] - change, _TINY)
        gain = 0.5 * n_samples[running, None] * (np.log(residual)[:, None] - np.log(flipped))
        inside = causal[running]
        odds[running] = np.where(inside, -gain, gain) + bonus[running]
        improvement = np.where(inside, -odds[running], odds[running])
        best = np.argmax(improvement, axis=1)
        better = improvement[np.arange(len(running)), best] > 1e-9
        running, best = running[better], best[better]
        if not len(running):
            break
        _sweep(M, running, best)
        causal[running, best] ^= True
    return causal, odds
