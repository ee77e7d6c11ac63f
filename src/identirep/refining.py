"""Both stages as one: the encoder is trained again on what targets and causal model say of the latents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep._typing import Array, BoolArray, IntArray
from identirep.encoder_error import encoder_correlation, line_in_target
from identirep.moments import TaskMoments
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN, check_fit_data
from identirep.row_weights import effective_weights

__all__ = ["information_of_targets", "latents_given_targets", "refine", "told_by_targets"]

# An error that is not known is at most this share of a latent's variance: where no target determines the latent the
# encoder counts.
_LARGEST_ERROR = 0.1
# Least variance of a latent given the target, in units of the encoder's error.
_LEAST_VARIANCE = 0.1
# A row teaches a latent of which its target says at least as much as the encoder does ...
_MOST_OF_ENCODER = 0.5
# ... where at least this share of the rows does; else all rows teach it, each as far as its target goes.
_LEAST_TOLD = 0.2


def refine(
    stage: MTRN,
    model: MTLCM,
    X: Any,
    y: ArrayLike,
    tasks: ArrayLike,
    groups: ArrayLike | None,
    seed: int,
    *,
    order: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> MTRN | None:
    """Take one step of expectation maximisation over encoder and latents, on the data of the fit in the long layout.

    In the long layout a row has one label, which is all that stage one learns from it. Where the label determines
    latents (effects of the target above all), the row says what these latents are, each of them. The new stage one is
    kept if on held-out rows targets say more of its latents than of those of `stage`, else there is None.
    """
    data, group_index = check_fit_data(stage, X, y, tasks, groups, order=order, sample_weight=sample_weight)
    data, group_index, _ = stage._in_order(data, group_index, np.random.default_rng(seed))
    assert data.task_index is not None
    held_out = stage._held_out
    latents = model.transform(stage.transform(data.X))
    known = encoder_correlation(latents, data.targets, data.task_index, held_out, data.weights)
    largest = np.where(known.known, np.inf, _LARGEST_ERROR * _variance(latents, data.weights))
    error = np.minimum(known.variance, largest)
    targets = latents_given_targets(latents, data.targets, data.task_index, error, data.weights)
    told = told_by_targets(latents, data.targets, data.task_index, error, held_out, data.weights)
    lesson = np.where(told, targets, np.nan)
    refined = stage._taught(data, lesson, group_index, np.random.default_rng(seed))
    H = refined.transform(data.X)
    design = np.column_stack([H, np.ones(len(H))])
    root = np.ones(len(H)) if data.weights is None else np.sqrt(data.weights / data.weights.max())
    to_latents = np.empty((design.shape[1], targets.shape[1]))
    for i, taught in enumerate((told & ~held_out[:, None]).T):
        weighted = root[taught, None] * design[taught]
        to_latents[:, i] = np.linalg.lstsq(weighted, root[taught] * targets[taught, i], rcond=None)[0]
    rows = data.rows(held_out)
    assert rows.task_index is not None
    before, after = (
        information_of_targets(Z[held_out], rows.targets, rows.task_index, rows.weights)
        for Z in (latents, design @ to_latents)
    )
    return refined if after > before else None


def latents_given_targets(
    Z: Array, y: Array, task_index: IntArray, error: Array, weights: Array | None = None
) -> Array:
    r"""Return the posterior mean of latents given what an encoder says of them, the target and the task.

    The encoder's latents are :math:`\hat z_i = z_i + e_i` with errors of variance r_i (D,) in all tasks, and given the
    target :math:`z_i \sim N(m_{ti} + g_{ti} y, q_{ti})`, so that

    .. math::
        E[z_i \mid \hat z, y, t] = \frac{q_{ti} \hat z_i + r_i (m_{ti} + g_{ti} y)}{q_{ti} + r_i}.

    Each task has at least two rows and a target that varies.
    """
    mean, kept = _line_and_share(Z, y, task_index, error, weights)
    return np.asarray(mean + kept * (Z - mean))


def told_by_targets(
    Z: Array, y: Array, task_index: IntArray, error: Array, held_out: BoolArray, weights: Array | None = None
) -> BoolArray:
    """Tell of which latents (n_samples, D) a row's target says at least as much as the encoder.

    Where it says less, the posterior mean is nearly what the encoder says already, and an encoder that is taught that
    stays where it is: many rounds would be needed. A latent that few rows are told of is taught by all.
    """
    _, kept = _line_and_share(Z, y, task_index, error, weights)
    told = kept <= _MOST_OF_ENCODER
    enough = np.minimum(told[held_out].mean(axis=0), told[~held_out].mean(axis=0)) >= _LEAST_TOLD
    return np.asarray(told | ~enough)


def _line_and_share(
    Z: Array, y: Array, task_index: IntArray, error: Array, weights: Array | None
) -> tuple[Array, Array]:
    """Return the line in the target of each row's latents, and the share that the encoder has in the posterior mean."""
    mean = line_in_target(Z, y, task_index, weights)
    share = np.ones(len(Z)) if weights is None else effective_weights(weights, task_index)
    n_rows = np.maximum(np.bincount(task_index, share), 1)
    squares = [np.bincount(task_index, share * column) for column in ((Z - mean) ** 2).T]
    given_target = np.stack(squares, axis=1) / n_rows[:, None]
    variance = np.maximum(given_target - error, _LEAST_VARIANCE * error)
    kept = variance / np.maximum(variance + error, np.finfo(np.float64).tiny)
    return mean, kept[task_index]


def information_of_targets(Z: Array, y: Array, task_index: IntArray, weights: Array | None = None) -> float:
    r"""Return what target and task say of latents, in nats for each latent.

    .. math::
        \frac1D \sum_i \sum_t p_t \, \tfrac12 \log \frac{\mathrm{var}(z_i)}{\mathrm{var}(z_i \mid y, t)}

    the mutual information of Gaussians. Errors of an encoder, which know nothing of the target, can only lower it, so
    that on rows it was not trained on it tells a better encoder from a worse one. Tasks with fewer than four rows are
    left out; 0 if there is none.
    """
    moments = TaskMoments.from_long(Z, y, task_index, sample_weight=weights)
    known = (moments.n_samples >= 4) & (moments.var_y > 0.0)
    if not known.any():
        return 0.0
    total = np.einsum("gii->gi", moments.cov_h)[moments.group]
    given = total[known] - moments.cov_hy[known] ** 2 / moments.var_y[known, None]
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(_variance(Z, weights), tiny)) - np.log(np.maximum(given, tiny))
    return float(0.5 * np.average(logs.mean(axis=1), weights=moments.n_samples[known]))


def _variance(Z: Array, weights: Array | None) -> Array:
    """Variance of each column, over all rows."""
    return np.asarray(np.average((Z - np.average(Z, axis=0, weights=weights)) ** 2, axis=0, weights=weights))
