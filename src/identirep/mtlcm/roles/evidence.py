r"""Evidence of roles: of the regression of the target on its causes, of effects, and of the noise these have in common.

For a set C of causes, latents and target centred and scaled to unit variance in the task,

    y = w . z_C + N(0, s^2),      w | s ~ N(0, s^2 tau I)
    z_i = gamma_i y + N(0, q_i),  gamma_i | q_i ~ N(0, q_i kappa_i),    i not in C

with flat log s and log q_i, and gamma_i = 0 for unrelated latents. It is conjugate: the evidence of C is a product of
Student's t, one for the target and one for each other latent.

Observation noise that comes to several latents at once makes them covary given the target. Without taking that into
account, effects whose noise cancels together predict the target better than each of them, and look like causes. Given
the target, effects are independent but for the noise, whose correlations R are known. With F what the data show, the
effects S of a set gain

    -(n - 1)/2 [ log|R_SS| + tr(R_SS^{-1} F_SS) - tr F_SS ].

Pairs taken one by one (`pair_evidence`) would count the same noise many times where it comes from one direction, as
with ill-conditioned mixings. How much of what is left of the effects is noise is not known well, and a correlation near
1 that is not quite there costs more than any role; so all correlations may be smaller by a common share, which is
averaged over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.mtlcm.roles.prior import STRENGTH_SCALES
from identirep.mtlcm.roles.sets import TINY, all_sets, lower_rows, set_members

__all__ = [
    "Dependence",
    "effect_evidence",
    "effect_scales",
    "noise_dependence",
    "noise_given_target",
    "pair_evidence",
    "set_evidence",
]

# Shares of observation noise in the variance of a latent are no larger.
_MOST_NOISE = 0.99
# Variance of a latent given the target, at least, in units of its noise.
_LEAST_OWN = 1.05
_MOST_CORRELATED = 0.98
# Shares of the correlation of their noise that effects may have.
NOISE_SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
# Least eigenvalue of the correlations: what is given need not be positive definite.
_LEAST = 1e-2
# Numbers held at once: few enough that a cache holds most of them (float64, 4 and 2 MB).
_MAX_NUMBERS, _MAX_SETS = 2**19, 2**18


class Dependence(NamedTuple):
    """Correlations of the latents given the target, (n_tasks, D, D): by noise alone, and what the data show."""

    model: Array
    found: Array

    def select(self, tasks: IntArray) -> Dependence:
        """Keep some of the tasks."""
        return Dependence(self.model[tasks], self.found[tasks])


def set_evidence(
    correlation: Array,
    n_samples: Counts,
    candidates: IntArray,
    causal: BoolArray,
    scales: IntArray,
    dependence: Dependence | None = None,
) -> Array:
    """Log evidence of every set of the candidates as causes, besides those that are `causal` anyway.

    Candidates have shape (n_tasks, k); none leave each task its own set. The result has shape
    (n_tasks, n_scales, 2**k): `scales` are positions in the grid of strengths, sets in the order of `set_members`.
    What each cell brings by itself is left out.
    """
    T, n_sets = len(candidates), 2 ** candidates.shape[1]
    evidence = np.empty((T, len(scales), n_sets))
    block = max(1, _MAX_SETS // n_sets)
    for first in range(0, T, block):
        few = slice(first, first + block)
        own = correlation[few], n_samples[few], candidates[few], causal[few]
        for k, tau in enumerate(STRENGTH_SCALES[scales]):
            evidence[few, k] = _regression_evidence(*own, float(tau))
    if dependence is not None:
        evidence += _dependence_evidence(dependence, n_samples, candidates, causal)[:, None]
    return evidence


def _regression_evidence(
    correlation: Array,
    n_samples: Counts,
    candidates: IntArray,
    causal: BoolArray,
    scale: float,
) -> Array:
    """Evidence of the target given its causes, coefficients N(0, scale s^2) and s integrated out, (n_tasks, 2**k)."""
    n = n_samples.astype(np.float64)
    g = n * scale
    M, log_det = _left_by_causes(correlation, causal, candidates, 1.0 / g)
    log_residual, own = all_sets(M)
    size = causal.sum(axis=1)[:, None] + set_members(candidates.shape[1]).sum(axis=1)
    own += log_det[:, None] + size * np.log(g)[:, None]
    return np.asarray(-0.5 * own - 0.5 * (n - 1.0)[:, None] * log_residual)


def _left_by_causes(correlation: Array, causal: BoolArray, candidates: IntArray, ridge: Array) -> tuple[Array, Array]:
    """What a ridge regression on the causes leaves of candidates and target; its log-determinant.

    Sets are padded to the largest one, since a batch of small systems is solved faster than one matrix is swept.
    """
    every = np.concatenate([candidates, np.full((len(causal), 1), correlation.shape[1] - 1)], axis=1)
    M = _submatrix(correlation, every, every)
    i = np.arange(candidates.shape[1])
    M[:, i, i] += ridge[:, None]
    held, real = _padded(causal)
    if not real.size:
        return M, np.zeros(len(M))
    A = np.where(real[:, :, None] & real[:, None, :], _submatrix(correlation, held, held), 0.0)
    i = np.arange(held.shape[1])
    A[:, i, i] = np.where(real, A[:, i, i] + ridge[:, None], 1.0)
    K = np.where(real[:, :, None], _submatrix(correlation, held, every), 0.0)
    return M - K.swapaxes(1, 2) @ np.linalg.solve(A, K), np.asarray(np.linalg.slogdet(A)[1])


def _padded(named: BoolArray) -> tuple[IntArray, BoolArray]:
    """Positions of the latents named in each task, padded to the most there are, and which of them are no padding."""
    count = named.sum(axis=1)
    most = int(count.max(initial=0))
    return np.argsort(~named, axis=1, kind="stable")[:, :most], np.arange(most) < count[:, None]


def _submatrix(M: Array, rows: IntArray, columns: IntArray) -> Array:
    """Rows and columns of the matrix of each task, both of shape (n_tasks, any)."""
    T, D = M.shape[:2]
    first = D * (D * np.arange(T)[:, None] + rows)
    return np.take(np.ascontiguousarray(M).reshape(-1), first[:, :, None] + columns[:, None, :])


def effect_scales(noise_share: Array) -> Array:
    r"""Scales of the strength of effects as observation noise leaves them, shape (..., n_scales).

    Of an effect of unit variance with the share e of noise, :math:`1 - e` is the target's part and its own in the
    proportion g : 1, which makes its strength :math:`(1 - e) g / (1 + e g)`. So the noisiest latents, whose strengths
    are all alike small, do not pass for causes, nor teach that effects are weak.
    """
    share = np.clip(noise_share, 0.0, _MOST_NOISE)[..., None]
    return np.asarray((1.0 - share) * STRENGTH_SCALES / (1.0 + share * STRENGTH_SCALES))


def effect_evidence(rho2: Array, n_samples: Counts, scales: Array | None = None) -> Array:
    r"""Log evidence of an effect of each scale, less that of an unrelated latent, shape (n_tasks, D, n_scales).

    .. math::
        \frac{n-2}{2} \log(1 + g) - \frac{n-1}{2} \log(1 + g (1 - \rho^2)), \qquad g = n \cdot \mathrm{scale},

    the Bayes factor of Zellner's prior, intercept and variance integrated out. A cause without others has the same.
    """
    n = n_samples[:, None, None].astype(np.float64)
    g = n * (STRENGTH_SCALES if scales is None else scales)
    return 0.5 * (n - 2.0) * np.log1p(g) - 0.5 * (n - 1.0) * np.log1p(g * (1.0 - rho2[..., None]))


def noise_given_target(latent_noise_covariance: Array, joint: Array) -> Array:
    """What observation noise adds to the covariance of latents given the target, latents of unit variance in the task.

    Latents are posterior means under a prior of unit variance: as much of latent j leaks into latent i as their noise
    covaries, with the other sign. So what a latent has of its own, given the target, takes that much of the common
    noise away (to first order in the noise).
    """
    variance = np.einsum("tii->ti", joint)[:, :-1]
    own = np.maximum(variance - joint[:, :-1, -1] ** 2 / joint[:, -1:, -1], 0.0)
    left = 1.0 - own[:, :, None] - own[:, None, :]
    i = np.arange(left.shape[1])
    left[:, i, i] = 1.0
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    return np.asarray(latent_noise_covariance * left / (scale[:, :, None] * scale[:, None, :]))


def noise_dependence(correlation: Array, noise_covariance: Array) -> Dependence:
    """Correlations of the latents given the target; the covariance of their noise as in `noise_given_target`."""
    rho, own = correlation[:, :-1, -1], np.einsum("tii->ti", noise_covariance)
    left = np.sqrt(np.maximum(1.0 - rho**2, _LEAST_OWN * own))
    scale = np.maximum(left[:, :, None] * left[:, None, :], TINY)
    found = (correlation[:, :-1, :-1] - rho[:, :, None] * rho[:, None, :]) / scale
    model = np.clip(noise_covariance / scale, -_MOST_CORRELATED, _MOST_CORRELATED)
    i = np.arange(rho.shape[1])
    model[:, i, i] = 1.0
    return Dependence(model, found)


def pair_evidence(dependence: Dependence, n_samples: Counts) -> Array:
    """Log-likelihood that each pair of latents gains by what their noise has in common, shape (n_tasks, D, D).

    The sum over pairs is exact to second order in the correlations: good enough to search for sets, not to judge them
    (`set_evidence`). The search counts all pairs but those of two causes; where pairs overstate what effects
    gain together that ends in better sets than counting effects alone. Zero on the diagonal.
    """
    r, found = dependence
    r = np.where(np.eye(r.shape[1], dtype=bool), 0.0, r)
    rest = 1.0 - r**2
    gain = np.log(rest) + 2.0 * r * (r - found) / rest
    return np.asarray(-0.5 * (n_samples - 1.0)[:, None, None] * gain)


def _dependence_evidence(dependence: Dependence, n_samples: Counts, candidates: IntArray, causal: BoolArray) -> Array:
    """Evidence of every set of causes by what the noise of all other latents has in common, (n_tasks, 2**k)."""
    T, k = candidates.shape
    D = causal.shape[1]
    block = max(1, _MAX_NUMBERS // (len(NOISE_SHARES) * max(2 ** (k + 2), D * D)))
    parts = [
        _dependence_block(dependence.select(tasks), n_samples[tasks], candidates[tasks], causal[tasks])
        for tasks in np.split(np.arange(T), range(block, T, block))
    ]
    return np.concatenate(parts)


def _dependence_block(dependence: Dependence, n_samples: Counts, candidates: IntArray, causal: BoolArray) -> Array:
    """Compute `_dependence_evidence` for a few tasks; sets, shares and tasks are axes, tasks last."""
    D = causal.shape[1]
    R = np.where(np.eye(D, dtype=bool), 0.0, dependence.model)
    lowest = np.linalg.eigvalsh(R)[:, 0]
    R *= np.minimum(1.0, (1.0 - _LEAST) / np.maximum(-lowest, 1.0 - _LEAST))[:, None, None]
    apart = ~causal
    np.put_along_axis(apart, candidates, False, axis=1)
    own, found, start = _given(R, dependence.found, candidates, apart)
    value = _over_sets(own, found).reshape(-1, *start.shape)
    plain = np.take_along_axis(np.einsum("tii->ti", dependence.found), candidates, axis=1)
    value += start
    value -= ((1.0 - set_members(candidates.shape[1])) @ plain.T)[:, None]
    value *= -0.5 * (n_samples - 1.0)
    top = value.max(axis=1)
    value -= top[:, None]
    return (np.log(np.exp(value, out=value).mean(axis=1)) + top).T


def _given(R: Array, F: Array, candidates: IntArray, apart: BoolArray) -> tuple[Array, Array, Array]:
    """Correlations of the candidates given effects apart from them, and twice the negative gain of these.

    `R` has zeros on the diagonal. Of its shares as correlations: (n_shares * T, k, k), for `_over_sets`, and
    (n_shares, T).
    """
    T, k = candidates.shape
    shares = np.array(NOISE_SHARES)[:, None, None, None]
    own, found = (_submatrix(M, candidates, candidates) for M in (R, F))
    own, found = shares * own + np.eye(k), np.broadcast_to(found, (len(shares), *found.shape))
    start = np.zeros((len(shares), T))
    others, real = _padded(apart)
    if real.size:
        both, m = real[:, :, None] & real[:, None, :], real.shape[1]
        A = shares * np.where(both, _submatrix(R, others, others), 0.0) + np.eye(m)
        B = np.where(both, _submatrix(F, others, others), 0.0)
        R_cross, F_cross = (np.where(real[:, :, None], _submatrix(M, others, candidates), 0.0) for M in (R, F))
        R_cross = shares * R_cross
        solved = np.linalg.solve(A, np.concatenate([R_cross, np.broadcast_to(B, A.shape)], axis=3))
        W, AB = solved[..., :k], solved[..., k:]
        start = np.linalg.slogdet(A)[1] + np.einsum("stii->st", AB) - np.einsum("tii->t", B)
        mixed = W.swapaxes(2, 3) @ F_cross
        # What is left of the candidates is measured against what they were.
        found = found - mixed - mixed.swapaxes(2, 3) + W.swapaxes(2, 3) @ B @ W
        own = own - W.swapaxes(2, 3) @ R_cross
    stacked = (len(shares) * T, k, k)
    return own.reshape(stacked), found.reshape(stacked), start


def _over_sets(R: Array, F: Array) -> Array:
    """log|R_SS| + tr(R_SS^{-1} F_SS) for the complements S of all sets, (2**k, n).

    The recursion of `all_sets`: a cause is dropped, an effect is taken out of the others.
    """
    (n, k), value = R.shape[:2], np.zeros(len(R))
    R, F = lower_rows(R), lower_rows(F)
    for size in range(k - 1, -1, -1):
        n_rest, m = size * (size + 1) // 2, len(value)
        column, pivot, own = R[n_rest:-1], np.maximum(R[-1], _LEAST**2), F[-1]
        u = column / pivot
        v = F[n_rest:-1] - 0.5 * own * u
        before = R, F
        R, F = np.empty((n_rest, 2 * m)), np.empty((n_rest, 2 * m))
        R[:, m:], F[:, m:] = before[0][:n_rest], before[1][:n_rest]
        product, other = np.empty((2, size, m))
        for i in range(size):
            row, up_to = slice(i * (i + 1) // 2, (i + 1) * (i + 2) // 2), slice(i + 1)
            np.subtract(R[row, m:], np.multiply(u[i], column[up_to], out=product[up_to]), out=R[row, :m])
            # u v' + v u' is what leaves F, symmetric as it is.
            np.multiply(u[i], v[up_to], out=product[up_to])
            product[up_to] += np.multiply(v[i], u[up_to], out=other[up_to])
            np.subtract(F[row, m:], product[up_to], out=F[row, :m])
        value = np.concatenate([value + np.log(pivot) + own / pivot, value])
    return value.reshape(-1, n)
