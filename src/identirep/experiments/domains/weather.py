"""Weather: a typical meteorological year by the hour, of the files of ``pvlib``; targets are the hours to come."""

from __future__ import annotations

import csv
from functools import cache, partial

import numpy as np

from identirep._typing import Array, IntArray
from identirep.experiments.domains.domain import Domain
from identirep.experiments.domains.packages import folder_of
from identirep.experiments.trust import Drawn, three_parts

__all__ = ["OTHER_SEASON", "WEATHER"]

# TMY3, Greensboro, North Carolina.
_FILE = "723170TYA.CSV"
_COLUMNS: tuple[str, ...] = (
    "GHI (W/m^2)",
    "DNI (W/m^2)",
    "DHI (W/m^2)",
    "TotCld (tenths)",
    "OpqCld (tenths)",
    "Dry-bulb (C)",
)
_COLUMNS += ("Dew-point (C)", "RHum (%)", "Pressure (mbar)", "Pwat (cm)", "Wspd (m/s)", "Hvis (m)", "CeilHgt (m)")
_DIRECTION, _SUN = "Wdir (degrees)", ("ETR (W/m^2)", "ETRN (W/m^2)")
_IN_LOGARITHMS = ("Hvis (m)", "CeilHgt (m)")
_AHEAD = (1, 3, 6)
_WEEK = 168
# Weeks of a fit, of 52; the first weeks of spring and autumn.
_WEEKS, _QUICK_WEEKS = 20, 8
_SPRING, _AUTUMN = 13, 39


@cache
def _year() -> tuple[Array, Array, IntArray]:
    """Read inputs and targets, and the week of each row; rows whose targets lie in the next week are left out."""
    with (folder_of("pvlib") / "data" / _FILE).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    names, values = rows[0], rows[1:]
    column = {name: k for k, name in enumerate(names)}

    def read(name: str) -> Array:
        found = np.array([row[column[name]] for row in values], dtype=np.float64)
        return np.log1p(found) if name in _IN_LOGARITHMS else found

    direction, speed = np.deg2rad(read(_DIRECTION)), read("Wspd (m/s)")
    weather = np.column_stack([*map(read, _COLUMNS), speed * np.cos(direction), speed * np.sin(direction)])
    hours = np.arange(len(weather))
    turn = 2.0 * np.pi * np.column_stack([hours / 24, hours / len(hours)])
    X = np.column_stack([weather, *map(read, _SUN), np.cos(turn), np.sin(turn)])
    whole_weeks = hours < len(hours) // _WEEK * _WEEK
    known = np.flatnonzero((hours % _WEEK < _WEEK - max(_AHEAD)) & whole_weeks)
    y = np.column_stack([weather[known + ahead] for ahead in _AHEAD])
    return X[known], y, known // _WEEK


def _draw(rng: np.random.Generator, quick: bool, *, other_season: bool = False) -> Drawn:
    X, y, week = _year()
    n_weeks = _QUICK_WEEKS if quick else _WEEKS
    if not other_season:
        first, other, unseen = three_parts(week, n_weeks * (_WEEK - max(_AHEAD)), rng)
        return Drawn(X, y, first, other, unseen, groups=week)
    summer = np.arange(_SPRING, _AUTUMN)
    warm, cold = rng.permutation(summer), rng.permutation(np.setdiff1d(np.arange(week.max() + 1), summer))
    named = (warm[:n_weeks], cold[:n_weeks], np.concatenate([warm[n_weeks:], cold[n_weeks:]]))
    first, other, unseen = (np.flatnonzero(np.isin(week, weeks)) for weeks in named)
    return Drawn(X, y, first, other, unseen, groups=week)


WEATHER = Domain(_draw, 6, needs=("pvlib",))
OTHER_SEASON = Domain(partial(_draw, other_season=True), 6, needs=("pvlib",))
