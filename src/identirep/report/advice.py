"""What to do next with what was found: a few steps, the most important first, with commands where there are some."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

import numpy as np

from identirep.evaluation import Evaluation
from identirep.report.content import Findings
from identirep.report.descriptions import Made
from identirep.report.words import causal_statement

__all__ = ["Step", "next_steps"]

_MOST_LISTED = 8
_NO_SIGNAL = {
    "none": "Look for inputs that say more of these targets: this fit, a linear model and trees predict none of them.",
    "signal": "Fit again with a regressor that finds signal: a linear model or trees do.",
    "too few rows": "Add rows: these are too few to tell whether there is signal.",
}


class Step(NamedTuple):
    """Something to do, and a command that does it; empty where there is none."""

    text: str
    command: str = ""


def next_steps(findings: Findings, evaluation: Evaluation | None, made: Made) -> list[Step]:
    """Return what to do next."""
    run = quote(made.run) if made.run else ""
    if not findings.has_signal:
        if findings.spectrum is None:
            return [Step("Pass features that the targets depend on.")]
        return [_without_signal(findings, run)]
    returns, verdicts = findings.returns(evaluation), findings.certificate.verdict
    unchecked = [i for i, verdict in enumerate(verdicts) if verdict == "not checked"]
    good = [i for i in np.flatnonzero(returns).tolist() if i not in findings.given_names]
    named = [i for i in np.flatnonzero(returns).tolist() if i in findings.given_names]
    bad = [i for i in range(findings.n_latents) if not returns[i] and i not in unchecked]
    steps = []
    if unchecked:
        steps.append(Step(f"Check {_axes(unchecked)} before use: the reason on the card says how."))
    if good:
        names = " ".join(f"{i}=NAME" for i in good[:3])
        name = f"identirep name {run} {names}" if run else f"model.name_latents({{{good[0]}: 'NAME'}})"
        steps.append(Step(f"Name {_axes(good)}: targets, inputs and rows at the ends suggest what each is.", name))
    if bad:
        with_names = [i for i in bad if i in findings.given_names]
        without = [i for i in bad if i not in findings.given_names]
        asked = [f"name {_axes(without)}"] if without else []
        asked += [f"rely on the name{'s' if len(with_names) > 1 else ''} of {_axes(with_names)}"] if with_names else []
        text = f"Do not {', and do not '.join(asked)}: in a fit to other rows {_they(bad)} elsewhere."
        steps.append(Step(f"{text} More rows, or fewer latents, may bring {'it' if len(bad) == 1 else 'them'} back."))
    if good or named:
        if run:
            steps.append(
                Step(
                    "For new rows, compute the axes, and be told if any has moved.",
                    f"identirep transform {run} NEW_DATA --check --out latents.csv",
                )
            )
            steps.append(
                Step(
                    "When the model is trained again, keep the axes that come back.",
                    f"identirep fit NEW_DATA --like {run} --targets ... --out NEW_RUN",
                )
            )
        if not findings.shares_rows and causal_statement(findings)[0] == "Not contradicted":
            steps.append(Step("Read the roles of the axes that come back as hypotheses, and test these by experiment."))
    return steps


def _without_signal(findings: Findings, run: str) -> Step:
    other = findings.no_signal == "signal" and run
    return Step(_NO_SIGNAL[findings.no_signal], "identirep fit ... --regressor auto" if other else "")


def _axes(numbers: Sequence[int]) -> str:
    """Name axes by their numbers."""
    if len(numbers) == 1:
        return f"axis {numbers[0]}"
    shown = [str(i) for i in numbers[:_MOST_LISTED]]
    if len(numbers) > _MOST_LISTED:
        return f"axes {', '.join(shown)} and {len(numbers) - _MOST_LISTED} more"
    return f"axes {', '.join(shown[:-1])} and {shown[-1]}"


def _they(numbers: Sequence[int]) -> str:
    return "it may lie" if len(numbers) == 1 else "they may lie"
