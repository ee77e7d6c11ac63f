"""What is said of columns: which are left out and why, which become several inputs, and which have gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from identirep.encoding.columns import Column

__all__ = ["gaps_remark", "kinds_remark", "left_out_remark"]

_MAX_NAMED = 5
_PARTS = {
    "category": "one input for each value",
    "date or time": "days, and place in the year, the week and the day",
    "time of day": "hours, and place in the day",
    "list": "one input for each number",
}


def left_out_remark(left_out: Mapping[str, str], action: str) -> str:
    """Return the sentence on columns that are no inputs, and why; empty if there are none."""
    if not left_out:
        return ""
    listed = [f"{name!r} ({why})" for name, why in left_out.items()]
    return f"Left out of the inputs: {_first(listed)}. {action}"


def kinds_remark(columns: Sequence[Column]) -> str:
    """Return the sentence on inputs that are no numbers, and what they become; empty if there are none."""
    found = []
    for kind, parts in _PARTS.items():
        names = [repr(column.name) for column in columns if column.is_input and column.kind == kind]
        if names:
            found.append(f"{_first(names)} ({kind}: {parts})")
    return f"Encoded inputs: {'; '.join(found)}." if found else ""


def gaps_remark(shares: Mapping[str, float], how: str, n_rows: int) -> str:
    """Return the sentence on inputs with missing values in rows of training, those with most first; empty of none."""
    if not shares:
        return ""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    listed = _first([f"{name!r} {_percent(share)}" for name, share in ordered])
    inputs = "input" if len(shares) == 1 else "inputs"
    return f"Gaps in {len(shares):,} {inputs}, by share of the {n_rows:,} rows of training: {listed}; {how}."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _first(listed: Sequence[str]) -> str:
    more = f" and {len(listed) - _MAX_NAMED:,} more" if len(listed) > _MAX_NAMED else ""
    return ", ".join(listed[:_MAX_NAMED]) + more


def new_values_remark(name: str, new: Sequence[str | None], n_rows: int, rest: str) -> str:
    """Return the sentence on values of a category that the fit did not have; they count as `rest`."""
    texts = [repr(value) for value in new if value is not None]
    what = _first(texts) + (" and missing values" if None in new else "") if texts else "missing values"
    return f"{name!r} has what the fit did not have: {what}, in {n_rows:,} {_rows(n_rows)}, which count as {rest}."


def new_gaps_remark(counts: Mapping[str, int], how: str) -> str:
    """Return the sentence on gaps in inputs that had none in the fit."""
    listed = _first([f"{name!r} in {count:,} {_rows(count)}" for name, count in counts.items()])
    return f"Gaps where the fit had none: {listed}, filled with the {how} of the fit."


def _rows(n: int) -> str:
    return "row" if n == 1 else "rows"
