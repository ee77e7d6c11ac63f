"""What a fit has found, as entries of the document of --json: the same numbers that are printed and reported."""

from __future__ import annotations

from typing import Any

from identirep._typing import Array
from identirep.evaluation import Evaluation
from identirep.metrics import StabilityResult
from identirep.mtlcm import VERDICTS
from identirep.report import Findings, causal_statement, headline, reproducibility_statement, score_summary

__all__ = ["agreement_of", "found_in", "latent_entries", "signal_in"]


def found_in(model: Any, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return data, verdicts, latents, statements and scores of a fitted model."""
    findings = Findings.of(model)
    roles, comes_back = causal_statement(findings), reproducibility_statement(findings, evaluation)
    fit = findings.certificate.goodness_of_fit
    return {
        "data": _data(model, findings, evaluation),
        "regressor": _regressor(model),
        "signal": signal_in(findings),
        "n_latents": findings.n_latents,
        "n_targets": findings.n_tasks,
        "verdicts": {verdict: findings.certificate.verdict.count(verdict) for verdict in VERDICTS},
        "latents": _latents(model, findings, evaluation),
        "headline": headline(findings),
        "comes_back": dict(zip(("answer", "reason"), comes_back, strict=True)),
        "causal_roles": dict(zip(("answer", "reason"), roles, strict=True)),
        "goodness_of_fit": {"statistic": fit.statistic, "p_value": fit.p_value},
        "scores": _scores(findings, evaluation),
    }


def signal_in(findings: Findings) -> str:
    """Return "found", "none", "too few rows", or "found by others" than stage one of the fit."""
    if findings.has_signal:
        return "found"
    return "found by others" if findings.no_signal == "signal" else findings.no_signal


def latent_entries(model: Any) -> list[dict[str, Any]]:
    """Return name, verdict and reason of each latent."""
    certificate = model.certificate_
    rows = zip(model.get_feature_names_out(), certificate.verdict, certificate.reasons, strict=True)
    return [{"name": name, "verdict": verdict, "reason": reason} for name, verdict, reason in rows]


def agreement_of(strong: StabilityResult, weak: Array, seeds: range) -> dict[str, Any]:
    """Return how far fits agree, pair by pair, and each latent of the first one with the others."""
    return {
        "seeds": list(seeds),
        "strong_mcc": strong.matrix,
        "weak_mcc": weak,
        "latents_of_first_fit": strong.per_latent[0],
    }


def _data(model: Any, findings: Findings, evaluation: Evaluation | None) -> dict[str, Any]:
    return {
        "name": None if evaluation is None else evaluation.data,
        "layout": "wide" if findings.shares_rows else "long",
        "n_inputs": model.n_features_in_,
        "n_training_rows": findings.n_rows if evaluation is None else evaluation.n_training_rows,
        "n_held_out_rows": None if evaluation is None else evaluation.n_held_out_rows,
        "grouped_by": None if evaluation is None else evaluation.grouped_by,
        "ordered_by": None if evaluation is None else evaluation.ordered_by,
        "weighted_by": None if evaluation is None else evaluation.weighted_by,
    }


def _regressor(model: Any) -> dict[str, Any] | None:
    """Name what predicts, the last step of a pipeline, and say why it was chosen if it was to be; None for features."""
    stage = getattr(model, "regressor_", None)
    if stage is None:
        return None
    predicts = getattr(stage, "regressor", stage)
    predicts = predicts.steps[-1][1] if hasattr(predicts, "steps") else predicts
    choice = model.regressor_choice_
    return {"name": type(predicts).__name__, "reason": None if choice is None else choice.reason}


def _latents(model: Any, findings: Findings, evaluation: Evaluation | None) -> list[dict[str, Any]]:
    back = findings.certificate.comes_back
    again, other_targets = findings.trained_again(evaluation), findings.other_targets
    return [
        {
            **entry,
            "comes_back": {
                "same_rows": again[i],
                "other_rows": back.other_rows[i],
                "other_rows_interval": back.other_rows_interval[i],
                "other_targets": other_targets[i],
                "turn_probability": back.turn_probability[i],
            },
            "expected_mcc": findings.correlation_with_latent(i),
            "targets": [{"name": name, "correlation": value} for name, value in findings.strongest(i, 3)],
        }
        for i, entry in enumerate(latent_entries(model))
    ]


def _scores(findings: Findings, evaluation: Evaluation | None) -> dict[str, Any] | None:
    """Return R^2 on held-out rows, None if there are none."""
    summary = score_summary(findings, evaluation)
    if evaluation is None or summary is None:
        return None
    targets: list[dict[str, Any]] = [
        {"name": name, "r2": r2} for name, r2 in zip(findings.task_names, evaluation.r2, strict=True)
    ]
    for name, values in (
        ("kind", evaluation.kinds),
        ("auc", evaluation.auc),
        ("deviance_explained", evaluation.deviance_explained),
    ):
        for target, value in zip(targets, () if values is None else values, strict=values is not None):
            target[name] = value
    return {
        "median_r2": summary["median"],
        "mean_r2": summary["mean"],
        "n_known": summary["known"],
        "targets": targets,
    }
