r"""What has become of each axis of one set in another, from values of both on the same rows.

One number decides, that of the certificate (`TURNED`): axes with a correlation of 0.9 and more are the same, and an
axis is carried by others if its multiple correlation with them is 0.9 and more (adjusted for their number). With c_i
the multiple correlation of old axis i with all new axes and d_j that of new axis j with all old ones:

======  ==============================================================================================================
kept    its partner has a correlation of 0.9 and more; partners are assigned one to one
turned  carried by several new axes, which old ones carry in turn: a mixture within what both runs know
split   carried by several new axes, at least one of which no old ones carry: these know more than it
merged  not carried itself, but one of several old axes that carry a new one: what told them apart is gone
lost    none of these
======  ==============================================================================================================

"Several" is the smallest set that carries the axis, found by adding what helps most and leaving out what does not.

Intervals of correlations are those of Fisher's transform, with the variance that leaving out rows one by one shows
(jackknife), so that they hold whatever the law of the latents, and for rows of equal inputs together, which know of
each other. Where few rows make up that variance, as they do of heavy tails, it is not known well: the quantile is that
of Student's t, with the degrees of freedom that a sum of so unequal squares has (Satterthwaite).

References
----------
R. A. Fisher, "On the probable error of a coefficient of correlation deduced from a small sample", Metron 1 (1921) 3-32.
R. G. Miller, "The jackknife - a review", Biometrika 61 (1974) 1-15.
F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2 (1946)
110-114.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from identirep._typing import Array, IntArray
from identirep.canonical_analysis import cross_correlation
from identirep.metrics import match_latents
from identirep.mtlcm import TURNED

__all__ = ["ADDED", "KEPT", "LOST", "MERGED", "SPLIT", "TURNED_AXIS", "AxisPairs", "least_rows", "pair_axes"]

KEPT, TURNED_AXIS, SPLIT, MERGED, LOST, ADDED = "kept", "turned", "split", "merged", "lost", "new"

# Rows that a comparison needs, and for each axis of the larger set.
_LEAST_ROWS, _LEAST_PER_AXIS = 30, 3
# A correlation nearer to 1 than this is 1.
_EQUAL = 1e-12
# Degrees of freedom of a variance that is one row's.
_LEAST_FREEDOM = 3.0


def least_rows(n_old: int, n_new: int) -> int:
    """Return the number of rows from which sets of so many axes can be compared."""
    return max(_LEAST_ROWS, _LEAST_PER_AXIS * max(n_old, n_new))


@dataclass(frozen=True)
class AxisPairs:
    """Partners, correlations and verdicts of the axes of two sets; `of` are axes of the other set."""

    partner: IntArray
    correlation: Array
    interval: Array
    sign: Array
    verdict: tuple[str, ...]
    of: tuple[tuple[int, ...], ...]
    new_verdict: tuple[str, ...]
    new_of: tuple[tuple[int, ...], ...]
    carried: Array
    matrix: Array


def pair_axes(old: Array, new: Array, groups: IntArray | None = None, level: float = 0.9) -> AxisPairs:
    """Pair old axes (n, D) with new ones (n, E), rows of one group dependent."""
    n, D, E = len(old), old.shape[1], new.shape[1]
    both = np.concatenate([old, new], axis=1)
    joint = cross_correlation(both, both, "pearson")
    matched = match_latents(joint[:D, D:])
    interval = np.full((D, 2), np.nan)
    for i, j in enumerate(matched.assignment):
        if j >= 0:
            interval[i] = _interval(old[:, i], matched.signs[i] * new[:, j], groups, level)
    partners = [
        (int(j),) if j >= 0 and r >= TURNED else () for j, r in zip(matched.assignment, matched.per_latent, strict=True)
    ]
    origins = {j: (i,) for i, members in enumerate(partners) for j in members}
    carried, sets = _carriers(joint, range(D), range(D, D + E), n)
    new_carried, new_sets = _carriers(joint, range(D, D + E), range(D), n)
    of = [found or sets[i] for i, found in enumerate(partners)]
    new_of = [origins.get(j, new_sets[j]) for j in range(E)]
    verdict = tuple(_verdict(i, bool(partners[i]), of, new_of, new_carried) for i in range(D))
    of = [_merged_into(i, new_of) if verdict[i] == MERGED else members for i, members in enumerate(of)]
    new_verdict = tuple(_new_verdict(j, j in origins, of, new_of, verdict) for j in range(E))
    new_of = [_split_from(j, of, verdict) if new_verdict[j] == SPLIT else members for j, members in enumerate(new_of)]
    return AxisPairs(
        partner=matched.assignment,
        correlation=matched.per_latent,
        interval=interval,
        sign=matched.signs,
        verdict=verdict,
        of=tuple(of),
        new_verdict=new_verdict,
        new_of=tuple(new_of),
        carried=carried,
        matrix=joint[:D, D:],
    )


def _carriers(joint: Array, axes: range, others: range, n: int) -> tuple[Array, list[tuple[int, ...]]]:
    """Multiple correlation of each axis with all others, and the smallest set of those that carries it, if any does."""
    carried = np.array([_multiple(joint, i, tuple(others), n) for i in axes])
    sets = [_smallest(joint, i, others, n) if r >= TURNED else () for i, r in zip(axes, carried, strict=True)]
    return carried, [tuple(j - others.start for j in members) for members in sets]


def _verdict(
    i: int,
    kept: bool,
    of: list[tuple[int, ...]],
    new_of: list[tuple[int, ...]],
    new_carried: Array,
) -> str:
    if kept:
        return KEPT
    if of[i]:
        return TURNED_AXIS if all(new_carried[j] >= TURNED for j in of[i]) else SPLIT
    return MERGED if _merged_into(i, new_of) else LOST


def _merged_into(i: int, new_of: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the new axes that an old one is among several carriers of."""
    return tuple(j for j, members in enumerate(new_of) if i in members and len(members) > 1)


