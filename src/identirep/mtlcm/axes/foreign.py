r"""Tasks that do not belong to the others: their features mix the latents otherwise.

Such tasks pull the axes of all, and where they are many the fit can look as good as any. So axes are looked for that
suit most tasks: those of a few tasks drawn at random, then of the tasks that these suit best, again and again, which
lowers the likelihood trimmed to that share of the tasks in every step (Rousseeuw and Van Driessen 1999). From the best
of them every task is judged by the causal model with its most probable roles against a free covariance; where most
tasks do not fit, it has to fit worse than these. With much observation noise in some latent no task is judged. Tasks
that repeat the rows of another one say nothing new.

References
----------
P. J. Rousseeuw, K. Van Driessen, "A fast algorithm for the minimum covariance determinant estimator", Technometrics 41
(1999) 212-223.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.stats import gamma

from identirep._typing import Array, BoolArray, Counts, IntArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes.covariances import DenseCovariances
from identirep.mtlcm.axes.diagonalise import joint_diagonalise
from identirep.mtlcm.axes.exact import climb
from identirep.mtlcm.axes.fit import LatentFit
from identirep.mtlcm.axes.noise import denoised_joint_moments, denoised_residual_covariances
from identirep.mtlcm.axes.search import best_roles, latent_correlations
from identirep.mtlcm.axes.starts import random_rotations
from identirep.mtlcm.model import (
    JointMoments,
    causal_regression,
    independence_law,
    joint_covariances,
    joint_model_covariances,
)
from identirep.mtlcm.roles import correlations

__all__ = ["fit_to_own", "foreign_tasks", "repeated_tasks"]

# Fewest tasks of which most can be told from some, and most that are looked at to find out whether there are any.
_LEAST_TASKS, _MOST_TASKS = 10, 400
# Share of the tasks that axes have to suit; at most the rest is foreign.
_SUITED = 0.6
_N_DRAWS, _N_FOLLOWED = 24, 6
_MAX_STEPS = 10
# Relative change of the axes at which they have arrived.
_ARRIVED = 1e-3
# Steps towards the axes of the tasks that are not foreign, roles as they are.
_CLIMB = 30
# Least eigenvalue of the correlations of features and target of a task that can be judged.
_SINGULAR = 1e-7
# Chance that any task is called foreign, if none is.
_LEVEL = 0.01
# Times as large as usual are the differences of correlations of a foreign task.
_FAR = 2.0
# Tasks as far off that are not significantly so, for each that is.
_BETWEEN = 0.2
_TINY = 1e-12
# Errors of moments without noise are those of the moments with it, over what is left: with a larger share of noise in
# some latent the law of the rows is not theirs, and tasks of the model were called foreign.
_MOST_NOISE = 0.1
# Relative difference of moments up to which tasks are the same rows.
_SAME = 1e-9


def fit_to_own(
    fit: LatentFit,
    moments: TaskMoments,
    refit: Callable[[TaskMoments], LatentFit],
    rng: np.random.Generator,
) -> tuple[LatentFit, BoolArray, BoolArray]:
    """Return a fit to tasks that belong together, each once, with the variances of all; which are foreign, repeated."""
    T, D = moments.n_tasks, len(fit.unmixing)
    foreign, repeated = np.zeros(T, dtype=bool), np.zeros(T, dtype=bool)
    if not moments._has_own_rows or D < 2:
        return fit, foreign, repeated
    repeated = repeated_tasks(moments)
    distinct = np.flatnonzero(~repeated)
    if len(distinct) < 2:
        return fit, foreign, np.zeros(T, dtype=bool)
    if repeated.any():
        fit = refit(moments.select_tasks(distinct))
    basis = np.linalg.qr(fit.mixing)[0]
    reduced = moments.map_features(basis.T)
    if _largest_noise_share(fit) <= _MOST_NOISE:
        foreign[distinct] = foreign_tasks(reduced.select_tasks(distinct), fit.unmixing @ basis, fit.noise_variance, rng)
    counted = ~foreign & ~repeated
    if foreign.any():
        fit = refit(moments.select_tasks(np.flatnonzero(counted)))
    if not counted.all():
        R = denoised_residual_covariances(moments.map_features(basis.T), fit.noise_variance)
        variances = np.einsum("tij,ij->ti", (fit.unmixing @ basis) @ R, fit.unmixing @ basis)
        variances[counted] = fit.variances
        fit = replace(fit, variances=variances)
    return fit, foreign, repeated


def _largest_noise_share(fit: LatentFit) -> float:
    """Return the observation noise in the latents, over what they vary by in half of the tasks; of that with most."""
    noise = fit.noise_variance * np.einsum("dk,dk->d", fit.unmixing, fit.unmixing)
    return float(np.max(noise / np.maximum(np.median(fit.variances, axis=0), _TINY)))


def foreign_tasks(moments: TaskMoments, unmixing: Array, noise_variance: float, rng: np.random.Generator) -> BoolArray:
    """Which tasks, with rows of their own, do not fit axes that suit most of them; `unmixing` (D, D) suits all."""
    T, D = moments.n_tasks, len(unmixing)
    none, n = np.zeros(T, dtype=bool), moments.n_samples

    def joint_of(tasks: IntArray) -> JointMoments:
        return denoised_joint_moments(moments.select_tasks(tasks), noise_variance)

    judged = np.flatnonzero(n - 2 > D)
    # A target that features determine leaves no likelihood to compare.
    least = np.linalg.eigvalsh(correlations(joint_covariances(moments.select_tasks(judged))))[:, 0]
    judged = judged[least > _SINGULAR]
    if len(judged) < _LEAST_TASKS:
        return none
    some = judged[:: max(1, len(judged) // _MOST_TASKS)]
    joint = joint_of(some)
    # What fits needs no search.
    if not (_misfit(joint.mapped(unmixing), n[some]).p_value() < _LEVEL / len(some)).any():
        return none
    B = _suiting_most(joint, n[some], unmixing, rng)
    for _ in range(_MAX_STEPS):
        most = _misfit(joint.mapped(B), n[some])
        apart = most.apart(most, len(judged))
        if apart.mean() > 1.0 - _SUITED:
            return none
        native = joint.select(np.flatnonzero(~apart))
        # The likelihood that tasks are judged by: the factorised one is off where causes nearly determine the target.
        roles = best_roles(native.mapped(B), n[some[~apart]])[1]
        moved = climb(_reweighted(native), B, roles, max_iter=_CLIMB, tol=1e-4).unmixing[0]
        if np.abs(moved - B).max() <= _ARRIVED * np.abs(B).max():
            break
        B = moved
    # Where tasks misfit by degrees it is the axes that are wrong.
    if np.sum(most.is_far(most) & ~apart) > _BETWEEN * apart.sum():
        return none
    foreign = none.copy()
    for tasks in np.array_split(judged, int(np.ceil(len(judged) / _MOST_TASKS))):
        foreign[tasks] = _misfit(joint_of(tasks).mapped(B), n[tasks]).apart(most, len(judged))
    return foreign if foreign.mean() <= 1.0 - _SUITED else none


def repeated_tasks(moments: TaskMoments) -> BoolArray:
    """Which tasks have the same rows as an earlier one, in this or another unit of the target."""
    scale = np.sqrt(np.maximum(moments.scatter_y, np.finfo(np.float64).tiny))
    h = np.concatenate([moments.mean_h, np.einsum("gii->gi", moments.scatter_h)], axis=1)[moments.group]
    size = np.sqrt((h**2).mean(axis=0))
    parts = np.concatenate([h / np.where(size > 0, size, 1.0), moments.scatter_hy / scale[:, None]], axis=1)
    # Sorted by one number that all entries go into, the same tasks are neighbours.
    key = parts @ np.sin(1.0 + np.arange(parts.shape[1]))
    order = np.argsort(key, kind="stable")
    close = np.abs(np.diff(parts[order], axis=0)).max(axis=1) <= _SAME * np.abs(parts[order][1:]).max(axis=1)
    run = np.concatenate([[0], np.cumsum(~close)])
    repeated = np.zeros(len(key), dtype=bool)
    first = np.full(run[-1] + 1, len(key))
    np.minimum.at(first, run, order)
    repeated[order] = order != first[run]
    return repeated


class _Misfit(NamedTuple):
    """Likelihood ratio of each task, with its mean and variance if the model holds, and what it amounts to, (n_tasks,).

    `size` is the root mean square difference between the correlations of latents and target and those of the model, at
    least their sampling error: where causes determine the target, the ratio is large for the least error in the axes.
    """

    statistic: Array
    mean: Array
    variance: Array
    size: Array

    def apart(self, most: _Misfit, n_tested: int) -> BoolArray:
        """Which tasks misfit, and by far more than `most` tasks do, some of which may be foreign."""
        # A model that is wrong for all tasks makes none of them foreign.
        common = max(1.0, float(np.quantile(most.statistic / most.mean, _SUITED)))
        return np.asarray((self.p_value(common) < _LEVEL / n_tested) & self.is_far(most))

    def is_far(self, most: _Misfit) -> BoolArray:
        """Whether the differences are far larger than usual."""
        return np.asarray(self.size > _FAR * np.quantile(most.size, _SUITED))

    def p_value(self, common: float = 1.0) -> Array:
        """Chance of a ratio as large, if all tasks misfit by a common factor."""
        return np.asarray(
            gamma.sf(self.statistic / common, self.mean**2 / self.variance, scale=self.variance / self.mean)
        )


def _misfit(z: JointMoments, n_samples: Counts) -> _Misfit:
    """Likelihood ratio of the causal model with its most probable roles against a free covariance in each task."""
    _, causal = best_roles(z, n_samples)
    S_ii = np.einsum("tii->ti", z.S)
    R_ii = np.maximum(S_ii - z.s**2 / z.v[:, None], _TINY * S_ii)
    w = causal_regression(z.S, z.s, causal)
    residual = np.maximum(z.v - np.einsum("ti,ti->t", w, z.s), _TINY * z.v)
    ratio = np.log(np.where(causal, S_ii, R_ii)).sum(axis=1) + np.log(residual / z.v) - _free(z)
    seen, expected = latent_correlations(z), joint_model_covariances(np.eye(len(S_ii[0])), z, causal, 0.0)
    pairs = np.triu_indices(seen.shape[1], 1)
    difference = (seen - correlations(expected))[:, pairs[0], pairs[1]]
    size = np.sqrt(np.maximum(np.mean(difference**2, axis=1), 1.0 / n_samples))
    return _Misfit(n_samples * ratio, *independence_law(n_samples, causal), size)


def _reweighted(joint: JointMoments) -> JointMoments:
    return replace(joint, weights=joint.weights / joint.weights.sum())


def _residual(z: JointMoments) -> Array:
    return np.asarray(z.S - z.s[:, :, None] * z.s[:, None, :] / z.v[:, None, None])


def _free(z: JointMoments) -> Array:
    """log|R_t| of the covariance given the target, (n_tasks,)."""
    return np.asarray(np.linalg.slogdet(_residual(z))[1])


def _suiting_most(joint: JointMoments, n_samples: Counts, unmixing: Array, rng: np.random.Generator) -> Array:
    """Unmixing matrix that makes the latents of a share of the tasks as independent given the target as can be."""
    T, D = joint.s.shape
    covariances = _covariances(joint, n_samples)
    values, vectors = np.linalg.eigh(np.tensordot(joint.weights / joint.weights.sum(), joint.S, axes=1))
    whitener = vectors.T / np.sqrt(values)[:, None]
    # So few tasks that some draw has none of the foreign ones, and enough to tell latents apart.
    size = int(np.clip(D // 2 + 1, 3, 8))
    drawn = rng.random((_N_DRAWS, T)).argsort(axis=1) < size
    starts = np.concatenate([unmixing[None], random_rotations(_N_DRAWS, D, rng) @ whitener])
    kept = np.concatenate([np.ones((1, T), dtype=bool), drawn])
    n_kept = int(np.ceil(_SUITED * T))
    for step in range(_MAX_STEPS):
        starts = _diagonalised(_weighted(covariances, kept), starts, max_iter=50 if step == 0 else 15)
        criterion = np.log(covariances.variances(starts)).sum(axis=2) - 2.0 * np.linalg.slogdet(starts)[1][:, None]
        misfit = n_samples * (criterion - _free(joint))
        order = np.argsort(misfit, axis=1, kind="stable")
        before, kept = kept, np.zeros_like(kept)
        np.put_along_axis(kept, order[:, :n_kept], True, axis=1)
        total = np.where(kept, misfit, 0.0).sum(axis=1)
        if step > 0 and np.array_equal(before, kept):
            break
        if step == 1:
            followed: IntArray = np.argsort(total, kind="stable")[:_N_FOLLOWED]
            starts, kept, total = starts[followed], kept[followed], total[followed]
    return np.asarray(starts[np.argmin(total)])


def _covariances(joint: JointMoments, n_samples: Counts) -> DenseCovariances:
    """Covariances given the target, tasks weighted by their rows."""
    return DenseCovariances.from_matrices(_residual(joint), n_samples / n_samples.sum())


def _weighted(covariances: DenseCovariances, kept: BoolArray) -> DenseCovariances:
    weights = kept * covariances.weights
    return covariances.reweighted(weights / weights.sum(axis=1, keepdims=True))


def _diagonalised(covariances: DenseCovariances, starts: Array, max_iter: int = 50) -> Array:
    return joint_diagonalise(covariances, starts, max_iter=max_iter, tol=1e-4).unmixing
