"""Both stages as one: the encoder is trained again on what targets and causal model say of the latents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from identirep.mtlcm import MTLCM
from identirep.mtlcm.latent_posterior import information_of_targets, latents_given_targets
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
        The new stage one; None if on held-out rows targets say no more of its latents than of those of `stage`.
    """
    from identirep.mtrn.guided import fit_to_latents

    data, group_index = check_fit_data(stage, X, y, tasks, groups, [])
    assert data.task_index is not None
    held_out = stage._held_out
    latents = model.transform(stage.transform(data.X))
    targets = latents_given_targets(latents, data.targets, data.task_index)
    refined = fit_to_latents(stage, data, targets, group_index, held_out, np.random.default_rng(seed))
    H = refined.transform(data.X)
    design = np.column_stack([H, np.ones(len(H))])
    to_latents = np.linalg.lstsq(design[~held_out], targets[~held_out], rcond=None)[0]
    before, after = (
        information_of_targets(Z[held_out], data.targets[held_out], data.task_index[held_out])
        for Z in (latents, design @ to_latents)
    )
    return refined if after > before else None
