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
# What has been looked at, and may be tuned on: superconductivity with seeds up to 204, drawn data with seeds up to
# 1004, and every table, mixing and setting that is not marked below, which two runs of this experiment held back in
# turn. Since then these are held back: superconductivity from seed 300, drawn data from seed 2000, and every table,
# mixing and setting that is marked. None of them had been fitted when it was chosen. Once this run has been looked at
# they are spent.
_FIRST_TABLE_SEED, _FIRST_DRAWN_SEED = 300, 2000
# Table: rows of a fit, numbers of latents, whether it is held back. Two fits and a third part that neither sees.
TABLES: dict[str, tuple[int, tuple[int, ...], bool]] = {
    "diabetes": (147, (1, 2), False),
    "breast cancer": (189, (2, 4), False),
    "digits": (599, (4, 8), False),
    "QM9": (3000, (4, 6), False),
    "enb": (256, (1, 2), False),
    "jura": (119, (1, 2), False),
    "edm": (51, (1,), False),
    "atp1d": (112, (1, 2), False),
    "sf1": (107, (1,), False),
    "rf1": (3000, (4, 6), False),
    "slump": (34, (1, 2), False),
    "sf2": (355, (1,), False),
    "wq": (353, (2, 6), False),
    "oes10": (134, (2, 6), False),
    "wine": (59, (1, 2), False),
    "QM9, other molecules": (2000, (5, 8), False),
    "qm8": (3000, (4, 6), False),
    "meats": (71, (1, 2), False),
    "cells": (673, (3, 6), False),
    "cars": (130, (1, 2), False),
    "college": (259, (2, 3), False),
    "diamonds": (2000, (1, 2), False),
    "segment": (770, (2, 4), False),
    "yeast": (56, (2, 4), False),
    "ames": (970, (2, 4), True),
    "athletes": (67, (1, 2), True),
    "bodies": (169, (2, 4), True),
    "boston": (168, (1, 3), True),
    "computers": (1500, (1, 2), True),
    "players": (107, (1, 2), True),
    "schools": (140, (1, 2), True),
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
# The same, all seeds held back.
_SUPERCONDUCTIVITY_HELD: tuple[tuple[int, int | str, str], ...] = (
    (500, 3, "trees"),
    (2000, 3, "MTRN"),
    (2000, 5, "trees"),
    (3000, 5, "MTRN"),
    (6000, 7, "MTRN"),
)
# Mixings: depth, activation, observations for each latent.
_BENT = ((3, "smooth", 5), (2, "polynomial", 2))
# More of them: the same, share of spurious variance, latents, tasks, rows of a task.
_MIXINGS = (
    (1, "leaky", 3, 0.3, 4, 100, 60),
    (2, "leaky", 3, 0.3, 5, 100, 60),
    (2, "bounded", 3, 0.1, 5, 100, 60),
    (3, "bounded", 5, 0.3, 4, 60, 100),
    (4, "leaky", 4, 0.1, 3, 100, 60),
    (2, "one-sided", 5, 0.1, 7, 150, 40),
    (1, "one-sided", 3, 1.0, 3, 100, 60),
)
# The same, held back.
_MIXINGS_HELD = (
    (1, "smooth", 2, 0.3, 6, 120, 50),
    (2, "smooth", 4, 1.0, 3, 100, 60),
    (3, "leaky", 4, 0.3, 3, 80, 80),
    (1, "bounded", 2, 0.3, 8, 120, 50),
    (2, "one-sided", 3, 0.3, 4, 60, 40),
    (1, "polynomial", 3, 0.1, 4, 100, 60),
    (4, "bounded", 5, 0.1, 3, 80, 60),
)
# Linear data: rows, latents, noise, and for the long layout tasks; those that are held back apart.
_WIDE = ((100, 2, 1.0), (120, 6, 1.0), (400, 3, 3.0))
_WIDE_HELD = ((80, 3, 1.5), (150, 8, 0.5), (300, 5, 4.0))
_LONG = ((50, 3, 0.3, 20), (20, 2, 0.5, 40))
_LONG_HELD = ((40, 4, 0.5, 30), (25, 1, 1.0, 15))


def all_cells(quick: bool, n_seeds: int | None) -> list[Cell]:
    """Return all cells that can be run here."""
    if quick:
        return _quick(n_seeds or 1)
    n = n_seeds or 5
    return [*_superconductivity(n), *_tables(n), *_nonlinear(n), *_linear(n), *_null(n)]


def _both(n_seeds: int, first_held_back: int) -> list[Cell]:
    """Return seeds of either set, two fifths of them held back."""
    return [*_seeds(TUNED, n_seeds - _n_held(n_seeds)), *_seeds(HELD_BACK, _n_held(n_seeds), first_held_back)]


def _n_held(n_seeds: int) -> int:
    return 2 * n_seeds // 5


def _seeds(name: str, n_seeds: int, first: int = 0) -> list[Cell]:
    return [{"set": name, "seed": first + seed} for seed in range(n_seeds)]


def _cell(part: str, data: str, setting: str, rows: int, D: int | str, stage: str, seed: Cell, **more: Any) -> Cell:
    named = {"part": part, "data": data, "setting": setting, "rows": rows, "D": str(D), "stage one": stage}
    return {**named, **more, **seed, "quick": False}


def _superconductivity(n_seeds: int) -> list[Cell]:
    name = "superconductivity"
    looked_at = [
        _cell(name, name, name, rows, D, stage, seed)
        for rows, D, stages in _SUPERCONDUCTIVITY
        for stage in stages
        for seed in _both(n_seeds, _FIRST_TABLE_SEED)
    ]
    return looked_at + [
        _cell(name, name, name, rows, D, stage, seed)
        for rows, D, stage in _SUPERCONDUCTIVITY_HELD
        for seed in _seeds(HELD_BACK, n_seeds - _n_held(n_seeds), _FIRST_TABLE_SEED)
    ]


def _tables(n_seeds: int) -> list[Cell]:
    return [
        _cell(_REAL, name, name, rows, D, stage, seed)
        for name, (rows, sizes, held) in TABLES.items()
        if why_missing(name) is None
        for stage, D in _fits_of_table(rows, sizes)
        for seed in _seeds(HELD_BACK if held else TUNED, n_seeds - _n_held(n_seeds))
    ]


def _fits_of_table(rows: int, sizes: tuple[int, ...]) -> list[tuple[str, int | str]]:
    """Return first stages and numbers of latents; forests take long on many rows."""
    numbers: tuple[int | str, ...] = (*sizes, AUTO)
    return [*(("MTRN", D) for D in numbers), *(("trees", D) for D in sizes[-1:] if rows < 1000)]


def _nonlinear(n_seeds: int) -> list[Cell]:
    plain = [(depth, "leaky", observed, q, 6) for depth in (1, 2, 3) for observed in (2, 5) for q in (0.1, 1.0)]
    plain += [(2, "leaky", 2, 0.1, D) for D in (1, 2, 4, 8, 10)]
    looked_at = [_mixing(*setting, seed) for setting in plain for seed in _both(n_seeds, _FIRST_DRAWN_SEED)]
    looked_at += [
        _mixing(depth, kind, observed, 0.1, 5, seed)
        for depth, kind, observed in _BENT
        for seed in _seeds(TUNED, n_seeds - _n_held(n_seeds))
    ]
    return looked_at + [
        _mixing(depth, kind, observed, q, D, seed, T, rows)
        for mixings, seeds in (
            (_MIXINGS, _seeds(TUNED, n_seeds - _n_held(n_seeds))),
            (_MIXINGS_HELD, _seeds(HELD_BACK, n_seeds - _n_held(n_seeds), _FIRST_DRAWN_SEED)),
        )
        for depth, kind, observed, q, D, T, rows in mixings
        for seed in seeds
    ]


def _mixing(
    depth: int, kind: str, observed: int, q: float, D: int, seed: Cell, tasks: int = 100, rows: int = 60
) -> Cell:
    setting = f"depth {depth}, {kind}, {observed} D observed, q = {q:g}"
    setting += f", {tasks} tasks" if tasks != 100 else ""
    more = {"tasks": tasks, "depth": depth, "mixing": kind, "observed": observed, "q": q}
    return _cell("nonlinear mixings", "nonlinear", setting, rows, D, "MTRN", seed, **more)


def _linear(n_seeds: int) -> list[Cell]:
    both, held = _both(n_seeds, _FIRST_DRAWN_SEED), _seeds(HELD_BACK, n_seeds - _n_held(n_seeds), _FIRST_DRAWN_SEED)
    tuned = _seeds(TUNED, n_seeds - _n_held(n_seeds))
    wide = [(rows, D, noise) for rows, D in ((60, 1), (60, 4), (200, 4), (200, 10)) for noise in (0.5, 2.0)]
    long = [(rows, D, noise, T) for T, rows, D in ((10, 30, 1), (30, 30, 2), (60, 30, 5)) for noise in (0.1, 1.0)]
    return [
        *(_linear_wide(*setting, seed) for setting in wide for seed in both),
        *(_linear_wide(*setting, seed) for setting in _WIDE for seed in tuned),
        *(_linear_wide(*setting, seed) for setting in _WIDE_HELD for seed in held),
        *(_linear_long(*setting, seed) for setting in long for seed in both),
        *(_linear_long(*setting, seed) for setting in _LONG for seed in tuned),
        *(_linear_long(*setting, seed) for setting in _LONG_HELD for seed in held),
    ]


def _linear_wide(rows: int, D: int, noise: float, seed: Cell) -> Cell:
    return _cell("linear data", "linear, wide", f"wide, noise {noise:g}", rows, D, "ridge", seed, noise=noise)


def _linear_long(rows: int, D: int, noise: float, T: int, seed: Cell) -> Cell:
    named = {"noise": noise, "tasks": T}
    return _cell("linear data", "linear, long", f"long, noise {noise:g}", rows, D, "MTRN", seed, **named)


def _null(n_seeds: int) -> list[Cell]:
    both, held = _both(n_seeds, _FIRST_DRAWN_SEED), _seeds(HELD_BACK, n_seeds - _n_held(n_seeds), _FIRST_DRAWN_SEED)
    table = "shuffled superconductivity"
    cells = [
        _cell(NULL, table, table, 1000, D, "MTRN", seed)
        for D in (3, AUTO)
        for seed in _both(n_seeds, _FIRST_TABLE_SEED)
    ]
    cells += [
        _cell(NULL, "shuffled tasks", "shuffled tasks", 40, D, "MTRN", seed, tasks=40)
        for D in (3, AUTO)
        for seed in both
    ]
    named = [("random walks", 300, both), ("rows repeated 8 times", 480, both)]
    named += [("slow noise", 240, held), ("heavy-tailed noise", 300, held), ("targets of one noise", 200, held)]
    return cells + [
        _cell(NULL, data, data, rows, D, stage, seed)
        for data, rows, seeds in named
        for stage in ("MTRN", "trees")
        for D in (3, AUTO)
        for seed in seeds
    ]


def _quick(n_seeds: int) -> list[Cell]:
    """Return a few small cells of each part."""
    name = "superconductivity"
    seeds = _seeds(TUNED, n_seeds)
    cells = [_cell(name, name, name, 300, 2, "trees", seed) for seed in seeds]
    cells += [_cell(_REAL, "breast cancer", "breast cancer", 189, AUTO, "MTRN", seed) for seed in seeds]
    cells += [_mixing(1, "leaky", 2, 0.1, 3, seed) for seed in seeds]
    cells += [_linear_wide(200, 4, 0.5, seed) for seed in seeds]
    cells += [_cell(NULL, "random walks", "random walks", 300, D, "MTRN", seed) for D in (3, AUTO) for seed in seeds]
    cells += [_cell(NULL, "rows repeated 8 times", "rows repeated 8 times", 480, 3, "trees", seed) for seed in seeds]
    return [{**cell, "quick": True} for cell in cells]
