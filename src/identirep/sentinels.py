"""Numbers that stand for something else: codes of missing values, and values thousands of deviations away."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from identirep._typing import Array, BoolArray

__all__ = ["may_be_codes", "sentinel_remarks"]

# What programs write for a missing number.
_CODES = {sign * code for code in (99.0, 999.0, 9999.0, 99999.0, 999999.0, 9999999.0) for sign in (-1, 1)}
_CODES |= {-99.99, -999.9, -999.99, 99.99, 999.9, 999.99, 9999.99, -9999.99, 32767.0, -32768.0, 2147483647.0}
_CODES |= {-2147483648.0, -888.0, -8888.0, -777.0, -7777.0}
# Fill values: of netCDF, of climate models, and of the largest float32.
_CODES |= {sign * float(f"1e{power}") for power in range(20, 39) for sign in (-1, 1)}
# Many tables were written in single precision.
_CODES |= {float(np.float32(code)) for code in _CODES}
_HUGE = 9e36
# A code stands apart from all other values by this share of their range.
_APART = 0.2
_DEVIATIONS = 1000
# Share of rows that may lie far out: the deviation is of the others.
_FAR = 0.02
_MOST_NAMED = 5


def sentinel_remarks(
    names: Sequence[Hashable], columns: Array, counts: Mapping[tuple[int, float], int] | None = None
) -> list[str]:
    """Return a sentence for each column with a value that looks like a code, or lies thousands of deviations away.

    Where columns have only some of their rows, `counts` has how often a column, by its number, has a value in all.
    """
    remarks = []
    for j, (name, values) in enumerate(zip(names, columns.T, strict=True)):
        present = values[np.isfinite(values)]
        code = _code(present)
        if code is not None:
            n = int(np.count_nonzero(present == code)) if counts is None else counts[j, code]
            remarks.append(
                f"{name!r} has the value {_written(code)} in {n:,} {'row' if n == 1 else 'rows'}, far from all others: "
                f"if it stands for a missing value, pass missing={_written(code)!r}."
            )
            continue
        far, deviations = _farthest(present)
        if deviations > _DEVIATIONS:
            remarks.append(
                f"{name!r} has the value {_written(far)}, {deviations:,.0f} standard deviations from the others: if it "
                f"is no measurement, leave the row out, or pass missing={_written(far)!r}."
            )
    rest = len(remarks) - _MOST_NAMED
    return remarks[:_MOST_NAMED] + ([f"And {rest:,} more columns with such values."] if rest > 0 else [])


def may_be_codes(values: Array) -> BoolArray:
    """Tell which values programs write for a missing number, whatever stands beside them."""
    return np.isin(values, list(_CODES)) | (np.abs(values) >= _HUGE)


def _written(value: float) -> str:
    """Return a number as it may be written in a table, every digit of it."""
    return repr(float(value)).removesuffix(".0")


def _code(values: Array) -> float | None:
    """Return the least or largest value if it is a code and stands apart from all others."""
    for extreme in (values.min(initial=np.inf), values.max(initial=-np.inf)):
        others = values[values != extreme]
        if len(others) < 2 or not may_be_codes(extreme):
            continue
        low, high = float(others.min()), float(others.max())
        gap = min(abs(extreme - low), abs(extreme - high))
        if gap > _APART * (high - low) or extreme < 0 <= low:
            return float(extreme)
    return None


def _farthest(values: Array) -> tuple[float, float]:
    """Return the value farthest from the others, and its distance in standard deviations of these."""
    if len(values) < 10:
        return np.nan, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(values - np.median(values))
    far = float(values[np.argmax(distance)])
    # Neither copies of one value nor whatever else lies out there.
    last = len(values) - 1 - max(1, int(_FAR * len(values)))
    others = values[distance <= np.partition(distance, last)[last]]
    others = others[others != far]
    unit = float(np.abs(others).max(initial=0.0)) or 1.0
    deviation = unit * float(np.std(others / unit)) if len(others) else 0.0
    if deviation == 0:
        return far, 0.0
    return far, float(abs(far / deviation - others.mean() / deviation))
