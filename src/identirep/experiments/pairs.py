"""Agreement of independent fits on real data, where nobody knows the true latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep import TaskMoments
from identirep._typing import Array, IntArray
from identirep.experiments.experiment import Cell, Column, Measured, Row, Table
from identirep.experiments.margins import margins
from identirep.experiments.methods import AFTER_STAGE_ONE, OURS
from identirep.experiments.scores import agreement

__all__ = ["agreement_tables", "compare_fits", "latents_of_fit", "margins_of_pairs", "rows_of_fit"]

FEATURES = "features alone"
# Shared inputs have local optima: others get about as many starts as MTLCM takes by itself.
_STARTS = {"sparse heads": 20}


def latents_of_fit(
    features: Any, X: NDArray[Any], rows_of_fit: IntArray, sizes: Sequence[int], seed: int
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
            if name in _STARTS:
                second.set_params(n_init=_STARTS[name])
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
    split: Callable[[Cell, int], tuple[IntArray, IntArray]],
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


def margins_of_pairs(pairs: Sequence[Row], setting: Sequence[str]) -> list[Row]:
    """Compare our second stage with the best other one on the same features, axes as they are and decorrelated.

    Parameters
    ----------
    pairs : sequence of dict
        Rows of `compare_fits`.
    setting : sequence of str
        Names of the values that make a setting.

    Returns
    -------
    list of dict
        Rows of `margins` for both scores.
    """
    scores = ("mcc", "decorrelated_mcc")
    return [
        row
        for score in scores
        for row in margins(pairs, setting=setting, ours=OURS, not_baselines=set(), run="pair", score=score)
    ]


def rows_of_fit(seconds: float, names: Sequence[str], Y: Array, predicted: Array) -> list[Row]:
    """Return what there is to say of one fit of a first stage.

    Parameters
    ----------
    seconds : float
        Time it took.
    names : sequence of str
        Names of the targets.
    Y, predicted : array, shape (n_samples, n_targets)
        Targets on the rows on which fits are compared, and what is predicted.

    Returns
    -------
    list of dict
        One with ``seconds`` and ``mean_r2``, and one with ``r2`` for each ``target``.
    """
    from sklearn.metrics import r2_score

    r2 = np.asarray(r2_score(Y, predicted, multioutput="raw_values"))
    rows: list[Row] = [{"seconds": seconds, "mean_r2": float(r2.mean())}]
    return rows + [{"target": name, "r2": value} for name, value in zip(names, r2.tolist(), strict=True)]


def agreement_tables(setting: tuple[str, ...]) -> tuple[Table, ...]:
    """Return the tables of agreement, margins and fits.

    Parameters
    ----------
    setting : tuple of str
        Names of the values that make a setting; the last one is D, which fits have in common.

    Returns
    -------
    tuple of Table
        Four tables.
    """
    return (
        Table(
            "Agreement of independent fits",
            (*setting, "method"),
            (
                Column("mcc", "strong MCC"),
                Column("weak_mcc", "weak MCC"),
                Column("worst_latent", "worst latent", 3),
                Column("spearman", "Spearman", 3),
                Column("mean_correlation", "correlation between latents", 2, None),
                Column("decorrelated_mcc", "strong MCC, decorrelated"),
            ),
        ),
        Table(
            "Margin over the best other second stage on the same features",
            (*setting, "best_baseline"),
            (Column("mcc_margin", "margin of strong MCC"),),
        ),
        Table(
            "The same for decorrelated latents",
            (*setting, "best_baseline"),
            (Column("decorrelated_mcc_margin", "margin of strong MCC, decorrelated"),),
        ),
        Table("Fits", setting[:-1], (Column("mean_r2", "mean R^2"), Column("seconds", "stage one, s", 0, "max"))),
    )
