"""A network trained on latents that are known for its rows, in place of one label a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from identirep._typing import Array, BoolArray, IntArray
from identirep.moments import TaskMoments
from identirep.mtrn.network_fit import FittedNetwork, encode, fit_network
from identirep.mtrn.reduction import linear_heads
from identirep.mtrn.settings import NetworkSettings
from identirep.validation import TaskData

__all__ = ["GuidedNetwork", "fit_to_latents"]


@dataclass(frozen=True)
class GuidedNetwork:
    """A network, and its latents of the rows of the fit, ``(features - mean) @ components.T``."""

    network: FittedNetwork
    components: Array
    mean: Array
    latents: Array


def fit_to_latents(
    settings: NetworkSettings,
    data: TaskData,
    latents: Array,
    groups: IntArray | None,
    held_out: BoolArray,
    rng: np.random.Generator,
) -> GuidedNetwork:
    """Train on the latents of the rows that are not held out; the mean over replicates predicts them."""
    names, shape = tuple(range(latents.shape[1])), data.input_shape
    wide = TaskData(data.X, latents, None, names, weights=data.weights, input_shape=shape)
    network = fit_network(settings, wide, groups, rng, held_out=held_out)
    F = encode(network.encoder, data.X, settings.device)
    mean = F.mean(axis=0)
    F -= mean
    part = wide.rows(~held_out)
    trained = TaskMoments.from_arrays(F[~held_out], part.targets, sample_weight=part.weights)
    components = linear_heads(trained, n_blocks=settings.n_replicates).coef
    return GuidedNetwork(network, components, mean, F @ components.T)