def _split_from(j: int, of: list[tuple[int, ...]], verdict: tuple[str, ...]) -> tuple[int, ...]:
    """Return the split old axes that a new one is a part of."""
    return tuple(i for i, members in enumerate(of) if verdict[i] == SPLIT and j in members)


def _new_verdict(
    j: int, kept: bool, of: list[tuple[int, ...]], new_of: list[tuple[int, ...]], verdict: tuple[str, ...]
) -> str:
    if kept:
        return KEPT
    if new_of[j]:
        return MERGED if any(verdict[i] == MERGED for i in new_of[j]) else TURNED_AXIS
    return SPLIT if _split_from(j, of, verdict) else ADDED


def _multiple(joint: Array, i: int, members: tuple[int, ...], n: int) -> float:
    """Multiple correlation of an axis with others, adjusted for their number."""
    index = list(members)
    if not index:
        return 0.0
    r = joint[index, i]
    # Axes may be collinear, or constant.
    explained = float(np.clip(r @ np.linalg.lstsq(joint[np.ix_(index, index)], r, rcond=1e-10)[0], 0.0, 1.0))
    adjusted = 1.0 - (1.0 - explained) * (n - 1) / max(n - 1 - len(index), 1)
    return float(np.sqrt(max(adjusted, 0.0)))


def _smallest(joint: Array, i: int, members: range, n: int) -> tuple[int, ...]:
    """Return a small set of others that carries an axis which all of them carry."""
    chosen: tuple[int, ...] = ()
    while _multiple(joint, i, chosen, n) < TURNED and len(chosen) < len(members):
        left = [j for j in members if j not in chosen]
        chosen = (*chosen, max(left, key=lambda j: _multiple(joint, i, (*chosen, j), n)))
    for j in chosen:
        without = tuple(k for k in chosen if k != j)
        if without and _multiple(joint, i, without, n) >= TURNED:
            chosen = without
    return tuple(sorted(chosen))


def _interval(x: Array, y: Array, groups: IntArray | None, level: float) -> Array:
    """Return the ends of the interval of a correlation, rows of one group left out together."""
    x, y = ((values - values.mean()) / max(values.std(), np.finfo(float).tiny) for values in (x, y))
    r = float(np.mean(x * y))
    if 1.0 - abs(r) < _EQUAL:
        return np.array([r, r])
    sums = np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    if groups is not None:
        sums = np.column_stack([np.bincount(groups, column) for column in sums.T])
    n, of_x, of_y, xx, yy, xy = (sums.sum(axis=0) - sums).T
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (xy - of_x * of_y / n) / np.sqrt((xx - of_x**2 / n) * (yy - of_y**2 / n))
    # What does not vary without some rows correlates with nothing.
    without = np.arctanh(np.clip(np.nan_to_num(without, nan=0.0), _EQUAL - 1.0, 1.0 - _EQUAL))
    squares, n_groups = (without - without.mean()) ** 2, len(without)
    total = squares.sum()
    spread = float(squares @ squares - total**2 / n_groups)
    freedom = max(2.0 * total**2 / spread, _LEAST_FREEDOM) if spread > 0 else np.inf
    # No law of the latents is known for sure to make it smaller than that of normal ones.
    error = max(np.sqrt((n_groups - 1) / n_groups * total), 1.0 / np.sqrt(max(n_groups - 3, 1)))
    width = error * t.ppf(0.5 + 0.5 * level, freedom)
    return np.asarray(np.tanh(np.arctanh(r) + np.array([-1.0, 1.0]) * width))
