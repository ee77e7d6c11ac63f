"""From predictions to features: heads, and the leading predictive directions.

Everything here is NumPy on moments and small matrices; `MTRN` and `PredictiveFeatures` share it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from identirep._typing import Array, IntArray
from identirep.moments import TaskMoments

__all__ = ["Heads", "HeldOut", "Reduction", "least_noise", "linear_heads", "reduce_features", "residual_squares"]

# Strength of the ridge on a head, in pseudo-observations of a feature of average variance.
HEAD_PENALTY = 0.1
# A target counts with at least this share of its variance as noise. Otherwise the few that are almost deterministic
# would decide alone, through noise estimates that change from run to run.
NOISE_SHARE = 0.01
# Directions with less than this share of the largest amplitude are rounding.
_RANK_TOLERANCE = 1e-4
# Directions whose signal is tested; more cost time and no data set in view has as many.
_MAX_DIRECTIONS = 64


@dataclass(frozen=True)
class Heads:
    """Linear heads of all tasks on the same features, and residual variances, degrees of freedom counted."""

    coef: Array
    intercept: Array
    noise: Array


@dataclass(frozen=True)
class Reduction:
    """Linear map from features to their leading predictive directions."""

    # ``H = (F - mean) @ components.T`` has unit covariance within tasks, strongest direction first.
    components: Array
    mean: Array
    # Heads on H, divided by the noise of the task, and that noise (a standard deviation).
    heads: Array
    scale: Array

    def ordered(self, order: IntArray) -> Reduction:
        """Return the same directions in another order."""
        return replace(
            self,
            components=np.ascontiguousarray(self.components[order]),
            heads=np.ascontiguousarray(self.heads[:, order]),
        )

    def direction_moments(self, own: TaskMoments) -> TaskMoments:
        """Return the moments of all directions, of tasks on shared rows whose moments of some directions are known."""
        n, K = own.counts, self.heads.shape[1]
        return TaskMoments(
            own.task_names,
            own.group,
            n,
            np.zeros((1, K)),
            n[:, None, None] * np.eye(K),
            own.mean_y,
            n * self.heads * self.scale[:, None],
            own.scatter_y,
            own.n_rows,
            own.weight_sums,
            own.row_counts,
        )


@dataclass(frozen=True)
class HeldOut:
    """Rows that the encoder was not trained on, in either layout; rows of a group are dependent."""

    features: NDArray[Any]
    targets: Array
    task_index: IntArray | None
    groups: IntArray | None
    # Of the rows, relative to each other.
    weights: Array | None = None


def linear_heads(moments: TaskMoments, *, n_blocks: int = 1) -> Heads:
    """Fit each task's head by ridge regression, and average the predictions of `n_blocks` blocks of features."""
    K = moments.n_features // n_blocks
    n = moments.n_samples.astype(np.float64)
    coef, freedom = np.zeros((moments.n_tasks, moments.n_features)), np.zeros(moments.n_tasks)
    pooled = np.diagonal(moments.pooled_covariance())
    for block in range(n_blocks):
        columns = slice(block * K, (block + 1) * K)
        penalty = max(HEAD_PENALTY * float(pooled[columns].sum()) / max(K, 1), np.finfo(np.float64).tiny)
        # Eigenvectors of each group's scatter serve all its tasks, and give the degrees of freedom.
        values, vectors = np.linalg.eigh(moments.scatter_h[:, columns, columns])
        values = np.maximum(values, 0.0)
        shrunk = 1.0 / (values + penalty)
        rotated = np.einsum("tk,tkj->tj", moments.scatter_hy[:, columns], vectors[moments.group])
        coef[:, columns] = np.einsum("tj,tkj->tk", rotated * shrunk[moments.group], vectors[moments.group]) / n_blocks
        freedom += (values * shrunk).sum(axis=1)[moments.group] / n_blocks
    intercept = moments.mean_y - np.einsum("tk,tk->t", coef, moments.mean_h[moments.group])
    # A head cannot use up more than half of the rows as far as the noise is concerned: the rest would be no estimate.
    noise = residual_squares(moments, coef, intercept) / np.maximum(n - 1.0 - freedom, 0.5 * np.maximum(n, 1.0))
    return Heads(coef, intercept, noise)


def residual_squares(moments: TaskMoments, coef: Array, intercept: Array) -> Array:
    """Return the sum of squared residuals of each task under given heads, shape (n_tasks,)."""
    S, s, v = moments.scatter_h, moments.scatter_hy, moments.scatter_y
    # One product for each group instead of gathering a matrix for each task.
    quadratic = np.zeros(moments.n_tasks)
    for g in range(len(S)):
        tasks = moments.group == g
        quadratic[tasks] = np.einsum("tk,tk->t", coef[tasks] @ S[g], coef[tasks])
    bias = moments.mean_y - intercept - np.einsum("tk,tk->t", coef, moments.mean_h[moments.group])
    centred = v - 2.0 * np.einsum("tk,tk->t", coef, s) + quadratic
    return np.maximum(centred, 0.0) + moments.n_samples * bias**2


def least_noise(noise: Array, var_y: Array) -> Array:
    """Return the standard deviation that targets are divided by; of a task without labels inf: it has no say."""
    variance = noise + NOISE_SHARE * var_y
    return np.sqrt(np.where(variance > 0, variance, np.inf))


def reduce_features(moments: TaskMoments, coef: Array, noise: Array) -> Reduction:
    r"""Find the leading directions of the predicted targets.

    They are the eigenvectors of :math:`\sum_t p_t w_t w_t^\top / \sigma_t^2` in whitened features, computed from the
    singular vectors of the scaled predictions, so that a singular covariance of the features does no harm. By Theorem
    3.2 of the paper features that predict optimally are the latents up to an invertible matrix, as far as the heads of
    the tasks span them: these directions, all above rounding (at most 64), are what they span.
    """
    scale = least_noise(noise, moments.var_y)
    share = np.sqrt(moments.weights)
    G = coef * (share / scale)[:, None]
    values, vectors = np.linalg.eigh(moments.pooled_covariance())
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    U, amplitude, _ = svd(G @ root, full_matrices=False)
    rank = min(int(np.sum(amplitude > max(_RANK_TOLERANCE * amplitude[0], np.finfo(np.float64).tiny))), _MAX_DIRECTIONS)
    U, amplitude = U[:, :rank], amplitude[:rank]
    # Singular vectors have no sign of their own; without a rule it would depend on the LAPACK build.
    U = U * np.where(U[np.abs(U).argmax(axis=0), np.arange(rank)] < 0, -1.0, 1.0)
    components = (U / amplitude).T @ G
    heads = U * amplitude / np.where(share > 0, share, np.inf)[:, None]
    return Reduction(components, moments.pooled_mean(), heads, scale)
