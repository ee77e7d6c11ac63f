"""A network trained on latents that are known for its rows, in place of one label a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtrn.base import feature_moments
from identirep.mtrn.fitting import fit_network
from identirep.mtrn.reduction import HeldOut, linear_heads
from identirep.validation import TaskData

if TYPE_CHECKING:
    from identirep.mtrn.estimator import MTRN

__all__ = ["fit_to_latents"]

# Rows of a batch: every row carries all latents, so gradients are less noisy than those of single labels.
_BATCH = 512


def fit_to_latents(
    stage: MTRN,
    data: TaskData,
    latents: Array,
    groups: IntArray | None,
    held_out: BoolArray,
    rng: np.random.Generator,
) -> MTRN:
    """Train a clone of a fitted network on latents, with the heads of the original tasks on what it predicts.

    Parameters
    ----------
    stage : MTRN
        Fitted in the long layout; gives settings, names and number of features.
    data : TaskData
        Checked data of its fit.
    latents : array, shape (n_samples, n_components_)
        What to train on.
    groups : array of int, shape (n_samples,), or None
        Groups of the rows.
    held_out : array of bool, shape (n_samples,)
        Rows that `stage` was not trained on, which the clone is not trained on either.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    MTRN
        Its features are linear in the mean over replicates of the predicted latents.
    """
    settings = {"n_components": stage.n_components_, "verbose": False}
    if stage.batch_size == "auto":
        settings["batch_size"] = _BATCH
    clone_of_stage: MTRN = clone(stage).set_params(**settings)
    clone_of_stage.n_features_in_ = stage.n_features_in_
    if hasattr(stage, "feature_names_in_"):
        clone_of_stage.feature_names_in_ = stage.feature_names_in_
    wide = TaskData(data.X, latents, None, tuple(range(latents.shape[1])))
    network = fit_network(clone_of_stage, wide, groups, rng, held_out=held_out)
    clone_of_stage._set_network(network, data)
    F = clone_of_stage._base_features(data.X)
    mean = F.mean(axis=0)
    to_latents = linear_heads(
        TaskMoments.from_arrays(F[~held_out] - mean, latents[~held_out]), n_blocks=clone_of_stage.n_replicates
    ).coef
    Z = (F - mean) @ to_latents.T
    assert data.task_index is not None
    parts = [
        feature_moments(Z[rows], data.targets[rows], data.task_index[rows], data.n_tasks)
        for rows in (~held_out, held_out)
    ]
    group_index = None if groups is None else groups[held_out]
    unseen = HeldOut(Z[held_out], data.targets[held_out], data.task_index[held_out], group_index)
    clone_of_stage._fit_reduction(parts[0], linear_heads(parts[0]), parts[0] + parts[1], unseen, rng)
    # The reduction is of predicted latents; composed, it is one of the features of all replicates.
    offset = np.linalg.lstsq(to_latents, clone_of_stage.mean_, rcond=None)[0]
    clone_of_stage.mean_ = mean + offset
    clone_of_stage.components_ = clone_of_stage.components_ @ to_latents
    return clone_of_stage
