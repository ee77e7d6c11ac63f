"""The verdict on an axis: the one place where it is said what the evidence amounts to.

- *identified*: it comes back on other rows (with 95% probability a fit to as many others has the same axis), the tasks
  tell it apart from every other axis, tasks have rows of their own (only then can an axis be a latent of the causal
  model), and an encoder, if there is one, is shown to carry it;
- *reproducible*: it comes back on other rows, with these targets;
- *unstable*: it does not;
- *not checked*: nobody has looked.

What refits measure overrides what formulas expect: an axis that does not come back is unstable whatever they say.
"""

from __future__ import annotations

from math import isnan
from typing import NamedTuple

from identirep.mtlcm.trust.comes_back import TURNED

__all__ = ["COMES_BACK", "IDENTIFIED", "NOT_CHECKED", "REPRODUCIBLE", "UNSTABLE", "VERDICTS", "Evidence", "judge"]

IDENTIFIED, REPRODUCIBLE, UNSTABLE, NOT_CHECKED = "identified", "reproducible", "unstable", "not checked"
VERDICTS = (IDENTIFIED, REPRODUCIBLE, UNSTABLE, NOT_CHECKED)

# Correlation with one other fit, seen or expected, from which that finds an axis again.
COMES_BACK = 0.97
# The largest chance of a turn that is borne.
_MOST_TURNS = 0.25
# Expected correlation from which the tasks tell an axis apart (measured on random settings: 99% of the fits with an
# actual MCC under 0.95 stay below it in some latent), and correlation with the latent from which an encoder carries it.
_APART, _CARRIED = 0.98, 0.98


class Evidence(NamedTuple):
    """What is known of one axis; NaN is what was not measured, None an encoder that there is not.

    `apart` is the lowest estimate of its correlation with the latent of these features, `by_chance` whether some other
    latent is told apart from it by sampling error alone, and `mixes` says what lowers the estimate. An axis is `alone`
    if it is the only one, and `contradicted` by
    what stands against it where the exact likelihood does not fit.
    """

    signal: bool
    any_signal: bool
    other_rows: float
    least: float
    turn_probability: float
    how: str
    own_rows: bool
    apart: float
    by_chance: bool
    mixes: str
    lonely: bool
    encoder: float | None
    alone: bool
    contradicted: str = ""


def judge(evidence: Evidence) -> tuple[str, str]:
    """Return the verdict on an axis, and its reason with what to do about it."""
    e = evidence
    nothing = ""
    if not e.any_signal:
        nothing = "no signal: the targets depend on no direction of the features more than by chance"
    elif not e.signal:
        nothing = "no signal: no target depends on this axis more than by chance; fit with one latent fewer"
    if isnan(e.other_rows):
        # Whether there is signal is known without a second fit, whether an axis comes back is not.
        return NOT_CHECKED, f"{nothing}; {e.how}" if nothing else e.how
    if nothing:
        return UNSTABLE, nothing
    back = "comes back on other rows"
    if e.own_rows and e.by_chance:
        # Sampling error turns the fit and all refits to halves of its rows one way, and fits to other rows another.
        return UNSTABLE, e.mixes
    if not e.least >= TURNED:
        mixed = e.own_rows and e.apart < _APART
        fewer = "add rows" if e.alone else "fit with fewer latents, or add rows"
        return UNSTABLE, f"does not come back on other rows: {e.mixes if mixed else fewer}"
    if e.turn_probability > _MOST_TURNS:
        return UNSTABLE, (
            f"a fit to other rows turns it with a probability of {e.turn_probability:.0%}, since two solutions are "
            "about as good: fit with one latent fewer or more, or add rows"
        )
    if not e.own_rows:
        return REPRODUCIBLE, f"{back}; other targets may turn it: check again when they change"
    if not e.apart >= _APART:
        return REPRODUCIBLE, f"{back}, but {e.mixes}"
    if e.lonely:
        return REPRODUCIBLE, (
            f"{back}, but only one start reached this optimum and the model does not fit, so that a better one may "
            "exist: fit again with more starts, MTLCM(n_init=...)"
        )
    if e.contradicted:
        return REPRODUCIBLE, f"{back}, but {e.contradicted}"
    if e.encoder is not None and not e.encoder >= _CARRIED:
        if isnan(e.encoder):
            return REPRODUCIBLE, f"{back}; whether the encoder carries the latent was not measured: add rows to tasks"
        return REPRODUCIBLE, (
            f"{back}, but the encoder carries its latent with a correlation of {e.encoder:.2f} only: add rows, or "
            "refine it, IdentifiableRegressor(n_refinements=2)"
        )
    return IDENTIFIED, f"{back}, and the tasks tell it apart from every other axis"
