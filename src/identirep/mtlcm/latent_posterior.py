"""What a target adds to latents that an encoder has inferred from the inputs alone."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.moments import TaskMoments

__all__ = ["information_of_targets", "latents_given_targets"]

# The error of an encoder is read off the tasks in which a target determines a latent best: this quantile over tasks.
_QUANTILE = 0.05
# It is at most this share of a latent's variance, so that where no target determines the latent the encoder counts.
_LARGEST_ERROR = 0.1
# Least variance of a latent given the target, in units of the encoder's error.
_LEAST_VARIANCE = 0.1


def latents_given_targets(Z: Array, y: Array, task_index: IntArray) -> Array:
    r"""Return the posterior mean of latents given what an encoder says of them, the target and the task.

    The encoder's latents are :math:`\hat z_i = z_i + e_i` with errors of one variance in all tasks, and given the
    target :math:`z_i \sim N(m_{ti} + g_{ti} y, q_{ti})`, so that

    .. math::
        E[z_i \mid \hat z, y, t] = \frac{q_{ti} \hat z_i + r_i (m_{ti} + g_{ti} y)}{q_{ti} + r_i}.

    Parameters
    ----------
    Z : array, shape (n_samples, n_latents)
        Latents of each row, as an encoder infers them from its inputs.
    y : array, shape (n_samples,)
        Targets.
    task_index : array of int, shape (n_samples,)
        Task of each row; each with at least two rows and a target that varies.

    Returns
    -------
    array, shape (n_samples, n_latents)
        Posterior means.
    """
    moments = TaskMoments.from_long(Z, y, task_index)
    slope = moments.cov_hy / moments.var_y[:, None]
    # from_long names tasks in order of appearance; rows need the position of theirs.
    position = np.empty(int(task_index.max()) + 1, dtype=np.int64)
    position[np.asarray(moments.task_names, dtype=np.int64)] = np.arange(moments.n_tasks)
    row = position[task_index]
    mean = moments.mean_h[moments.group][row] + slope[row] * (y - moments.mean_y[row])[:, None]
    total = np.einsum("gii->gi", moments.cov_h)[moments.group]
    given_target = np.maximum(total - slope**2 * moments.var_y[:, None], 0.0)
    error = np.minimum(np.quantile(given_target, _QUANTILE, axis=0), _LARGEST_ERROR * np.median(total, axis=0))
    variance = np.maximum(given_target - error, _LEAST_VARIANCE * error)
    share = variance / np.maximum(variance + error, np.finfo(np.float64).tiny)
    return np.asarray(mean + share[row] * (Z - mean))


def information_of_targets(Z: Array, y: Array, task_index: IntArray) -> float:
    r"""Return what target and task say of latents, in nats for each latent.

    .. math::
        \frac1D \sum_i \sum_t p_t \, \tfrac12 \log \frac{\mathrm{var}(z_i)}{\mathrm{var}(z_i \mid y, t)}

    the mutual information of Gaussians. Errors of an encoder, which know nothing of the target, can only lower it, so
    that on rows it was not trained on it tells a better encoder from a worse one.

    Parameters
    ----------
    Z : array, shape (n_samples, n_latents)
        Latents of each row.
    y : array, shape (n_samples,)
        Targets.
    task_index : array of int, shape (n_samples,)
        Task of each row; tasks with fewer than four rows are left out.

    Returns
    -------
    float
        Information; 0 if no task has enough rows.
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
