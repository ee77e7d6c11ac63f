"""Both stages as one: the encoder is trained again on what targets and causal model say of the latents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep._typing import Array, IntArray
from identirep.encoder_error import encoder_correlation, line_in_target
from identirep.moments import TaskMoments
from identirep.mtlcm import MTLCM
from identirep.mtrn import MTRN, check_fit_data

__all__ = ["information_of_targets", "latents_given_targets", "refine"]

# An error that is not known is at most this share of a latent's variance: where no target determines the latent the
# encoder counts.
_LARGEST_ERROR = 0.1
# Least variance of a latent given the target, in units of the encoder's error.
_LEAST_VARIANCE = 0.1


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
) -> MTRN | None:
    """Take one step of expectation maximisation over encoder and latents, on the data of the fit in the long layout.

    In the long layout a row has one label, which is all that stage one learns from it. Where the label determines
    latents (effects of the target above all), the row says what these latents are, each of them. The new stage one is
    kept if on held-out rows targets say more of its latents than of those of `stage`, else there is None.
    """
    data, group_index = check_fit_data(stage, X, y, tasks, groups, order=order)
    data, group_index, _ = stage._in_order(data, group_index, np.random.default_rng(seed))
    assert data.task_index is not None
    held_out = stage._held_out
    latents = model.transform(stage.transform(data.X))
    known = encoder_correlation(latents, data.targets, data.task_index, held_out)
    largest = np.where(known.known, np.inf, _LARGEST_ERROR * latents.var(axis=0))
    targets = latents_given_targets(latents, data.targets, data.task_index, np.minimum(known.variance, largest))
    refined = stage._taught(data, targets, group_index, np.random.default_rng(seed))
    H = refined.transform(data.X)
    design = np.column_stack([H, np.ones(len(H))])
    to_latents = np.linalg.lstsq(design[~held_out], targets[~held_out], rcond=None)[0]
    before, after = (
        information_of_targets(Z[held_out], data.targets[held_out], data.task_index[held_out])
        for Z in (latents, design @ to_latents)
    )
    return refined if after > before else None


def latents_given_targets(Z: Array, y: Array, task_index: IntArray, error: Array) -> Array:
    r"""Return the posterior mean of latents given what an encoder says of them, the target and the task.

    The encoder's latents are :math:`\hat z_i = z_i + e_i` with errors of variance r_i (D,) in all tasks, and given the
    target :math:`z_i \sim N(m_{ti} + g_{ti} y, q_{ti})`, so that

    .. math::
        E[z_i \mid \hat z, y, t] = \frac{q_{ti} \hat z_i + r_i (m_{ti} + g_{ti} y)}{q_{ti} + r_i}.

    Each task has at least two rows and a target that varies.
    """
    mean = line_in_target(Z, y, task_index)
    n_rows = np.maximum(np.bincount(task_index), 1)
    squares = [np.bincount(task_index, weights) for weights in ((Z - mean) ** 2).T]
    given_target = np.stack(squares, axis=1) / n_rows[:, None]
    variance = np.maximum(given_target - error, _LEAST_VARIANCE * error)
    share = variance / np.maximum(variance + error, np.finfo(np.float64).tiny)
    return np.asarray(mean + share[task_index] * (Z - mean))


def information_of_targets(Z: Array, y: Array, task_index: IntArray) -> float:
    r"""Return what target and task say of latents, in nats for each latent.

    .. math::
        \frac1D \sum_i \sum_t p_t \, \tfrac12 \log \frac{\mathrm{var}(z_i)}{\mathrm{var}(z_i \mid y, t)}

    the mutual information of Gaussians. Errors of an encoder, which know nothing of the target, can only lower it, so
    that on rows it was not trained on it tells a better encoder from a worse one. Tasks with fewer than four rows are
    left out; 0 if there is none.
    """
    moments = TaskMoments.from_long(Z, y, task_index)
    known = (moments.n_samples >= 4) & (moments.var_y > 0.0)
    if not known.any():
        return 0.0
    total = np.einsum("gii->gi", moments.cov_h)[moments.group]
    given = total[known] - moments.cov_hy[known] ** 2 / moments.var_y[known, None]
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(Z.var(axis=0), tiny)) - np.log(np.maximum(given, tiny))
    return float(0.5 * np.average(logs.mean(axis=1), weights=moments.n_samples[known]))
