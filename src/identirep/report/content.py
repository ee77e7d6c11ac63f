"""What a fitted model has to show: the numbers behind all figures and sentences of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from identirep._typing import Array, BoolArray, IntArray
from identirep.evaluation import Evaluation
from identirep.moments import TaskMoments
from identirep.mtlcm import COMES_BACK, MTLCM, Certificate, within_task_correlations
from identirep.mtrn import PredictiveFeatures

__all__ = ["Findings", "score_summary"]

# Leakage of a pair that alone takes an axis below the correlation asked of identified ones, 1 - leakage / 2 = 0.98.
_LEAKS = 0.04


@dataclass(frozen=True)
class Findings:
    """Axes, certificate and spectrum of a fitted model, in one form for both kinds of estimators."""

    task_names: list[str]
    correlation: Array  # of each latent with the target of each task, (T, D)
    causal_probability: Array  # (T, D)
    certificate: Certificate
    shares_rows: bool  # tasks are observed on the same rows: roles are associations and not causes
    n_rows: int
    spectrum: Array | None  # predictive spectrum, and what shuffled targets reach; None without stage one
    threshold: Array | None
    history: list[dict[str, float]]  # training curve of `MTRN`, if there is one
    trained: str | None  # stage one and its verb; None where features were given
    no_signal: str = "none"  # where stage one shows no signal: what others found, see `Signal.answer`
    given_names: Mapping[int, str] = field(default_factory=dict)  # names of latents, where they have one

    @property
    def n_latents(self) -> int:
        """Number of latents D."""
        return self.correlation.shape[1]

    @property
    def n_tasks(self) -> int:
        """Number of tasks T."""
        return len(self.task_names)

    @property
    def latent_labels(self) -> list[str]:
        """Number of each latent, and its name if it has one."""
        return [f"{i} {self.given_names[i]}" if i in self.given_names else str(i) for i in range(self.n_latents)]

    @property
    def kind(self) -> str:
        """What there are many of, in words: targets on the same rows, or tasks with rows of their own."""
        return "targets" if self.shares_rows else "tasks"

    @property
    def n_signal(self) -> int:
        """Number of directions in which the targets carry signal, on held-out rows if there are any."""
        if self.spectrum is None or self.threshold is None:
            return self.certificate.head_rank
        below = np.flatnonzero(self.spectrum <= self.threshold)
        return int(below[0]) if len(below) else len(self.spectrum)

    @property
    def has_signal(self) -> bool:
        """Whether the targets depend on the inputs more than by chance."""
        return self.n_latents > 0 and self.n_signal > 0

    @property
    def other_targets(self) -> Array:
        """Estimate of the correlation of each axis with its partner in a fit to other rows and targets, shape (D,).

        Refits with other weights on the targets keep the features of the fit, so that what other rows do limits it.
        """
        return np.minimum(self.certificate.bootstrap_mcc, self.certificate.comes_back.other_rows)

    def trained_again(self, evaluation: Evaluation | None) -> Array:
        """Correlation of each axis with its partner in fits to the same rows, NaN where that was not measured."""
        if evaluation is not None and evaluation.stability is not None:
            return evaluation.stability.per_latent[0]
        return self.certificate.comes_back.same_rows

    def returns(self, evaluation: Evaluation | None) -> BoolArray:
        """Whether each axis comes back on other rows: by its verdict, and not unless it does on the same rows."""
        kept = np.isin(np.array(self.certificate.verdict, dtype=str), ("identified", "reproducible"))
        return np.asarray(kept & ~(self.trained_again(evaluation) < COMES_BACK))

    def correlation_with_latent(self, i: int) -> float:
        """Expected correlation of an axis with a latent of the causal model; NaN unless it is identified as one."""
        certificate = self.certificate
        known = not self.shares_rows and certificate.verdict[i] == "identified"
        return float(certificate.expected_mcc[i]) if known else float("nan")

    def not_told_apart(self, i: int) -> list[tuple[int, float]]:
        """Latents that the tasks do not tell an axis apart from, worst first, with the separation of the two."""
        # On shared rows axes are not chosen by it, and it says nothing of whether they come back.
        if self.shares_rows:
            return []
        leakage = np.fmax(self.certificate.leakage[i], self.certificate.robust_leakage[i])
        order = np.argsort(-leakage, kind="stable")
        return [(int(j), float(self.certificate.separation[i, j])) for j in order if j != i and leakage[j] > _LEAKS]

    def task_order(self) -> IntArray:
        """Order tasks by the latent that matters most to them, and by how much, so that blocks become visible."""
        strength = np.abs(self.correlation)
        if not strength.shape[1]:
            return np.arange(len(strength))
        main = strength.argmax(axis=1)
        return np.lexsort((-strength.max(axis=1), main))

    def strongest(self, latent: int, n: int) -> list[tuple[str, float]]:
        """Name the targets that a latent correlates with most, and the correlations."""
        correlation = self.correlation[:, latent]
        order = np.argsort(-np.abs(correlation), kind="stable")[:n]
        return [(self.task_names[t], float(correlation[t])) for t in order]

    @classmethod
    def of(cls, model: Any) -> Findings:
        """Collect the findings of a fitted IdentifiableRegressor or MTLCM."""
        if isinstance(model, MTLCM):
            check_is_fitted(model, "mixing_")
            latents: MTLCM | None = model
            stage: Any = None
        elif hasattr(type(model), "certificate_") and hasattr(type(model), "spectrum_"):
            check_is_fitted(model)
            latents, stage = model.causal_model_, model.regressor_
        else:
            raise TypeError(
                f"model has nothing to report: got {type(model).__name__}, expected a fitted IdentifiableRegressor or "
                "MTLCM. Pass one of these."
            )
        moments: TaskMoments = model.moments_
        return cls(
            task_names=[str(name) for name in model.task_names_],
            correlation=np.zeros((moments.n_tasks, 0)) if latents is None else within_task_correlations(latents),
            causal_probability=np.asarray(model.causal_probability_),
            certificate=model.certificate_,
            shares_rows=not moments._has_own_rows,
            n_rows=moments.n_rows,
            spectrum=None if stage is None else np.asarray(stage.spectrum_, dtype=np.float64),
            threshold=None if stage is None else np.asarray(stage.spectrum_threshold_, dtype=np.float64),
            history=list(getattr(stage, "history_", [])),
            trained=None if stage is None else _stage_in_words(stage),
            no_signal="none" if stage is None else stage.signal_.answer,
            given_names=model._names_of_latents(),
        )


def score_summary(findings: Findings, evaluation: Evaluation | None) -> dict[str, Any] | None:
    """Mean, median and lowest of the held-out R^2, with the number of tasks that have none; None if none has any."""
    if evaluation is None or np.isnan(evaluation.r2).all():
        return None
    r2 = evaluation.r2
    known = np.flatnonzero(~np.isnan(r2))
    return {
        "mean": float(r2[known].mean()),
        "median": float(np.median(r2[known])),
        "worst": [(findings.task_names[t], float(r2[t])) for t in known[np.argsort(r2[known], kind="stable")[:3]]],
        "unknown": len(r2) - len(known),
        "known": len(known),
    }


def _stage_in_words(stage: Any) -> str:
    """Name what was trained, as the start of a sentence."""
    if isinstance(stage, PredictiveFeatures):
        # Of a pipeline the last step predicts.
        regressor = stage.regressor.steps[-1][1] if hasattr(stage.regressor, "steps") else stage.regressor
        return f"{type(regressor).__name__} was"
    return "A network was" if stage.n_replicates == 1 else f"{stage.n_replicates} networks were"
