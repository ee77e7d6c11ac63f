"""From predictions to features: heads, the leading predictive directions, and how many of them carry signal.

Everything here is NumPy on moments and small matrices; `MTRN` and `PredictiveFeatures` share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd

from identirep._typing import Array, IntArray
from identirep.moments import TaskMoments

__all__ = ["Heads", "HeldOut", "Reduction", "Spectrum", "linear_heads", "predictive_spectrum", "reduce_features"]

# Strength of the ridge on a head, in pseudo-observations of a feature of average variance.
HEAD_PENALTY = 0.1
# A target counts with at least this share of its variance as noise. Otherwise the few that are almost deterministic
# would decide alone, through noise estimates that change from run to run.
NOISE_SHARE = 0.01
# Directions with less than this share of the largest amplitude are rounding.
_RANK_TOLERANCE = 1e-4
# Directions whose signal is tested; more cost time and no data set in view has as many.
_MAX_DIRECTIONS = 64
# An imperfect encoder spreads about a hundredth of a strong direction's signal over others, and with enough rows that
# is significant too. Directions with less than this share of the strongest signal do not count.
_RESOLUTION = 0.02
# The threshold is the largest of this many null eigenvalues: a false alarm in one of 200 data sets without signal.
_N_PERMUTATIONS = 199


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


@dataclass(frozen=True)
class HeldOut:
    """Rows that the encoder was not trained on, in either layout; rows of a group are dependent."""

    features: NDArray[Any]
    targets: Array
    task_index: IntArray | None
    groups: IntArray | None


@dataclass(frozen=True)
class Spectrum:
    """Predictive signal of each direction on held-out rows, and the largest value that chance gave it.

    The signal to noise ratio, averaged over tasks, descending; around zero (or below) without signal.
    """

    values: Array
    threshold: Array

    @property
    def n_components(self) -> int:
        """Number of leading directions above their thresholds."""
        above = self.values > self.threshold
        return len(above) if above.all() else int(np.argmin(above))


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


def reduce_features(moments: TaskMoments, coef: Array, noise: Array) -> Reduction:
    r"""Find the leading directions of the predicted targets.

    They are the eigenvectors of :math:`\sum_t p_t w_t w_t^\top / \sigma_t^2` in whitened features, computed from the
    singular vectors of the scaled predictions, so that a singular covariance of the features does no harm. By Theorem
    3.2 of the paper features that predict optimally are the latents up to an invertible matrix, as far as the heads of
    the tasks span them: these directions, all above rounding (at most 64), are what they span.
    """
    variance = noise + NOISE_SHARE * moments.var_y
    # A task without labels here has no say, in the heads as in the held-out rows.
    scale = np.sqrt(np.where(variance > 0, variance, np.inf))
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


def predictive_spectrum(reduction: Reduction, held_out: HeldOut, rng: np.random.Generator) -> Spectrum:
    r"""Measure the signal of each direction on held-out rows, and what chance would give.

    The eigenvalues of :math:`\sum_t p_t \, \mathrm{sym}(w_t s_t^\top) / \sigma_t^2`, heads :math:`w_t` from training
    rows and covariances :math:`s_t = \mathrm{cov}(h, y)` from held-out rows. Without signal its mean is zero however
    well the network has memorised its training rows. The thresholds are parallel analysis: the same with targets
    permuted within tasks (the same way for tasks that share rows), or with random signs for whole groups; and no less
    than a fiftieth of the strongest signal.
    """
    H = (held_out.features - reduction.mean) @ reduction.components.T
    seen = ~np.isnan(held_out.targets)
    n = int(seen.sum())
    if H.shape[1] == 0 or n == 0:
        return Spectrum(np.zeros(H.shape[1]), np.zeros(H.shape[1]))
    groups = held_out.groups
    if held_out.task_index is None:
        y = held_out.targets / reduction.scale
        y = np.where(seen, y - np.nansum(y, axis=0) / np.maximum(seen.sum(axis=0), 1), 0.0)
        observed, H = y @ reduction.heads, H - H.mean(axis=0)

        def signal(labels: Array) -> Array:
            return _symmetric(H.T @ labels / n)

        def permuted() -> Array:
            return observed[rng.permutation(len(observed))]

    else:
        order = np.argsort(held_out.task_index, kind="stable")
        index = held_out.task_index[order]
        groups = None if groups is None else groups[order]
        observed = _centre((held_out.targets[order] / reduction.scale[index])[:, None], index)
        H = _centre(H[order], index)
        tasks, starts = np.unique(index, return_index=True)
        heads = reduction.heads[tasks]

        def signal(labels: Array) -> Array:
            return _symmetric(np.add.reduceat(H * labels, starts).T @ heads / n)

        def permuted() -> Array:
            return observed[np.lexsort((rng.random(n), index))]

    def flipped() -> Array:
        assert groups is not None
        return observed * rng.choice([-1.0, 1.0], size=int(groups.max()) + 1)[groups][:, None]

    draw = permuted if groups is None else flipped
    values, vectors = np.linalg.eigh(signal(observed))
    values, vectors = values[::-1], vectors[:, ::-1]
    return Spectrum(values, _thresholds(values, vectors, np.stack([signal(draw()) for _ in range(_N_PERMUTATIONS)])))


def _symmetric(M: Array) -> Array:
    return np.asarray(0.5 * (M + M.T))


def _thresholds(values: Array, vectors: Array, null: Array) -> Array:
    """Return what chance gives to each direction once the stronger ones are taken out.

    Fluctuations of a strong direction are larger than the signal of a weak one, so each is compared with null matrices
    restricted to what is left. The first direction below its threshold ends the search, and the rest inherits it.
    """
    thresholds = np.empty(len(values))
    resolution = _RESOLUTION * values[0]
    for k in range(len(values)):
        rest = vectors[:, k:]
        thresholds[k:] = np.linalg.eigvalsh(rest.T @ null @ rest)[:, -1].max().clip(resolution)
        if values[k] <= thresholds[k]:
            break
    return thresholds


def _centre(values: Array, index: IntArray) -> Array:
    """Subtract each task's mean from its rows."""
    counts = np.maximum(np.bincount(index), 1)
    means = np.stack([np.bincount(index, column) for column in values.T], axis=1) / counts[:, None]
    return np.asarray(values - means[index])
