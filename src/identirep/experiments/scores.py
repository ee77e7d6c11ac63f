"""How recovery is scored in all experiments: one assignment, learnt on the rows of the fit, judged on others."""

from __future__ import annotations

import numpy as np

from identirep._typing import Array, IntArray
from identirep.experiments.experiment import Row
from identirep.metrics import mcc, mcc_score, weak_mcc_score

__all__ = ["agreement", "recovery"]
Pair = tuple[Array, Array]


def recovery(
    latents: Array, truth: Array, latents_test: Array, truth_test: Array, tasks_test: IntArray | None = None
) -> Row:
    """Score latents against the truth: the assignment is that of the first rows, the scores those of the test rows.

    With tasks also ``mcc_per_task``, the published variant with an assignment for each task.
    """
    held_out: Pair = (latents_test, truth_test)
    strong = mcc(latents, truth, held_out=held_out)
    row: Row = {
        "mcc": strong.score,
        "worst_latent": float(strong.per_latent.min()),
        "spearman": mcc_score(latents, truth, correlation="spearman", held_out=held_out),
        "weak_mcc": weak_mcc_score(latents, truth, held_out=held_out),
    }
    if tasks_test is not None:
        rows = [np.flatnonzero(tasks_test == task) for task in np.unique(tasks_test)]
        row["mcc_per_task"] = float(
            np.mean([mcc_score(latents_test[r], truth_test[r], correlation="spearman") for r in rows])
        )
    return row


def agreement(first: Pair, second: Pair) -> Row:
    """Score the agreement of two fits, each given on rows that choose the assignment and on rows that are scored.

    Axes that correlate with each other agree more easily: each carries what all of them share, which is reproduced
    best. So the agreement is also taken after each fit's latents are decorrelated, which leaves what each axis has of
    its own.
    """
    one, two = _decorrelate(*first), _decorrelate(*second)
    return {
        **recovery(first[0], second[0], first[1], second[1]),
        "decorrelated_mcc": mcc(one[0], two[0], held_out=(one[1], two[1])).score,
        "mean_correlation": (_mean_correlation(first[1]) + _mean_correlation(second[1])) / 2,
    }


def _mean_correlation(latents: Array) -> float:
    correlation = np.abs(np.corrcoef(latents, rowvar=False))
    return float(correlation[np.triu_indices(len(correlation), 1)].mean())


def _decorrelate(choose: Array, score: Array) -> Pair:
    """Return latents as the nearest uncorrelated axes of unit variance, all learnt on the first rows."""
    mean, scale = choose.mean(axis=0), choose.std(axis=0)
    standard = (choose - mean) / scale
    # The symmetric square root: no other uncorrelated axes are as close to those that came.
    _, singular, right = np.linalg.svd(standard / np.sqrt(len(choose)), full_matrices=False)
    decorrelate = (right.T / singular) @ right
    return standard @ decorrelate, (score - mean) / scale @ decorrelate
