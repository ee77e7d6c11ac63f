"""The report: one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from identirep.evaluation import Evaluation
from identirep.report import drawn, pictures
from identirep.report.advice import next_steps
from identirep.report.cards import axis_cards, target_rows
from identirep.report.content import Findings, score_summary
from identirep.report.descriptions import Description, Made, versions
from identirep.report.pages import write_page
from identirep.report.style import VERDICT_SYMBOLS
from identirep.report.words import (
    causal_statement,
    comes_back_sentence,
    count,
    headline,
    reproducibility_statement,
    returns_headline,
    verdict_meanings,
    what_was_fitted,
)

__all__ = ["write_report"]


def write_report(
    model: Any,
    path: str | Path,
    *,
    evaluation: Evaluation | None = None,
    title: str = "Identifiable latents",
    description: Description | None = None,
    made: Made | None = None,
) -> None:
    """Write what a fit has found to one self-contained HTML file.

    Parameters
    ----------
    model : IdentifiableRegressor or MTLCM
        Fitted model.
    path : str or Path
        File to write; an existing one is replaced as a whole.
    evaluation : Evaluation, optional
        Scores on held-out rows and agreement with other fits. Default: the report does without these sections.
    title : str, default "Identifiable latents"
        Heading of the page.
    description : Description, optional
        Inputs that move each axis, rows at its ends and against its best target, from `describe`. Default: the cards of
        the axes do without these.
    made : Made, optional
        Command, data and remarks of the run. Default: the page names the versions of this installation.

    Raises
    ------
    TypeError
        If the model is something else.

    Notes
    -----
    The page is under 1.5 MB with 2,000 targets, makes no request to any network, and shows all but its search without
    scripts. Names of tasks are shown as they are, whatever they contain; long ones are cut.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from identirep import MTLCM
    >>> from identirep.datasets import make_linear_tasks
    >>> from identirep.report import write_report
    >>> data = make_linear_tasks(n_tasks=20, n_samples=50, n_latents=3, random_state=0)
    >>> model = MTLCM(random_state=0).fit(data.H, data.y, data.tasks)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "report.html"
    ...     write_report(model, path)
    ...     path.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    findings = Findings.of(model)
    made = Made(versions=versions()) if made is None else made
    cards = axis_cards(findings, evaluation, description)
    shown = _pictures(findings, evaluation)
    write_page(
        path,
        "template.html",
        kind="identirep report",
        title=title,
        findings=findings,
        evaluation=evaluation,
        answer=returns_headline(findings, evaluation),
        comes_back=f"{headline(findings)} {comes_back_sentence(findings, evaluation)}" if cards else "",
        fitted=what_was_fitted(findings, evaluation),
        steps=next_steps(findings, evaluation, made),
        cards=cards,
        described="" if description is None else _described(description),
        reproducible=reproducibility_statement(findings, evaluation),
        causal=causal_statement(findings),
        how=findings.certificate.comes_back.how,
        meanings=verdict_meanings(findings),
        pictures=shown,
        drawn=_drawn(shown),
        n_signal_sentence=f"{count(findings.n_signal, 'direction')} do{'es' if findings.n_signal == 1 else ''}.",
        targets=target_rows(findings, evaluation) if cards else [],
        roles=not findings.shares_rows and causal_statement(findings)[0] != "No",
        scores=score_summary(findings, evaluation),
        remarks=_remarks(model, made),
        made=made,
        facts=_facts(made, evaluation),
        parameters=_parameters(model),
        symbols=VERDICT_SYMBOLS,
    )


def _pictures(findings: Findings, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return what each picture of the page shows, None where there is nothing to show."""
    stability = None if evaluation is None else evaluation.stability
    mixed = findings.has_signal and any(findings.not_told_apart(i) for i in range(findings.n_latents))
    return {
        "returns": pictures.returns(findings, evaluation),
        "spectrum": pictures.spectrum(findings),
        "fits": None if stability is None or len(stability.matrix) < 3 else pictures.agreement(stability),
        "separation": pictures.separation(findings) if mixed else None,
        "scores": pictures.scores(findings, evaluation),
        "training": pictures.training(findings),
    }


def _drawn(shown: dict[str, Any]) -> dict[str, Any]:
    """Draw the pictures of the page."""
    draw: dict[str, Callable[[Any], Any]] = {
        "returns": drawn.draw_returns,
        "spectrum": drawn.draw_spectrum,
        "fits": drawn.draw_agreement,
        "separation": drawn.draw_separation,
        "scores": drawn.draw_scores,
        "training": drawn.draw_training,
    }
    return {name: None if shown[name] is None else draw[name](shown[name]) for name in draw}


def _described(description: Description) -> str:
    """Say of which rows a description is."""
    rows = f"{count(description.n_rows, 'row')}"
    return rows if description.data is None else f"the {rows} of {description.data}"


def _remarks(model: Any, made: Made) -> list[str]:
    """Return what was said of the data in the fit, and what the model knows itself."""
    known = list(dict.fromkeys(made.remarks))
    order = getattr(getattr(model, "row_order_", None), "remark", "")
    if order and not any(order in remark or remark in order for remark in known):
        known.append(order)
    left_out = getattr(model, "left_out_tasks_", {})
    if left_out and not known:
        named = ", ".join(f"{name!s} ({why})" for name, why in list(left_out.items())[:10])
        rest = f" and {len(left_out) - 10} more" if len(left_out) > 10 else ""
        known.append(f"Targets that nothing can be learnt of: {named}{rest}.")
    return known


def _facts(made: Made, evaluation: Evaluation | None) -> list[tuple[str, str]]:
    """Return data, date and versions of a run."""
    facts = []
    if evaluation is not None:
        facts.append(("Data", evaluation.data))
    if made.data_sha256 is not None:
        facts.append(("SHA-256 of the data", made.data_sha256))
    if made.date is not None:
        facts.append(("Date", made.date))
    facts.append(("Versions", ", ".join(f"{name} {number}" for name, number in made.versions.items())))
    return facts


def _parameters(model: Any) -> list[tuple[str, str]]:
    """Constructor parameters of both stages, as they were used."""
    stages = [model.regressor_, model.causal_model_] if hasattr(model, "regressor_") else [model]
    return [
        (f"{type(stage).__name__}.{name}", repr(value))
        for stage in stages
        if stage is not None
        for name, value in stage.get_params(deep=False).items()
    ]
