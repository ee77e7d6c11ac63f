"""Agreement of independent fits on real data, where nobody knows the true latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep import TaskMoments
from identirep.experiments.experiment import Cell, Measured, Row
from identirep.experiments.methods import AFTER_STAGE_ONE
from identirep.experiments.scores import agreement

__all__ = ["compare_fits", "latents_of_fit"]

FEATURES = "features alone"


def latents_of_fit(
    features: Any, X: NDArray[Any], rows_of_fit: NDArray[np.int64], sizes: Sequence[int], seed: int
) -> dict[str, NDArray[np.float32]]:
    """Return what each second stage makes of the leading features of a first stage, for several dimensions.

    Parameters
    ----------
    features : MTRN or PredictiveFeatures
        Fitted with at least as many features as the largest dimension; features are in order of their signal, so
        that the leading ones are those of a smaller fit.
    X : array, shape (n_samples, n_features_in)
        Rows on which fits are compared.
    rows_of_fit : array of int, shape (n_known,)
        Rows of `X` from the data of the fit, for second stages that need rows and not only moments.
    sizes : sequence of int
        Dimensions D.
    seed : int
        Seed of the second stages.

    Returns
    -------
    dict of arrays
        ``"<D>/<second stage>"`` to latents, shape (n_samples, D).
    """
    H = features.transform(X)
    found = {}
    for D in sizes:
        found[f"{D}/{FEATURES}"] = H[:, :D]
        moments: TaskMoments = features.moments_.map_features(np.eye(D, H.shape[1]))
        for name, build in AFTER_STAGE_ONE.items():
            second = build(D, seed, "auto")
            if hasattr(second, "fit_moments"):
                second.fit_moments(moments)
            else:
                second.fit(H[rows_of_fit, :D])
            found[f"{D}/{name}"] = second.transform(H[:, :D])
    return {name: values.astype(np.float32) for name, values in found.items()}


def compare_fits(
    finished: Sequence[tuple[Cell, Measured]],
    *,
    setting: Callable[[Cell], Row],
    split: Callable[[Cell, int], tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> list[Row]:
    """Compare all pairs of fits that share a setting.

    Parameters
    ----------
    finished : sequence of (cell, outcome)
        Outcomes with the arrays of `latents_of_fit`.
    setting : callable
        The part of a cell that fits must share to be compared.
    split : callable
        ``split(cell, n_rows)`` returns the rows that choose assignment and canonical directions, and those scored.

    Returns
    -------
    list of dict
        The setting, ``D``, ``method``, ``pair`` and the scores of `agreement`.
    """
    groups: dict[tuple[Any, ...], list[tuple[Cell, Measured]]] = {}
    for cell, measured in finished:
        if measured.arrays:
            groups.setdefault(tuple(setting(cell).items()), []).append((cell, measured))
    rows = []
    for group in groups.values():
        for name in group[0][1].arrays:
            D, method = name.split("/")
            for (cell, one), (other, two) in combinations(group, 2):
                if name not in two.arrays:
                    continue
                Z1, Z2 = one.arrays[name].astype(np.float64), two.arrays[name].astype(np.float64)
                choose, score = split(cell, len(Z1))
                scores = agreement((Z1[choose], Z1[score]), (Z2[choose], Z2[score]))
                pair = f"{cell['seed']} and {other['seed']}"
                rows.append({**setting(cell), "D": int(D), "method": method, "pair": pair, **scores})
    return rows
