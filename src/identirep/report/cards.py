"""One card for each axis, and one row for each target: what the page says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from identirep.evaluation import Evaluation
from identirep.report import pictures
from identirep.report.content import Findings
from identirep.report.descriptions import Description
from identirep.report.drawn import draw_scatter, draw_share
from identirep.report.svg import cut
from identirep.report.words import causal_statement, roles_sentence

__all__ = ["axis_cards", "target_rows"]

# Targets of a card, and axes of a target; weaker ones say little.
_TARGETS, _AXES, _LEAST = 5, 3, 0.2
# Longer names are cut, and told when pointed at, up to a length.
_LONGEST, _LONGEST_TITLE = 80, 300


def axis_cards(
    findings: Findings, evaluation: Evaluation | None, description: Description | None
) -> list[dict[str, Any]]:
    """Return one entry for each axis: verdict, what was measured, and what goes with it."""
    if not findings.has_signal:
        return []
    certificate = findings.certificate
    back, again, other_targets = certificate.comes_back, findings.trained_again(evaluation), findings.other_targets
    returns = findings.returns(evaluation)
    has_roles = not findings.shares_rows and causal_statement(findings)[0] != "No"
    cards = []
    for i, (verdict, reason) in enumerate(zip(certificate.verdict, certificate.reasons, strict=True)):
        cards.append(
            {
                "number": i,
                "name": findings.given_names.get(i),
                "label": findings.latent_labels[i],
                "verdict": verdict,
                "returns": bool(returns[i]),
                "reason": reason[:1].upper() + reason[1:].rstrip("."),
                "again": _known(again[i]),
                "other_rows": _known(back.other_rows[i]),
                "interval": [_known(end) for end in back.other_rows_interval[i]],
                "turns": _known(back.turn_probability[i]),
                "other_targets": _known(other_targets[i]),
                "with_latent": _known(findings.correlation_with_latent(i)),
                "contradicted": verdict in ("identified", "reproducible") and not returns[i],
                "not_told_apart": [] if "apart" in reason else findings.not_told_apart(i),
                "targets": _targets(findings, i),
                "roles": roles_sentence(findings, i) if has_roles and returns[i] else "",
                **_described(findings, i, description),
            }
        )
    return cards


def _targets(findings: Findings, i: int) -> list[dict[str, Any]]:
    correlation = findings.correlation[:, i]
    order = np.argsort(-np.abs(correlation), kind="stable")[:_TARGETS]
    return [{"number": int(t), **named(findings.task_names[t]), "correlation": float(correlation[t])} for t in order]


def _described(findings: Findings, i: int, description: Description | None) -> dict[str, Any]:
    """Return what only a table tells of an axis."""
    if description is None:
        return {"inputs": [], "lowest": [], "highest": [], "scatter": None}
    axis = description.axes[i]
    moving, picture = pictures.shares(axis), pictures.scatter(axis, findings.latent_labels[i])
    inputs = [
        {
            **named(found.name),
            "share": found.share,
            "interval": found.interval,
            "correlation": _known(found.correlation),
            "bar": draw_share(moving, k),
        }
        for k, found in enumerate(axis.inputs)
    ]
    return {
        "inputs": inputs,
        **{
            end: [{"row": row + 1, "value": value, "label": description.labels.get(row)} for row, value in rows]
            for end, rows in (("lowest", axis.lowest), ("highest", axis.highest))
        },
        "scatter": None if picture is None else {"picture": picture, "drawn": draw_scatter(picture)},
    }


def target_rows(findings: Findings, evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """Return one entry for each target, in the order of the axis that goes with it best."""
    if not findings.n_latents:
        return []
    shown = pictures.targets(findings)
    rows = []
    for t, correlation in zip(shown.order.tolist(), shown.values, strict=True):
        best = np.argsort(-np.abs(correlation), kind="stable")[:_AXES]
        axes = [int(i) for n, i in enumerate(best) if n == 0 or abs(correlation[i]) >= _LEAST]
        rows.append(
            {
                "number": t,
                **named(findings.task_names[t]),
                "r2": None if evaluation is None else _known(evaluation.r2[t]),
                "axes": [(i, float(correlation[i])) for i in axes],
                "percent": " ".join(str(value) for value in np.rint(100 * correlation).astype(int).tolist()),
                "causal": float(findings.causal_probability[t, axes[0]]),
            }
        )
    return rows


def named(name: str) -> dict[str, str]:
    """Return a name as it is shown, and as it is told when pointed at if that is longer."""
    shown = cut(name, _LONGEST)
    return {"name": shown, "title": "" if shown == name else cut(name, _LONGEST_TITLE)}


def _known(value: float) -> float | None:
    """Replace what was not measured, so that templates can ask for it."""
    return None if np.isnan(value) else float(value)
