r"""Which axes can be trusted: how well the data tell the latents apart, and how far the fit moves without some tasks.

With lambda_ti the variance of latent i given the target, p_t the task weights and
G_ij = sum_t p_t lambda_tj / lambda_ti, the Fisher information of the relative coordinates of the unmixing matrix gives,
without observation noise (`model.information` has it with noise, and for the exact likelihood),

    separation  rho_ij = 1 / (G_ij G_ji)                        1: no task tells i and j apart
    leakage     var(E_ij) = G_ji / (N (G_ij G_ji - 1))          variance of the share of latent j in estimated axis i
    expected MCC of axis i = 1 - 1/2 sum_j var(E_ij) var(z_j) / var(z_i).

The Fisher formula believes the model. The sandwich form of var(E_ij) does not, nor does a Bayesian bootstrap over
tasks: errors of the model have a random sign from task to task and show as scores that differ and as movement between
refits. Starts that fit equally well but disagree tell of flat directions. A latent is called identified only if all of
them let it; what is expected of it is the best estimate, not the lowest. Estimated variances differ between tasks also
where the true ones do not: a pair is told apart only if its separation is beyond what the fit makes of sampling error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from identirep._typing import Array, BoolArray
from identirep.moments import TaskMoments
from identirep.mtlcm.axes import LatentFit, Starts
from identirep.mtlcm.model import fisher_leakage
from identirep.mtlcm.trust.goodness import GoodnessOfFit, goodness_of_fit
from identirep.mtlcm.trust.latents import latent_information, noise_reliability
from identirep.mtlcm.trust.leakage import loss_quantiles, moderated_leakage, robust_leakage
from identirep.mtlcm.trust.refits import bootstrap
from identirep.mtlcm.trust.signal import heads, noise_edge, signal_strength

__all__ = ["Certificate", "certify"]

IDENTIFIED, UNCERTAIN, NOT_IDENTIFIED = "identified", "uncertain", "not identified"

# Agreement from which an axis counts as identified, and below which as not identified (measured on random settings: 99%
# of the fits with an actual MCC under 0.95 stay below the first in some latent).
_TRUSTED, _DOUBTFUL = 0.98, 0.9
_REJECTED = 0.01
_N_REFITS = 10
# The interval of the expected correlation holds 90%.
_LEVELS = (0.05, 0.95)
# Reasons name the latents that make up this share of the leakage, and no more than so many.
_NAMED_SHARE, _MOST_NAMED = 0.5, 3


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
        Expected variance of the share of latent j (column) in axis i (row) if the model holds; the diagonal is 0. It is
        1 if the tasks tell the two apart no more than chance does.
    robust_leakage : array, shape (D, D)
        The same without believing the model (sandwich covariance): from how much the tasks pull the axes in different
        directions. NaN off the diagonal with two tasks, which leave no degree of freedom.
    expected_mcc : array, shape (D,)
        Expected correlation of each axis with the true latent: the best estimate, from `leakage` and `robust_leakage`
        joined (the model is believed as far as the tasks' scores bear it out), lower where refits move more than that
        or tied starts disagree, times `noise_mcc`.
    expected_mcc_interval : array, shape (D, 2)
        Range in which that correlation lies with 90% probability, given the noise: from the law of
        1/2 sum_j E_ij^2 and the spread of the bootstrap, the wider of the two, around `expected_mcc`.
    verdict : list of str, length D
        "identified", "uncertain" or "not identified": by the lowest of `fisher_mcc`, `robust_mcc`, `bootstrap_mcc` and
        `tie_mcc`, times `noise_mcc`, and whether the targets carry signal along the axis.
    reasons : list of str, length D
        The verdict in words, with the latents that the axis mixes with most.
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
    n_tied_starts : int
        Starts of the solver as likely as the best one within sampling noise, itself included.

    Notes
    -----
    With shared inputs (all tasks observed on the same rows) the law of the latents is the same for every task, so the
    causal model cannot hold for all of them at once: expect reproducible axes and a test that rejects. The test then
    is the smallest p-value over tasks, Bonferroni-corrected.

    Observation noise that the likelihood cannot tell from the latents' own variation (none was found, inputs are
    shared, or the mixing is orthogonal) counts as part of the latents: `expected_mcc` does not contain it.
    """

    separation: Array
    leakage: Array
    robust_leakage: Array
    expected_mcc: Array
    expected_mcc_interval: Array
    verdict: list[str]
    reasons: list[str]
    goodness_of_fit: GoodnessOfFit
    head_rank: int
    head_condition: float
    fisher_mcc: Array
    bootstrap_mcc: Array
    tie_mcc: Array
    noise_mcc: Array
    n_tied_starts: int

    @property
    def robust_mcc(self) -> Array:
        """Expected correlation without believing the model, shape (D,); that of the model with two tasks."""
        known = np.where(np.isnan(self.robust_leakage), self.leakage, self.robust_leakage)
        return _correlation(known)

    @property
    def tie_disagreement(self) -> float:
        """One minus the lowest correlation of any axis with its partner in a tied start; 0 if all ties agree."""
        return float(max(0.0, 1.0 - self.tie_mcc.min(initial=1.0)))

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
        return cls(
            separation=square,
            leakage=square,
            robust_leakage=square,
            expected_mcc=none,
            expected_mcc_interval=np.zeros((0, 2)),
            verdict=[],
            reasons=[],
            goodness_of_fit=untested,
            head_rank=0,
            head_condition=float("nan"),
            fisher_mcc=none,
            bootstrap_mcc=none,
            tie_mcc=none,
            noise_mcc=none,
            n_tied_starts=0,
        )

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


