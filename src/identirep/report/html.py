"""The report: one HTML file that needs nothing else, not even a network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from identirep.evaluation import Evaluation
from identirep.files import replaced_file
from identirep.report.content import Findings, score_summary
from identirep.report.style import VERDICT_COLOURS, VERDICT_SYMBOLS
from identirep.report.words import (
    VERDICT_MEANINGS,
    causal_statement,
    comes_back_sentence,
    headline,
    reproducibility_statement,
    verdict_counts,
    what_was_fitted,
)

__all__ = ["write_report"]


def write_report(
    model: Any, path: str | Path, *, evaluation: Evaluation | None = None, title: str = "Identifiable latents"
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

    Raises
    ------
    TypeError
        If the model is something else.

    Notes
    -----
    The library of the figures (plotly.js, 5 MB) is part of the file. Names of tasks are shown as they are, whatever
    they contain.

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
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    findings = Findings.of(model)
    # Templates are read by name, zipped or not.
    loader = FunctionLoader(lambda name: files("identirep.report").joinpath(name).read_text(encoding="utf-8"))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["fixed"] = lambda value, digits=3: _minus(f"{value:.{digits}f}")
    environment.filters["known"] = lambda value, digits=3: "–" if value is None else _minus(f"{value:.{digits}f}")
    environment.filters["signed"] = lambda value: _minus(f"{value:+.2f}")
    page = environment.get_template("template.html").render(
        title=title,
        findings=findings,
        evaluation=evaluation,
        headline=headline(findings),
        comes_back=comes_back_sentence(findings, evaluation) if findings.has_signal else "",
        how=findings.certificate.comes_back.how,
        fitted=what_was_fitted(findings, evaluation),
        reproducible=reproducibility_statement(findings, evaluation),
        causal=causal_statement(findings),
        counts=verdict_counts(findings) if findings.has_signal else {},
        latents=_latent_rows(findings, evaluation),
        scores=score_summary(findings, evaluation),
        figures=_figures(findings, evaluation),
        colours=VERDICT_COLOURS,
        symbols=VERDICT_SYMBOLS,
        meanings=VERDICT_MEANINGS,
        parameters=_parameters(model),
        version=version("identirep"),
        date=datetime.now(timezone.utc).strftime("%d %B %Y"),
        plotly_js=Markup(get_plotlyjs()),
    )
    # A reader never sees half a page.
    with replaced_file(Path(path)) as staging:
        # Names of files need not be in UTF-8.
        staging.write_text(page, encoding="utf-8", errors="backslashreplace")


def _minus(text: str) -> str:
    """Set a number with a minus sign instead of a hyphen."""
    return text.replace("-", "\u2212")


def _figures(findings: Findings, evaluation: Evaluation | None) -> Mapping[str, Any]:
    """Render all figures, None where there is nothing to show."""
    from markupsafe import Markup
    from plotly.io import to_html

    from identirep.report.figures import draw_figures

    config = {"displayModeBar": False, "responsive": True}
    # Without ids of our own every rendering would differ in random ones.
    return {
        name: figure and Markup(to_html(figure, include_plotlyjs=False, full_html=False, config=config, div_id=name))
        for name, figure in draw_figures(findings, evaluation).items()
    }


def _latent_rows(findings: Findings, evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """One entry for each latent: verdict, what was measured, reason, and the targets that go with it."""
    if not findings.has_signal:
        return []
    certificate = findings.certificate
    back, again, other_targets = certificate.comes_back, findings.trained_again(evaluation), findings.other_targets
    returns = findings.returns(evaluation)
    rows = []
    for i, (verdict, reason) in enumerate(zip(certificate.verdict, certificate.reasons, strict=True)):
        rows.append(
            {
                "number": i,
                "name": findings.given_names.get(i),
                "verdict": verdict,
                "reason": reason,
                "again": _known(again[i]),
                "other_rows": _known(back.other_rows[i]),
                "interval": [_known(end) for end in back.other_rows_interval[i]],
                "turns": _known(back.turn_probability[i]),
                "other_targets": _known(other_targets[i]),
                "with_latent": _known(findings.correlation_with_latent(i)),
                "contradicted": verdict in ("identified", "reproducible") and not returns[i],
                "not_told_apart": [] if "apart" in reason else findings.not_told_apart(i),
                "targets": findings.strongest(i, 3),
            }
        )
    return rows


def _known(value: float) -> float | None:
    """Replace what was not measured, so that templates can ask for it."""
    return None if np.isnan(value) else float(value)


def _parameters(model: Any) -> list[tuple[str, str]]:
    """Constructor parameters of both stages, as they were used."""
    stages = [model.regressor_, model.causal_model_] if hasattr(model, "regressor_") else [model]
    return [
        (f"{type(stage).__name__}.{name}", repr(value))
        for stage in stages
        if stage is not None
        for name, value in stage.get_params(deep=False).items()
    ]
