"""What was found, in sentences: the same ones in the report and on the command line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from identirep.evaluation import Evaluation
from identirep.report.content import Findings
from identirep.report.style import VERDICT_COLOURS

__all__ = ["causal_statement", "count", "headline", "reproducibility_statement", "verdict_counts", "what_was_fitted"]

# Level at which the fit test counts as a rejection.
_SIGNIFICANT = 0.01
# Correlation with other fits from which a latent counts as found again.
AGREES = 0.95


def verdict_counts(findings: Findings) -> dict[str, int]:
    """Return the number of latents with each verdict."""
    return {verdict: findings.certificate.verdict.count(verdict) for verdict in VERDICT_COLOURS}


def headline(findings: Findings) -> str:
    """Say in one sentence how many latents can be trusted."""
    if not findings.has_signal:
        held_out = (
            f"on rows held out, the inputs predict the {count(findings.n_tasks, 'target')} no better than shuffled ones"
        )
        return {
            "none": f"No signal: {held_out}.",
            "signal": f"No signal for this model, while others find some: {held_out}.",
            "too few rows": f"Too few rows to tell whether there is signal: {held_out}.",
        }[findings.no_signal]
    counts = verdict_counts(findings)
    parts = [f"{number} {verdict}" for verdict, number in counts.items() if number]
    return f"{count(findings.n_latents, 'latent')} from {count(findings.n_tasks, 'target')}: {_join(parts)}."


def what_was_fitted(findings: Findings, evaluation: Evaluation | None) -> str:
    """Say what was done with which rows."""
    where = "" if evaluation is None else f" of {evaluation.data}"
    if findings.spectrum is None:
        text = f"Features of {findings.n_rows:,} rows{where} were given."
    else:
        trained = findings.n_rows if evaluation is None else evaluation.n_training_rows
        text = (
            f"A network was trained on {trained:,} rows{where} to predict {count(findings.n_tasks, 'target')} from "
            "features that all of them share."
        )
    if findings.has_signal:
        text += (
            f" The {count(findings.n_latents, 'direction')} that carry their signal were then turned to the axes that "
            "the tasks tell apart: the latents."
        )
    if evaluation is not None and evaluation.n_held_out_rows:
        together = "" if evaluation.grouped_by is None else f", with rows of one {evaluation.grouped_by} kept together"
        text += f" {evaluation.n_held_out_rows:,} rows were held out to check the result{together}."
    return text


def reproducibility_statement(findings: Findings, evaluation: Evaluation | None) -> tuple[str, str]:
    """Say whether another run would give the same axes: a short answer, and why."""
    if not findings.has_signal:
        return "No", "Without signal the axes are accidents of the training; another run gives other ones."
    certificate = findings.certificate
    identified = certificate.verdict.count("identified")
    low, high = float(certificate.expected_mcc.min()), float(certificate.expected_mcc.max())
    expected = (
        f"The certificate, which also asks what other rows and tasks would give, calls {identified} of "
        f"{count(findings.n_latents, 'latent')} identified, with expected correlations of {low:.3f} to {high:.3f}."
    )
    if findings.n_signal < findings.n_latents:
        expected += (
            f" Beyond chance the targets carry signal in {findings.n_signal} of the {findings.n_latents} directions "
            "only: fewer latents would do."
        )
    stability = None if evaluation is None else evaluation.stability
    if evaluation is None or stability is None:
        return _share(identified, findings.n_latents), f"{expected} Other seeds were not tried: identirep stability."
    rows = "held-out rows" if evaluation.n_held_out_rows else "the rows of the fit"
    measured = (
        f"{len(stability.matrix)} independent fits agree on {rows} with a mean correlation of {stability.score:.3f} "
        f"(strong MCC); the worst latent has {stability.worst:.3f}."
    )
    if evaluation.weak_mcc is not None:
        measured += f" Up to linear maps they agree to {evaluation.weak_mcc:.3f} (weak MCC), the most that can be had."
    found_again = int(np.sum(stability.per_latent[0] >= AGREES))
    return _share(found_again, findings.n_latents), f"{measured} {expected}"


def causal_statement(findings: Findings) -> tuple[str, str]:
    """Say whether the roles may be read as causes: a short answer, and why."""
    if not findings.has_signal:
        return "No", "Without signal there are no roles."
    p_value = findings.certificate.goodness_of_fit.p_value
    if np.isnan(p_value):
        test = "The tasks have too few rows to test the fit of the causal model."
    elif p_value < _SIGNIFICANT:
        test = f"The test of fit rejects the causal model (p {_p_value(p_value)})."
    else:
        test = f"The test of fit does not reject the causal model (p {_p_value(p_value)})."
    if findings.shares_rows:
        return (
            "No: associations, not causes",
            "The tasks share their rows, so the latents have the same distribution in each of them, and the causal "
            f"model cannot hold for all at once. {test} Read the roles as associations.",
        )
    if np.isnan(p_value):
        return "Not tested", f"{test} Read the roles as suggestions."
    if p_value < _SIGNIFICANT:
        return "No", f"{test} Read the roles as associations."
    return "Not contradicted", f"{test} That is no proof: roles hold under the assumptions of the model."


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _share(number: int, n_latents: int) -> str:
    if number == n_latents:
        return "Yes"
    return f"For {number} of {count(n_latents, 'latent')}" if number else "Not shown for any latent"


def _p_value(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