def certify(fit: LatentFit, moments: TaskMoments, causal: BoolArray, rng: np.random.Generator) -> Certificate:
    """Compute the certificate of a fit to moments, from its most probable roles; the generator is for the refits."""
    information = latent_information(fit, moments, causal)
    separation, modelled = fisher_leakage(information)
    robust, freedom = robust_leakage(information)
    joined = moderated_leakage(modelled, robust, freedom)
    fisher = _correlation(modelled)
    refits = bootstrap(fit, moments, causal, "tasks", _N_REFITS, rng)
    tied = _tied(fit.starts, moments.n_rows)
    ties = fit.starts.agreement[tied].min(axis=0)
    noise = noise_reliability(fit, moments)
    goodness = goodness_of_fit(fit, moments, causal)
    # A lone optimum of a likelihood that has many may not be the best there is, unless the model fits.
    lonely = information.has_many_optima and np.sum(tied) == 1 and not goodness.p_value > _REJECTED
    signal = signal_strength(fit.components, moments) > noise_edge(len(fit.unmixing), moments)
    singular, rank = heads(fit.components, moments)
    axis = np.minimum(np.minimum(_correlation(joined), _surely_seen(refits.agreement)), ties)
    losses = loss_quantiles(1.0 - axis, joined, 1.0 - refits.agreement, _LEVELS)
    lowest = np.fmin.reduce([fisher, _correlation(robust), refits.mcc, ties])
    either = np.fmax(modelled, robust)
    verdict, reasons = [], []
    for i in range(len(axis)):
        evidence = _Evidence(axis[i], lowest[i], ties[i], noise[i], bool(lonely))
        judged, reason = _judge(evidence, _mixes_with(i, either[i], separation[i]), bool(signal[i]), rank)
        verdict.append(judged)
        reasons.append(reason)
    return Certificate(
        separation=separation,
        leakage=modelled,
        robust_leakage=robust,
        expected_mcc=axis * noise,
        expected_mcc_interval=(1.0 - losses[:, ::-1]) * noise[:, None],
        verdict=verdict,
        reasons=reasons,
        goodness_of_fit=goodness,
        head_rank=rank,
        head_condition=float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf"),
        fisher_mcc=fisher,
        bootstrap_mcc=refits.mcc,
        tie_mcc=ties,
        noise_mcc=noise,
        n_tied_starts=int(np.sum(tied)),
    )


def _tied(starts: Starts, n_rows: int) -> BoolArray:
    """Starts as likely as the best within sampling noise (95% point of chi-squared, one degree for each E_ij)."""
    D = starts.agreement.shape[1]
    loss = 2.0 * n_rows * (starts.criterion - starts.criterion.min())
    return np.asarray(loss <= chi2.ppf(0.95, max(D * (D - 1), 1)))


def _correlation(leakage: Array) -> Array:
    """Expected correlation of each axis; latents have unit pooled variance, so that leakage is relative already."""
    return np.clip(1.0 - 0.5 * leakage.sum(axis=1), 0.0, 1.0)


def _surely_seen(agreement: Array) -> Array:
    """Agreement with refits as far as their number tells: the mean plus two standard errors, shape (D,)."""
    n_refits = len(agreement)
    error = agreement.std(axis=0, ddof=1) / np.sqrt(n_refits) if n_refits > 1 else 0.0
    return np.asarray(np.minimum(agreement.mean(axis=0) + 2.0 * error, 1.0))


class _Evidence(NamedTuple):
    """What speaks for and against an axis: expected correlation, lowest of all estimates, ties, what noise leaves."""

    axis: float
    lowest: float
    ties: float
    noise: float
    lonely: bool


def _mixes_with(i: int, leakage: Array, separation: Array) -> str:
    """Name the latents that leak into an axis most: as many as make up half of the leakage, up to three."""
    others = np.argsort(-leakage, kind="stable")
    others = others[others != i]
    total = leakage.sum()
    if not len(others) or total <= 0.0:
        return "it mixes with no other latent"
    if leakage[others[0]] >= 1.0:
        named, text = others[leakage[others] >= 1.0], "the tasks tell it no better than chance from latent"
    else:
        enough = int(np.searchsorted(np.cumsum(leakage[others]), _NAMED_SHARE * total)) + 1
        named, text = others[:enough], "it mixes most with latent"
    names = " and ".join(f"{j} (separation {separation[j]:.3f})" for j in named[:_MOST_NAMED])
    return f"{text}{'s' if len(named) > 1 else ''} {names}"


def _judge(evidence: _Evidence, mixes: str, signal: bool, rank: int) -> tuple[str, str]:
    """Verdict and reason for one axis."""
    if rank == 0:
        return NOT_IDENTIFIED, "no signal: the targets depend on no direction of the features more than by chance"
    if not signal:
        return NOT_IDENTIFIED, "no signal: no target depends on this axis more than by chance"
    lowest = evidence.lowest * evidence.noise
    if evidence.noise < evidence.lowest:
        mixes = f"observation noise blurs it, amplified by the mixing; {mixes}"
    elif evidence.ties < _TRUSTED and evidence.ties == evidence.lowest:
        mixes = f"starts that fit equally well disagree; {mixes}"
    # Not a number is no evidence either.
    if not lowest >= _DOUBTFUL:
        return NOT_IDENTIFIED, f"the correlation with the true latent may be only {lowest:.2f}; {mixes}"
    if evidence.lonely:
        return (
            UNCERTAIN,
            f"only one start reached this optimum and the model does not fit: a better one may exist; {mixes}",
        )
    if not lowest >= _TRUSTED:
        return UNCERTAIN, f"the correlation with the true latent may be {lowest:.3f}, below {_TRUSTED}; {mixes}"
    expected = evidence.axis * evidence.noise
    return IDENTIFIED, f"expected correlation with the true latent {expected:.4f}; stable when tasks are reweighted"
