"""Agreement of independent fits on real data, where nobody knows the true latents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import Bunch

from identirep._typing import IntArray
from identirep.experiments.experiment import Cell, Column, Finished, Measured, Row, Table
from identirep.experiments.figures import dots
from identirep.experiments.margins import margins
from identirep.experiments.methods import AFTER_STAGE_ONE, OURS
from identirep.experiments.scores import agreement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["agreement_figures", "agreement_tables", "compare_fits", "measure_fit"]

# Name of the figure, of the value, and what it is.
_SCORES = (
    ("agreement", "mcc", "strong MCC"),
    ("decorrelated", "decorrelated_mcc", "strong MCC of decorrelated latents"),
)
FEATURES = "features alone"
# Shared inputs have local optima: others get about as many starts as MTLCM takes by itself.
_STARTS = {"sparse heads": 20}


def measure_fit(
    features: Any, data: Bunch, train: IntArray, known: IntArray, compared: IntArray, sizes: Sequence[int], seed: int
) -> Measured:
    """Fit a first stage, and keep what each second stage makes of its leading features on the rows that are compared.

    Features are in order of their signal, so that the leading ones are those of a smaller fit. Second stages that need
    rows and not only moments get the known ones. Arrays are named ``"<D>/<second stage>"``.
    """
    start = time.perf_counter()
    features.fit(data.X[train], data.Y[train], groups=data.groups[train])
    seconds = time.perf_counter() - start
    H, H_known = features.transform(data.X[compared]), features.transform(data.X[known])
    found = {}
    for D in sizes:
        found[f"{D}/{FEATURES}"] = H[:, :D]
        moments = features.moments_.map_features(np.eye(D, H.shape[1]))
        for name, build in AFTER_STAGE_ONE.items():
            second = build(D, seed, "auto")
            if name in _STARTS:
                second.set_params(n_init=_STARTS[name])
            if hasattr(second, "fit_moments"):
                second.fit_moments(moments)
            else:
                second.fit(H_known[:, :D])
            found[f"{D}/{name}"] = second.transform(H[:, :D])
    r2 = r2_score(data.Y[compared], features.predict(data.X[compared]), multioutput="raw_values")
    rows: list[Row] = [{"seconds": seconds, "mean_r2": float(r2.mean())}]
    rows += [{"target": name, "r2": value} for name, value in zip(data.target_names, r2.tolist(), strict=True)]
    return Measured(rows, {name: values.astype(np.float32) for name, values in found.items()})


def disjoint_share(groups: IntArray, seed: int) -> IntArray:
    """Rows of one of two random halves of the groups: seeds 1 and 2 have one half each, 3 and 4, and so on."""
    names, index = np.unique(groups, return_inverse=True)
    first = np.random.default_rng([(seed - 1) // 2, 2]).permutation(len(names)) < len(names) // 2
    return np.flatnonzero(first[index] == (seed % 2 == 1))


def compare_fits(
    finished: Finished,
    *,
    setting: Sequence[str],
    split: Callable[[Cell, int], tuple[IntArray, IntArray]],
    disjoint: Callable[[Cell], bool] = lambda cell: False,
) -> list[Row]:
    """Compare all pairs of fits that share a setting, on the rows that ``split(cell, n_rows)`` chooses and scores.

    Where fits are `disjoint`, those are compared that have no row in common, by `disjoint_share`.
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
                if name not in two.arrays or (disjoint(cell) and not _have_no_row_in_common(cell, other)):
                    continue
                Z1, Z2 = one.arrays[name].astype(np.float64), two.arrays[name].astype(np.float64)
                choose, score = split(cell, len(Z1))
                scores = agreement((Z1[choose], Z1[score]), (Z2[choose], Z2[score]))
                pair = f"{cell['seed']} and {other['seed']}"
                names = dict(zip(setting, place, strict=True))
                rows.append({**names, "D": int(D), "method": method, "pair": pair, **scores})
    compare = partial(margins, rows, setting=(*setting, "D"), ours=OURS, not_baselines=set(), run="pair")
    return rows + [row for _, score, _ in _SCORES for row in compare(score=score)]


def _have_no_row_in_common(cell: Cell, other: Cell) -> bool:
    """Whether these are the two fits to halves of one partition."""
    return bool((cell["seed"] - 1) // 2 == (other["seed"] - 1) // 2)


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


def agreement_figures(what: str, by: Callable[[Row], str], **where: Any) -> dict[str, Callable[[list[Row]], Figure]]:
    """Return the figures of agreement on something unseen, for the rows with the values of `where`."""
    draw = partial(dots, by=by, panel="D", where=where)
    return {
        name: partial(draw, value=value, label=f"{score} of two fits, unseen {what}") for name, value, score in _SCORES
    }
