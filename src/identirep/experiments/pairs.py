"""Agreement of independent fits on real data, where nobody knows the true latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identirep._typing import Array, IntArray
from identirep.experiments.experiment import Cell, Column, Finished, Row, Table
from identirep.experiments.margins import margins
from identirep.experiments.methods import AFTER_STAGE_ONE, OURS
from identirep.experiments.scores import agreement
from identirep.moments import TaskMoments

__all__ = ["AGREEMENT_SCORES", "agreement_tables", "compare_fits", "latents_of_fit", "rows_of_fit"]

# Name of the figure, of the value, and what it is.
AGREEMENT_SCORES = (
    ("agreement", "mcc", "strong MCC"),
    ("decorrelated", "decorrelated_mcc", "strong MCC of decorrelated latents"),
)
FEATURES = "features alone"
# Shared inputs have local optima: others get about as many starts as MTLCM takes by itself.
_STARTS = {"sparse heads": 20}


def latents_of_fit(
    features: Any, X: NDArray[Any], rows_of_fit: IntArray, sizes: Sequence[int], seed: int
) -> dict[str, NDArray[np.float32]]:
    """Return what each second stage makes of the leading features: ``"<D>/<second stage>"`` to latents.

    Features are in order of their signal, so that the leading ones are those of a smaller fit. Some rows of `X` are of
    the data of the fit, for second stages that need rows and not only moments.
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
    finished: Finished, *, setting: Sequence[str], split: Callable[[Cell, int], tuple[IntArray, IntArray]]
) -> list[Row]:
    """Compare all pairs of fits that share a setting, on the rows that ``split(cell, n_rows)`` chooses and scores.

    Then our second stage with the best other one on the same features, axes as they are and decorrelated.
    """
    groups: dict[tuple[Any, ...], Finished] = {}
    for cell, measured in finished:
        if measured.arrays:
            groups.setdefault(tuple(cell[name] for name in setting), []).append((cell, measured))
    rows = []
    for place, group in groups.items():
        for name in group[0][1].arrays:
            D, method = name.split("/")
            for (cell, one), (other, two) in combinations(group, 2):
                if name not in two.arrays:
                    continue
                Z1, Z2 = one.arrays[name].astype(np.float64), two.arrays[name].astype(np.float64)
                choose, score = split(cell, len(Z1))
                scores = agreement((Z1[choose], Z1[score]), (Z2[choose], Z2[score]))
                pair = f"{cell['seed']} and {other['seed']}"
                names = dict(zip(setting, place, strict=True))
                rows.append({**names, "D": int(D), "method": method, "pair": pair, **scores})
    compare = partial(margins, rows, setting=(*setting, "D"), ours=OURS, not_baselines=set(), run="pair")
    return rows + [row for _, score, _ in AGREEMENT_SCORES for row in compare(score=score)]


def rows_of_fit(seconds: float, names: Sequence[str], Y: Array, predicted: Array) -> list[Row]:
    """Return what there is to say of one fit of a first stage."""
    from sklearn.metrics import r2_score

    r2 = np.asarray(r2_score(Y, predicted, multioutput="raw_values"))
    rows: list[Row] = [{"seconds": seconds, "mean_r2": float(r2.mean())}]
    return rows + [{"target": name, "r2": value} for name, value in zip(names, r2.tolist(), strict=True)]


def agreement_tables(setting: tuple[str, ...]) -> tuple[Table, ...]:
    """Return the tables of agreement, margins and fits; of the setting the last value is D, which fits share."""
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
