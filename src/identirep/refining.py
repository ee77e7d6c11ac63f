"""Both stages as one: the encoder is trained again on what targets and causal model say of the latents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep.mtlcm import MTLCM
from identirep.mtlcm.latent_posterior import latents_given_targets
from identirep.mtrn import MTRN
from identirep.mtrn.base import check_fit_data

__all__ = ["refine"]


def refine(
    stage: MTRN, model: MTLCM, X: Any, y: ArrayLike, tasks: ArrayLike, groups: ArrayLike | None, seed: int
) -> MTRN | None:
    """Take one step of expectation maximisation over encoder and latents.

    In the long layout a row has one label, which is all that stage one learns from it. Where the label determines
    latents (effects of the target above all), the row says what these latents are, each of them.

    Parameters
    ----------
    stage : MTRN
        Fitted stage one.
    model : MTLCM
        Fitted stage two.
    X, y, tasks, groups : array-like
        Data of the fit, in the long layout.
    seed : int
        Seed of the new encoder.

    Returns
    -------
    MTRN or None
        The new stage one; None if it predicts held-out targets no better than `stage`, where the model does not hold.
    """
    from identirep.mtrn.guided import fit_to_latents, held_out_loss

    data, group_index = check_fit_data(stage, X, y, tasks, groups, [])
    assert data.task_index is not None
    held_out = stage._held_out
    H = stage.transform(data.X)
    targets = latents_given_targets(model.transform(H), data.targets, data.task_index)
    rng = np.random.default_rng(seed)
    refined = fit_to_latents(stage, data, targets, group_index, held_out, rng)
    if held_out_loss(refined.transform(data.X), data, held_out) >= held_out_loss(H, data, held_out):
        return None
    return refined
