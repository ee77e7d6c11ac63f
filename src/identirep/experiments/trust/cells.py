"""Which cells there are, and which of them are held back: nothing may be tuned on those."""

from __future__ import annotations

from typing import Any

from identirep.experiments.experiment import Cell
from identirep.experiments.trust.tables import why_missing

__all__ = ["HELD_BACK", "NULL", "TABLES", "TUNED", "all_cells"]

TUNED, HELD_BACK = "tuned", "held back"
NULL = "null cases"
# A number of latents that the fit chooses.
AUTO = "auto"
_REAL = "real tables"
# Table: rows of a fit, numbers of latents, whether it is held back. Two fits and a third part that neither sees.
TABLES: dict[str, tuple[int, tuple[int, ...], bool]] = {
    "diabetes": (147, (1, 2), False),
    "breast cancer": (189, (2, 4), False),
    "digits": (599, (4, 8), True),
    "QM9": (3000, (4, 6), False),
    "enb": (256, (1, 2), False),
    "jura": (119, (1, 2), False),
    "edm": (51, (1,), False),
    "atp1d": (112, (1, 2), False),
    "sf1": (107, (1,), False),
    "rf1": (3000, (4, 6), False),
    "slump": (34, (1, 2), True),
    "sf2": (355, (1,), True),
    "wq": (353, (2, 6), True),
    "oes10": (134, (2, 6), True),
}
# Rows of a fit, latents, first stages. Of 16,000 rows two fits share most.
_SUPERCONDUCTIVITY: tuple[tuple[int, int | str, tuple[str, ...]], ...] = (
    (300, 1, ("MTRN", "trees")),
    (300, 2, ("MTRN", "trees")),
    (1000, 2, ("MTRN", "trees")),
    (1000, 4, ("MTRN",)),
    (4000, 4, ("MTRN",)),
    (4000, 6, ("MTRN", "trees")),
    (4000, AUTO, ("MTRN",)),
    (7000, 8, ("MTRN", "trees")),
    (8000, 10, ("MTRN",)),
    (16000, 10, ("MTRN",)),
)
# Mixings that are held back: depth, activation, observations for each latent.
_BENT = ((3, "smooth", 5), (2, "polynomial", 2))


def all_cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    """Return all cells that can be run here."""
    if quick:
        return _quick(n_seeds or 1)
    n = n_seeds or 5
    return [*_superconductivity(n), *_tables(n), *_nonlinear(n), *_linear(n), *_null(n)]


def _both(n_seeds: int, first_held_back: int) -> list[Cell]:
    """Return seeds of either set, two fifths of them held back."""
    n_held = 2 * n_seeds // 5
    seeds = [(TUNED, seed) for seed in range(n_seeds - n_held)]
    seeds += [(HELD_BACK, first_held_back + seed) for seed in range(n_held)]
    return [{"set": name, "seed": seed} for name, seed in seeds]


def _all_of(name: str, n_seeds: int) -> list[Cell]:
    return [{"set": name, "seed": seed} for seed in range(n_seeds)]


def _cell(part: str, data: str, setting: str, rows: int, D: int | str, stage: str, seed: Cell, **more: Any) -> Cell:
    named = {"part": part, "data": data, "setting": setting, "rows": rows, "D": str(D), "stage one": stage}
    return {**named, **more, **seed, "quick": False}


def _superconductivity(n_seeds: int) -> list[Cell]:
    name = "superconductivity"
    return [
        _cell(name, name, name, rows, D, stage, seed)
        for rows, D, stages in _SUPERCONDUCTIVITY
        for stage in stages
        for seed in _both(n_seeds, 10)
    ]


def _tables(n_seeds: int) -> list[Cell]:
    return [
        _cell(_REAL, name, name, rows, D, stage, seed)
        for name, (rows, sizes, held) in TABLES.items()
        if why_missing(name) is None
        for stage, D in _fits_of_table(rows, sizes)
        for seed in _all_of(HELD_BACK if held else TUNED, n_seeds)
    ]


