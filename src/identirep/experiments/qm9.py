"""QM9: do independent fits agree on molecules that they have not seen?"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from identirep._typing import IntArray
from identirep.datasets import load_qm9
from identirep.experiments.experiment import Cell, Column, Experiment, Finished, Measured, Row, Table
from identirep.experiments.pairs import agreement_figures, agreement_tables, compare_fits, disjoint_share, measure_fit
from identirep.mtrn import MTRN

__all__ = ["EXPERIMENT"]

_SIZES = (5, 6, 7, 8)
_SPLIT_SEED = 0
_N_COMPARED = 4000
_SETTING = ("protocol", "encoder", "molecules", "D")
_ALL = 130_831


def _cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    n_seeds = n_seeds or (2 if quick else 5)
    kinds = (("coulomb", 2000),) if quick else (("coulomb", 30_000), ("egnn", 5_000), ("coulomb", _ALL), ("egnn", _ALL))
    return [
        {"protocol": protocol, "encoder": encoder, "molecules": n, "epochs": 4 if quick else "auto", "seed": seed}
        for protocol in ("same molecules", "disjoint")
        for encoder, n in kinds
        if protocol != "disjoint" or n < _ALL
        # Two seeds make a pair of disjoint fits.
        for seed in range(1, (2 * n_seeds if protocol == "disjoint" and not quick else n_seeds) + 1)
    ]


def _features(cell: Cell) -> MTRN:
    """Return stage one for a cell."""
    if cell["encoder"] == "coulomb":
        return MTRN(max(_SIZES), max_epochs=cell["epochs"], random_state=cell["seed"])
    from identirep.mtrn import EGNN

    return MTRN(
        max(_SIZES),
        encoder=partial(EGNN, hidden_size=64),
        n_replicates=3,
        max_epochs=40,
        batch_size=32,
        learning_rate=3e-3,
        patience=None,
        random_state=cell["seed"],
    )


@lru_cache(maxsize=1)
def _data(encoder: str) -> Any:
    return load_qm9(representation="coulomb" if encoder == "coulomb" else "geometry")


def _rows(groups: IntArray, cell: Cell) -> tuple[IntArray, IntArray]:
    """Return the rows of the fit, and those on which fits are compared, equal for all seeds."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(groups))
    compared = order[:_N_COMPARED]
    others = order[_N_COMPARED:]
    others = others[~np.isin(groups[others], groups[compared])]
    if cell["protocol"] == "disjoint":
        others = others[disjoint_share(groups[others], cell["seed"])]
    return others[: cell["molecules"]], compared


def _measure(cell: Cell) -> Measured:
    data = _data(cell["encoder"])
    train, compared = _rows(data.groups, cell)
    # Second stages that need rows get some rows of the fit.
    return measure_fit(_features(cell), data, train, train[:_N_COMPARED], compared, _SIZES, cell["seed"])


def _split(cell: Cell, n_rows: int) -> tuple[IntArray, IntArray]:
    """Return the rows that choose assignment and canonical directions, and those scored."""
    return np.arange(n_rows // 2), np.arange(n_rows // 2, n_rows)


def _combine(finished: Finished) -> list[Row]:
    return compare_fits(finished, setting=_SETTING[:-1], split=_split, disjoint=_disjoint)


def _disjoint(cell: Cell) -> bool:
    return bool(cell["protocol"] == "disjoint")


EXPERIMENT = Experiment(
    title="QM9: 130,831 molecules, 12 targets",
    description=(
        "Independent fits (5 seeds of everything random, same training molecules) are compared pair by pair "
        "on 4,000 molecules that none has seen: half of those choose assignment and canonical directions, the"
        " other half gives the scores. `disjoint`: 5 pairs of fits, to molecules that have no group in common."
        " Encoders: perceptrons on Coulomb-matrix features (light), and E(n)-equivariant graph networks on the"
        " geometry. R^2 is that of the 4,000 molecules. Fits on all 130,831 have those but the 4,000 and "
        "molecules of the same groups."
    ),
    cells=_cells,
    measure=_measure,
    combine=_combine,
    tables=(
        *agreement_tables(_SETTING),
        Table(
            "R^2 of each target",
            ("encoder", "molecules", "target"),
            (Column("r2", "R^2", 3),),
            where={"protocol": "same molecules"},
        ),
    ),
    figures=agreement_figures(
        "molecules",
        lambda row: f"{row['encoder']}, {row['molecules']:,}, {row['method']}",
        protocol="same molecules",
    ),
)
