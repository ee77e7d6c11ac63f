r"""Which axes can be trusted: how well the data tell the latents apart, and how far the fit moves without some tasks.

With lambda_ti the variance of latent i given the target, p_t the task weights and
G_ij = sum_t p_t lambda_tj / lambda_ti, the Fisher information of the relative coordinates of the unmixing matrix gives

    separation  rho_ij = 1 / (G_ij G_ji)                        1: no task tells i and j apart
    leakage     var(E_ij) = G_ji / (N (G_ij G_ji - 1))          variance of the share of latent j in estimated axis i
    expected MCC of axis i = 1 - 1/2 sum_j var(E_ij) var(z_j) / var(z_i).

The Fisher formula believes the model. A Bayesian bootstrap over tasks does not: errors of the model have a random sign
from task to task and show as movement between refits. Starts that fit equally well but disagree tell of flat
directions. A latent is called identified only if all of them let it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from identirep.moments import TaskMoments
from identirep.mtlcm.diagnostics import (
    GoodnessOfFit,
    bootstrap_agreement,
    curvature,
    goodness_of_fit,
    heads,
    information,
    noise_edge,
    noise_reliability,
    signal_strength,
    tied_starts,
)
from identirep.mtlcm.fitting import LatentFit

__all__ = ["Certificate", "certify"]

Array = NDArray[np.float64]

IDENTIFIED, UNCERTAIN, NOT_IDENTIFIED = "identified", "uncertain", "not identified"

# Expected agreement from which an axis counts as identified, and below which as not identified (measured on random
# settings: no fit with an actual MCC under 0.95 reached the first).
_TRUSTED, _DOUBTFUL = 0.98, 0.9
_REJECTED = 0.01


@dataclass(frozen=True)
class Certificate:
    """What the data say about each latent axis.

    *Reproducible* (another fit gives the same axes) is what `verdict`, `expected_mcc` and `bootstrap_mcc` are about.
    *Causally valid* (the model with its roles fits) is what `goodness_of_fit` is about. They are different statements.

    Parameters
    ----------
    separation : array, shape (D, D)
        For each pair, in (0, 1]: 1 means that no task tells the two apart.
    leakage : array, shape (D, D)
        Expected variance of the share of latent j (column) in axis i (row); the diagonal is 0.
    expected_mcc : array, shape (D,)
        Expected correlation of each axis with the true latent, the lowest of `fisher_mcc`, `bootstrap_mcc` and
        `tie_mcc`, times `noise_mcc`.
    verdict : list of str, length D
        "identified", "uncertain" or "not identified".
    reasons : list of str, length D
        The verdict in words.
    goodness_of_fit : GoodnessOfFit
        Statistic and p-value. Small p-values reject the model. NaN if no task has enough rows to test.
    head_rank : int
        Number of directions of the latents in which the targets carry more signal than chance.
    head_condition : float
        Ratio of the largest to the smallest singular value of the task heads.
    fisher_mcc : array, shape (D,)
        Expected correlation if the model holds.
    bootstrap_mcc : array, shape (D,)
        Mean correlation of the axis with its partner in refits with random weights on the tasks.
    tie_mcc : array, shape (D,)
        Lowest correlation of the axis with its partner in any start that fits equally well, within sampling noise.
    noise_mcc : array, shape (D,)
        Correlation of the posterior mean with the latent that observation noise leaves, if the axes are right.

    Notes
    -----
    With shared inputs (all tasks observed on the same rows) the law of the latents is the same for every task, so the
    causal model cannot hold for all of them at once: expect reproducible axes and a test that rejects. The test then
    is the smallest p-value over tasks, Bonferroni-corrected.
    """

    separation: Array
    leakage: Array
    expected_mcc: Array
    verdict: list[str]
    reasons: list[str]
    goodness_of_fit: GoodnessOfFit
    head_rank: int
    head_condition: float
    fisher_mcc: Array
    bootstrap_mcc: Array
    tie_mcc: Array
    noise_mcc: Array

    @classmethod
    def empty(cls) -> Certificate:
        """Return the certificate of a representation without axes: the targets carry no signal.

        Returns
        -------
        Certificate
            With no latents, and rank 0.
        """
        none, square = np.zeros(0), np.zeros((0, 0))
        untested = GoodnessOfFit(float("nan"), float("nan"))
        return cls(square, square, none, [], [], untested, 0, float("nan"), none, none, none, none)

    def without_signal(self) -> Certificate:
        """Return this certificate with no axis trusted, because held-out rows show no signal.

        Returns
        -------
        Certificate
            Every verdict is "not identified".
        """
        reason = "no signal: on held-out rows the targets depend on no direction of the features more than by chance"
        D = len(self.verdict)
        return replace(self, verdict=[NOT_IDENTIFIED] * D, reasons=[reason] * D, head_rank=0)


def certify(fit: LatentFit, moments: TaskMoments, causal: NDArray[np.bool_], rng: np.random.Generator) -> Certificate:
    """Compute the certificate of a fit.

    Parameters
    ----------
    fit : LatentFit
        The fit.
    moments : TaskMoments
        Moments of the features it was fitted to.
    causal : array of bool, shape (n_tasks, D)
        The most probable roles.
    rng : numpy.random.Generator
        Source of the bootstrap.

    Returns
    -------
    Certificate
        The certificate.
    """
    separation, leakage = information(curvature(fit, moments, causal), moments.n_rows)
    # Latents have unit pooled variance, so leakage is relative already.
    fisher = np.clip(1.0 - 0.5 * leakage.sum(axis=1), 0.0, 1.0)
    bootstrap = bootstrap_agreement(fit, moments, causal, rng)
    tied = tied_starts(fit.starts, moments.n_rows)
    ties = fit.starts.agreement[tied].min(axis=0)
    noise = noise_reliability(fit, moments)
    goodness = goodness_of_fit(fit, moments, causal)
    # A lone optimum of a likelihood that has many may not be the best there is, unless the model fits.
    lonely = fit.prior == "exact" and np.sum(tied) == 1 < len(tied) and not goodness.p_value > _REJECTED
    signal = signal_strength(fit, moments) > noise_edge(len(fit.unmixing), moments)
    singular, rank = heads(fit, moments)
    verdict, reasons = [], []
    for i in range(len(fisher)):
        evidence = _Evidence(fisher[i], bootstrap[i], ties[i], noise[i], int(np.argmax(leakage[i])), bool(lonely))
        judged, reason = _judge(evidence, separation[i], bool(signal[i]), rank)
        verdict.append(judged)
        reasons.append(reason)
    return Certificate(
        separation=separation,
        leakage=leakage,
        expected_mcc=np.minimum(np.minimum(fisher, bootstrap), ties) * noise,
        verdict=verdict,
        reasons=reasons,
        goodness_of_fit=goodness,
        head_rank=rank,
        head_condition=float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf"),
        fisher_mcc=fisher,
        bootstrap_mcc=bootstrap,
        tie_mcc=ties,
        noise_mcc=noise,
    )


class _Evidence(NamedTuple):
    """What speaks for and against one axis."""

    fisher: float
    bootstrap: float
    ties: float
    noise: float
    partner: int
    lonely: bool


def _judge(evidence: _Evidence, separation: Array, signal: bool, rank: int) -> tuple[str, str]:
    """Verdict and reason for one axis."""
    if rank == 0:
        return NOT_IDENTIFIED, "no signal: the targets depend on no direction of the features more than by chance"
    if not signal:
        return NOT_IDENTIFIED, "no signal: no target depends on this axis more than by chance"
    axis = min(evidence.fisher, evidence.bootstrap, evidence.ties)
    expected = axis * evidence.noise
    partner = evidence.partner
    mixes = f"it mixes most with latent {partner} (separation {separation[partner]:.3f})"
    if evidence.noise < axis:
        mixes = "observation noise blurs it, amplified by the mixing"
    elif evidence.ties < _TRUSTED and evidence.ties == axis:
        mixes = f"starts that fit equally well disagree; {mixes}"
    if expected < _DOUBTFUL:
        return NOT_IDENTIFIED, f"expected correlation with the true latent only {expected:.2f}; {mixes}"
    if evidence.lonely:
        return UNCERTAIN, "only one start reached this optimum and the model does not fit: there may be a better one"
    if expected < _TRUSTED:
        return UNCERTAIN, f"expected correlation with the true latent {expected:.3f}, below {_TRUSTED}; {mixes}"
    return IDENTIFIED, f"expected correlation with the true latent {expected:.4f}; stable when tasks are reweighted"