def _fits_of_table(rows: int, sizes: tuple[int, ...]) -> list[tuple[str, int | str]]:
    """Return first stages and numbers of latents; forests take long on many rows."""
    numbers: tuple[int | str, ...] = (*sizes, AUTO)
    return [*(("MTRN", D) for D in numbers), *(("trees", D) for D in sizes[-1:] if rows < 1000)]


def _nonlinear(n_seeds: int) -> list[Cell]:
    plain = [(depth, observed, q, 6) for depth in (1, 2, 3) for observed in (2, 5) for q in (0.1, 1.0)]
    plain += [(2, 2, 0.1, D) for D in (1, 2, 4, 8, 10)]
    seeds = _both(n_seeds, 100)
    cells = [_mixing(depth, "leaky", observed, q, D, seed) for depth, observed, q, D in plain for seed in seeds]
    return cells + [
        _mixing(depth, kind, observed, 0.1, 5, seed)
        for depth, kind, observed in _BENT
        for seed in _all_of(HELD_BACK, n_seeds)
    ]


def _mixing(depth: int, kind: str, observed: int, q: float, D: int, seed: Cell) -> Cell:
    setting = f"depth {depth}, {kind}, {observed} D observed, q = {q:g}"
    more = {"tasks": 100, "depth": depth, "mixing": kind, "observed": observed, "q": q}
    return _cell("nonlinear mixings", "nonlinear", setting, 60, D, "MTRN", seed, **more)


def _linear(n_seeds: int) -> list[Cell]:
    wide = [
        _cell("linear data", "linear, wide", f"wide, noise {noise:g}", rows, D, "ridge", seed, noise=noise)
        for rows, D in ((60, 1), (60, 4), (200, 4), (200, 10))
        for noise in (0.5, 2.0)
        for seed in _both(n_seeds, 100)
    ]
    return wide + [
        _cell("linear data", "linear, long", f"long, noise {noise:g}", rows, D, "MTRN", seed, noise=noise, tasks=T)
        for T, rows, D in ((10, 30, 1), (30, 30, 2), (60, 30, 5))
        for noise in (0.1, 1.0)
        for seed in _both(n_seeds, 100)
    ]


def _null(n_seeds: int) -> list[Cell]:
    table = "shuffled superconductivity"
    cells = [_cell(NULL, table, table, 1000, D, "MTRN", seed) for D in (3, AUTO) for seed in _both(n_seeds, 10)]
    cells += [
        _cell(NULL, "shuffled tasks", "shuffled tasks", 40, D, "MTRN", seed, tasks=40)
        for D in (3, AUTO)
        for seed in _both(n_seeds, 100)
    ]
    return cells + [
        _cell(NULL, data, data, rows, D, stage, seed)
        for data, rows in (("random walks", 300), ("rows repeated 8 times", 480))
        for stage in ("MTRN", "trees")
        for D in (3, AUTO)
        for seed in _both(n_seeds, 100)
    ]


def _quick(n_seeds: int) -> list[Cell]:
    """Return a few small cells of each part."""
    name = "superconductivity"
    seeds = _all_of(TUNED, n_seeds)
    cells = [_cell(name, name, name, 300, 2, "trees", seed) for seed in seeds]
    cells += [_cell(_REAL, "breast cancer", "breast cancer", 189, AUTO, "MTRN", seed) for seed in seeds]
    cells += [_mixing(1, "leaky", 2, 0.1, 3, seed) for seed in seeds]
    cells += [_cell("linear data", "linear, wide", "wide, noise 0.5", 200, 4, "ridge", s, noise=0.5) for s in seeds]
    cells += [_cell(NULL, "random walks", "random walks", 300, D, "MTRN", seed) for D in (3, AUTO) for seed in seeds]
    cells += [_cell(NULL, "rows repeated 8 times", "rows repeated 8 times", 480, 3, "trees", seed) for seed in seeds]
    return [{**cell, "quick": True} for cell in cells]
