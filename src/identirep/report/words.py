"""What was found, in sentences: the same ones in the report and on the command line.

Every number in them is one that the tables and figures show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from identirep._typing import Array, BoolArray
from identirep.evaluation import Evaluation
from identirep.mtlcm import COMES_BACK
from identirep.report.content import Findings
from identirep.report.style import VERDICT_COLOURS

__all__ = [
    "VERDICT_MEANINGS",
    "causal_statement",
    "comes_back_sentence",
    "count",
    "headline",
    "last_rows",
    "matching_sentence",
    "reproducibility_statement",
    "returns_headline",
    "roles_sentence",
    "verdict_counts",
    "verdict_meanings",
    "what_was_fitted",
]

# Level at which the fit test counts as a rejection.
_SIGNIFICANT = 0.01
# Probability from which a role is told, and one below which it is the other one.
_TOLD = 0.9

# What each verdict says, and what to do.
VERDICT_MEANINGS = {
    "identified": (
        "comes back on other rows, is told apart from every other axis by tasks with rows of their own, and an encoder "
        "carries it where there is one",
        "name it, build on it",
    ),
    "reproducible": (
        "comes back on other rows, with these targets or tasks; others may turn it",
        "name it; check again when they change",
    ),
    "unstable": ("does not come back on other rows", "do not name it: more rows, or fewer latents"),
    "not checked": ("whether it comes back was not measured", "do not name it yet; the reason says what to do"),
}


# What to do with axes of these verdicts that have a name already.
_NAMED = {
    "identified": "keep the name, build on it",
    "reproducible": "keep the name; check again when they change",
    "unstable": "do not rely on the name: more rows, or fewer latents",
    "not checked": "check it before its name is relied on; the reason says how",
}


def verdict_meanings(findings: Findings) -> dict[str, tuple[str, str]]:
    """Return what each verdict that occurs says, and what to do with its axes, some of which may have names."""
    meanings = {}
    for verdict in dict.fromkeys(findings.certificate.verdict):
        meaning, action = VERDICT_MEANINGS[verdict]
        named = [i in findings.given_names for i, word in enumerate(findings.certificate.verdict) if word == verdict]
        if all(named):
            action = _NAMED[verdict]
        elif any(named):
            action += f". Of those with a name: {_NAMED[verdict]}"
        meanings[verdict] = meaning, action
    return meanings


def verdict_counts(findings: Findings) -> dict[str, int]:
    """Return the number of latents with each verdict that occurs."""
    counts = {verdict: findings.certificate.verdict.count(verdict) for verdict in VERDICT_COLOURS}
    return {verdict: number for verdict, number in counts.items() if number}


def headline(findings: Findings) -> str:
    """Say in one sentence how many latents have which verdict."""
    if not findings.has_signal:
        if findings.spectrum is None:
            return f"No signal: the {_tasks(findings)} depend on the features no more than by chance."
        held_out = f"on rows held out, the inputs predict the {_predicted(findings)} no better than shuffled targets"
        return {
            "none": f"No signal: {held_out}.",
            "signal": f"No signal for this model, while others find some: {held_out}.",
            "too few rows": f"Too few rows to tell whether there is signal: {held_out}.",
        }[findings.no_signal]
    parts = [f"{number} {verdict}" for verdict, number in verdict_counts(findings).items()]
    return f"{count(findings.n_latents, 'latent')} from {_tasks(findings)}: {_join(parts)}."


def returns_headline(findings: Findings, evaluation: Evaluation | None) -> str:
    """Say in one sentence how many axes come back on other rows."""
    if not findings.has_signal:
        return headline(findings)
    n, returning = findings.n_latents, int(findings.returns(evaluation).sum())
    if np.isnan(findings.certificate.comes_back.other_rows).all():
        which = "the axis comes" if n == 1 else f"the {n} axes come"
        return f"Whether {which} back on other rows was not checked."
    if n == 1:
        return f"The one axis {'comes' if returning else 'does not come'} back on other rows."
    which = "All" if returning == n else "None of the" if not returning else f"{returning} of"
    return f"{which} {n} axes come{'' if returning else 's'} back on other rows."


def roles_sentence(findings: Findings, i: int) -> str:
    """Count the tasks that an axis is a cause of, and those that it is an effect of."""
    causal = findings.causal_probability[:, i]
    causes, effects = int((causal >= _TOLD).sum()), int((causal <= 1.0 - _TOLD).sum())
    text = f"Causes the target in {count(causes, 'task')} and is caused by it in {effects:,}"
    rest = len(causal) - causes - effects
    return f"{text}, each with a probability of {_TOLD:.0%} or more" + (f"; {rest:,} are open." if rest else ".")


def comes_back_sentence(findings: Findings, evaluation: Evaluation | None) -> str:
    """Say how many axes come back: trained again, on other rows, with other targets."""
    back = findings.certificate.comes_back
    returns, other_targets = findings.returns(evaluation), findings.other_targets
    again = findings.trained_again(evaluation)
    if findings.spectrum is None and np.isnan(again).all():
        parts = ["Features as given."]
    else:
        parts = [f"Trained again: {_tally(again, again >= COMES_BACK, 'axes come back')}."]
    parts.append(f"On other rows: {_tally(back.other_rows, returns)}.")
    estimate = _tally(other_targets, returns & (other_targets >= COMES_BACK), weaker=False)
    parts.append(f"With other {findings.kind}: {estimate}{'' if np.isnan(other_targets).all() else ', an estimate'}.")
    return " ".join(parts)


def _tally(values: Array, comes: BoolArray, what: str = "", *, weaker: bool = True) -> str:
    """Count the axes that come back, with the lowest of their values, and those that do not."""
    known = ~np.isnan(values)
    if not known.any():
        return "not checked"
    comes = comes & known
    text = f"{comes.sum()} of {len(values)}{what and ' ' + what}"
    least = float(values[comes].min()) if comes.any() else np.inf
    rest = values[known & ~comes]
    if comes.any() and weaker:
        text += f" ({_floored(least)} or more)"
    lower = np.sort(rest[rest < least])
    if len(lower) and weaker:
        text += f", {len(lower)} weaker ({_range(lower)})" if comes.any() else f" ({_range(lower)})"
    if len(rest) > len(lower) and weaker:
        text += f", {len(rest) - len(lower)} in doubt"
    if not known.all():
        text += f", {(~known).sum()} not checked"
    return text


def _range(values: Array) -> str:
    """Write the lowest and the highest of sorted values."""
    ends = list(dict.fromkeys(_floored(value) for value in (values[0], values[-1])))
    return (" and " if len(values) == 2 else " to ").join(ends)


def _floored(value: float) -> str:
    """Write a correlation in two digits that never say more than it is."""
    return f"{np.floor(100 * value + 1e-9) / 100:.2f}"


def what_was_fitted(findings: Findings, evaluation: Evaluation | None) -> str:
    """Say what was done with which rows."""
    where = "" if evaluation is None else f" of {evaluation.data}"
    if findings.trained is None:
        text = f"Features of {findings.n_rows:,} rows{where} were given."
    else:
        trained = findings.n_rows if evaluation is None else evaluation.n_training_rows
        text = f"{findings.trained} trained on {trained:,} rows{where} to predict {_predicted(findings)}."
    if findings.has_signal:
        axes = "1 axis, the latent," if findings.n_latents == 1 else f"{findings.n_latents} axes, the latents,"
        text += f" The features were then turned to {axes} by how the {findings.kind} depend on them."
    if evaluation is not None and evaluation.n_held_out_rows:
        together = "" if evaluation.grouped_by is None else f", with rows of one {evaluation.grouped_by} kept together"
        rows = count(evaluation.n_held_out_rows, "row")
        text += f" {rows}{last_rows(evaluation)} were held out to check the result{together}."
    if evaluation is not None and evaluation.weighted_by is not None:
        text += f" Rows count by their weights, {evaluation.weighted_by}."
    return text


def last_rows(evaluation: Evaluation) -> str:
    """Say which rows were held out if they are not random ones, to be put behind their number."""
    if evaluation.ordered_by is None:
        return ""
    return f", the last ones by {evaluation.ordered_by} after a gap,"


def reproducibility_statement(findings: Findings, evaluation: Evaluation | None) -> tuple[str, str]:
    """Say whether the axes come back: a short answer, and how that was found."""
    if not findings.has_signal:
        return "No", "Without signal the axes are accidents of the training; another run gives other ones."
    certificate = findings.certificate
    sentences = []
    if np.isnan(certificate.comes_back.other_rows).all():
        answer = "Not checked"
        how = certificate.comes_back.how.rstrip(".")
        sentences.append(f"{how[:1].upper()}{how[1:]}.")
    else:
        answer = _share(int(findings.returns(evaluation).sum()), findings.n_latents)
        sentences.append(f"What to expect on other rows was {_how(certificate.comes_back.how)}.")
        sentences.append(
            f"Other {findings.kind} are an estimate, from other weights on these {findings.kind}, features as they are."
        )
    if evaluation is not None and evaluation.stability is not None:
        sentences.append(_agreement_sentence(evaluation))
    if findings.n_signal < findings.n_latents:
        where = f"{findings.n_signal} of the {findings.n_latents} directions"
        sentences.append(f"Beyond chance the {findings.kind} carry signal in {where}.")
        if answer != "Yes":
            sentences.append("Fewer latents may come back better.")
    return answer, " ".join(sentences)


def _how(how: str) -> str:
    """Let the way of checking continue a sentence."""
    return how if how.startswith(("measured", "estimated")) else f"found {how}"


def _agreement_sentence(evaluation: Evaluation) -> str:
    """Say how far fits with other seeds agree, strongly and weakly."""
    stability = evaluation.stability
    assert stability is not None
    rows = "held-out rows" if evaluation.n_held_out_rows else "the rows of the fit"
    text = (
        f"{len(stability.matrix)} fits to the same rows with other seeds agree on {rows} with a mean correlation of "
        f"{stability.score:.3f} (strong MCC), the lowest of all axes and pairs {stability.worst:.3f}."
    )
    if evaluation.weak_mcc is not None:
        text += f" Up to linear maps they agree to {evaluation.weak_mcc:.3f} (weak MCC)."
    return text


def matching_sentence(strong: Array, weak: Array) -> str:
    """Explain strong and weak MCC of pairs; that weak is the bound of strong is said where the numbers show it."""
    text = (
        "Strong: same axes up to order, sign and scale. Weak: each axis with the best linear map of the other fit to it"
    )
    pairs = np.triu_indices(len(strong), 1)
    return text + (", the most that strong can reach." if (strong[pairs] <= weak[pairs]).all() else ".")


def causal_statement(findings: Findings) -> tuple[str, str]:
    """Say whether the roles may be read as causes: a short answer, and why."""
    if not findings.has_signal:
        return "No", "Without signal there are no roles."
    p_value = findings.certificate.goodness_of_fit.p_value
    if np.isnan(p_value):
        test = "There are too few rows to test the fit of the causal model."
    elif p_value < _SIGNIFICANT:
        test = f"The test of fit rejects the causal model (p {_p_value(p_value)})."
    else:
        test = f"The test of fit does not reject the causal model (p {_p_value(p_value)})."
    if findings.shares_rows:
        return (
            "No: associations, not causes",
            f"The {findings.kind} share their rows, so the latents have the same distribution for each of them, and "
            f"the causal model cannot hold for all at once. {test} Read the roles as associations.",
        )
    if np.isnan(p_value):
        return "Not tested", f"{test} Read the roles as suggestions."
    if p_value < _SIGNIFICANT:
        return "No", f"{test} Read the roles as associations."
    return "Not contradicted", f"{test} That is no proof: roles hold under the assumptions of the model."


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _tasks(findings: Findings) -> str:
    """Count targets on the same rows, or tasks with rows of their own."""
    return count(findings.n_tasks, findings.kind[:-1])


def _predicted(findings: Findings) -> str:
    """Name what stage one predicts: targets, in the long layout those of tasks."""
    return _tasks(findings) if findings.shares_rows else f"targets of {_tasks(findings)}"


def _share(number: int, n_latents: int) -> str:
    if number == n_latents:
        return "Yes"
    return f"{number} of {n_latents} do" if number else "None does"


def _p_value(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
